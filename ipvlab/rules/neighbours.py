"""Who answers when a MAC address is asked for: ARP and neighbour discovery."""

from __future__ import annotations

import dataclasses
import ipaddress

from ipvlab.rules import catalogue_linux as rules
from ipvlab.rules.groups import ALL_NODES, group_mac, solicited_node
from ipvlab.rules.packets import BROADCAST_MAC, Arp, ArpKind, Frame, Packet, PacketKind
from ipvlab.rules.routing import choose_source4
from ipvlab.rules.rule import Rule
from ipvlab.rules.stack import LinkState, Stack
from ipvlab.spec.values import Address

#: Neighbour discovery is believed only when no router can have forwarded it (RFC 4861).
ND_HOP_LIMIT = 255


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a stack does about a question or an answer."""

    rule: Rule
    #: What it sends back, or None.
    reply: Frame | None = None
    #: Whose MAC it has learnt, and whether it takes note even of one it never asked for.
    learnt: Address | None = None
    mac: bytes = b""
    is_creating: bool = False


def ask(stack: Stack, link: LinkState, next_hop: Address, source: Address | None) -> Frame | None:
    """The question for a next hop's MAC, or None where there is no address to ask from.

    ARP and solicitations name the packet's source where it is the asker's own,
    else an address of the link: so a host asks for its endpoints in L3 with its
    own address (net/ipv4/arp.c: arp_solicit; net/ipv6/ndisc.c: ndisc_solicit).
    """
    if isinstance(next_hop, ipaddress.IPv4Address):
        if source is None or source not in stack.local:
            source = choose_source4(stack, link.name, next_hop)
        return Frame(BROADCAST_MAC, link.mac, Arp(ArpKind.REQUEST, link.mac, source, next_hop))
    asker: Address | None = source if source is not None and link.holds(source) else link.link_local
    if asker is None:
        return None
    group = solicited_node(next_hop)
    packet = Packet(PacketKind.SOLICITATION, asker, group, ND_HOP_LIMIT, next_hop, link.mac)
    return Frame(group_mac(group), link.mac, packet)


def take_arp(stack: Stack, link: LinkState, arp: Arp) -> Answer:
    """What a stack does about an ARP packet that its link took (net/ipv4/arp.c: arp_process)."""
    if not link.has_arp:
        return Answer(rules.ARP_OFF)
    if arp.kind is ArpKind.REPLY:
        return Answer(rules.NEIGHBOUR_LEARNT, learnt=arp.sender, mac=arp.sender_mac)
    if arp.target not in stack.local:
        return Answer(rules.ARP_IGNORED, learnt=arp.sender, mac=arp.sender_mac)
    if arp.sender in stack.local:
        # The question claims to come from this machine, and fib_validate_source refuses it; an
        # entry for the sender is updated all the same, even by a question that came back.
        return Answer(rules.MARTIAN, learnt=arp.sender, mac=arp.sender_mac)
    reply = Frame(arp.sender_mac, link.mac, Arp(ArpKind.REPLY, link.mac, arp.target, arp.sender))
    is_probe = arp.sender.is_unspecified
    return Answer(
        rules.ARP_ANSWERED, reply, None if is_probe else arp.sender, arp.sender_mac, is_creating=not is_probe
    )


def take_solicitation(link: LinkState, packet: Packet) -> Answer:
    """What a stack does about a solicitation (net/ipv6/ndisc.c: ndisc_recv_ns).

    One without a source is duplicate address detection: the holder defends its
    address to all nodes.
    """
    target = packet.target
    if target is None or not link.holds(target):
        return Answer(rules.NS_IGNORED)
    if packet.source.is_unspecified:
        if not packet.destination.is_multicast:
            return Answer(rules.NS_IGNORED)
        reply = Packet(PacketKind.ADVERTISEMENT, target, ALL_NODES, ND_HOP_LIMIT, target, link.mac)
        return Answer(rules.NS_ANSWERED, Frame(group_mac(ALL_NODES), link.mac, reply))
    reply = Packet(PacketKind.ADVERTISEMENT, target, packet.source, ND_HOP_LIMIT, target, link.mac)
    to = packet.mac or link.mac
    return Answer(
        rules.NS_ANSWERED, Frame(to, link.mac, reply), packet.source, packet.mac or b"", is_creating=True
    )


def take_advertisement(link: LinkState, packet: Packet) -> Answer:
    """What a stack does about an advertisement; one for an address of its own is a conflict."""
    if packet.target is None or packet.mac is None:
        return Answer(rules.NS_IGNORED)
    if link.holds(packet.target):
        return Answer(rules.DAD_CONFLICT)
    return Answer(rules.NEIGHBOUR_LEARNT, learnt=packet.target, mac=packet.mac)


def take_router(packet: Packet) -> Answer:
    """What a stack does about a router advertisement: it takes note of the router's MAC.

    Also where it follows no advertisement (net/ipv6/ndisc.c: ndisc_router_discovery, skip_linkparms).
    """
    if packet.mac is None:
        return Answer(rules.NS_IGNORED)
    return Answer(rules.NEIGHBOUR_LEARNT, learnt=packet.source, mac=packet.mac, is_creating=True)


def detect_duplicate(link: LinkState, address: ipaddress.IPv6Address) -> Frame | None:
    """The solicitation that asks whether an address is taken, or None where the link does no DAD.

    Links without ARP do none, so addresses of endpoints in L3 are usable at once
    (net/ipv6/addrconf.c: addrconf_dad_begin).
    """
    if not link.has_arp:
        return None
    group = solicited_node(address)
    packet = Packet(PacketKind.SOLICITATION, ipaddress.IPv6Address(0), group, ND_HOP_LIMIT, address)
    return Frame(group_mac(group), link.mac, packet)
