"""What other threads hand to a connection's thread, which waits for it and for its client at once."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue with a descriptor that is readable while something lies in it.

    Posting never blocks and is safe from every thread, after the end too: what
    comes late is dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._fd: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor to poll; raises ValueError after the end."""
        if self._fd is None:
            raise ValueError("the mailbox is closed")
        return self._fd

    def post(self, item: Item) -> None:
        """Lay something in."""
        with self._lock:
            if self._fd is None:
                return
            self._items.append(item)
            os.eventfd_write(self._fd, 1)

    def nudge(self, item: Item) -> None:
        """Lay something in, unless the same lies there last."""
        with self._lock:
            if self._items and self._items[-1] == item:
                return
        self.post(item)

    def take_all(self) -> list[Item]:
        """Everything that lies in it, in order; an empty list where there is nothing."""
        with self._lock:
            if self._fd is not None:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(self._fd)
            items = list(self._items)
            self._items.clear()
            return items

    def close(self) -> None:
        """End it; what lies in it is dropped."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
            self._fd = None
            self._items.clear()
