"""The machines of a simulated lab: what changes about a host, router or container."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator

from ipvlab.datapath.base import Link
from ipvlab.rules.packets import Packet
from ipvlab.rules.ports import Port
from ipvlab.rules.stack import Hook, LinkState, Route, Stack
from ipvlab.rules.switching import SwitchPort
from ipvlab.spec.values import Address, Family, Flag, Interface, Mode, NodeKind


@dataclasses.dataclass(slots=True)
class Revision:
    """Counts the changes of a lab; what was derived at an older count is derived again."""

    number: int = 0


@dataclasses.dataclass(slots=True)
class SimLink(Link):
    """A link of a simulated machine."""

    has_ipv6: bool = True
    joined: set[Address] = dataclasses.field(default_factory=set)
    #: Where it plugs into its wire: the wire and the number of the end.
    plug: tuple[SimWire, int] | None = None
    #: What it has once it carries endpoints.
    port: PortState | None = None
    #: The address that duplicate address detection is asking for.
    is_detecting: Address | None = None


@dataclasses.dataclass(slots=True)
class PortState:
    """The ipvlan port of a parent, as it changes."""

    mode: Mode
    flag: Flag
    #: Endpoint name -> its machine and link, in the order of creation.
    endpoints: dict[str, tuple[Machine, SimLink]] = dataclasses.field(default_factory=dict)
    next_device: int = 1
    derived: Port | None = None
    derived_at: int = -1


@dataclasses.dataclass(eq=False)
class Machine:
    """A host, router or container: its links, routes, neighbours and firewall."""

    name: str
    kind: NodeKind
    revision: Revision
    host: str | None = None
    hostname: str = ""
    forwards: bool = False
    dropping: frozenset[Hook] = frozenset()
    links: dict[str, SimLink] = dataclasses.field(default_factory=dict)
    routes: list[Route] = dataclasses.field(default_factory=list)
    #: (link, address) -> MAC.
    neighbours: dict[tuple[str, Address], bytes] = dataclasses.field(default_factory=dict)
    #: (link, next hop) -> packets that wait for its MAC.
    waiting: dict[tuple[str, Address], list[Packet]] = dataclasses.field(default_factory=dict)
    #: What was asked for beside the lab's own table: paths below /proc/sys/net/ and values.
    sysctls: dict[str, str] = dataclasses.field(default_factory=dict)
    _stack: Stack | None = None
    _stack_at: int = -1

    @property
    def stack(self) -> Stack:
        """The machine's stack as the rules look at it."""
        if self._stack is None or self._stack_at != self.revision.number:
            self._stack = Stack(
                self.name,
                {link.name: link_state(link) for link in self.links.values() if link.is_up},
                tuple(self.routes),
                self.forwards,
                self.dropping,
                tuple(
                    (link.name, held)
                    for link in self.links.values()
                    for held in link.addresses
                    if isinstance(held, ipaddress.IPv4Interface)
                ),
            )
            self._stack_at = self.revision.number
        return self._stack

    def addresses(self, family: Family | None = None) -> Iterator[Interface]:
        """The machine's addresses in the order they were given, link-local ones left out."""
        for link in self.links.values():
            for address in link.addresses:
                is_link_local = address.version == 6 and address.ip.is_link_local
                if not is_link_local and family in (None, Family.of(address)):
                    yield address

    def above(self, link: SimLink) -> dict[int, str]:
        """The sub-interfaces on a link that are up, by VLAN id."""
        return {
            other.vlan: other.name
            for other in self.links.values()
            if other.kind == "vlan" and other.below == link.name and other.vlan is not None and other.is_up
        }


def link_state(link: SimLink) -> LinkState:
    """A link as its stack looks at it."""
    addresses = tuple(link.addresses)
    if not link.has_ipv6:
        addresses = tuple(held for held in addresses if isinstance(held, ipaddress.IPv4Interface))
    return LinkState(link.name, link.mac, addresses, link.has_arp, link.has_ipv6, frozenset(link.joined))


@dataclasses.dataclass(eq=False, slots=True)
class SimWire:
    """A wire: its ends, and its switch where it is more than a pair of plain ends."""

    name: str
    ends: list[tuple[Machine, SimLink]] = dataclasses.field(default_factory=list)
    #: One for each end of a switch; None is a bare pair.
    ports: list[SwitchPort] | None = None
    #: (VLAN, MAC) -> the port where it was seen last.
    table: dict[tuple[int, bytes], int] = dataclasses.field(default_factory=dict)


def endpoint_name(machine: Machine, link: Link) -> str:
    """What a port calls an endpoint: ``a1/eth0``."""
    return f"{machine.name}/{link.name}"
