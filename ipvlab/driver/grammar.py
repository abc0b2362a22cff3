"""Docker's command lines read into values; what its client refuses is a value too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipvlab.driver.docker_commands import (
    ContainerAttach,
    ContainerCreate,
    ContainerExec,
    ContainerKill,
    ContainerList,
    ContainerLogs,
    ContainerPrune,
    ContainerRemove,
    ContainerRename,
    ContainerRestart,
    ContainerRun,
    ContainerStart,
    ContainerStop,
    ContainerWait,
    DockerCommand,
    Help,
    Info,
    Inspect,
    NetworkConnect,
    NetworkCreate,
    NetworkDisconnect,
    NetworkInspect,
    NetworkList,
    NetworkPrune,
    NetworkRemove,
    Version,
)
from ipvlab.driver.flags import ClientFault, ClientRefusal, HelpWanted, Options
from ipvlab.driver.ip_grammar import Exit, IpCommand, RestartDocker, parse_ip
from ipvlab.driver.network_flags import read_connect_flags
from ipvlab.driver.pool_flags import read_network_request
from ipvlab.driver.run_flags import read_container_request, read_variables
from ipvlab.driver.verbs import FOREIGN, FOREIGN_OF_CONTAINER, VERBS, find_verb
from ipvlab.driver.words import Words
from ipvlab.errors import CommandUnknown
from ipvlab.spec.values import Dialect

__all__ = [
    "ContainerExec",
    "ContainerList",
    "ContainerRemove",
    "ContainerRun",
    "ContainerStop",
    "DockerCommand",
    "NetworkCreate",
    "NetworkInspect",
    "NetworkList",
    "NetworkRemove",
    "is_shell",
    "parse_docker",
]

_GROUPS = ("network", "container", "system")
_INSPECT_TYPES = (
    "config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume",
)  # fmt: skip
_SHELLS = frozenset({"sh", "/bin/sh", "ash", "/bin/ash", "bash", "/bin/bash"})


def parse_docker(
    argv: Sequence[str], *, allows_programs: bool = False, dialect: Dialect = Dialect.DOCS
) -> DockerCommand:
    """Read a command line that begins with ``docker``.

    Without ``allows_programs`` (scenario files) the grammar is closed: a
    command, an option or a container's command outside it is a
    :class:`CommandUnknown`. With it any program may be run, and what a lab does
    not know is answered as Docker's client answers. What that client refuses by
    itself is a :class:`ClientRefusal`; since 29 it refuses a little more, and that
    of 26 does not know some options.
    """
    words = Words(argv)
    words.take("docker")
    try:
        _skip_global_options(words, is_closed=not allows_programs)
        return _Reader(words, allows_programs, dialect).read()
    except ClientFault as fault:
        return fault.refusal
    except HelpWanted as wanted:
        return Help(wanted.text)


def _skip_global_options(words: Words, *, is_closed: bool) -> None:
    while words.rest and words.rest[0].startswith("-"):
        option = words.take("")
        if option in ("-v", "--version"):
            return
        if option in ("-D", "--debug"):
            continue
        if option in ("-l", "--log-level", "--config"):
            words.take(f"the value of {option}")
        elif option.partition("=")[0] not in ("--log-level", "--config"):
            if option.partition("=")[0] in ("-H", "--host", "-c", "--context"):
                raise words.refusal("a host's docker speaks to that host's own engine")
            if is_closed:
                raise words.refusal(f"option {option} is not known here")
            text = f"unknown flag: {option.partition('=')[0]}"
            if not option.startswith("--"):
                text = f"unknown shorthand flag: '{option[1:2]}' in {option}"
            usage = "Usage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun 'docker --help' for more information"
            raise ClientFault(f"{text}\n\n{usage}", 125)


class _Reader:
    """One command line on its way to a value."""

    def __init__(self, words: Words, allows_programs: bool, dialect: Dialect) -> None:
        self._words = words
        self._allows_programs = allows_programs
        self._dialect = dialect

    def read(self) -> DockerCommand:
        words = self._words
        path = ["docker"]
        if not words.rest and words.text.split()[-1] in ("-v", "--version"):
            return Version(is_short=True)
        path.append(self._take_word("docker"))
        if path[-1] in _GROUPS:
            path.append(self._take_word(" ".join(path)))
        found = find_verb(" ".join(path), self._dialect)
        if found is None:
            return self._refuse_command(" ".join(path))
        verb, first_path = found
        options = Options(verb, words.rest, is_closed=not self._allows_programs)
        return _BUILDERS[first_path](self, options)

    def _take_word(self, group: str) -> str:
        if self._allows_programs and not self._words.rest:
            raise HelpWanted(_group_help(group))
        word = self._words.take(f"a command of {group}")
        if self._allows_programs and word in ("--help", "-h", "help"):
            raise HelpWanted(_group_help(group))
        return word

    def _refuse_command(self, path: str) -> ClientRefusal:
        group, _, word = path.rpartition(" ")
        is_foreign = word in (FOREIGN_OF_CONTAINER if group == "docker container" else FOREIGN)
        if not self._allows_programs:
            raise self._words.refusal(f"`{path}` is not a known command")
        if is_foreign:
            return ClientRefusal(f"{path}: a lab's hosts have networks and containers, and no more", 1)
        usage = "" if group == "docker" else f"Usage:  {group}\n\n"
        return ClientRefusal(
            f"docker: unknown command: {path}\n\n{usage}Run '{group} --help' for more information", 1
        )

    def create_network(self, options: Options) -> DockerCommand:
        return NetworkCreate(read_network_request(options, self._dialect))

    def connect(self, options: Options) -> DockerCommand:
        network, container = options.arguments
        return NetworkConnect(network, container, read_connect_flags(options, network, self._dialect))

    def run(self, options: Options) -> DockerCommand:
        request = read_container_request(options, self._dialect)
        return ContainerRun(request, self._read_inner(request.command))

    def create(self, options: Options) -> DockerCommand:
        request = read_container_request(options, self._dialect)
        self._read_inner(request.command)
        return ContainerCreate(request)

    def execute(self, options: Options) -> DockerCommand:
        container, *argv = options.arguments
        return ContainerExec(
            container,
            tuple(argv),
            self._read_inner(argv),
            is_interactive=bool(options.switch("interactive")),
            has_tty=bool(options.switch("tty")),
            is_detached=bool(options.switch("detach")),
            env=read_variables(options),
            workdir=options.last("workdir") or "",
            user=options.last("user") or "",
        )

    def start(self, options: Options) -> DockerCommand:
        names = tuple(options.arguments)
        is_attached, is_interactive = bool(options.switch("attach")), bool(options.switch("interactive"))
        if (is_attached or is_interactive) and len(names) > 1:
            return ClientRefusal("you cannot start and attach multiple containers at once", 1)
        return ContainerStart(names, is_attached, is_interactive)

    def rename(self, options: Options) -> DockerCommand:
        old, new = (name.strip() for name in options.arguments)
        if not old or not new:
            return ClientRefusal("Error: Neither old nor new names may be empty", 1)
        return ContainerRename(old, new)

    def logs(self, options: Options) -> DockerCommand:
        tail = options.last("tail")
        return ContainerLogs(
            options.arguments[0],
            is_followed=bool(options.switch("follow")),
            # What is no number shows everything, as in the engine (logs: tail).
            tail=int(tail) if tail is not None and tail.isdecimal() else None,
            has_times=bool(options.switch("timestamps")),
            since=options.last("since") or "",
            until=options.last("until") or "",
        )

    def list_containers(self, options: Options) -> DockerCommand:
        last = options.number("last")
        if options.switch("latest") and (last is None or last < 0):
            last = 1
        return ContainerList(
            shows_all=bool(options.switch("all")),
            is_quiet=bool(options.switch("quiet")),
            filters=options.filters(),
            format=options.last("format") or "",
            is_whole=bool(options.switch("no-trunc")),
            last=last if last is not None and last > 0 else None,
            has_size=bool(options.switch("size")),
        )

    def inspect(self, options: Options) -> DockerCommand:
        kind = options.last("type") or ""
        names, template = tuple(options.arguments), options.last("format") or ""
        if kind in ("", "container", "network"):
            return Inspect(names, kind, template)  # type: ignore[arg-type]  # mypy narrows no tuple of texts
        if kind in _INSPECT_TYPES:
            text = "\n".join(f"Error response from daemon: No such {kind}: {name}" for name in names)
            return ClientRefusal(text, 1, stdout="\n" if template else "[]\n")
        known = ", ".join(f'"{each}"' for each in _INSPECT_TYPES)
        return ClientRefusal(f'unknown type: "{kind}": must be one of {known}', 1)

    def _read_inner(self, command: Sequence[str]) -> IpCommand | None:
        """What a container is told to run: None for what stays, else a command of the closed grammar."""
        is_staying = len(command) <= 1 or command[0] == "sleep" or list(command[:2]) == ["tail", "-f"]
        if is_staying and (not command or command[0] in _SHELLS or command[0] in ("sleep", "tail", "top")):
            return None
        try:
            inner = parse_ip(command)
        except CommandUnknown:
            if self._allows_programs:
                return None
            raise
        if isinstance(inner, Exit | RestartDocker):
            if self._allows_programs:
                return None
            raise CommandUnknown(f"`{' '.join(command)}` is no command to start a container with")
        return inner


def is_shell(argv: Sequence[str]) -> bool:
    """Whether a command is a bare shell, which waits for somebody to type."""
    return len(argv) == 1 and argv[0] in _SHELLS


def _group_help(group: str) -> str:
    words = sorted(
        path.removeprefix(f"{group} ")
        for verb in VERBS
        for path in (verb.path, *verb.aliases)
        if path.rpartition(" ")[0] == group and path.rpartition(" ")[2] not in ("list", "remove")
    )
    if group == "docker":
        words = sorted([*words, *_GROUPS])
    return f"Usage:  {group} COMMAND\n\nCommands:\n" + "".join(f"  {word}\n" for word in words)


def _names(options: Options) -> tuple[str, ...]:
    return tuple(options.arguments)


_BUILDERS: dict[str, Callable[[_Reader, Options], DockerCommand]] = {
    "docker network create": _Reader.create_network,
    "docker network ls": lambda _, o: NetworkList(
        bool(o.switch("quiet")), o.filters(), o.last("format") or "", bool(o.switch("no-trunc"))
    ),
    "docker network inspect": lambda _, o: NetworkInspect(_names(o), o.last("format") or ""),
    "docker network rm": lambda _, o: NetworkRemove(_names(o), bool(o.switch("force"))),
    "docker network connect": _Reader.connect,
    "docker network disconnect": lambda _, o: NetworkDisconnect(
        o.arguments[0], o.arguments[1], bool(o.switch("force"))
    ),
    "docker network prune": lambda _, o: NetworkPrune(bool(o.switch("force")), o.filters()),
    "docker run": _Reader.run,
    "docker create": _Reader.create,
    "docker exec": _Reader.execute,
    "docker ps": _Reader.list_containers,
    "docker rm": lambda _, o: ContainerRemove(_names(o), bool(o.switch("force"))),
    "docker stop": lambda _, o: ContainerStop(
        _names(o), o.number("timeout"), o.last("signal") or "", o.notices
    ),
    "docker restart": lambda _, o: ContainerRestart(
        _names(o), o.number("timeout"), o.last("signal") or "", o.notices
    ),
    "docker start": _Reader.start,
    "docker kill": lambda _, o: ContainerKill(_names(o), o.last("signal") or ""),
    "docker rename": _Reader.rename,
    "docker wait": lambda _, o: ContainerWait(_names(o)),
    "docker logs": _Reader.logs,
    "docker attach": lambda _, o: ContainerAttach(o.arguments[0], not o.switch("no-stdin")),
    "docker inspect": _Reader.inspect,
    "docker container inspect": lambda _, o: Inspect(
        _names(o), "container", o.last("format") or "", is_of_container=True
    ),
    "docker container prune": lambda _, o: ContainerPrune(bool(o.switch("force")), o.filters()),
    "docker version": lambda _, o: Version(o.last("format") or ""),
    "docker info": lambda _, o: Info(o.last("format") or ""),
}
