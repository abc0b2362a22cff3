"""One host's Docker engine, as far as ipvlan networks go: every decision, and no effect of its own.

What happens on the machine happens through the :class:`HostPort`. A request
that fails, at whatever point, leaves pools, addresses, links and containers as
they were.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from contextlib import suppress

from ipvlab.driver.containers import Containers
from ipvlab.driver.creating import PREDEFINED
from ipvlab.driver.dialect import find_row
from ipvlab.driver.networks import Networks
from ipvlab.driver.port import HostPort
from ipvlab.driver.records import Records
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.driver.restoring import restore_networks
from ipvlab.driver.state import Container, ContainerState, IdSource, Network
from ipvlab.driver.store import MemoryStore, Store
from ipvlab.driver.workloads import KILLED
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect, Subnet


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Engine:
    """The engine of one host.

    Refusals are :class:`DriverRefusal` with Docker's text and HTTP status;
    what the machine refuses passes through as :class:`KernelRefusal`, undone.
    """

    def __init__(
        self,
        host: str,
        port: HostPort,
        dialect: Dialect = Dialect.DOCS,
        ids: IdSource | None = None,
        clock: Callable[[], datetime.datetime] = _now,
        store: Store | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.row = find_row(dialect)
        self.clock = clock
        self._ids = ids or IdSource(host)
        self.predefined = {name: self._ids.next("network", name) for name in PREDEFINED}
        self._store = store or MemoryStore()
        self._load(Records(self._store))

    @property
    def networks(self) -> Mapping[str, Network]:
        """The host's ipvlan networks by name, in the order of creation."""
        return self._nets.all

    @property
    def containers(self) -> Mapping[str, Container]:
        """The host's containers by name, in the order of creation, stopped ones included."""
        return self._care.all

    @property
    def last_started(self) -> str | None:
        """The name of the container that was started last, for whoever follows a session."""
        return self._care.last_started

    def held_addresses(self) -> dict[Subnet, int]:
        """How many addresses of each held subnet are taken: reserved, gateway, auxiliary and containers'."""
        return self._nets.held_addresses()

    def inspect_network(self, reference: str) -> Network:
        """The network of a full id, a name, or the beginning of an id, in this order; 404 or 400 else."""
        return self._nets.find(reference)

    def find_container(self, reference: str) -> Container:
        """The container of a full id, a name, or the beginning of an id, in this order; 404 or 400 else."""
        return self._care.find(reference)

    def create_network(self, request: NetworkRequest) -> Network:
        """Create a network; see :meth:`Networks.create`."""
        network = self._nets.create(request)
        try:
            self._records.save_network(network)
        except DriverRefusal:
            self._nets.drop(network)
            raise
        return network

    def remove_network(self, reference: str) -> Network:
        """Remove a network, its pools, and its parent where the driver made it; 403 while it is in use."""
        network = self._nets.remove(reference)
        self._records.drop_network(network)
        return network

    def create_container(self, request: ContainerRequest) -> Container:
        """Create a container, which then waits to be started; see :meth:`Containers.create`."""
        return self._care.create(request)

    def start_container(self, reference: str) -> Container:
        """Start a container on its networks; see :meth:`Containers.start`."""
        return self._care.start(reference)

    def run_container(self, request: ContainerRequest) -> Container:
        """Create a container and start it on its networks; of one that does not start, nothing stays."""
        return self._care.run(request)

    def stop_container(self, reference: str, exit_code: int = KILLED, *, keeps: bool = False) -> Container:
        """Stop a container: its namespace, addresses and names go; with ``--rm`` it goes itself.

        ``keeps`` leaves its removal to the caller.
        """
        return self._care.stop(reference, exit_code, keeps=keeps)

    def undo_start(self, container: Container, before: ContainerState, text: str, exit_code: int) -> None:
        """Take back a start whose program could not be started, and remember why."""
        self._care.undo_start(container, before, text, exit_code)

    def rename_container(self, reference: str, name: str) -> Container:
        """Give a container another name; see :meth:`Containers.rename`."""
        return self._care.rename(reference, name)

    def connect(
        self, network: str, container: str, request: EndpointRequest
    ) -> tuple[Network | None, Container]:
        """Put a container on one network more; see :meth:`Containers.connect`."""
        return self._care.connect(network, container, request)

    def disconnect(
        self, network: str, container: str, *, force: bool = False
    ) -> tuple[Network | None, Container]:
        """Take a container off a network; see :meth:`Containers.disconnect`."""
        return self._care.disconnect(network, container, force=force)

    def prune_networks(self, is_wanted: Callable[[Network], bool] = lambda _: True) -> list[Network]:
        """Remove every wanted network that no running container is on, and return them.

        Networks that only hold settings stay, and so does one that is refused
        (moby ``daemon/prune.go``: localNetworksPrune).
        """
        unused = [n for n in self.networks.values() if not n.endpoints and not n.request.is_config_only]
        pruned = []
        for network in filter(is_wanted, unused):
            with suppress(DriverRefusal):
                self.remove_network(network.id)
                pruned.append(network)
        return pruned

    def restart(self) -> None:
        """Drop everything and load it again from the store, as the start of Docker's daemon does.

        Parents that the driver can make are made again; running containers run on,
        and their addresses are taken first. Raises :class:`DriverRefusal` (500),
        and drops nothing, where something is not written down and cannot be now.
        """
        self._records.settle()
        self._load(Records(self._store))

    def _load(self, records: Records) -> None:
        self._records = records
        self._nets = Networks(self.host, self.port, self.row, self._ids, self.clock)
        self._care = Containers(
            self.host, self.port, self.row, self._ids, self.clock, self.inspect_network, records
        )
        starts = records.host.starts
        networks = restore_networks(records, self._nets, self.port)
        for record in records.read_containers():
            self._care.restore(record, networks)
        if starts:
            self._ids.start_again(starts)
        records.note_host(dataclasses.replace(records.host, starts=starts + 1))

    @property
    def faults(self) -> tuple[str, ...]:
        """What could not be had back at the last start of the engine, as its log would say."""
        return tuple(self._records.faults)

    def remove_container(self, reference: str, force: bool = False) -> Container:
        """Remove a container; 409 for a running one without ``force``."""
        return self._care.remove(reference, force=force)
