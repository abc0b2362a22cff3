"""Docker's commands against a lab that is up: which are a result, and which go on for a while."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ipvlab.driver.commands import execute
from ipvlab.driver.docker_commands import (
    ContainerAttach,
    ContainerExec,
    ContainerLogs,
    ContainerRun,
    ContainerStart,
    DockerCommand,
)
from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.grammar import parse_docker
from ipvlab.driver.port import CommandResult
from ipvlab.driver.replies import daemon_line, program_exit_code, refuse_run
from ipvlab.driver.workloads import ProgramRequest
from ipvlab.errors import CommandUnknown, DriverRefusal, KernelRefusal
from ipvlab.run.workloads import LiveWorkloads

if TYPE_CHECKING:
    from ipvlab.driver.state import Container
    from ipvlab.engine_api.attached import Attached
    from ipvlab.engine_api.streams import Wiring

#: Docker's client says so before it asks the engine for anything (cli/command/streams: CheckTty).
NO_TERMINAL = "the input device is not a TTY\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Going:
    """A program that goes on, and the client that is attached to it."""

    wiring: Wiring
    takes_input: bool
    has_tty: bool
    #: Gives the program a signal that the client got.
    pass_signal: Callable[[int], None]
    #: Lets go of the program, which goes on.
    forget: Callable[[], None] = lambda: None
    #: Whether the command ends with the program's status (``logs`` does not).
    has_status: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Inside:
    """An ``exec`` on the client's own terminal, which the client starts itself."""

    container: Container
    program: ProgramRequest


Outcome = CommandResult | Going | Inside


def begin_docker(
    host: DockerHost,
    argv: Sequence[str],
    attached: Attached | None,
    *,
    has_terminal: bool,
    can_enter: bool,
    size: tuple[int, int] | None,
) -> Outcome:
    """Carry out a command, or begin one that goes on until its program ends.

    ``attached`` is None where nodes are simulated and nothing goes on. What Docker's
    client or its engine refuses is a result.
    """
    try:
        dialect = host.engine.row.dialect
        command = parse_docker(("docker", *argv), allows_programs=True, dialect=dialect)
    except CommandUnknown as unknown:
        return CommandResult(125, stderr=f"{unknown.what}\n")
    if attached is None:
        return execute(host, command)
    beginning = _Beginning(host, attached, has_terminal=has_terminal, can_enter=can_enter, size=size)
    try:
        return beginning.begin(command) or execute(host, command)
    except (DriverRefusal, KernelRefusal) as refusal:
        return CommandResult(program_exit_code(refusal.what, 1), stderr=daemon_line(refusal))


class _Beginning:
    """Begins one command for one client."""

    def __init__(
        self,
        host: DockerHost,
        attached: Attached,
        *,
        has_terminal: bool,
        can_enter: bool,
        size: tuple[int, int] | None,
    ) -> None:
        self._host = host
        self._attached = attached
        self._has_terminal = has_terminal
        self._can_enter = can_enter
        self._size = size

    @property
    def _programs(self) -> LiveWorkloads:
        assert isinstance(self._host.workloads, LiveWorkloads)
        return self._host.workloads

    def begin(self, command: DockerCommand) -> Outcome | None:
        """What the command leads to, or None for one that is over when it is carried out."""
        match command:
            case ContainerRun() if not command.request.is_detached:
                return self._run(command)
            case ContainerExec() if not command.is_detached:
                return self._exec(command)
            case ContainerStart() if command.is_attached or command.is_interactive:
                container = self._find(command.names[0])
                has_tty = container.request.has_tty
                return self._attach(
                    container, takes_input=command.is_interactive, has_tty=has_tty, starts=True
                )
            case ContainerAttach():
                container = self._find(command.container)
                if not container.is_running:
                    return None
                takes_input = command.has_stdin and container.request.is_interactive
                return self._attach(container, takes_input=takes_input, has_tty=container.request.has_tty)
            case ContainerLogs() if command.is_followed:
                return self._follow_logs(command)
        return None

    def _find(self, reference: str) -> Container:
        with self._host.lock:
            return self._host.engine.find_container(reference)

    def _run(self, command: ContainerRun) -> Outcome:
        request = command.request
        if self._lacks_terminal(has_tty=request.has_tty, takes_input=request.is_interactive):
            return CommandResult(1, stderr=NO_TERMINAL)
        try:
            container = self._host.create(request)
            return self._attach(
                container, takes_input=request.is_interactive, has_tty=request.has_tty, starts=True
            )
        except (DriverRefusal, KernelRefusal) as refusal:
            return refuse_run(refusal)

    def _lacks_terminal(self, *, has_tty: bool, takes_input: bool) -> bool:
        return has_tty and takes_input and not self._has_terminal

    def _attach(
        self, container: Container, *, takes_input: bool, has_tty: bool, starts: bool = False
    ) -> Going:
        wiring = self._wire(takes_input=takes_input)
        forget = self._attached.add(container, wiring, has_past=False)
        try:
            if starts:
                self._host.start(container.id)
        except BaseException:
            forget()
            wiring.close()
            raise

        def pass_signal(number: int) -> None:
            with contextlib.suppress(DriverRefusal):
                self._host.kill(container.id, number)

        return Going(wiring, takes_input, has_tty, pass_signal, forget)

    @staticmethod
    def _wire(*, takes_input: bool) -> Wiring:
        from ipvlab.engine_api.streams import STDERR, STDOUT, Wiring

        return Wiring(streams=frozenset({STDOUT, STDERR}), has_frames=True, takes_input=takes_input)

    def _exec(self, command: ContainerExec) -> Outcome:
        container = self._find(command.container)
        if not container.is_running:
            raise DriverRefusal(f"container {container.id} is not running", status=409)
        if self._lacks_terminal(has_tty=command.has_tty, takes_input=command.is_interactive):
            return CommandResult(1, stderr=NO_TERMINAL)
        program = ProgramRequest(
            argv=command.argv,
            env={**container.request.env, **command.env},
            has_tty=command.has_tty,
            has_stdin=command.is_interactive,
            workdir=command.workdir or container.request.workdir or "/",
            user=command.user or container.request.user,
            size=self._size,
        )
        is_on_terminal = self._has_terminal and program.has_tty and program.has_stdin
        if self._can_enter and is_on_terminal and not program.user:
            return Inside(container, program)
        wiring = self._wire(takes_input=command.is_interactive)
        try:
            begun = self._programs.begin(container, program, wiring.plug)
        except DriverRefusal as refusal:
            wiring.close()
            code = program_exit_code(refusal.what, 0)
            if not code:
                raise
            return CommandResult(code, stderr=f"{refusal.what}\n")
        return Going(wiring, command.is_interactive, command.has_tty, begun.signal)

    def _follow_logs(self, command: ContainerLogs) -> Outcome | None:
        """The log so far and what comes; only plainly, else the log is shown at the program's end."""
        is_plain = command.tail is None and not (command.has_times or command.since or command.until)
        with self._host.lock:
            container = self._host.engine.find_container(command.container)
            program = self._programs.program(container)
        if program is None or not container.is_running or not is_plain:
            return None
        wiring = self._wire(takes_input=False)
        wiring.plug(program, replays_log=True)
        return Going(wiring, takes_input=False, has_tty=False, pass_signal=lambda _: None, has_status=False)
