"""One machine's network stack as a value: links, addresses, routes, forwarding, hooks."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping
from enum import StrEnum

from ipvlab.rules.groups import standing_groups
from ipvlab.rules.packets import Packet
from ipvlab.spec.values import Address, Interface, Subnet

#: A link with a smaller MTU has no IPv6 (RFC 8200; net/ipv6/addrconf.c: ipv6_add_dev, addrconf_notify).
LEAST_MTU6 = 1280


class Hook(StrEnum):
    """The netfilter hooks of a namespace (include/uapi/linux/netfilter.h)."""

    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table."""

    to: Subnet
    dev: str
    via: Address | None = None
    #: The preferred source address, which connected IPv4 routes have.
    source: Address | None = None
    metric: int = 0
    proto: str = "boot"

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.to.version


@dataclasses.dataclass(frozen=True)
class LinkState:
    """A link as its stack sees it; only links that are up are looked at."""

    name: str
    mac: bytes
    addresses: tuple[Interface, ...] = ()
    #: False for ipvlan endpoints in L3 and L3S.
    has_arp: bool = True
    has_ipv6: bool = True
    #: Groups that somebody joined on it, beside those that it is in by itself.
    joined: frozenset[Address] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "_held", frozenset(held.ip for held in self.addresses))
        standing = standing_groups(self.addresses, has_ipv6=self.has_ipv6)
        object.__setattr__(self, "_groups", standing | self.joined)

    def holds(self, address: Address) -> bool:
        """Whether the address is one of this link's."""
        held: frozenset[Address] = self.__dict__["_held"]
        return address in held

    @property
    def groups(self) -> frozenset[Address]:
        """Every group that the link is in."""
        groups: frozenset[Address] = self.__dict__["_groups"]
        return groups

    @property
    def link_local(self) -> ipaddress.IPv6Address | None:
        """Its first IPv6 link-local address."""
        for held in self.addresses:
            if isinstance(held, ipaddress.IPv6Interface) and held.ip.is_link_local:
                return held.ip
        return None


@dataclasses.dataclass(frozen=True)
class Stack:
    """A namespace: a host, router or container.

    IPv4 addresses of links that are down are its own all the same: the routes to
    them stay (net/ipv4/fib_semantics.c: fib_sync_down_dev leaves local ones alone).
    """

    name: str
    links: Mapping[str, LinkState] = dataclasses.field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    forwards: bool = False
    #: Hooks at which the scenario's firewall drops echo and UDP.
    dropping: frozenset[Hook] = frozenset()
    #: IPv4 addresses of all links, those that are down included, in the order of the links.
    addresses4: tuple[tuple[str, ipaddress.IPv4Interface], ...] | None = None

    def __post_init__(self) -> None:
        local: dict[Address, str] = {}
        broadcasts: dict[Address, str] = {}
        for link in self.links.values():
            for held in link.addresses:
                local.setdefault(held.ip, link.name)
                if isinstance(held, ipaddress.IPv4Interface) and held.network.prefixlen < 31:
                    broadcasts.setdefault(held.network.broadcast_address, link.name)
        if self.addresses4 is None:
            everything = tuple(
                (link.name, held)
                for link in self.links.values()
                for held in link.addresses
                if isinstance(held, ipaddress.IPv4Interface)
            )
            object.__setattr__(self, "addresses4", everything)
        for name, held in self.addresses4 or ():
            local.setdefault(held.ip, name)
        object.__setattr__(self, "_local", local)
        object.__setattr__(self, "_broadcasts", broadcasts)
        tables = tuple(
            tuple(
                sorted(
                    (
                        (
                            route.to.max_prefixlen - route.to.prefixlen,
                            int(route.to.network_address),
                            int(route.to.netmask),
                            route,
                        )
                        for route in self.routes
                        if route.version == version and route.dev in self.links
                    ),
                    key=lambda entry: (-entry[3].to.prefixlen, entry[3].metric),
                )
            )
            for version in (4, 6)
        )
        object.__setattr__(self, "_tables", tables)

    @property
    def local(self) -> Mapping[Address, str]:
        """Every address of the machine and the link that holds it; any link takes packets for it."""
        local: Mapping[Address, str] = self.__dict__["_local"]
        return local

    @property
    def broadcasts(self) -> Mapping[Address, str]:
        """The directed broadcast addresses of its subnets, each with its link."""
        broadcasts: Mapping[Address, str] = self.__dict__["_broadcasts"]
        return broadcasts

    def matching(self, destination: Address) -> list[Route]:
        """The routes that match, the longest prefix first, then the smallest metric, then the oldest."""
        tables = self.__dict__["_tables"]
        number = int(destination)
        return [
            route
            for _, network, mask, route in tables[0 if destination.version == 4 else 1]
            if number & mask == network
        ]

    def stops(self, hook: Hook, packet: Packet) -> bool:
        """Whether the scenario's firewall drops a packet at a hook."""
        return hook in self.dropping and packet.is_probe
