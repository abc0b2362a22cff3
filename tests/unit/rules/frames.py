"""The frames and ports that the tables of the kernel's behaviour speak of.

One host: parent P (MAC ``PORT``), endpoints A and B on it; X is a machine on the wire.
"""

from __future__ import annotations

import ipaddress

from ipvlab.rules.groups import ALL_NODES, group_mac, solicited_node
from ipvlab.rules.packets import (
    BROADCAST_MAC,
    Arp,
    ArpKind,
    Frame,
    OtherPayload,
    Packet,
    PacketKind,
)
from ipvlab.rules.ports import Port
from ipvlab.spec.values import Address, Flag, Mode

PORT, WIRE, OTHER = (
    bytes.fromhex("0200000000fe"),
    bytes.fromhex("020000000001"),
    bytes.fromhex("020000000077"),
)

P4, X4, A4, B4 = (ipaddress.ip_address(f"10.0.0.{n}") for n in (254, 1, 11, 12))
NOBODY4 = ipaddress.ip_address("10.0.0.99")
P6, X6, A6, B6 = (ipaddress.ip_address(f"fd00::{n}") for n in ("fe", "1", "11", "12"))
NOBODY6 = ipaddress.ip_address("fd00::99")
A_LL, B_LL = ipaddress.ip_address("fe80::200:0:100:fe"), ipaddress.ip_address("fe80::200:0:200:fe")
ANY4, ANY6 = ipaddress.ip_address("0.0.0.0"), ipaddress.IPv6Address("::")
LIMITED, DIRECTED = ipaddress.ip_address("255.255.255.255"), ipaddress.ip_address("10.0.0.255")
GROUP4, GROUP6 = ipaddress.ip_address("239.1.1.1"), ipaddress.ip_address("ff15::4242")
A, B, C = "a/eth0", "b/eth0", "c/eth0"


def port(mode: Mode, flag: Flag = Flag.BRIDGE, *, b_is_up: bool = True) -> Port:
    """The port of P with A and B; both are in every standing group and in GROUP4 and GROUP6."""
    standing = {group_mac(group) for group in (ipaddress.ip_address("224.0.0.1"), ALL_NODES, GROUP4, GROUP6)}
    owners: dict[Address, str] = {A4: A, A6: A, A_LL: A}
    filters = {A: frozenset(standing | {group_mac(solicited_node(ipaddress.IPv6Address(int(A6))))})}
    if b_is_up:
        owners |= {B4: B, B6: B, B_LL: B}
        filters[B] = frozenset(standing | {group_mac(solicited_node(ipaddress.IPv6Address(int(B6))))})
    return Port(mode, flag, PORT, owners, filters)


def ip(
    source: Address,
    destination: Address,
    to: bytes = PORT,
    sender: bytes = PORT,
    *,
    is_sound: bool = True,
    tags: tuple[int, ...] = (),
) -> Frame:
    """A UDP datagram in a frame."""
    return Frame(to, sender, Packet(PacketKind.UDP, source, destination, is_sound=is_sound), tags)


def arp(
    target: Address,
    source: Address = A4,
    *,
    to: bytes = BROADCAST_MAC,
    sender: bytes = PORT,
    kind: ArpKind = ArpKind.REQUEST,
    tags: tuple[int, ...] = (),
) -> Frame:
    """An ARP packet in a frame."""
    return Frame(to, sender, Arp(kind, sender, source, target), tags)


def solicitation(
    target: Address, source: Address = A6, *, sender: bytes = PORT, is_unicast: bool = False
) -> Frame:
    """A neighbour solicitation to its group, or to the target itself."""
    group = solicited_node(ipaddress.IPv6Address(int(target)))
    destination: Address = target if is_unicast else group
    to = PORT if is_unicast else group_mac(group)
    return Frame(to, sender, Packet(PacketKind.SOLICITATION, source, destination, 255, target, sender))


def advertisement(target: Address, destination: Address, to: bytes, sender: bytes = PORT) -> Frame:
    """A neighbour advertisement."""
    return Frame(to, sender, Packet(PacketKind.ADVERTISEMENT, target, destination, 255, target, sender))


def other(to: bytes, sender: bytes = PORT, ethertype: int = 0x88B5) -> Frame:
    """A frame of another ethertype."""
    return Frame(to, sender, OtherPayload(ethertype))


def group(destination: Address, source: Address = A4, sender: bytes = PORT) -> Frame:
    """A datagram to a group, or to everybody."""
    to = group_mac(destination) if destination.is_multicast else BROADCAST_MAC
    return ip(source, destination, to, sender)
