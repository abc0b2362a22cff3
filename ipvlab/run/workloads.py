"""What runs inside the containers of one host: real programs in live labs, interpreted commands else."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ipvlab.driver.ip_grammar import Exit, Ping, RestartDocker, parse_ip
from ipvlab.driver.port import CommandResult
from ipvlab.driver.workloads import LogEntry, ProgramRequest, ends_at_once, is_idle, main_program
from ipvlab.errors import CommandUnknown, DriverRefusal

if TYPE_CHECKING:
    from ipvlab.driver.ip_grammar import IpCommand
    from ipvlab.driver.state import Container
    from ipvlab.lab.program import AtEnd, AtStart, Program

_SIGKILL = 9
#: Bytes that the log of a container's earlier runs may hold, as much as one program's.
LOG_MOST = 1 << 20
#: Carries out a command of the closed grammar in a container.
Interpret = Callable[["Container", "IpCommand"], CommandResult]


def _nobody(_container: Container, _code: int) -> None:
    """Nobody has asked to hear of ends yet."""


def read_closed(argv: Sequence[str]) -> IpCommand | None:
    """The command of the closed grammar that a program's words are, or None for any other."""
    try:
        command = parse_ip(argv)
    except CommandUnknown:
        return None
    return None if isinstance(command, Exit | RestartDocker) else command


class InterpretedWorkloads:
    """Containers without processes: commands of the closed grammar are carried out, others refused."""

    def __init__(
        self,
        interpret: Interpret,
        clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC),
    ) -> None:
        self._interpret = interpret
        self._clock = clock
        self._logs: dict[str, list[LogEntry]] = {}
        self._codes: dict[str, int] = {}
        self.on_exit: Callable[[Container, int], None] = _nobody

    def start(self, container: Container) -> None:
        """Carry out the command, whose end is told before this returns.

        An idle container, and a detached ``ping`` without a count, just run on.
        """
        self._codes.pop(container.id, None)
        request = container.request
        if is_idle(request):
            return
        if ends_at_once(request):
            self._codes[container.id] = 0
            self.on_exit(container, 0)
            return
        command = self._read(request.command)
        if request.is_detached and isinstance(command, Ping) and command.count is None:
            return
        result = self._interpret(container, command)
        log = self._logs.setdefault(container.id, [])
        for stream, text in ((1, result.stdout), (2, result.stderr)):
            for line in text.splitlines(keepends=True):
                log.append(LogEntry(self._clock(), 1 if stream == 1 else 2, line.encode()))
        self._codes[container.id] = result.exit_code
        self.on_exit(container, result.exit_code)

    @staticmethod
    def _read(argv: Sequence[str]) -> IpCommand:
        command = read_closed(argv)
        if command is None:
            raise DriverRefusal(
                f'exec: "{argv[0] if argv else ""}": this lab interprets commands and runs no program, '
                "only ip and ping are known",
                status=400,
                hint="programs run in labs on the bpf and kernel datapaths",
            )
        return command

    def end(self, container: Container, signal: int, patience: float) -> None:
        """Nothing runs on."""

    def kill(self, container: Container, signal: int) -> None:
        """Nothing runs on."""

    def wait(self, container: Container) -> int | None:
        """The exit code of the command that was carried out."""
        return self._codes.get(container.id)

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        """Carry out a command; a bare shell does nothing. Raises :class:`DriverRefusal` for any other."""
        command = read_closed(program.argv)
        if command is None and is_idle_program(program.argv):
            return CommandResult(0)
        return self._interpret(container, command or self._read(program.argv))

    def logs(self, container: Container) -> list[LogEntry]:
        """What the command printed."""
        return list(self._logs.get(container.id, ()))

    def forget(self, container: Container) -> None:
        """Drop what is kept of a container."""
        self._logs.pop(container.id, None)
        self._codes.pop(container.id, None)


def is_idle_program(argv: Sequence[str]) -> bool:
    """Whether a program waits for somebody and does nothing else: a bare shell, ``sleep``, ``tail -f``."""
    from ipvlab.driver.requests import ContainerRequest

    return is_idle(ContainerRequest((), command=tuple(argv)))


class Starter(Protocol):
    """A live lab as programs are started in it (:class:`ipvlab.run.live.LiveGround`)."""

    #: The lab's.
    lock: threading.RLock

    def start_program(
        self,
        container: Container,
        host: str,
        request: ProgramRequest,
        at_end: AtEnd | None = None,
        at_start: AtStart | None = None,
    ) -> Program:
        """Start a program in a host's container; ``at_end`` follows what the lab itself notes of its end.

        ``at_start`` comes before any of its output is read.
        """

    def forget_program(self, program: Program) -> None:
        """Let go of a program that has ended."""


class _Main:
    """A container's main program, from one start to the end that it leads to."""

    def __init__(self) -> None:
        self.program: Program | None = None
        #: Somebody else takes care of its end.
        self.is_ended_on_purpose = False


class LiveWorkloads:
    """Real programs in the containers of one host of a live lab.

    While ``is_closed()`` says so, as for the lines of a scenario file, commands of the
    closed grammar are interpreted, and no others are known.
    """

    def __init__(
        self, starter: Starter, host: str, interpret: Interpret, is_closed: Callable[[], bool]
    ) -> None:
        self._starter = starter
        self._host = host
        self._interpret = interpret
        self._is_closed = is_closed
        self._interpreted = InterpretedWorkloads(interpret)
        self._mains: dict[str, _Main] = {}
        #: What earlier runs of a container wrote; Docker's log lives as long as the container.
        self._past: dict[str, list[LogEntry]] = {}
        self._start_hearers: list[Callable[[Container, Program], None]] = []
        self._on_exit: Callable[[Container, int], None] = _nobody

    @property
    def on_exit(self) -> Callable[[Container, int], None]:
        """Called once when a main program ends by itself, on a thread that may wait."""
        return self._on_exit

    @on_exit.setter
    def on_exit(self, hear: Callable[[Container, int], None]) -> None:
        self._on_exit = self._interpreted.on_exit = hear

    def start(self, container: Container) -> None:
        """Start the main program; nothing for an idle container. Raises :class:`DriverRefusal` (400)."""
        past = keep_newest(self._written(container))
        self._drop(container)
        self._past[container.id] = past
        if is_idle(container.request):
            return
        if self._is_closed():
            self._interpreted.start(container)
        else:
            self._start_main(container)

    def _start_main(self, container: Container, size: tuple[int, int] | None = None) -> Program:
        main = _Main()

        def at_end(program: Program) -> None:
            if not main.is_ended_on_purpose and self._mains.get(container.id) is main:
                self._on_exit(container, program.status or 0)

        def at_start(program: Program) -> None:
            for hear in tuple(self._start_hearers):
                hear(container, program)

        self._mains[container.id] = main
        try:
            asked = dataclasses.replace(main_program(container), size=size)
            main.program = self._start(container, asked, at_end, at_start, is_exec=False)
        except BaseException:
            del self._mains[container.id]
            raise
        return main.program

    def _start(
        self,
        container: Container,
        request: ProgramRequest,
        at_end: AtEnd | None,
        at_start: AtStart | None,
        *,
        is_exec: bool,
    ) -> Program:
        from ipvlab.lab.launch import with_prefix

        try:
            return self._starter.start_program(container, self._host, request, at_end, at_start)
        except DriverRefusal as refusal:
            raise with_prefix(refusal, is_exec=is_exec) from refusal

    def program(self, container: Container) -> Program | None:
        """The main program, one that has ended included; None for a container that has none (yet)."""
        main = self._mains.get(container.id)
        return None if main is None else main.program

    def attach(self, container: Container, size: tuple[int, int] | None = None) -> Program:
        """The main program; that of an idle container is started now, on a terminal of that size if on one.

        Raises :class:`DriverRefusal`: 409 for a container that does not run, 400
        where the program cannot be started.
        """
        # The lab's lock and no other: who attaches may hold it already.
        with self._starter.lock:
            program = self.program(container)
            if program is not None:
                return program
            if not container.is_running:
                raise DriverRefusal(f"container {container.id} is not running", status=409)
            return self._start_main(container, size)

    def listen_starts(self, hear: Callable[[Container, Program], None]) -> Callable[[], None]:
        """Hear of each main program before any of its output is read; returns the way to stop."""
        self._start_hearers.append(hear)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._start_hearers.remove(hear)

        return stop

    def begin(
        self, container: Container, request: ProgramRequest, at_start: AtStart | None = None
    ) -> Program:
        """Start a program beside the main one (``exec``); raises :class:`DriverRefusal` (400, 409).

        ``at_start`` may let somebody listen before any of its output is read.
        """
        if not container.is_running:
            raise DriverRefusal(f"container {container.id} is not running", status=409)
        inherited = _inherit(container, request)
        return self._start(container, inherited, self._starter.forget_program, at_start, is_exec=True)

    def end(self, container: Container, signal: int, patience: float) -> None:
        """Send the main program a signal, wait at most ``patience`` seconds, then SIGKILL it.

        Returns when it is gone. The container's other programs go with its
        namespaces, which the engine drops next.
        """
        main = self._mains.get(container.id)
        if main is None or main.program is None:
            return
        main.is_ended_on_purpose = True
        if main.program.exit_code is None:
            main.program.signal(signal)
            if not main.program.await_end(patience):
                main.program.signal(_SIGKILL)
                main.program.await_end()

    def kill(self, container: Container, signal: int) -> None:
        """Send the main program a signal."""
        program = self.program(container)
        if program is not None:
            program.signal(signal)

    def wait(self, container: Container) -> int | None:
        """The exit code of the main program, once it has ended; None for an idle container."""
        program = self.program(container)
        if program is None:
            return self._interpreted.wait(container)
        program.await_end()
        return program.status

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        """Run another program to its end; a command of the closed grammar is interpreted, without waiting.

        Raises :class:`DriverRefusal` (400) where it cannot be started.
        """
        command = read_closed(program.argv)
        if command is not None:
            return self._interpret(container, command)
        if self._is_closed():
            return self._interpreted.execute(container, program, stdin)
        heard: dict[int, list[bytes]] = {1: [], 2: []}
        ended = threading.Event()

        def at_start(begun: Program) -> None:
            begun.listen(lambda stream, content: heard[stream].append(content), lambda _: ended.set())

        asked = _inherit(container, dataclasses.replace(program, has_stdin=stdin is not None))
        begun = self._start(container, asked, None, at_start, is_exec=True)
        if stdin is not None:
            begun.write(stdin)
        begun.close_stdin()
        ended.wait()
        self._starter.forget_program(begun)
        stdout, stderr = (b"".join(heard[stream]).decode(errors="replace") for stream in (1, 2))
        return CommandResult(begun.wait() or 0, stdout, stderr)

    def logs(self, container: Container) -> list[LogEntry]:
        """What the main program has written, in earlier runs too, as far as it is kept."""
        return self._interpreted.logs(container) + self._written(container)

    def _written(self, container: Container) -> list[LogEntry]:
        program = self.program(container)
        return self._past.get(container.id, []) + (program.log if program is not None else [])

    def forget(self, container: Container) -> None:
        """Let go of a container that is removed."""
        self._drop(container)
        self._past.pop(container.id, None)
        self._interpreted.forget(container)

    def _drop(self, container: Container) -> None:
        main = self._mains.pop(container.id, None)
        if main is not None and main.program is not None:
            self._starter.forget_program(main.program)


def _inherit(container: Container, program: ProgramRequest) -> ProgramRequest:
    """What ``exec`` runs has the container's environment, folder and user where it names none of its own."""
    request = container.request
    return dataclasses.replace(
        program,
        env={**request.env, **program.env},
        workdir=program.workdir if program.workdir not in ("", "/") else request.workdir or "/",
        user=program.user or request.user,
    )


def keep_newest(entries: Sequence[LogEntry], most: int = LOG_MOST) -> list[LogEntry]:
    """The newest lines that fit into so many bytes."""
    kept: list[LogEntry] = []
    for entry in reversed(entries):
        most -= len(entry.content)
        if most < 0:
            break
        kept.append(entry)
    return kept[::-1]
