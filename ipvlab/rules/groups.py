"""Multicast groups: their MAC addresses, and who has joined them without being asked."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable

from ipvlab.spec.values import Address, Interface

LIMITED_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
ALL_SYSTEMS = ipaddress.IPv4Address("224.0.0.1")
ALL_NODES = ipaddress.IPv6Address("ff02::1")
ANY4, ANY6 = ipaddress.IPv4Address(0), ipaddress.IPv6Address(0)

_SOLICITED_NODE = int(ipaddress.IPv6Address("ff02::1:ff00:0"))


@functools.lru_cache(maxsize=65536)
def solicited_node(address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """The group that is asked for an address (RFC 4291, 2.7.1): its last three bytes decide."""
    return ipaddress.IPv6Address(_SOLICITED_NODE | (int(address) & 0xFFFFFF))


@functools.lru_cache(maxsize=65536)
def group_mac(group: Address) -> bytes:
    """The MAC of a group: 23 bits of an IPv4 group (RFC 1112), 32 of an IPv6 one (RFC 2464)."""
    if group.version == 4:
        return b"\x01\x00\x5e" + (int(group) & 0x7FFFFF).to_bytes(3, "big")
    return b"\x33\x33" + (int(group) & 0xFFFFFFFF).to_bytes(4, "big")


def standing_groups(addresses: Iterable[Interface], *, has_ipv6: bool) -> frozenset[Address]:
    """The groups that a link is in by itself: all systems, all nodes, and one for each IPv6 address.

    Source: net/ipv4/igmp.c: ip_mc_up; net/ipv6/addrconf.c: addrconf_join_solict.
    """
    groups: set[Address] = {ALL_SYSTEMS}
    if has_ipv6:
        groups.add(ALL_NODES)
        groups.update(
            solicited_node(held.ip) for held in addresses if isinstance(held, ipaddress.IPv6Interface)
        )
    return frozenset(groups)
