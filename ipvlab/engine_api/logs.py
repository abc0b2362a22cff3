"""``GET /containers/X/logs``: the lines that the main program wrote, and those that it goes on to write."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from ipvlab.driver.docker_host import ContainerEvent
from ipvlab.driver.state import Container
from ipvlab.driver.workloads import LogEntry
from ipvlab.engine_api.feed import Feed
from ipvlab.engine_api.mailbox import Mailbox
from ipvlab.engine_api.messages import Request, Streamed
from ipvlab.engine_api.programs import RunningProgram
from ipvlab.engine_api.served import Served
from ipvlab.engine_api.streams import STDERR, STDOUT, frame, stream_type
from ipvlab.engine_api.timestamps import read_time
from ipvlab.errors import DriverRefusal


@dataclasses.dataclass(frozen=True, slots=True)
class Selection:
    """Which lines are wanted, and how they are sent."""

    streams: frozenset[int]
    has_frames: bool
    has_timestamps: bool
    since: datetime.datetime | None
    until: datetime.datetime | None

    def encode(self, entry: LogEntry) -> bytes:
        """A line as it is sent; empty for one that is not wanted."""
        is_early = self.since is not None and entry.time < self.since
        if is_early or entry.stream not in self.streams or self.is_past(entry):
            return b""
        content = entry.content
        if self.has_timestamps:
            stamp = entry.time.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z ")
            content = stamp.encode() + content
        return frame(entry.stream, content) if self.has_frames else content

    def is_past(self, entry: LogEntry) -> bool:
        """Whether a line is later than what is wanted."""
        return self.until is not None and entry.time > self.until


class Reading:
    """The lines of one container, each of them once."""

    def __init__(self, read: Callable[[], list[LogEntry]]) -> None:
        self._read = read
        self._last: LogEntry | None = None

    def turn_to(self, program: RunningProgram) -> None:
        """Read on in what a program itself has kept."""
        self._read = lambda: program.log

    def take(self) -> Sequence[LogEntry]:
        """The lines that have come since the last time, as far as they are kept."""
        entries = self._read()
        new = len(entries)
        # Entries are known by identity; what was dropped meanwhile is found nowhere.
        while new > 0 and entries[new - 1] is not self._last:
            new -= 1
        if entries:
            self._last = entries[-1]
        return entries[new:]


def logs(served: Served, request: Request, name: str) -> Streamed:
    """``GET /containers/X/logs``, in frames where there is no terminal; ``follow`` goes on to the end."""
    container = served.container(name)
    wanted = {STDOUT: request.is_set("stdout"), STDERR: request.is_set("stderr")}
    if not any(wanted.values()):
        raise DriverRefusal("Bad parameters: you must choose at least one stream", status=400)
    has_tty = container.request.has_tty
    selection = Selection(
        streams=frozenset(stream for stream, is_on in wanted.items() if is_on),
        has_frames=not has_tty,
        has_timestamps=request.is_set("timestamps"),
        since=read_time(request.text("since"), "since"),
        until=read_time(request.text("until"), "until"),
    )
    tail = _tail(request.text("tail"))
    following = Following(served, container) if request.is_set("follow") else None
    reading = Reading(lambda: served.programs.logs(container))
    ending = ExitStack()
    if following is not None:
        ending.callback(following.close)
        following.begin()
    # What earlier runs wrote comes first; from then on the program of this one is read.
    past = reading.take()

    def produce(feed: Feed) -> None:
        entries = past if tail is None else past[max(0, len(past) - tail) :]
        is_running = following is not None
        while True:
            feed.send(b"".join(map(selection.encode, entries)))
            if following is None or not is_running or any(map(selection.is_past, entries)):
                return
            is_running = False not in feed.next(following.news)
            if following.program is not None:
                # With its container it may be forgotten before it is read to the end.
                reading.turn_to(following.program)
            entries = reading.take()

    return Streamed(stream_type(request.version, has_tty=has_tty), produce, ending.close)


class Following:
    """Whether there may be new lines of a container's present run: True, and False when no more will come."""

    def __init__(self, served: Served, container: Container) -> None:
        self._served = served
        self._container = container
        self.news: Mailbox[bool] = Mailbox()
        self.program: RunningProgram | None = None
        self._ending = ExitStack()

    def begin(self) -> None:
        """Listen to the container's program, or for its start."""
        with self._served.host.lock:
            program = self._served.programs.program(self._container)
            if not self._container.is_running:
                self.news.post(False)
            elif program is not None:
                self._plug(program)
            else:
                self._ending.callback(self._served.programs.listen_starts(self._hear_start))
                self._ending.callback(self._served.host.listen(self._hear))

    def close(self) -> None:
        """Listen no more."""
        self._ending.close()
        self.news.close()

    def _plug(self, program: RunningProgram) -> None:
        self.program = program
        self._ending.callback(
            program.listen(
                lambda _stream, _content: self.news.nudge(True), lambda _code: self.news.post(False)
            )
        )

    def _hear_start(self, container: Container, program: RunningProgram) -> None:
        if container.id == self._container.id and self.program is None:
            self._plug(program)

    def _hear(self, event: ContainerEvent) -> None:
        is_end = event.id == self._container.id and event.action in ("die", "destroy")
        if is_end and self.program is None:
            self.news.post(False)


def _tail(text: str) -> int | None:
    """How many lines of the past; None for all of them."""
    return int(text) if text.isascii() and text.isdigit() else None
