"""Where an engine keeps its state: named records, and one kind of store in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Store(Protocol):
    """Records by name. Every method raises OSError where the medium refuses."""

    def read(self, name: str) -> bytes | None:
        """A record's content, or None where there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Keep a record, whole or not at all: after a failure the old content is still there."""

    def remove(self, name: str) -> None:
        """Forget a record; one that is not there is no fault."""

    def names(self) -> Iterable[str]:
        """The names of all records, in no particular order."""


class MemoryStore:
    """Records in memory, which end with the process, as the lab does."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        """A record's content, or None."""
        return self._records.get(name)

    def write(self, name: str, content: bytes) -> None:
        """Keep a record."""
        self._records[name] = content

    def remove(self, name: str) -> None:
        """Forget a record."""
        self._records.pop(name, None)

    def names(self) -> Iterable[str]:
        """The names of all records."""
        return tuple(self._records)
