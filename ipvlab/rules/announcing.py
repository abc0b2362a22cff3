"""How an address is announced unasked: to whom, and in which frame."""

from __future__ import annotations

import ipaddress

from ipvlab.rules.groups import ALL_NODES, group_mac
from ipvlab.rules.neighbours import ND_HOP_LIMIT
from ipvlab.rules.packets import BROADCAST_MAC, Arp, ArpKind, Frame, Packet, PacketKind
from ipvlab.spec.values import Address


def announce_address(mac: bytes, address: Address) -> Frame:
    """The frame that announces an address at a MAC: a gratuitous ARP, or an unsolicited advertisement.

    Who hears it corrects what it knows of the address, and learns nothing new
    (arp_accept 0; net/ipv6/ndisc.c: ndisc_recv_na).
    """
    if isinstance(address, ipaddress.IPv4Address):
        return Frame(BROADCAST_MAC, mac, Arp(ArpKind.REQUEST, mac, address, address))
    packet = Packet(PacketKind.ADVERTISEMENT, address, ALL_NODES, ND_HOP_LIMIT, address, mac)
    return Frame(group_mac(ALL_NODES), mac, packet)
