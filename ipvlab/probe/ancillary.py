"""Ancillary items of packets: what goes beside the bytes, both ways."""

from __future__ import annotations

import socket
import struct

from ipvlab.lab.nodes import CONTROL_MARK
from ipvlab.spec.values import Address

IP_TTL, IP_PKTINFO, IP_RECVTTL = 2, 8, 12
#: Room for what the ears and taps ask the kernel to pass beside a packet.
ANCILLARY_SIZE = 128

_INT = struct.Struct("=i")
_PKTINFO4 = struct.Struct("=I4s4s")
_PKTINFO6 = struct.Struct("=16sI")

Ancillary = list[tuple[int, int, bytes]]

#: Beside a control packet: lets it pass the firewall of its own node.
CONTROL: Ancillary = [(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("=I", CONTROL_MARK))]


def hop_limit(ancillary: Ancillary) -> int | None:
    """The TTL or hop limit of a received packet, where the kernel passed it."""
    for level, kind, value in ancillary:
        if (level, kind) in ((socket.IPPROTO_IP, IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
            return int(_INT.unpack_from(value)[0])
    return None


def own_side(ancillary: Ancillary) -> Ancillary:
    """The item that makes an answer leave from the address that was asked."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _index, _local, asked = _PKTINFO4.unpack(value)
            return [(level, kind, _PKTINFO4.pack(0, asked, bytes(4)))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            asked, index = _PKTINFO6.unpack(value)
            # Only a link-local address needs its interface named.
            return [(level, kind, _PKTINFO6.pack(asked, index if asked[:2] == b"\xfe\x80" else 0))]
    return []


def leave_by(version: int, index: int, source: Address | None = None) -> Ancillary:
    """The item that fixes the interface (0: any) and the source address of a packet to send."""
    if version == 4:
        address = source.packed if source is not None else bytes(4)
        return [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO4.pack(index, address, bytes(4)))]
    address = source.packed if source is not None else bytes(16)
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, _PKTINFO6.pack(address, index))]


def with_ttl(version: int, ttl: int) -> Ancillary:
    """The item that fixes the TTL or hop limit of a packet to send."""
    if version == 4:
        return [(socket.IPPROTO_IP, IP_TTL, _INT.pack(ttl))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, _INT.pack(ttl))]
