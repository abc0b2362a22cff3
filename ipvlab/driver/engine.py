"""One host's Docker engine, as far as ipvlan networks go: every decision, and no effect of its own.

What happens on the machine happens through the :class:`HostPort`. A request
that fails, at whatever point, leaves pools, addresses, links and containers as
they were.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from types import MappingProxyType
from typing import TypeVar

from ipvlab.driver.creating import PREDEFINED, RESERVED, check_drivers, hold_pools, read_request
from ipvlab.driver.dialect import find_row
from ipvlab.driver.ipam import AddressSpace
from ipvlab.driver.joining import check_settings, plan_endpoints, take_leases
from ipvlab.driver.options import DriverOptions, read_options
from ipvlab.driver.parents import find_parent, remove_parent
from ipvlab.driver.port import HostPort
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.driver.state import SHORT_ID, Container, ContainerState, Endpoint, IdSource, Lease, Network
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect, Subnet

#: Docker wants two characters or more; a scenario file may call a container ``a``.
_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_Thing = TypeVar("_Thing", Network, Container)


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
    ) -> None:
        self.host = host
        self.port = port
        self.row = find_row(dialect)
        self.clock = clock
        self._ids = ids or IdSource(host)
        self._space = AddressSpace(host)
        self._networks: dict[str, Network] = {}
        self._containers: dict[str, Container] = {}
        self._unnamed = 0
        #: The name of the container that was started last, for whoever follows a session.
        self.last_started: str | None = None
        self.predefined = {name: self._ids.next("network", name) for name in PREDEFINED}

    @property
    def networks(self) -> Mapping[str, Network]:
        """The host's ipvlan networks by name, in the order of creation."""
        return MappingProxyType(self._networks)

    @property
    def containers(self) -> Mapping[str, Container]:
        """The host's containers by name, in the order of creation, stopped ones included."""
        return MappingProxyType(self._containers)

    def held_addresses(self) -> dict[Subnet, int]:
        """How many addresses of each held subnet are taken: reserved, gateway, auxiliary and containers'."""
        return self._space.count_taken()

    def inspect_network(self, reference: str) -> Network:
        """The network of a full id, a name, or the beginning of an id, in this order; 404 or 400 else."""
        return _find(self._networks, reference, "network", f"network {reference} not found")

    def find_container(self, reference: str) -> Container:
        """The container of a full id, a name, or the beginning of an id, in this order; 404 or 400 else."""
        return _find(
            self._containers, reference.removeprefix("/"), "container", f"No such container: {reference}"
        )

    def create_network(self, request: NetworkRequest) -> Network:
        """Create a network: check, hold its pools, read the driver's options, find or make the parent.

        The order decides which of several errors is told (moby
        ``daemon/network.go``: createNetwork, libnetwork ``controller.go``: NewNetwork).
        """
        wanted = read_request(request, self.row)
        if request.name in self._networks:
            raise DriverRefusal(f"network with name {request.name} already exists", status=409)
        check_drivers(request)
        if self.row.checks_options_before_pools:
            read_options(request.options)
        network_id = self._ids.next("network", request.name)
        with ExitStack() as undo:
            pools = hold_pools(self._space, wanted, self.row, self.port.on_link_subnets, undo)
            options = read_options(request.options)
            written = self._effective_parent(request, options)
            self._check_parent_free(written)
            parent = find_parent(self.port, written, network_id)
            undo.pop_all()
        network = Network(
            name=request.name,
            id=network_id,
            created=self.clock(),
            request=request,
            configs=wanted.configs,
            options=options,
            parent=parent,
            pools=pools,
            has_ipv4=wanted.has_ipv4,
            has_ipv6=wanted.has_ipv6,
        )
        self._networks[request.name] = network
        return network

    def remove_network(self, reference: str) -> None:
        """Remove a network, its pools, and its parent where the driver made it; 403 while it is in use."""
        if reference in PREDEFINED:
            raise DriverRefusal(f"{reference} is a pre-defined network and cannot be removed", status=403)
        network = self.inspect_network(reference)
        if network.endpoints:
            users = ", ".join(
                f'name:"{name}" id:"{endpoint.id[:SHORT_ID]}"' for name, endpoint in network.endpoints.items()
            )
            raise DriverRefusal(
                f"error while removing network: network {network.name} has active endpoints ({users})",
                status=403,
            )
        remove_parent(self.port, network.parent)
        for pool in network.pools:
            self._space.release_pool(pool)
        del self._networks[network.name]

    def run_container(self, request: ContainerRequest) -> Container:
        """Create a container and start it on its networks, in order.

        Source of the order: moby ``daemon/create.go``, then
        ``container_operations.go``: initializeNetworking. Unlike the engine,
        which keeps a container that failed to start as ``Created``, nothing stays.
        """
        name, unnamed = self._choose_name(request)
        joins = _wanted_networks(request)
        known: list[tuple[Network, EndpointRequest]] = []
        for join in joins:
            with suppress(DriverRefusal):
                # An unknown network is no fault yet: the engine notices it at start.
                network = self.inspect_network(join.network)
                known.append((network, join))
        for network, join in known:
            check_settings(network, join)
        container_id = self._ids.next("container", name)
        container = Container(
            name=name,
            id=container_id,
            created=self.clock(),
            hostname=request.hostname or container_id[:SHORT_ID],
            request=request,
        )
        try:
            self._start(container, joins)
        except DriverRefusal as refusal:
            raise DriverRefusal(
                f"{self.row.start_prefix}{refusal.what}", status=refusal.status, hint=refusal.hint
            ) from refusal
        self._unnamed = unnamed
        self._containers[name] = container
        self.last_started = name
        return container

    def stop_container(self, reference: str) -> Container:
        """Stop a container: its namespace, addresses and names go; with ``--rm`` it goes itself."""
        container = self.find_container(reference)
        if container.is_running:
            self._release(container)
            if container.request.is_auto_remove:
                del self._containers[container.name]
        return container

    def remove_container(self, reference: str, force: bool = False) -> None:
        """Remove a container; 409 for a running one without ``force``."""
        container = self.find_container(reference)
        if container.is_running:
            if not force:
                raise DriverRefusal(
                    f'cannot remove container "{container.name}": container is running: '
                    "stop the container before removing or force remove",
                    status=409,
                )
            self._release(container)
        del self._containers[container.name]

    def _effective_parent(self, request: NetworkRequest, options: DriverOptions) -> str:
        if request.is_internal and not self.row.internal_keeps_parent:
            return ""
        return options.parent

    def _check_parent_free(self, written: str) -> None:
        for other in self._networks.values():
            if written and other.parent.link == written:
                raise DriverRefusal(
                    f"network di-{other.id[:SHORT_ID]} is already using parent interface {written}",
                    hint=f"it is network {other.name}",
                )

    def _choose_name(self, request: ContainerRequest) -> tuple[str, int]:
        name, unnamed = request.name, self._unnamed
        if name is None:
            unnamed += 1
            while f"{self.host}-{unnamed}" in self._containers:
                unnamed += 1
            return f"{self.host}-{unnamed}", unnamed
        if not _CONTAINER_NAME.fullmatch(name):
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
        return name, unnamed

    def _start(self, container: Container, requests: tuple[EndpointRequest, ...]) -> None:
        with ExitStack() as undo:
            joins: list[tuple[Network, EndpointRequest, tuple[Lease, ...]]] = []
            for request in requests:
                network = self.inspect_network(request.network)
                if any(network is joined for joined, _, _ in joins):
                    raise DriverRefusal(
                        f"endpoint with name {container.name} already exists in network {network.name}",
                        status=403,
                    )
                leases = take_leases(network, request, lambda lease: undo.callback(lease.release))
                if request.mac is not None:
                    raise DriverRefusal(
                        f"failed to create endpoint {container.name} on network {network.name}: "
                        "ipvlan interfaces do not support custom mac address assignment"
                    )
                joins.append((network, request, leases))
            plans = plan_endpoints(joins, self.row)
            self.port.add_container(container.name, container.hostname)
            undo.callback(self.port.remove_container, container.name)
            for (network, request, leases), plan in zip(joins, plans, strict=True):
                if not self.port.has_link(plan.parent):
                    raise DriverRefusal(
                        f"the requested parent interface {plan.parent} was not found on the Docker host"
                    )
                self.port.attach(container.name, plan)
                endpoint_id = self._ids.next("endpoint", f"{network.name}/{container.name}")
                container.endpoints.append(
                    Endpoint(endpoint_id, network, container, request, plan.interface, leases, plan)
                )
            undo.pop_all()
        for endpoint in container.endpoints:
            endpoint.network.add_endpoint(endpoint)

    def _release(self, container: Container) -> None:
        self.port.remove_container(container.name)
        for endpoint in container.endpoints:
            endpoint.network.drop_endpoint(endpoint)
            for lease in endpoint.leases:
                lease.release()
        container.endpoints.clear()
        container.state = ContainerState.EXITED


def _wanted_networks(request: ContainerRequest) -> tuple[EndpointRequest, ...]:
    """The networks to join: none for ``--net=none``; the other predefined ones are refused."""
    wanted = request.networks or (EndpointRequest("bridge"),)
    if [join.network for join in wanted] == ["none"]:
        return ()
    for join in wanted:
        if join.network in RESERVED:
            raise DriverRefusal(
                f"the hosts of a lab have no network '{join.network}' to join, ipvlan is their only driver: "
                "name an ipvlan network of this host (--net=NAME)"
            )
    return wanted


def _find(things: Mapping[str, _Thing], reference: str, kind: str, missing: str) -> _Thing:
    if len(reference) == 64:
        for thing in things.values():
            if thing.id == reference:
                return thing
    if reference in things:
        return things[reference]
    matches = [thing for thing in things.values() if reference and thing.id.startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DriverRefusal(
            f"{kind} {reference} is ambiguous ({len(matches)} matches found based on ID prefix)", status=400
        )
    raise DriverRefusal(missing, status=404)
