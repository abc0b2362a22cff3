"""A host's state in a folder of the lab's own tmpfs, one file for each record."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_SUFFIX = ".json"


class FolderStore:
    """Records as files of one folder (:class:`ipvlab.driver.store.Store`).

    A file is written aside and then put in its place, so that a record is the
    old or the new one whatever happens meanwhile. Nothing is synced: the folder
    lies on a tmpfs, and ends with the lab. The folder is made where it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, name: str) -> bytes | None:
        """A record's content, or None where there is none."""
        try:
            return self._place(name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Keep a record; OSError (ENOSPC) leaves the old one, and nothing beside it."""
        aside = self._folder / f".{name}"
        try:
            aside.write_bytes(content)
            os.replace(aside, self._place(name))
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise

    def remove(self, name: str) -> None:
        """Forget a record; one that is not there is no fault."""
        self._place(name).unlink(missing_ok=True)

    def names(self) -> Iterable[str]:
        """The names of all records; what a write left half-way is none."""
        return [
            entry.name.removesuffix(_SUFFIX)
            for entry in os.scandir(self._folder)
            if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".")
        ]

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}{_SUFFIX}"
