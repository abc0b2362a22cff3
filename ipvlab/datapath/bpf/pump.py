"""What moves packets that wait for ipvlab itself: one thread for a lab, or the prober in its place."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import threading
from collections.abc import Callable, Iterator

from ipvlab.datapath.base import NothingDeferred


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A place where packets wait: how to move some of them, and how many were lost there so far."""

    move: Callable[[], int]
    losses: Callable[[], int]


class Pump(NothingDeferred):
    """Moves packets as they come, on a thread of its own, unless somebody holds it and moves them himself."""

    def __init__(self) -> None:
        # Entered again by the holder when it takes a source away.
        self._lock = threading.RLock()
        self._poll = select.epoll()
        self._sources: dict[int, Source] = {}
        self._past_losses = 0
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def add(self, fd: int, source: Source) -> None:
        """Move what waits at ``fd`` from now on; the thread starts with the first."""
        with self._lock:
            self._sources[fd] = source
            self._poll.register(fd, select.EPOLLIN)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="detours", daemon=True)
                self._thread.start()

    def remove(self, fd: int) -> None:
        """Leave ``fd`` alone; once this returns, nobody uses it and it may be closed."""
        with self._lock:
            source = self._sources.pop(fd)
            self._poll.unregister(fd)
            self._past_losses += source.losses()

    @contextlib.contextmanager
    def held(self) -> Iterator[Pump]:
        """Keep the thread from moving anything: whoever holds the pump calls :meth:`move`."""
        with self._lock:
            yield self

    @property
    def is_idle(self) -> bool:
        """Whether there is no place where packets could wait."""
        return not self._sources

    def move(self) -> int:
        """Move what waits, on the calling thread and so on its CPU; how many packets that were."""
        if not self._sources:
            return 0
        moved = 0
        for fd, _ in self._poll.poll(0):
            source = self._sources.get(fd)
            if source is not None:
                moved += source.move()
        return moved

    def losses(self) -> int:
        """Packets lost so far for want of room."""
        return self._past_losses + sum(source.losses() for source in self._sources.values())

    def _run(self) -> None:
        while True:
            self._poll.poll()
            with self._lock:
                if self._is_closing:
                    return
                self.move()

    def close(self) -> None:
        """End the thread; sources are to be removed before."""
        with self._lock:
            self._is_closing = True
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            self._thread = None
        self._poll.close()
        os.close(self._wake)
