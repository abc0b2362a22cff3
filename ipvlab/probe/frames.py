"""The packets that probes send, as bytes around a mark.

Each is a dozen fixed bytes, so they are packed directly; the unit tests let
scapy dissect them and compare field by field.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

ETH_P_ARP = 0x0806
#: "Local experimental" (IEEE 802): no stack takes it, so it only wakes captures.
ETH_P_LOCAL = 0x88B5
BROADCAST_MAC = b"\xff" * 6

ECHO_REPLY, ECHO_REQUEST = 0, 8
ECHO6_REQUEST, ECHO6_REPLY = 128, 129
ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION = 134, 135

#: Where the mark is in an ICMP message of that type, from the start of the message.
MARK_OFFSETS = {
    ECHO_REPLY: 8,
    ECHO_REQUEST: 8,
    ECHO6_REQUEST: 8,
    ECHO6_REPLY: 8,
    ROUTER_ADVERTISEMENT: 18,
    NEIGHBOUR_SOLICITATION: 26,
}
#: Where the mark is in an ARP frame: behind the 28 bytes of ARP, in the padding.
ARP_MARK_OFFSET = 14 + 28

_NONCE_OPTION = b"\x0e\x02"
_SOURCE_LINK_LAYER = b"\x01\x01"
_ECHO = struct.Struct("!BBHHH")
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")


def checksum(packet: bytes) -> int:
    """The Internet checksum (RFC 1071) of a packet whose own checksum field is zero."""
    if len(packet) % 2:
        packet += b"\0"
    total: int = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return ~total & 0xFFFF


def echo4(kind: int, mark: bytes) -> bytes:
    """An ICMP echo message; a raw socket adds the IPv4 header, but not the ICMP checksum."""
    identifier, sequence = struct.unpack_from("!HH", mark, 6)
    bare = _ECHO.pack(kind, 0, 0, identifier, sequence) + mark
    return _ECHO.pack(kind, 0, checksum(bare), identifier, sequence) + mark


def echo6(kind: int, mark: bytes) -> bytes:
    """An ICMPv6 echo message; the kernel fills the checksum in (RFC 3542 section 3.1)."""
    identifier, sequence = struct.unpack_from("!HH", mark, 6)
    return _ECHO.pack(kind, 0, 0, identifier, sequence) + mark


def arp_request(mac: bytes, sender: IPv4Address, target: IPv4Address, mark: bytes) -> bytes:
    """A broadcast ARP request, padded to the Ethernet minimum with the mark in front."""
    frame = _ARP.pack(
        BROADCAST_MAC, mac, ETH_P_ARP, 1, 0x0800, 6, 4, 1, mac, sender.packed, bytes(6), target.packed
    )
    return (frame + mark).ljust(60, b"\0")


def arp_to_self(mark: bytes) -> bytes:
    """An ARP frame for ``lo``, whose MAC is all zeros: an announcement of 0.0.0.0, to nobody."""
    nobody = bytes(6)
    frame = _ARP.pack(nobody, nobody, ETH_P_ARP, 1, 0x0800, 6, 4, 2, nobody, bytes(4), nobody, bytes(4))
    return (frame + mark).ljust(60, b"\0")


def neighbour_solicitation(mac: bytes, target: IPv6Address, mark: bytes) -> bytes:
    """A neighbour solicitation (RFC 4861 section 4.3) with the mark in its nonce option."""
    header = struct.pack("!BBHI", NEIGHBOUR_SOLICITATION, 0, 0, 0) + target.packed
    return header + _NONCE_OPTION + mark + _SOURCE_LINK_LAYER + mac


def router_advertisement(mac: bytes, mark: bytes) -> bytes:
    """A router advertisement that changes nothing: lifetime 0, no prefix (RFC 4861 section 4.2)."""
    header = struct.pack("!BBHBBHII", ROUTER_ADVERTISEMENT, 0, 0, 0, 0, 0, 0, 0)
    return header + _NONCE_OPTION + mark + _SOURCE_LINK_LAYER + mac


def solicited_node_group(target: IPv6Address) -> IPv6Address:
    """The multicast group that a neighbour solicitation for ``target`` is sent to."""
    return IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + target.packed[13:])


def wake_up(mark: bytes) -> bytes:
    """A frame that only captures see: to the bridge group address that no bridge forwards."""
    # 01:80:c2:00:00:0e stays on its segment (IEEE 802.1D); the mark is where that of IPv4 probes is.
    frame = b"\x01\x80\xc2\x00\x00\x0e" + bytes(6) + struct.pack("!H", ETH_P_LOCAL)
    return (frame + bytes(28) + mark).ljust(80, b"\0")
