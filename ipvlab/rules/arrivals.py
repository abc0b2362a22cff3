"""What becomes of an IP packet that a stack is handed: taken in, forwarded, or dropped."""

from __future__ import annotations

import dataclasses

from ipvlab.rules import catalogue_linux as rules
from ipvlab.rules.groups import LIMITED_BROADCAST
from ipvlab.rules.packets import Packet, PacketType
from ipvlab.rules.rule import Rule
from ipvlab.rules.stack import Hook, LinkState, Stack


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """Whether a packet is for the machine's sockets or goes on; neither means that it died here."""

    rule: Rule
    is_taken: bool = False
    is_forwarded: bool = False
    #: The hook where the scenario's firewall dropped it.
    stopped_at: Hook | None = None


def admit(stack: Stack, link: LinkState, packet: Packet, type_: PacketType) -> Arrival | None:
    """The part before routing: MAC address, family, PREROUTING. None means that the packet goes on."""
    if type_ is PacketType.OTHERHOST:
        return Arrival(rules.OTHER_MAC)
    if packet.version == 6 and not link.has_ipv6:
        return Arrival(rules.NO_IPV6)
    if packet.source.is_multicast or (packet.version == 4 and packet.source == LIMITED_BROADCAST):
        return Arrival(rules.MARTIAN)
    if stack.stops(Hook.PREROUTING, packet):
        return Arrival(rules.FIREWALL, stopped_at=Hook.PREROUTING)
    return None


def route_in(stack: Stack, link: LinkState, packet: Packet, type_: PacketType) -> Arrival:
    """The part from routing on: local, broadcast, group or to be forwarded, and INPUT or FORWARD."""
    arrival = _classify4(stack, link, packet) if packet.version == 4 else _classify6(stack, link, packet)
    if arrival is None:
        return _forward(stack, packet, type_)
    if arrival.is_taken and stack.stops(Hook.INPUT, packet):
        return Arrival(rules.FIREWALL, stopped_at=Hook.INPUT)
    return arrival


def _classify4(stack: Stack, link: LinkState, packet: Packet) -> Arrival | None:
    """Local delivery of IPv4, or None for somebody else's packet (ip_route_input_slow)."""
    source, destination = packet.source, packet.destination
    is_own = source in stack.local
    if destination == LIMITED_BROADCAST:
        return Arrival(rules.MARTIAN) if is_own else Arrival(rules.BROADCAST, is_taken=True)
    if destination.is_multicast:
        if destination not in link.groups:
            return Arrival(rules.NOT_JOINED)
        is_routable = not destination.packed.startswith(b"\xe0\x00\x00")
        if is_own or (source.is_unspecified and is_routable):
            return Arrival(rules.MARTIAN)
        return Arrival(rules.MULTICAST, is_taken=True)
    if is_own or source.is_unspecified:
        return Arrival(rules.MARTIAN)
    if destination in stack.local:
        return Arrival(rules.LOCAL, is_taken=True)
    if destination in stack.broadcasts:
        return Arrival(rules.BROADCAST, is_taken=True)
    return None


def _classify6(stack: Stack, link: LinkState, packet: Packet) -> Arrival | None:
    """Local delivery of IPv6, or None for somebody else's packet (ip6_route_input, ip6_mc_input)."""
    destination = packet.destination
    if destination.is_multicast:
        if destination not in link.groups:
            return Arrival(rules.NOT_JOINED)
        return Arrival(rules.MULTICAST, is_taken=True)
    if destination.is_link_local:
        if link.holds(destination):
            return Arrival(rules.LOCAL, is_taken=True)
        return Arrival(rules.NOT_FORWARDABLE)
    if destination in stack.local:
        return Arrival(rules.LOCAL, is_taken=True)
    return None


def _forward(stack: Stack, packet: Packet, type_: PacketType) -> Arrival:
    if not stack.forwards:
        return Arrival(rules.NO_FORWARDING)
    is_scoped = packet.version == 6 and packet.source.is_link_local
    if type_ is not PacketType.HOST or is_scoped or packet.source.is_unspecified:
        return Arrival(rules.NOT_FORWARDABLE)
    if packet.ttl <= 1:
        return Arrival(rules.TTL_SPENT)
    if not stack.matching(packet.destination):
        return Arrival(rules.NO_ROUTE)
    if stack.stops(Hook.FORWARD, packet):
        return Arrival(rules.FIREWALL, stopped_at=Hook.FORWARD)
    return Arrival(rules.FORWARDED, is_forwarded=True)
