"""Which way a packet leaves a machine: its own, or one that the host routes for an endpoint."""

from __future__ import annotations

import dataclasses
import ipaddress
from enum import StrEnum

from ipvlab.rules import catalogue_ipvlan, catalogue_linux
from ipvlab.rules.groups import ANY4, LIMITED_BROADCAST, group_mac
from ipvlab.rules.packets import BROADCAST_MAC
from ipvlab.rules.rule import Rule
from ipvlab.rules.stack import Route, Stack
from ipvlab.spec.values import Address


class WayKind(StrEnum):
    """What a look-up comes to."""

    UNICAST = "unicast"
    LOCAL = "local"
    BROADCAST = "broadcast"
    MULTICAST = "multicast"
    NONE = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """The result of a route look-up."""

    kind: WayKind
    rule: Rule
    link: str = ""
    next_hop: Address | None = None
    source: Address | None = None


def find_way(stack: Stack, destination: Address, *, source: Address | None = None, by: str = "") -> Way:
    """Look up the way of a packet of the machine's own; ``by`` is the link that it must leave by.

    ``source`` must be one of the machine's addresses; absent, the kernel chooses.
    """
    if source is not None and source not in stack.local:
        return Way(WayKind.NONE, catalogue_linux.NO_ADDRESS)
    find = _find_way4 if destination.version == 4 else _find_way6
    return find(stack, destination, source, by)


def find_way_for_endpoint(stack: Stack, destination: Address, parent: str) -> Way:
    """Look up the host's way for a packet of an endpoint in L3 or L3S (ipvlan_process_v4_outbound).

    For IPv4 the look-up is bound to the parent, and falls back to "it is on the
    parent's link"; for IPv6 the parent is only preferred, and nothing is made up.
    """
    if parent not in stack.links:
        return Way(WayKind.NONE, catalogue_linux.LINK_DOWN)
    if destination.version == 4:
        way = _find_way4(stack, destination, ANY4, parent)
        if way.kind in (WayKind.BROADCAST, WayKind.MULTICAST):
            return Way(WayKind.NONE, catalogue_ipvlan.L3_BROADCAST)
    else:
        way = _find_way6(stack, destination, ipaddress.IPv6Address(0), parent)
        if way.kind is WayKind.NONE and not stack.links[parent].has_ipv6:
            # IPv6 must be on where the packet leaves; no route leads by a link where it is off.
            return Way(WayKind.NONE, catalogue_linux.NO_IPV6)
    if way.kind is WayKind.LOCAL:
        return dataclasses.replace(way, rule=catalogue_ipvlan.L3_LOCAL)
    if way.kind is WayKind.NONE and destination.version == 6:
        return dataclasses.replace(way, rule=catalogue_ipvlan.L3_NO_ROUTE6)
    return way


def _find_way4(stack: Stack, destination: Address, source: Address | None, by: str) -> Way:
    if destination == LIMITED_BROADCAST or destination.is_multicast:
        is_limited = destination == LIMITED_BROADCAST
        link = by or next((route.dev for route in stack.matching(destination)), "")
        if not link:
            return Way(WayKind.NONE, catalogue_linux.NO_ROUTE)
        kind = WayKind.BROADCAST if is_limited else WayKind.MULTICAST
        rule = catalogue_linux.BROADCAST if is_limited else catalogue_linux.MULTICAST
        chosen = source or choose_source4(stack, link, destination)
        return Way(kind, rule, link, destination, chosen)
    holder = stack.local.get(destination)
    if holder is not None and by in ("", holder):
        return Way(WayKind.LOCAL, catalogue_linux.LOCAL, holder, destination, source or destination)
    broadcast = stack.broadcasts.get(destination)
    if broadcast is not None and by in ("", broadcast):
        chosen = source or choose_source4(stack, broadcast, destination)
        return Way(WayKind.BROADCAST, catalogue_linux.BROADCAST, broadcast, destination, chosen)
    for route in stack.matching(destination):
        if by in ("", route.dev):
            hop = route.via or destination
            chosen = source or route.source or choose_source4(stack, route.dev, hop)
            return Way(WayKind.UNICAST, catalogue_linux.ROUTED, route.dev, hop, chosen)
    if by:
        chosen = source or choose_source4(stack, by, destination)
        return Way(WayKind.UNICAST, catalogue_ipvlan.L3_ON_LINK, by, destination, chosen)
    return Way(WayKind.NONE, catalogue_linux.NO_ROUTE)


def _find_way6(stack: Stack, destination: Address, source: Address | None, by: str) -> Way:
    is_scoped = destination.is_link_local or destination.is_multicast
    if is_scoped:
        link = by or next(iter(stack.links), "")
        if link not in stack.links or not stack.links[link].has_ipv6:
            return Way(WayKind.NONE, catalogue_linux.NO_IPV6)
        chosen = source or choose_source6(stack, link, destination)
        if chosen is None:
            return Way(WayKind.NONE, catalogue_linux.NO_ADDRESS)
        if destination.is_multicast:
            return Way(WayKind.MULTICAST, catalogue_linux.MULTICAST, link, destination, chosen)
        kind = WayKind.LOCAL if stack.links[link].holds(destination) else WayKind.UNICAST
        return Way(kind, catalogue_linux.ROUTED, link, destination, chosen)
    holder = stack.local.get(destination)
    if holder is not None:
        return Way(WayKind.LOCAL, catalogue_linux.LOCAL, holder, destination, source or destination)
    found = _best6([route for route in stack.matching(destination) if stack.links[route.dev].has_ipv6], by)
    if found is None:
        return Way(WayKind.NONE, catalogue_linux.NO_ROUTE)
    chosen = source or choose_source6(stack, found.dev, destination)
    if chosen is None:
        return Way(WayKind.NONE, catalogue_linux.NO_ADDRESS)
    return Way(WayKind.UNICAST, catalogue_linux.ROUTED, found.dev, found.via or destination, chosen)


def _best6(matching: list[Route], preferred: str) -> Route | None:
    """Of the longest prefixes with the smallest metric, one by the preferred link (rt6_score_route)."""
    if not matching:
        return None
    first = matching[0]
    equals = [
        route
        for route in matching
        if route.to.prefixlen == first.to.prefixlen and route.metric == first.metric
    ]
    return next((route for route in equals if route.dev == preferred), first)


def choose_source4(stack: Stack, link: str, towards: Address) -> Address:
    """The kernel's source on a link: the first address in the destination's subnet, else the first.

    A link without addresses borrows another link's, be that up or down, and 0.0.0.0 is the last
    resort (net/ipv4/devinet.c: inet_select_addr).
    """
    own = [held for held in stack.links[link].addresses if held.version == 4]
    for held in own:
        if towards in held.network:
            return held.ip
    if own:
        return own[0].ip
    return next((held.ip for _, held in stack.addresses4 or ()), ANY4)


def choose_source6(stack: Stack, link: str, destination: Address) -> Address | None:
    """RFC 6724, as far as it decides here: scope, then the outgoing link, then the longest common prefix.

    Link-local destinations and groups take addresses of the link only
    (net/ipv6/addrconf.c: ipv6_dev_get_saddr).
    """
    is_narrow = destination.is_link_local or (destination.is_multicast and _scope(destination) <= 2)
    candidates = [
        (held, name)
        for name, state in stack.links.items()
        # Of equals the newest: it comes first in the kernel's list (ipv6_link_dev_addr).
        for held in reversed(state.addresses)
        if isinstance(held, ipaddress.IPv6Interface)
        and (name == link or not (is_narrow or destination.is_multicast))
        and (name == link or not held.ip.is_link_local)
    ]
    if not candidates:
        return None
    wanted = _scope(destination)

    def rank(candidate: tuple[ipaddress.IPv6Interface, str]) -> tuple[bool, int, bool, int]:
        held, name = candidate
        scope = _scope(held.ip)
        fits = scope >= wanted
        common = 128 - (int(held.ip) ^ int(destination)).bit_length()
        return fits, -scope if fits else scope, name == link, min(common, held.network.prefixlen)

    return max(candidates, key=rank)[0].ip


def _scope(address: Address) -> int:
    if address.is_multicast:
        return address.packed[1] & 15
    return 2 if address.is_link_local else 14


def known_mac(stack: Stack, way: Way) -> bytes | None:
    """The MAC that a packet goes to without asking, or None where the neighbour must be known.

    A link without ARP sends everything but multicast to its own MAC, broadcasts
    too (net/ipv4/arp.c: arp_constructor). A next hop that is a broadcast address of
    any of the machine's subnets is never asked for, by whatever link it lies.
    """
    link = stack.links[way.link]
    if way.kind is WayKind.MULTICAST and way.next_hop is not None:
        return group_mac(way.next_hop)
    if not link.has_arp:
        return link.mac
    is_broadcast = way.kind is WayKind.BROADCAST or way.next_hop in stack.broadcasts
    return BROADCAST_MAC if is_broadcast else None
