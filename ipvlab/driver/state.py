"""What one host's engine knows now: networks, endpoints, containers."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections import Counter
from enum import StrEnum

from ipvlab.driver.ipam import Pool
from ipvlab.driver.options import DriverOptions
from ipvlab.driver.parents import Parent
from ipvlab.driver.pools import PoolConfig
from ipvlab.driver.port import EndpointPlan
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.spec.values import Address, Interface

#: How many hex digits of an id Docker shows and resolves.
SHORT_ID = 12


class IdSource:
    """Ids of 64 hex digits that depend on host, kind, name and how often that name was used before.

    ``starts`` counts the restarts of the host's engine, so that no id comes twice.
    """

    def __init__(self, host: str, starts: int = 0) -> None:
        self._host = host
        self._starts = starts
        self._uses: Counter[tuple[str, str]] = Counter()

    def next(self, kind: str, name: str) -> str:
        """The next id for a thing of that kind and name."""
        use = self._uses[kind, name]
        self._uses[kind, name] += 1
        since = f"\0{self._starts}" if self._starts else ""
        return hashlib.sha256(f"{self._host}\0{kind}\0{name}\0{use}{since}".encode()).hexdigest()

    def start_again(self, starts: int) -> None:
        """Begin again after a restart, with ids that were not given before."""
        self._starts = starts
        self._uses.clear()


@dataclasses.dataclass(frozen=True, slots=True)
class Lease:
    """An address that an endpoint holds, and the pool that it came from."""

    pool: Pool
    interface: Interface

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.interface.version

    def release(self) -> None:
        """Give the address back."""
        self.pool.addresses.release(self.interface.ip)


@dataclasses.dataclass(slots=True, eq=False)
class Endpoint:
    """A container's place on one network, as it is now."""

    id: str
    network: Network
    container: Container
    request: EndpointRequest
    interface: str
    leases: tuple[Lease, ...]
    plan: EndpointPlan

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that the resolver gives out, IPv4 first."""
        return tuple(lease.interface.ip for lease in self.leases)

    @property
    def names(self) -> tuple[str, ...]:
        """What the endpoint is called on its network, the container's name first, in lower case."""
        names = (
            self.container.name,
            *self.request.aliases,
            self.container.id[:SHORT_ID],
            self.container.hostname,
        )
        return tuple(dict.fromkeys(name.lower() for name in names))


@dataclasses.dataclass(slots=True, eq=False)
class Network:
    """A network that exists on one host."""

    name: str
    id: str
    created: datetime.datetime
    request: NetworkRequest
    configs: tuple[PoolConfig, ...]
    options: DriverOptions
    parent: Parent
    pools: tuple[Pool, ...]
    has_ipv4: bool
    has_ipv6: bool
    #: Whether its parent could not be had back after the engine restarted: it is listed, and can be removed.
    is_lost: bool = False
    #: By container name, in the order they joined.
    endpoints: dict[str, Endpoint] = dataclasses.field(default_factory=dict)
    _named: dict[str, tuple[Endpoint, ...]] = dataclasses.field(default_factory=dict)

    @property
    def is_external(self) -> bool:
        """Whether containers on it can leave the host: it has a parent and is not ``--internal``."""
        return not (self.parent.is_isolated or self.request.is_internal)

    def pools_of(self, version: int) -> tuple[Pool, ...]:
        """The pools of one family, in the order of the request."""
        return tuple(pool for pool in self.pools if pool.subnet.version == version)

    def versions(self) -> tuple[int, ...]:
        """The enabled families, 4 before 6."""
        return tuple(v for v, has in ((4, self.has_ipv4), (6, self.has_ipv6)) if has)

    def find_named(self, name: str) -> tuple[Endpoint, ...]:
        """The endpoints that a name stands for on this network; the case does not matter."""
        return self._named.get(name.lower(), ())

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Take note of an endpoint and its names."""
        self.endpoints[endpoint.container.name] = endpoint
        for name in endpoint.names:
            self._named[name] = (*self._named.get(name, ()), endpoint)

    def drop_endpoint(self, endpoint: Endpoint) -> None:
        """Forget an endpoint and its names."""
        del self.endpoints[endpoint.container.name]
        for name in endpoint.names:
            rest = tuple(other for other in self._named[name] if other is not endpoint)
            if rest:
                self._named[name] = rest
            else:
                del self._named[name]


class ContainerState(StrEnum):
    """What Docker says of a container's process."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclasses.dataclass(slots=True, eq=False)
class Container:
    """A container that exists on one host; only a running one holds addresses and names."""

    name: str
    id: str
    created: datetime.datetime
    hostname: str
    request: ContainerRequest
    state: ContainerState = ContainerState.CREATED
    #: Its places on networks, in the order joined; none while it is not running.
    endpoints: list[Endpoint] = dataclasses.field(default_factory=list)
    #: The networks that it is to be on whenever it runs: the request's, as ``network connect``
    #: and ``disconnect`` have changed them since.
    joins: tuple[EndpointRequest, ...] = ()
    #: How its program ended last (128 + n for signal n); None before it ever ended or failed to start.
    exit_code: int | None = None
    started: datetime.datetime | None = None
    finished: datetime.datetime | None = None
    #: Why the last start failed; empty after one that did not.
    error: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it has a namespace now."""
        return self.state is ContainerState.RUNNING
