"""What a program has written, line by line with the time, as Docker's ``json-file`` keeps it; bounded."""

from __future__ import annotations

import datetime
import threading
from collections import deque
from typing import Literal

from ipvlab.driver.workloads import LogEntry

Stream = Literal[1, 2]

#: Bytes that one program's log may hold; the oldest lines go first.
MOST_KEPT = 1 << 20
#: A line without an end counts as one at this length (moby daemon/logger/copier.go: defaultBufSize).
LONGEST_LINE = 16 << 10


class ProgramLog:
    """The lines of one program; written by one thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[LogEntry] = deque()
        self._size = 0
        self._begun: dict[Stream, bytes] = {1: b"", 2: b""}

    def add(self, stream: Stream, content: bytes) -> None:
        """Take note of output that was just read."""
        now = datetime.datetime.now(datetime.UTC)
        with self._lock:
            *lines, rest = (self._begun[stream] + content).split(b"\n")
            for line in lines:
                self._append(now, stream, line + b"\n")
            while len(rest) >= LONGEST_LINE:
                self._append(now, stream, rest[:LONGEST_LINE])
                rest = rest[LONGEST_LINE:]
            self._begun[stream] = rest

    def finish(self) -> None:
        """Count lines without an end as lines: nothing more comes."""
        now = datetime.datetime.now(datetime.UTC)
        with self._lock:
            for stream, rest in self._begun.items():
                if rest:
                    self._append(now, stream, rest)
                self._begun[stream] = b""

    def _append(self, time: datetime.datetime, stream: Stream, content: bytes) -> None:
        self._entries.append(LogEntry(time, stream, content))
        self._size += len(content)
        while self._size > MOST_KEPT:
            self._size -= len(self._entries.popleft().content)

    def entries(self) -> list[LogEntry]:
        """The lines that are kept, a begun one left out."""
        with self._lock:
            return list(self._entries)

    def replay(self) -> list[tuple[Stream, bytes]]:
        """Everything that is kept, begun lines included, as output in its order."""
        with self._lock:
            lines = [(entry.stream, entry.content) for entry in self._entries]
            return lines + [(stream, rest) for stream, rest in self._begun.items() if rest]
