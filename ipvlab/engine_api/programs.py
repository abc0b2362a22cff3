"""What the API needs of the programs in a host's containers; live labs have it (``run/workloads.py``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ipvlab.driver.state import Container
from ipvlab.driver.workloads import LogEntry, ProgramRequest


class RunningProgram(Protocol):
    """A program in a container: its main one, or one that ``exec`` started."""

    @property
    def pid(self) -> int:
        """Its process id, as the lab's own process sees it."""

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""

    @property
    def log(self) -> list[LogEntry]:
        """The lines that it has written, as far as they are kept."""

    @property
    def waiting(self) -> int:
        """How many bytes of input it has not taken yet."""

    def listen(
        self,
        on_output: Callable[[int, bytes], None],
        on_exit: Callable[[int], None],
        *,
        replays_log: bool = False,
        on_room: Callable[[], None] | None = None,
    ) -> Callable[[], None]:
        """Hear its output (1 stdout, 2 stderr) and its end; returns the way to stop.

        All are called on the programs' thread and must not block; ``on_room`` when it
        has taken input.
        """

    def hold(self) -> None:
        """Read no more of its output until as many calls of :meth:`release`: a full pipe makes it wait."""

    def release(self) -> None:
        """Take back one :meth:`hold`."""

    def write(self, content: bytes) -> None:
        """Send to its standard input; never blocks."""

    def close_stdin(self) -> None:
        """End its standard input."""

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""


class Programs(Protocol):
    """The programs in the containers of one host."""

    def program(self, container: Container) -> RunningProgram | None:
        """The main program, or None for a container that has none (yet)."""

    def attach(self, container: Container) -> RunningProgram:
        """The main program of a running container; one that was not started yet is started now."""

    def begin(
        self, container: Container, request: ProgramRequest, at_start: Callable[[RunningProgram], None]
    ) -> RunningProgram:
        """Start another program in a container (``exec``); raises :class:`DriverRefusal`.

        ``at_start`` is called before any of its output is read.
        """

    def logs(self, container: Container) -> list[LogEntry]:
        """What the main program has written, as far as it is kept."""

    def listen_starts(self, hear: Callable[[Container, RunningProgram], None]) -> Callable[[], None]:
        """Hear of each main program before any of its output is read; returns the way to stop."""
