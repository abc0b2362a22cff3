"""Frames of a simulated lab as the bytes that they would be on a live one."""

from __future__ import annotations

import itertools
import struct
from ipaddress import IPv4Address, IPv6Address

from ipvlab.probe import frames
from ipvlab.probe.layers import MDNS_PORT, PROBE_PORT
from ipvlab.probe.marks import MARK_SIZE, Marker, Role
from ipvlab.rules.packets import Arp, ArpKind, Frame, OtherPayload, Packet, PacketKind

_DOT1Q, _IP, _IPV6 = 0x8100, 0x0800, 0x86DD
_ICMP, _UDP, _ICMPV6, _NOTHING = 1, 17, 58, 59
_ADVERTISEMENT = 136
#: RFC 4861 section 4.4: solicited, override.
_SOLICITED = 0x60000000
_TARGET_LINK_LAYER = b"\x02\x01"
_SHORTEST = 60
_MDNS_GROUPS = (IPv4Address("224.0.0.251"), IPv6Address("ff02::fb"))
_ECHOES = {
    (PacketKind.ECHO, 4): frames.ECHO_REQUEST,
    (PacketKind.ECHO_REPLY, 4): frames.ECHO_REPLY,
    (PacketKind.ECHO, 6): frames.ECHO6_REQUEST,
    (PacketKind.ECHO_REPLY, 6): frames.ECHO6_REPLY,
}


class FrameBytes:
    """Writes frames out, with the marks of one prober; each frame has an IP identification of its own."""

    def __init__(self, marker: Marker) -> None:
        self._marker = marker
        self._identifications = itertools.cycle(range(1, 1 << 16))

    def write(self, frame: Frame) -> bytes:
        """The bytes of a frame, padded to the Ethernet minimum."""
        head = frame.to + frame.sender
        for tag in frame.tags:
            head += struct.pack("!HH", _DOT1Q, tag)
        return (head + self._body(frame.payload)).ljust(_SHORTEST + 4 * len(frame.tags), b"\0")

    def _body(self, payload: Arp | Packet | OtherPayload) -> bytes:
        if isinstance(payload, Arp):
            return struct.pack("!H", frames.ETH_P_ARP) + self._arp(payload)
        if isinstance(payload, Packet):
            return self._packet(payload)
        return struct.pack("!H", payload.ethertype)

    def _mark(self, number: int | None, role: Role = Role.PROBE) -> bytes:
        return bytes(MARK_SIZE) if number is None else self._marker.write(number, role)

    def _arp(self, arp: Arp) -> bytes:
        operation = 1 if arp.kind is ArpKind.REQUEST else 2
        head = struct.pack("!HHBBH", 1, _IP, 6, 4, operation)
        # The rules do not tell whose MAC a reply is for; the frame around it does.
        return head + arp.sender_mac + arp.sender.packed + bytes(6) + arp.target.packed + self._mark(arp.mark)

    def _packet(self, packet: Packet) -> bytes:
        protocol, message = self._message(packet)
        if packet.version == 4:
            head = self._ipv4_header(packet, protocol, len(message))
            return struct.pack("!H", _IP) + head + message
        head = struct.pack("!IHBB", 6 << 28, len(message), protocol, packet.ttl)
        return struct.pack("!H", _IPV6) + head + packet.source.packed + packet.destination.packed + message

    def _ipv4_header(self, packet: Packet, protocol: int, length: int) -> bytes:
        parts = (0x45, 0, 20 + length, next(self._identifications), 0x4000, packet.ttl, protocol)
        addresses = packet.source.packed + packet.destination.packed
        bare = struct.pack("!BBHHHBBH", *parts, 0) + addresses
        return struct.pack("!BBHHHBBH", *parts, frames.checksum(bare)) + addresses

    def _message(self, packet: Packet) -> tuple[int, bytes]:
        """Protocol number and message of a packet, checksum included."""
        role = Role.REPLY if packet.kind is PacketKind.UDP_ANSWER else Role.PROBE
        mark = self._mark(packet.mark, role)
        echo = _ECHOES.get((packet.kind, packet.version))
        if echo is not None and packet.version == 4:
            return _ICMP, frames.echo4(echo, mark)
        if echo is not None:
            return _ICMPV6, _summed(packet, _ICMPV6, frames.echo6(echo, mark), 2)
        if packet.kind in (PacketKind.UDP, PacketKind.UDP_ANSWER):
            port = MDNS_PORT if packet.destination in _MDNS_GROUPS else PROBE_PORT
            datagram = struct.pack("!HHHH", port, port, 8 + MARK_SIZE, 0) + mark
            return _UDP, _summed(packet, _UDP, datagram, 6)
        message = self._discovery(packet, mark)
        return (_ICMPV6, _summed(packet, _ICMPV6, message, 2)) if message else (_NOTHING, b"")

    @staticmethod
    def _discovery(packet: Packet, mark: bytes) -> bytes:
        """A message of neighbour discovery; empty for what is none."""
        mac = packet.mac or bytes(6)
        target = packet.target if isinstance(packet.target, IPv6Address) else IPv6Address(0)
        if packet.kind is PacketKind.SOLICITATION:
            return frames.neighbour_solicitation(mac, target, mark)
        if packet.kind is PacketKind.ROUTER_ADVERTISEMENT:
            return frames.router_advertisement(mac, mark)
        if packet.kind is PacketKind.ADVERTISEMENT:
            head = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _SOLICITED)
            return head + target.packed + _TARGET_LINK_LAYER + mac
        return b""


def _summed(packet: Packet, protocol: int, message: bytes, at: int) -> bytes:
    """A message with its checksum, over the pseudo header too, in the two bytes at ``at``."""
    addresses = packet.source.packed + packet.destination.packed
    if packet.version == 4:
        pseudo = addresses + struct.pack("!BBH", 0, protocol, len(message))
    else:
        pseudo = addresses + struct.pack("!II", len(message), protocol)
    total = frames.checksum(pseudo + message[:at] + bytes(2) + message[at + 2 :])
    if protocol == _UDP:
        # RFC 768: zero means that there is none.
        total = total or 0xFFFF
    return message[:at] + struct.pack("!H", total) + message[at + 2 :]
