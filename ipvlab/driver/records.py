"""What an engine writes down of its networks and containers, and reads again after a restart.

One record a network and a container. There is no record of address pools: they
are held again from the networks, as in Docker since 25.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ipvlab.driver.plain import from_plain, to_plain
from ipvlab.driver.record_forms import (
    ContainerRecord,
    HostRecord,
    NetworkRecord,
    Plain,
    container_form,
    network_form,
    read_container,
    read_network,
)
from ipvlab.driver.state import Container, Network
from ipvlab.driver.store import Store
from ipvlab.errors import DriverRefusal

_Record = TypeVar("_Record")
_HOST = "host"
_NETWORK, _CONTAINER = "network-", "container-"
#: What a record raises that is none.
_FAULTS = (ValueError, TypeError, KeyError)


class Records:
    """The records of one host in its store.

    ``save_…`` and ``drop_…`` raise :class:`DriverRefusal` (500, with the
    system's text) where the store refuses; the caller then takes its change back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        #: Order in which things were made, by record name.
        self._order: dict[str, int] = {}
        self._next = 1
        #: Containers whose last change could not be written down, by id; it is at the next chance.
        self._owed: dict[str, Container] = {}
        #: What could not be read, for whoever wants to know why something is gone.
        self.faults: list[str] = []
        #: What is counted over all restarts.
        self.host = self._read_as(_HOST, lambda plain: from_plain(HostRecord, plain)) or HostRecord()

    def note_host(self, host: HostRecord) -> None:
        """Take note of what is counted; it is written down now or with the next count."""
        self.host = host
        with suppress(DriverRefusal):
            self._write(_HOST, to_plain(host), "the state of the host")

    def save_network(self, network: Network) -> None:
        """Write down a network."""
        self._write(_NETWORK + network.id, network_form(network), f"network {network.name}")

    def note_network(self, network: Network) -> None:
        """Write down what has happened to a network's parent; it would happen again where this fails."""
        with suppress(DriverRefusal):
            self.save_network(network)

    def drop_network(self, network: Network) -> None:
        """Forget a network."""
        self._drop(_NETWORK + network.id, f"network {network.name}")

    def save_container(self, container: Container) -> None:
        """Write down a container, and those whose turn was missed."""
        self._settle_debts()
        self._write(_CONTAINER + container.id, container_form(container), f"container {container.name}")
        self._owed.pop(container.id, None)

    def note_container(self, container: Container) -> None:
        """Write down what has happened to a container already; where that fails it is tried again later."""
        try:
            self.save_container(container)
        except DriverRefusal:
            self._owed[container.id] = container

    def drop_container(self, container: Container) -> None:
        """Forget a container."""
        self._drop(_CONTAINER + container.id, f"container {container.name}")
        self._owed.pop(container.id, None)

    def settle(self) -> None:
        """Write down everything that is owed; raises :class:`DriverRefusal` where that still fails."""
        for container in list(self._owed.values()):
            self.save_container(container)

    def _settle_debts(self) -> None:
        owed, self._owed = self._owed, {}
        for container in owed.values():
            self.note_container(container)

    def read_networks(self) -> list[NetworkRecord]:
        """The networks, in the order of creation; a faulty record is left out and told in ``faults``."""
        return self._read_all(_NETWORK, read_network)

    def read_containers(self) -> list[ContainerRecord]:
        """The containers, in the order of creation; a faulty record is left out and told in ``faults``."""
        return self._read_all(_CONTAINER, read_container)

    def _read_all(self, kind: str, read: Callable[[Plain], _Record]) -> list[_Record]:
        found: list[tuple[int, _Record]] = []
        for name in sorted(self._store.names()):
            if not name.startswith(kind):
                continue
            pair = self._read_as(name, lambda plain: (int(str(plain["order"])), read(plain)))
            if pair is not None:
                self._order[name] = pair[0]
                self._next = max(self._next, pair[0] + 1)
                found.append(pair)
        return [record for _, record in sorted(found, key=lambda pair: pair[0])]

    def _read_as(self, name: str, read: Callable[[Plain], _Record]) -> _Record | None:
        try:
            plain = self._read(name)
            return None if plain is None else read(plain)
        except _FAULTS as fault:
            self.faults.append(f"record {name} cannot be read: {type(fault).__name__}: {fault}")
            return None

    def _read(self, name: str) -> Plain | None:
        content = self._store.read(name)
        if content is None:
            return None
        plain = json.loads(content)
        if not isinstance(plain, dict):
            raise TypeError("a record is a mapping")
        return plain

    def _write(self, name: str, plain: object, what: str) -> None:
        if name not in self._order:
            self._order[name] = self._next
            self._next += 1
        if isinstance(plain, dict):
            plain["order"] = self._order[name]
        try:
            self._store.write(name, json.dumps(plain, separators=(",", ":")).encode())
        except OSError as error:
            raise _refusal("save", what, error) from error

    def _drop(self, name: str, what: str) -> None:
        try:
            self._store.remove(name)
        except OSError as error:
            raise _refusal("remove", what, error) from error
        self._order.pop(name, None)


def _refusal(verb: str, what: str, error: OSError) -> DriverRefusal:
    return DriverRefusal(f"failed to {verb} {what}: {(error.strerror or str(error)).lower()}")
