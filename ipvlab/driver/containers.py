"""The containers of one host: created, started, stopped, connected, renamed, removed.

Source of the order and of the texts: moby ``daemon/create.go``, ``start.go``,
``container_operations.go``, ``rename.go``, ``delete.go``.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from types import MappingProxyType

from ipvlab.driver.container_names import ContainerNames
from ipvlab.driver.creating import RESERVED
from ipvlab.driver.default_routes import Join
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.endpoint_options import container_sysctls
from ipvlab.driver.finding import find_thing
from ipvlab.driver.joining import check_settings
from ipvlab.driver.places import NONE, Places, quietly
from ipvlab.driver.port import HostPort
from ipvlab.driver.record_forms import ContainerRecord
from ipvlab.driver.records import Records
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.state import SHORT_ID, Container, ContainerState, IdSource, Lease, Network
from ipvlab.driver.workloads import KILLED
from ipvlab.errors import DriverRefusal, LabError

#: What a container's exit code is when it could not be started (moby ``daemon/start.go``).
START_FAILED = 128
NONE_IS_ALONE = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)


class Containers:
    """The containers of one host, without their programs.

    Every method leaves things as they were when it raises, but for a start that
    fails, which the container remembers (``error``, ``exit_code``). Each change
    is written down before it is told; what has happened anyway (a container's
    end) is written down later where that fails.
    """

    def __init__(
        self,
        host: str,
        port: HostPort,
        row: DialectRow,
        ids: IdSource,
        clock: Callable[[], datetime.datetime],
        find_network: Callable[[str], Network],
        records: Records,
    ) -> None:
        self._port = port
        self._row = row
        self._ids = ids
        self._clock = clock
        self._find_network = find_network
        self._records = records
        self._places = Places(port, row, ids, find_network)
        self._containers: dict[str, Container] = {}
        self._names = ContainerNames(host, self._containers, records)
        #: The name of the container that was started last.
        self.last_started: str | None = None

    @property
    def all(self) -> Mapping[str, Container]:
        """By name, in the order of creation."""
        return MappingProxyType(self._containers)

    def find(self, reference: str) -> Container:
        """The container of a full id, a name, or the beginning of an id; 404 or 400 else."""
        return find_thing(
            self._containers, reference.removeprefix("/"), "container", f"No such container: {reference}"
        )

    def create(self, request: ContainerRequest) -> Container:
        """Create a container; an unknown network is no fault until it starts.

        Raises :class:`DriverRefusal`: 409 for a name that is taken, 400 for
        settings that are none of the network's.
        """
        with self._names.choosing(request.name) as name:
            joins = wanted_networks(request)
            container_sysctls(request.sysctls, self._row)
            for join in joins:
                network = self._known_or_none(join.network)
                if network is not None:
                    check_settings(network, join, self._row, at_create=True)
            container_id = self._ids.next("container", name)
            container = Container(
                name=name,
                id=container_id,
                created=self._clock(),
                hostname=request.hostname or container_id[:SHORT_ID],
                request=request,
                joins=joins,
            )
            self._records.save_container(container)
        self._containers[name] = container
        return container

    def start(self, reference: str) -> Container:
        """Give a container its namespace and its places on networks; nothing for one that runs.

        Raises :class:`DriverRefusal` or :class:`KernelRefusal`; the container
        stays as it was, and remembers why.
        """
        container = self.find(reference)
        if container.is_running:
            return container
        try:
            with ExitStack() as undo:
                self._enter_all(container, undo)
                self._set_running(container, undo)
                self._records.save_container(container)
                undo.pop_all()
        except (DriverRefusal, LabError) as refusal:
            self.note_failure(container, refusal.what, START_FAILED)
            raise
        self.last_started = container.name
        return container

    def _enter_all(self, container: Container, undo: ExitStack) -> None:
        try:
            self._places.enter_all(container, undo)
        except DriverRefusal as refusal:
            raise DriverRefusal(
                f"{self._row.start_prefix}{refusal.what}", status=refusal.status, hint=refusal.hint
            ) from refusal

    def _set_running(self, container: Container, undo: ExitStack) -> None:
        now = {"state": ContainerState.RUNNING, "started": self._clock(), "error": "", "exit_code": 0}
        for field, value in now.items():
            undo.callback(setattr, container, field, getattr(container, field))
            setattr(container, field, value)

    def run(self, request: ContainerRequest) -> Container:
        """Create a container and start it; of one that does not start, nothing stays."""
        with self._names.forgetting():
            container = self.create(request)
            try:
                return self.start(container.id)
            except (DriverRefusal, LabError):
                self.remove(container.id)
                raise

    def note_failure(self, container: Container, text: str, exit_code: int) -> None:
        """Remember why a container did not start."""
        container.error, container.exit_code = text, exit_code
        self._records.note_container(container)

    def stop(self, reference: str, exit_code: int = KILLED, *, keeps: bool = False) -> Container:
        """Stop a container: its namespace, addresses and names go; with ``--rm`` it goes itself.

        ``keeps`` leaves its removal to the caller.
        """
        container = self.find(reference)
        if container.is_running:
            self._release(container)
            container.exit_code, container.finished = exit_code, self._clock()
            if container.request.is_auto_remove and not keeps:
                self.remove(container.id)
            else:
                self._records.note_container(container)
        return container

    def remove(self, reference: str, *, force: bool = False) -> Container:
        """Remove a container; 409 for a running one without ``force``."""
        container = self.find(reference)
        if container.is_running:
            if not force:
                raise DriverRefusal(
                    f'cannot remove container "{container.name}": container is running: '
                    "stop the container before removing or force remove",
                    status=409,
                )
            self._release(container)
        self._records.drop_container(container)
        del self._containers[container.name]
        return container

    def undo_start(self, container: Container, before: ContainerState, text: str, exit_code: int) -> None:
        """Take back a start whose program could not be started, and remember why."""
        self._release(container)
        container.state = before
        self.note_failure(container, text, exit_code)

    def rename(self, reference: str, name: str) -> Container:
        """Give a container another name, on its networks too.

        Raises :class:`DriverRefusal`: 409 for a name that is taken, 400 for the
        same name again.
        """
        container = self.find(reference)
        old, name = container.name, name.removeprefix("/")
        self._names.check_new(container, name)
        with ExitStack() as undo:
            if container.is_running:
                self._port.rename_container(old, name)
                undo.callback(quietly, self._port.rename_container, name, old)
            self._call(container, name)
            undo.callback(self._call, container, old)
            self._records.save_container(container)
            undo.pop_all()
        if self.last_started == old:
            self.last_started = name
        return container

    def _call(self, container: Container, name: str) -> None:
        for endpoint in container.endpoints:
            endpoint.network.drop_endpoint(endpoint)
        container.name = name
        for endpoint in container.endpoints:
            endpoint.network.add_endpoint(endpoint)
        # In place, since others look at this very dict, and in order.
        everything = list(self._containers.values())
        self._containers.clear()
        self._containers.update((each.name, each) for each in everything)

    def connect(
        self, reference: str, container_ref: str, request: EndpointRequest
    ) -> tuple[Network | None, Container]:
        """Put a container on one network more, at once where it runs.

        The default route moves where the new network comes first
        (:func:`choose_routes`). A stopped container may name a network that is not
        there yet; None stands for it. Raises :class:`DriverRefusal` (404, 403 for
        a network that it is on already, and what a start raises).
        """
        container = self.find(container_ref)
        if reference == NONE or any(join.network == NONE for join in container.joins):
            if container.joins:
                raise DriverRefusal(NONE_IS_ALONE, status=400)
        else:
            refuse_reserved(reference)
        is_needed = container.is_running and reference != NONE
        network = self._find_network(reference) if is_needed else self._known_or_none(reference)
        request = dataclasses.replace(request, network=network.name if network else reference)
        if network is not None:
            check_settings(network, request, self._row)
        with ExitStack() as undo:
            if container.is_running and network is not None:
                self._places.enter(container, network, request, undo)
            if all(join.network != request.network for join in container.joins):
                self._set_joins(container, (*container.joins, request), undo)
            self._records.save_container(container)
            undo.pop_all()
        return network, container

    def disconnect(
        self, reference: str, container_ref: str, *, force: bool = False
    ) -> tuple[Network | None, Container]:
        """Take a container off a network; the default route moves to another of its networks.

        ``force`` forgives a network that is not there any more. Raises
        :class:`DriverRefusal`: 404, or 500 for a network that it is not on.
        """
        container = self.find(container_ref)
        network = self._known_or_none(reference)
        if network is None and reference != NONE and container.is_running and not force:
            self._find_network(reference)
        name = network.name if network else reference
        endpoint = network.endpoints.get(container.name) if network else None
        if network is not None and container.is_running and endpoint is None:
            raise DriverRefusal(f"container {container.id} is not connected to network {name}")
        if endpoint is None and all(join.network != name for join in container.joins):
            raise DriverRefusal(f"container {container.id} is not connected to the network {name}")
        with ExitStack() as undo:
            release = None if endpoint is None else self._places.leave(container, endpoint, undo)
            rest = tuple(join for join in container.joins if join.network != name)
            self._set_joins(container, rest, undo)
            self._records.save_container(container)
            undo.pop_all()
        if release is not None:
            release()
        return network, container

    def restore(self, record: ContainerRecord, networks: Mapping[str, Network]) -> None:
        """Take in a container that was there before the engine restarted.

        One that ran runs on: its addresses are taken before any other is given out.
        ``networks`` are by id.
        """
        container = record.container
        self._containers[container.name] = container
        places = []
        for place in record.places:
            network = networks.get(place.network_id)
            if network is None:
                continue
            leases = []
            for interface in place.addresses:
                pool = next((pool for pool in network.pools if interface.ip in pool.subnet), None)
                if pool is not None and pool.addresses.take(interface.ip):
                    leases.append(Lease(pool, interface))
            asked = (join for join in container.joins if join.network == network.name)
            request = next(asked, EndpointRequest(network.name))
            places.append((place.id, Join(network, request, tuple(leases), place.interface)))
        self._places.restore(container, places)

    def _set_joins(self, container: Container, joins: tuple[EndpointRequest, ...], undo: ExitStack) -> None:
        undo.callback(setattr, container, "joins", container.joins)
        container.joins = joins

    def _release(self, container: Container) -> None:
        self._places.leave_all(container)
        container.state = ContainerState.EXITED

    def _known_or_none(self, reference: str) -> Network | None:
        with suppress(DriverRefusal):
            return self._find_network(reference)
        return None


def wanted_networks(request: ContainerRequest) -> tuple[EndpointRequest, ...]:
    """The networks to be on; the predefined ones but ``none`` are refused, which stands alone."""
    wanted = request.networks or (EndpointRequest("bridge"),)
    if [join.network for join in wanted] == [NONE]:
        return wanted
    for join in wanted:
        refuse_reserved(join.network)
    return wanted


def refuse_reserved(network: str) -> None:
    """Refuse a predefined network: nobody can join those of a lab's hosts."""
    if network in RESERVED:
        raise DriverRefusal(
            f"the hosts of a lab have no network '{network}' to join, ipvlan is their only driver: "
            "name an ipvlan network of this host (--net=NAME)"
        )
