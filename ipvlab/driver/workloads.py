"""What runs inside the containers of one host, as the driver asks for it; the run room carries it out."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, Protocol

from ipvlab.driver.ip_grammar import Ping, parse_ip
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest

if TYPE_CHECKING:
    from ipvlab.driver.state import Container

#: Programs that do nothing until somebody speaks to them; their containers cost no process.
SHELLS = frozenset({"sh", "bash", "ash", "dash", "busybox"})
_SLEEPERS = frozenset({"sleep", "top"})
#: The exit code of a program that SIGKILL ended, which is what ends an idle shell:
#: as first process of a container it ignores SIGTERM.
KILLED = 128 + 9
_NOT_STARTED = (("executable file not found", 127), ("no such file or directory", 127))
_NOT_ALLOWED = ("permission denied", "is a directory")


@dataclasses.dataclass(frozen=True, slots=True)
class ProgramRequest:
    """A program to run inside a container."""

    argv: tuple[str, ...]
    #: Beside PATH, HOME, HOSTNAME, and TERM where there is a terminal.
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_tty: bool = False
    has_stdin: bool = False
    workdir: str = "/"
    user: str = ""
    #: Rows and columns of the terminal.
    size: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LogEntry:
    """Something that a container's main program wrote: 1 is standard output, 2 standard error."""

    time: datetime.datetime
    stream: Literal[1, 2]
    content: bytes


class Workloads(Protocol):
    """The programs in one host's containers.

    Nothing here is called with the lab's lock held that waits for a program:
    ``start``, ``kill``, ``logs`` and ``forget`` return at once.
    """

    #: Set by :class:`ipvlab.driver.docker_host.DockerHost`; called once when a main program ends
    #: by itself or by ``kill``, and never for one that ``end`` was called for. It takes the lab's
    #: lock and may wait for it.
    on_exit: Callable[[Container, int], None]

    def start(self, container: Container) -> None:
        """Start the container's main program; nothing for an idle one.

        Raises :class:`DriverRefusal` (400, runc's text: ``exec: "x": executable
        file not found in $PATH``) where it cannot be started.
        """

    def end(self, container: Container, signal: int, patience: float) -> None:
        """Send the main program a signal, wait at most ``patience`` seconds, then SIGKILL it.

        Returns when it is gone, with every other program of the container;
        nothing happens without one.
        """

    def kill(self, container: Container, signal: int) -> None:
        """Send the main program a signal."""

    def wait(self, container: Container) -> int | None:
        """The exit code of the main program, once it has ended; None for an idle container."""

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        """Run another program in the container to its end; a closed-grammar command may be interpreted."""

    def logs(self, container: Container) -> list[LogEntry]:
        """What the main program wrote, oldest first, as far as it is kept."""

    def forget(self, container: Container) -> None:
        """Let go of a container that is removed."""


def is_idle(request: ContainerRequest) -> bool:
    """Whether a container has no process of its own.

    So it is for one that a scenario declares, a bare shell (``-i`` or ``-t``),
    ``sleep``, ``top`` and ``tail -f``; the program is started when somebody
    attaches to it.
    """
    if _is_bare_shell(request.command):
        return not request.is_stdin_closed
    name, *arguments = request.command
    name = name.rpartition("/")[2]
    return name in _SLEEPERS or (name == "tail" and "-f" in arguments)


def ends_at_once(request: ContainerRequest) -> bool:
    """Whether a container's shell has nothing to read, and so exits 0 as soon as it is started."""
    return request.is_stdin_closed and _is_bare_shell(request.command)


def _is_bare_shell(command: tuple[str, ...]) -> bool:
    """Whether a command is a shell that reads what is typed; without a command it is the image's."""
    name, *arguments = command or ("sh",)
    bare = ("-i", "-l", "-il", "-li", "--login", "sh", "ash")
    return name.rpartition("/")[2] in SHELLS and all(argument in bare for argument in arguments)


def main_program(container: Container, default: tuple[str, ...] = ("/bin/sh",)) -> ProgramRequest:
    """The container's main program; without a command it is the image's shell."""
    request = container.request
    return ProgramRequest(
        argv=request.command or default,
        env=request.env,
        has_tty=request.has_tty,
        has_stdin=request.is_interactive,
        workdir=request.workdir or "/",
        user=request.user,
    )


def start_exit_code(text: str) -> int:
    """The exit code that a failed start leaves (moby ``daemon/start_unix.go``: setExitCodeFromError)."""
    for words, code in _NOT_STARTED:
        if words in text:
            return code
    return 126 if any(words in text for words in _NOT_ALLOWED) else 128


def _nobody(_container: Container, _code: int) -> None:
    """Nobody has asked to hear of ends yet."""


def _is_endless(request: ContainerRequest) -> bool:
    """A detached ``ping`` without a count, which nothing waits for."""
    if not request.is_detached or request.command[:1] not in (("ping",), ("ping6",)):
        return False
    command = parse_ip(request.command)
    return isinstance(command, Ping) and command.count is None


class PortWorkloads:
    """Programs interpreted by the host's port, for engines without a lab's programs.

    A command that is not idle runs to its end as soon as it is started.
    """

    def __init__(
        self,
        execute: Callable[[str, tuple[str, ...]], CommandResult],
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._execute = execute
        self._clock = clock
        self._logs: dict[str, list[LogEntry]] = {}
        self._codes: dict[str, int] = {}
        self.on_exit: Callable[[Container, int], None] = _nobody

    def start(self, container: Container) -> None:
        """Interpret the command, if it is one that ends; its exit is told before this returns."""
        self._codes.pop(container.id, None)
        if is_idle(container.request) or _is_endless(container.request):
            return
        request = container.request
        is_over = ends_at_once(request)
        result = CommandResult(0) if is_over else self._execute(container.name, request.command)
        log = self._logs.setdefault(container.id, [])
        if result.stdout:
            log.append(LogEntry(self._clock(), 1, result.stdout.encode()))
        if result.stderr:
            log.append(LogEntry(self._clock(), 2, result.stderr.encode()))
        self._codes[container.id] = result.exit_code
        self.on_exit(container, result.exit_code)

    def end(self, container: Container, signal: int, patience: float) -> None:
        """Nothing runs on."""

    def kill(self, container: Container, signal: int) -> None:
        """Nothing runs on."""

    def wait(self, container: Container) -> int | None:
        """The exit code of the command that was interpreted."""
        return self._codes.get(container.id)

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        """Interpret a command."""
        return self._execute(container.name, program.argv)

    def logs(self, container: Container) -> list[LogEntry]:
        """What the interpreted command printed."""
        return list(self._logs.get(container.id, ()))

    def forget(self, container: Container) -> None:
        """Drop what is kept of a container."""
        self._logs.pop(container.id, None)
        self._codes.pop(container.id, None)
