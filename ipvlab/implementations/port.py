"""The port that an implementation under test is driven through; it needs no probe of its own.

ipvlab builds the hosts, routers and wires of a lab, the implementation makes networks
and endpoints on the hosts, and ipvlab's own probes ask and listen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from ipvlab.driver.requests import ContainerRequest, NetworkRequest

if TYPE_CHECKING:
    from ipvlab.run.ground import ProbedGround


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
    #: Endpoints find each other by name.
    NAMES = "names"
    #: Mode and flag of a parent change while endpoints are there.
    LIVE_MODE = "live-mode"
    #: Packets are under way by themselves, so that something can happen meanwhile.
    TRAFFIC = "traffic"
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


class Port(Protocol):
    """One lab with the implementation under test on each of its hosts.

    What the implementation refuses is :class:`ipvlab.errors.DriverRefusal` with its own
    text; what it does not offer at all is :class:`ipvlab.errors.FeatureMissing`.
    """

    @property
    def ground(self) -> ProbedGround:
        """The lab as ipvlab builds and probes it; containers of the implementation are nodes of it."""

    def start(self, host: str) -> None:
        """Start the implementation on a host that has been built."""

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network on a host."""

    def remove_network(self, host: str, network: str) -> None:
        """Remove a network of a host."""

    def attach(self, host: str, request: ContainerRequest) -> None:
        """Start a container on its networks."""

    def detach(self, host: str, container: str) -> None:
        """Remove a container and its endpoints."""

    def inspect(self, host: str, network: str) -> Mapping[str, object]:
        """What the implementation itself says of a network, in its own shape."""

    def close(self) -> None:
        """End the lab; nothing of it is left."""


class Implementation(Protocol):
    """An implementation of ipvlan networking, and what it offers."""

    @property
    def name(self) -> str:
        """What it is called on the command line and in reports."""

    @property
    def features(self) -> frozenset[Feature]:
        """What it offers."""

    def about(self) -> About:
        """Who it is; raises :class:`ipvlab.errors.EnvironmentUnfit` where it is not to be had."""

    def open(self, name: str, container_name: Callable[[str, str], str]) -> Port:
        """An empty lab; ``container_name`` gives the lab's name for a host's container.

        Raises :class:`ipvlab.errors.EnvironmentUnfit` where it cannot work.
        """
