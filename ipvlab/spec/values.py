"""The values that scenarios are made of: names, addresses, modes, flags."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from typing import Literal

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


class Mode(StrEnum):
    """How an ipvlan port moves packets; a property of the parent (ipvlan.h: enum ipvlan_mode)."""

    L2 = "l2"
    L3 = "l3"
    L3S = "l3s"


class Flag(StrEnum):
    """What an ipvlan port does between its endpoints; a property of the parent."""

    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"


class Dialect(StrEnum):
    """Whose rules the driver follows where documents and engines disagree."""

    DOCS = "docs"
    DOCKER_26 = "docker-26"
    DOCKER_28 = "docker-28"
    DOCKER_29 = "docker-29"


class Family(StrEnum):
    """An address family, by the name that scenario files use."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @classmethod
    def of(cls, address: Address | Interface | Subnet) -> Family:
        """The family of an address, an interface address or a subnet."""
        return cls.IPV4 if address.version == 4 else cls.IPV6


class BroadcastKind(StrEnum):
    """What is sent to everybody, and with it which protocol layer counts as a hearer."""

    LIMITED = "limited"
    DIRECTED = "directed"
    ARP = "arp"
    MULTICAST = "multicast"
    MDNS = "mdns"
    ND = "nd"
    RA = "ra"


NodeKind = Literal["host", "router", "container"]
