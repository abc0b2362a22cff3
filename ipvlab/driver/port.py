"""What the driver asks of the machine below it, and the plans that it hands over.

The driver decides; whoever implements :class:`HostPort` obeys. The lab
implements it on live namespaces, ``plan`` on a record in memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from ipvlab.spec.values import Address, Flag, Interface, Mode, Subnet


@dataclasses.dataclass(frozen=True, slots=True)
class RoutePlan:
    """A route that the driver wants inside a container, beyond the connected ones."""

    to: Subnet | Literal["default"]
    via: Address | None
    dev: str
    #: 4 or 6; needed because ``default`` does not say.
    version: int


@dataclasses.dataclass(frozen=True, slots=True)
class Announcement:
    """How an endpoint tells its neighbours of the addresses that it starts with, unasked.

    A gratuitous ARP or an unsolicited neighbour advertisement for each address:
    the first at once, the others behind it.
    """

    addresses: tuple[Address, ...]
    #: Messages for each address.
    count: int
    #: Seconds between two of them.
    interval: float
    #: Leave out addresses that no other MAC of the lab had before: nobody knows them by a wrong one.
    is_for_moved: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointPlan:
    """One sub-interface of a container, complete: nothing is left for the datapath to decide."""

    network: str
    #: The name inside the container (``eth0``).
    interface: str
    #: The link of the host that carries it.
    parent: str
    mode: Mode
    flag: Flag
    #: One per enabled family, each with its subnet's prefix length.
    addresses: tuple[Interface, ...]
    routes: tuple[RoutePlan, ...]
    #: Sysctls of the interface: paths below /proc/sys/net/ (``ipv4/conf/eth0/log_martians``) and values.
    sysctls: tuple[tuple[str, str], ...] = ()
    #: None where it starts in silence.
    announcement: Announcement | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command printed and how it ended."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


class HostPort(Protocol):
    """One host's links, containers and processes, as its driver may use them.

    Every method raises :class:`ipvlab.errors.KernelRefusal` when the machine
    refuses the step; the driver then rolls back what it made.
    """

    def has_link(self, name: str) -> bool:
        """Whether the host has a link of that name (LinkByName in the engine's namespace)."""

    def is_up(self, name: str) -> bool:
        """Whether that link is administratively up."""

    def on_link_subnets(self) -> Sequence[Subnet]:
        """What automatic pools keep clear of (``netutils/utils_linux.go``: InferReservedNetworks).

        The subnets of the host's addresses, what it reaches without a gateway, and its nameservers.
        """

    def add_vlan(self, name: str, base: str, vlan: int) -> None:
        """Create an 802.1Q sub-interface on ``base`` and set it up."""

    def add_isolated(self, name: str) -> None:
        """Create a parent that leads nowhere (Docker's dummy) and set it up."""

    def remove_link(self, name: str) -> None:
        """Delete a link that this driver created."""

    def add_container(self, name: str, hostname: str) -> None:
        """Create a container's namespace, with nothing but ``lo`` in it."""

    def remove_container(self, name: str) -> None:
        """Drop a container's namespace and everything in it."""

    def rename_container(self, name: str, new: str) -> None:
        """Let a container be known by another name."""

    def set_sysctls(self, container: str, sysctls: Mapping[str, str]) -> None:
        """Set sysctls of a container's namespace, by path below /proc/sys/net/ (``ipv4/ip_forward``)."""

    def change_routes(self, container: str, gone: Sequence[RoutePlan], new: Sequence[RoutePlan]) -> None:
        """Take routes out of a container, then put others in.

        A route to take out that is not there any more is no fault; a refusal
        leaves the routes as they were.
        """

    def attach(self, container: str, endpoint: EndpointPlan) -> None:
        """Create an endpoint's sub-interface, addresses and routes, up and usable, and announce it."""

    def detach(self, container: str, interface: str) -> None:
        """Delete an endpoint's sub-interface."""

    def execute(self, container: str, argv: Sequence[str]) -> CommandResult:
        """Interpret a command of the closed grammar (``ping``, ``ip route`` …) in a container."""
