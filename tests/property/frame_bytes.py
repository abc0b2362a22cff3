"""Frames as bytes: written, and read as ipvlan reads them, into the values that the rules speak of.

Reading follows drivers/net/ipvlan/ipvlan_core.c: ipvlan_get_L3_hdr and
ipvlan_addr_lookup: only what decides is looked at; checksums, options, fragments
and extension headers are not.
"""

from __future__ import annotations

import ipaddress
import struct

from ipvlab.rules.packets import Arp, ArpKind, Frame, OtherPayload, Packet, PacketKind, Payload
from ipvlab.spec.values import Address

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
UDP, FRAGMENT, ICMPV6 = 17, 44, 58
HOP_BY_HOP = 0
SOLICITATION = 135

ANY4, ANY6 = ipaddress.IPv4Address(0), ipaddress.IPv6Address(0)

#: Every other type of ICMPv6 message counts alike here, so one kind stands for all.
_ICMPV6 = {SOLICITATION: PacketKind.SOLICITATION}


def ethernet(to: bytes, sender: bytes, ethertype: int, body: bytes) -> bytes:
    """A frame; not padded, so that lengths are what they seem."""
    return to + sender + struct.pack("!H", ethertype) + body


def arp(operation: int, sender: Address, target: Address, sender_mac: bytes = b"\2\0\0\0\0\1") -> bytes:
    """An ARP packet."""
    head = struct.pack("!HHBBH", 1, IPV4, 6, 4, operation)
    return head + sender_mac + sender.packed + bytes(6) + target.packed


def ipv4(
    source: Address,
    destination: Address,
    body: bytes = bytes(8),
    *,
    version: int = 4,
    words: int = 5,
    excess: int = 0,
    options: bytes = b"",
    fragment: int = 0,
) -> bytes:
    """An IPv4 packet; ``excess`` makes its total length wrong, ``words`` is its header length field."""
    total = 20 + len(options) + len(body) + excess
    head = struct.pack("!BBHHHBBH", version << 4 | words, 0, total & 0xFFFF, 1, fragment, 64, UDP, 0)
    return head + source.packed + destination.packed + options + body


def ipv6(source: Address, destination: Address, next_header: int, body: bytes, *, version: int = 6) -> bytes:
    """An IPv6 packet."""
    head = struct.pack("!IHBB", version << 28, len(body), next_header, 255)
    return head + source.packed + destination.packed + body


def icmpv6(kind: int, target: Address | None = None, options: bytes = b"") -> bytes:
    """An ICMPv6 message, with the target of neighbour discovery where one is given."""
    return struct.pack("!BBHI", kind, 0, 0, 0) + (target.packed if target is not None else b"") + options


def read_frame(frame: bytes) -> Frame:
    """The value of a frame without a tag."""
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    return Frame(frame[:6], frame[6:12], _read_payload(ethertype, frame[14:]))


def _read_payload(ethertype: int, body: bytes) -> Payload:
    if ethertype == ARP:
        return _read_arp(body)
    if ethertype == IPV4:
        return _read_ipv4(body)
    if ethertype == IPV6:
        return _read_ipv6(body)
    return OtherPayload(ethertype)


def _read_arp(body: bytes) -> Payload:
    if len(body) < 28:
        # Too short to be asked for anybody: as good as an ethertype that ipvlan does not read.
        return OtherPayload(ARP)
    kind = ArpKind.REPLY if body[7] == 2 else ArpKind.REQUEST
    return Arp(kind, body[8:14], ipaddress.IPv4Address(body[14:18]), ipaddress.IPv4Address(body[24:28]))


def _read_ipv4(body: bytes) -> Packet:
    if len(body) < 20:
        return Packet(PacketKind.OTHER, ANY4, ANY4, is_sound=False)
    (total,) = struct.unpack_from("!H", body, 2)
    is_sound = body[0] >> 4 == 4 and body[0] & 15 >= 5 and (body[0] & 15) * 4 <= total <= len(body)
    source, destination = ipaddress.IPv4Address(body[12:16]), ipaddress.IPv4Address(body[16:20])
    return Packet(PacketKind.UDP, source, destination, body[8], is_sound=is_sound)


def _read_ipv6(body: bytes) -> Packet:
    if len(body) < 40 or body[0] >> 4 != 6:
        return Packet(PacketKind.OTHER, ANY6, ANY6, is_sound=False)
    source, destination = ipaddress.IPv6Address(body[8:24]), ipaddress.IPv6Address(body[24:40])
    if body[6] != ICMPV6:
        return Packet(PacketKind.UDP, source, destination, body[7])
    kind = _ICMPV6.get(body[40], PacketKind.ECHO) if len(body) > 40 else PacketKind.ECHO
    target = None
    if kind is PacketKind.SOLICITATION and len(body) >= 64:
        target = ipaddress.IPv6Address(body[48:64])
    return Packet(kind, source, destination, body[7], target)
