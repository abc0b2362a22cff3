"""Docker's command lines as frozen values; what its client refuses is a value too."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ipvlab.driver.flags import ClientFault, ClientRefusal, Options, Verb, spell
from ipvlab.driver.ip_grammar import Exit, IpCommand, RestartDocker, parse_ip
from ipvlab.driver.network_flags import read_network_flags
from ipvlab.driver.pool_flags import read_pool_flags
from ipvlab.driver.requests import ContainerRequest, NetworkRequest
from ipvlab.driver.words import Words
from ipvlab.errors import CommandUnknown


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkCreate:
    """``docker network create``."""

    request: NetworkRequest


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkRemove:
    """``docker network rm``; with ``-f`` a missing network is no fault."""

    names: tuple[str, ...]
    is_forced: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkInspect:
    """``docker network inspect``."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkList:
    """``docker network ls``."""

    is_quiet: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRun:
    """``docker run``; ``inner`` is what the container runs, or None for a shell that stays."""

    request: ContainerRequest
    inner: IpCommand | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerExec:
    """``docker exec``; ``inner`` is what it runs, or None for a shell."""

    container: str
    argv: tuple[str, ...]
    inner: IpCommand | None
    is_interactive: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerStop:
    """``docker stop``."""

    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRemove:
    """``docker rm``."""

    names: tuple[str, ...]
    is_forced: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerList:
    """``docker ps``; without ``-a`` only those that run."""

    shows_all: bool = False
    is_quiet: bool = False


DockerCommand = (
    NetworkCreate
    | NetworkRemove
    | NetworkInspect
    | NetworkList
    | ContainerRun
    | ContainerExec
    | ContainerStop
    | ContainerRemove
    | ContainerList
    | ClientRefusal
)

_CREATE = Verb(
    "docker network create",
    "docker network create [OPTIONS] NETWORK",
    values=spell(
        "driver|d", "opt|o", "subnet", "gateway", "ip-range", "aux-address", "label", "ipam-driver", "scope"
    ),
    switches=spell("internal", "ipv6", "ipv4", "attachable"),
    maximum=1,
)
_NETWORK_RM = Verb("docker network rm", "docker network rm NETWORK [NETWORK...]", switches=spell("force|f"))
_INSPECT = Verb("docker network inspect", "docker network inspect [OPTIONS] NETWORK [NETWORK...]")
_NETWORK_LS = Verb(
    "docker network ls", "docker network ls [OPTIONS]", switches=spell("quiet|q"), minimum=0, maximum=0
)
_RUN = Verb(
    "docker run",
    "docker run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    values=spell(
        "network|net",
        "ip",
        "ip6",
        "name",
        "hostname|h",
        "network-alias|net-alias",
        "mac-address",
        # The rest is without effect on an ipvlan network, or on a lab.
        "env|e",
        "label|l",
        "publish|p",
        "expose",
        "cap-add",
    ),
    switches=spell("interactive|i", "tty|t", "detach|d", "rm", "privileged", "publish-all|P"),
    is_interspersed=False,
)
_EXEC = Verb(
    "docker exec",
    "docker exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    switches=spell("interactive|i", "tty|t"),
    minimum=2,
    is_interspersed=False,
)
_STOP = Verb("docker stop", "docker stop [OPTIONS] CONTAINER [CONTAINER...]", values=spell("time|timeout|t"))
_RM = Verb("docker rm", "docker rm [OPTIONS] CONTAINER [CONTAINER...]", switches=spell("force|f"))
_PS = Verb(
    "docker ps", "docker ps [OPTIONS]", switches=spell("all|a", "quiet|q", "no-trunc"), minimum=0, maximum=0
)
_LATER = {
    "network": ("connect", "disconnect", "prune"),
    "": ("start", "restart", "inspect", "logs", "attach", "kill", "rename", "create", "version", "info"),
}
_SHELLS = frozenset({"sh", "/bin/sh", "ash", "/bin/ash", "bash", "/bin/bash"})


def parse_docker(argv: Sequence[str]) -> DockerCommand:
    """Read a command line that begins with ``docker``.

    Raises :class:`CommandUnknown` for a command or an option outside the
    grammar; what Docker's own client would refuse is a :class:`ClientRefusal`.
    """
    words = Words(argv)
    words.take("docker")
    verb = words.take("a command of docker")
    if verb in ("network", "container"):
        group = "" if verb == "container" else "network "
        verb = group + words.take(f"a command of docker {verb}")
    try:
        return _parse(verb, words)
    except ClientFault as fault:
        return fault.refusal


def _parse(verb: str, words: Words) -> DockerCommand:
    match verb:
        case "network create":
            return _parse_create(Options(_CREATE, words.rest))
        case "network rm" | "network remove":
            options = Options(_NETWORK_RM, words.rest)
            return NetworkRemove(tuple(options.arguments), bool(options.switch("force")))
        case "network inspect":
            return NetworkInspect(tuple(Options(_INSPECT, words.rest).arguments))
        case "network ls" | "network list":
            return NetworkList(bool(Options(_NETWORK_LS, words.rest).switch("quiet")))
        case "run":
            return _parse_run(Options(_RUN, words.rest))
        case "exec":
            options = Options(_EXEC, words.rest)
            container, *argv = options.arguments
            is_interactive = bool(options.switch("interactive"))
            return ContainerExec(container, tuple(argv), _parse_inner(argv), is_interactive)
        case "stop":
            return ContainerStop(tuple(Options(_STOP, words.rest).arguments))
        case "rm":
            options = Options(_RM, words.rest)
            return ContainerRemove(tuple(options.arguments), bool(options.switch("force")))
        case "ps" | "ls":
            options = Options(_PS, words.rest)
            return ContainerList(bool(options.switch("all")), bool(options.switch("quiet")))
    group, _, name = verb.rpartition(" ")
    if name in _LATER[group]:
        raise words.refusal(f"`docker {verb}` is not built yet")
    raise words.refusal(f"`docker {verb}` is not a known command")


def _parse_create(options: Options) -> NetworkCreate:
    return NetworkCreate(
        NetworkRequest(
            name=options.arguments[0],
            driver=options.last("driver") or "bridge",
            options=options.pairs("opt"),
            pools=read_pool_flags(options),
            enable_ipv4=options.switch("ipv4"),
            enable_ipv6=options.switch("ipv6"),
            is_internal=bool(options.switch("internal")),
            is_attachable=bool(options.switch("attachable")),
            ipam_driver=options.last("ipam-driver") or "default",
            labels=options.pairs("label"),
        )
    )


def _parse_run(options: Options) -> ContainerRun:
    image, *command = options.arguments
    networks = read_network_flags(options)
    inner = _parse_inner(command)
    request = ContainerRequest(
        networks=networks,
        name=options.last("name") or None,
        hostname=options.last("hostname") or None,
        image=image,
        command=tuple(command),
        is_auto_remove=bool(options.switch("rm")),
        is_interactive=bool(options.switch("interactive")),
        is_detached=bool(options.switch("detach")),
        labels=options.pairs("label"),
    )
    return ContainerRun(request, inner)


def _parse_inner(command: Sequence[str]) -> IpCommand | None:
    """What a container is told to run: None for what stays, else a command of the grammar."""
    is_staying = len(command) <= 1 or command[0] == "sleep" or list(command[:2]) == ["tail", "-f"]
    if is_staying and (not command or command[0] in _SHELLS or command[0] in ("sleep", "tail", "top")):
        return None
    inner = parse_ip(command)
    if isinstance(inner, Exit | RestartDocker):
        raise CommandUnknown(f"`{' '.join(command)}` is no command to start a container with")
    return inner
