"""Programs that do what a test says: write lines, end with a code, refuse to start, or run on."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import Literal

from ipvlab.driver.port import CommandResult
from ipvlab.driver.state import Container
from ipvlab.driver.workloads import LogEntry, ProgramRequest, ends_at_once, is_idle
from ipvlab.errors import DriverRefusal


@dataclasses.dataclass
class Script:
    """What a program writes when it is started, and its exit code; None runs on until it is ended."""

    writes: tuple[tuple[Literal[1, 2], str], ...] = ()
    code: int | None = 0
    refusal: str = ""


class ScriptedWorkloads:
    """Implements Workloads by scripts, by the first word of the command."""

    def __init__(self, clock: Callable[[], datetime.datetime]) -> None:
        self.on_exit: Callable[[Container, int], None] = lambda container, code: None
        self.scripts: dict[str, Script] = {}
        self.executed: list[ProgramRequest] = []
        self.begun: list[ProgramRequest] = []
        self.ended: list[tuple[str, int, float]] = []
        self.killed: list[tuple[str, int]] = []
        self._clock = clock
        self._logs: dict[str, list[LogEntry]] = {}
        self._codes: dict[str, int] = {}

    def start(self, container: Container) -> None:
        self._codes.pop(container.id, None)
        if is_idle(container.request):
            return
        if ends_at_once(container.request):
            self._codes[container.id] = 0
            self.on_exit(container, 0)
            return
        script = self.scripts[container.request.command[0]]
        if script.refusal:
            raise DriverRefusal(script.refusal, status=400)
        log = self._logs.setdefault(container.id, [])
        log += [LogEntry(self._clock(), stream, text.encode()) for stream, text in script.writes]
        if script.code is not None:
            self._codes[container.id] = script.code
            self.on_exit(container, script.code)

    def end(self, container: Container, signal: int, patience: float) -> None:
        self.ended.append((container.name, signal, patience))
        self._codes[container.id] = 128 + signal

    def kill(self, container: Container, signal: int) -> None:
        self.killed.append((container.name, signal))

    def wait(self, container: Container) -> int | None:
        return self._codes.get(container.id)

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        self.executed.append(program)
        script = self.scripts[program.argv[0]]
        if script.refusal:
            raise DriverRefusal(script.refusal, status=400)
        texts = {stream: "".join(text for kind, text in script.writes if kind == stream) for stream in (1, 2)}
        return CommandResult(script.code or 0, texts[1], texts[2])

    def begin(self, container: Container, program: ProgramRequest) -> object:
        self.begun.append(program)
        return None

    def logs(self, container: Container) -> list[LogEntry]:
        return list(self._logs.get(container.id, ()))

    def forget(self, container: Container) -> None:
        self._logs.pop(container.id, None)
