"""The port that an implementation under test is driven through; it needs no probe of its own.

A *bench* is one lab: ipvlab builds its hosts, routers and wires, the implementation
makes networks and endpoints on the hosts, and ipvlab's own probes ask and listen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from ipvlab.driver.requests import ContainerRequest, NetworkRequest

if TYPE_CHECKING:
    from types import TracebackType

    from ipvlab.driver.port import CommandResult
    from ipvlab.run.ground import ProbedGround
    from ipvlab.spec.model import HostSpec, RouterSpec, Wire


class Feature(StrEnum):
    """What an implementation may offer; a requirement names those that it needs."""

    L2 = "l2"
    L3 = "l3"
    L3S = "l3s"
    PRIVATE = "private"
    VEPA = "vepa"
    #: The implementation makes a missing 802.1Q parent (``eth0.20``).
    VLAN = "vlan"
    #: A network can be on a parent that somebody else made, whatever its name.
    GIVEN_PARENT = "given-parent"
    #: A network without a parent leads nowhere.
    ISOLATED = "isolated"
    INTERNAL = "internal"
    IPV6 = "ipv6"
    IPV6_ONLY = "ipv6-only"
    SEVERAL_SUBNETS = "several-subnets"
    SEVERAL_NETWORKS = "several-networks"
    #: Endpoints find each other by name.
    NAMES = "names"
    #: Mode and flag of a parent change while endpoints are there.
    LIVE_MODE = "live-mode"
    #: Docker's texts, address rules and inspection.
    DOCKER = "docker"


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """Who was held against the suite."""

    name: str
    version: str
    #: The kernel that carried the packets.
    kernel: str
    organization: str = ""
    url: str = ""
    notes: tuple[str, ...] = ()


class Bench(Protocol):
    """One lab with the implementation under test on each of its hosts; leaving the ``with`` ends it.

    What the implementation refuses is :class:`ipvlab.errors.DriverRefusal` with its
    own text; what it does not offer at all is :class:`ipvlab.errors.FeatureMissing`.
    """

    @property
    def ground(self) -> ProbedGround:
        """The lab as ipvlab's probes see it."""

    def build(
        self, wires: Mapping[str, Wire], hosts: Mapping[str, HostSpec], routers: Mapping[str, RouterSpec]
    ) -> None:
        """Build wires, hosts and routers, and start the implementation on each host."""

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network on a host."""

    def remove_network(self, host: str, network: str) -> None:
        """Remove a network of a host."""

    def attach(self, host: str, request: ContainerRequest) -> str:
        """Start a container on its networks; returns the name of its node in the lab."""

    def detach(self, host: str, container: str) -> None:
        """Remove a container and its endpoints."""

    def inspect(self, host: str, network: str) -> Mapping[str, object]:
        """What the implementation itself says of a network, in its own shape."""

    def type_line(self, node: str, line: str) -> CommandResult:
        """Carry out one line of the closed command grammar on a node (``ip link set eth0 down``)."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Implementation(Protocol):
    """An implementation of ipvlan networking, and what it offers."""

    name: str
    features: frozenset[Feature]

    def about(self) -> About:
        """Who it is; raises :class:`ipvlab.errors.EnvironmentUnfit` where it is not to be had."""

    def open(self, name: str) -> Bench:
        """An empty lab for it; raises :class:`ipvlab.errors.EnvironmentUnfit` where it cannot work."""
