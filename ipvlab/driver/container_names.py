"""The names of one host's containers: chosen, counted, checked."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ipvlab.driver.records import Records
from ipvlab.driver.state import Container
from ipvlab.errors import DriverRefusal, LabError

#: Docker wants two characters or more; a scenario file may call a container ``a``.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class ContainerNames:
    """Unnamed containers are called after their host and a number, which counts on over restarts."""

    def __init__(self, host: str, containers: Mapping[str, Container], records: Records) -> None:
        self._host = host
        self._containers = containers
        self._records = records
        self._unnamed = records.host.unnamed

    @contextmanager
    def choosing(self, wished: str | None) -> Iterator[str]:
        """A name for a new container, the wished one or the next number's.

        The number counts if nothing is raised inside. Raises
        :class:`DriverRefusal`: 400 for what is no name, 409 for one that is taken.
        """
        if wished is not None:
            self._check(wished)
            yield wished
            return
        number = self._unnamed + 1
        while f"{self._host}-{number}" in self._containers:
            number += 1
        yield f"{self._host}-{number}"
        self._count(number)

    @contextmanager
    def forgetting(self) -> Iterator[None]:
        """Count nothing of what is made inside where a refusal comes out."""
        before = self._unnamed
        try:
            yield
        except (DriverRefusal, LabError):
            if self._unnamed != before:
                self._count(before)
            raise

    def check_new(self, container: Container, name: str) -> None:
        """Check another name for a container; raises :class:`DriverRefusal` (400, 409)."""
        if not name:
            raise DriverRefusal("Neither old nor new names may be empty", status=400)
        if name == container.name:
            raise DriverRefusal("Renaming a container with the same name as its current name", status=400)
        try:
            self._check(name)
        except DriverRefusal as refusal:
            raise DriverRefusal(
                f"Error when allocating new name: {refusal.what}", status=refusal.status
            ) from refusal

    def _count(self, number: int) -> None:
        self._unnamed = number
        self._records.note_host(dataclasses.replace(self._records.host, unnamed=number))

    def _check(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise DriverRefusal(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", status=400
            )
        holder = self._containers.get(name)
        if holder is not None:
            raise DriverRefusal(
                f'Conflict. The container name "/{name}" is already in use by container "{holder.id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
                status=409,
            )
