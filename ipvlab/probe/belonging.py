"""Which question a captured frame belongs to, and what it is for: read from the mark in its bytes."""

from __future__ import annotations

import struct
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from ipvlab.probe import frames
from ipvlab.probe.layers import MDNS_PORT, EarKind
from ipvlab.probe.marks import Marker, Role
from ipvlab.spec.values import Address

_ARP, _IP, _IPV6 = 0x0806, 0x0800, 0x86DD
_TAGS = (0x8100, 0x88A8)
_ARP_REQUEST, _ARP_LENGTH = b"\0\x01", 28
_ICMP, _UDP, _ICMPV6 = 1, 17, 58
_ANSWERS = (frames.ECHO_REPLY, frames.ECHO6_REPLY)
_LENGTH4, _LENGTH6 = 20, 40


class Part(StrEnum):
    """What a captured frame is for."""

    PROBE = "probe"
    ANSWER = "answer"
    FENCE = "fence"
    CANARY = "canary"
    #: It has a mark and is none of these: an error message that quotes a probe.
    OTHER = "other"


class Belonging(NamedTuple):
    """What the mark of a frame says."""

    #: The number of the question, for canaries and fences that of the batch.
    number: int
    part: Part
    #: The layer that the frame is for; None for what only captures see.
    layer: EarKind | None


_PARTS = {Role.PROBE: Part.PROBE, Role.REPLY: Part.ANSWER, Role.CANARY: Part.CANARY, Role.FENCE: Part.FENCE}


def read_belonging(frame: bytes, marker: Marker) -> Belonging | None:
    """The belonging of a whole Ethernet frame, tags included; None without a mark of this prober."""
    at = frame.find(marker.identity)
    if at < 0:
        return None
    found = marker.read(frame, at, len(frame))
    if found is None or found[1] not in _PARTS:
        return None
    part, layer = _PARTS[Role(found[1])], None
    body = _Body.of(frame)
    if body is not None:
        layer = body.layer
        if at < body.start or (body.kind_of_message is not None and at != body.start + body.mark_offset):
            part = Part.OTHER
        elif part is Part.PROBE and body.kind_of_message in _ANSWERS:
            part = Part.ANSWER
    return Belonging(found[0], part, layer)


def read_asked_address(frame: bytes) -> Address | None:
    """The address that an ARP request or a neighbour solicitation asks for; None for other frames."""
    body = _Body.of(frame)
    if body is None:
        return None
    message = frame[body.start :]
    if body.layer is EarKind.ARP and message[6:8] == _ARP_REQUEST and len(message) >= _ARP_LENGTH:
        return IPv4Address(message[24:28])
    if body.layer is EarKind.ICMP6 and body.kind_of_message == frames.NEIGHBOUR_SOLICITATION:
        target = message[8:24]
        return IPv6Address(target) if len(target) == 16 else None
    return None


class _Body(NamedTuple):
    """The innermost header of a frame that listeners are told apart by."""

    layer: EarKind
    start: int
    #: The type of an ICMP message; None for the others.
    kind_of_message: int | None = None

    @property
    def mark_offset(self) -> int:
        """Where a probe has its mark, from the start; elsewhere it is quoted."""
        return frames.MARK_OFFSETS.get(self.kind_of_message or 0, 0)

    @classmethod
    def of(cls, frame: bytes) -> _Body | None:
        """None for a frame that is neither ARP, ICMP nor UDP."""
        start = 14
        ethertype = int.from_bytes(frame[12:14], "big")
        while ethertype in _TAGS and len(frame) >= start + 4:
            ethertype = int.from_bytes(frame[start + 2 : start + 4], "big")
            start += 4
        if ethertype == _ARP:
            return cls(EarKind.ARP, start)
        if ethertype == _IP and len(frame) >= start + _LENGTH4:
            protocol, start, version = frame[start + 9], start + (frame[start] & 15) * 4, 4
        elif ethertype == _IPV6 and len(frame) >= start + _LENGTH6:
            protocol, start, version = frame[start + 6], start + _LENGTH6, 6
        else:
            return None
        if len(frame) < start + 8:
            return None
        if protocol == _UDP:
            (port,) = struct.unpack_from("!H", frame, start + 2)
            return cls(EarKind(f"{'mdns' if port == MDNS_PORT else 'udp'}{version}"), start)
        if protocol in (_ICMP, _ICMPV6):
            return cls(EarKind(f"icmp{version}"), start, frame[start])
        return None
