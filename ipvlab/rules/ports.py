"""The ipvlan port of a parent, and what is decided about a frame there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ipvlab.rules.packets import BROADCAST_MAC, Arp, Frame, Packet, PacketKind, Payload
from ipvlab.rules.rule import Rule
from ipvlab.spec.values import Address, Flag, Mode


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """What a parent has once it carries endpoints; mode and flag are the port's, never an endpoint's.

    Endpoints are known by names of the caller's choice. Only those that are up
    are here: a down endpoint's address is nobody's (ipvlan_main.c: ipvlan_stop).
    """

    mode: Mode
    flag: Flag
    #: The parent's MAC, which all of its endpoints share.
    mac: bytes
    owners: Mapping[Address, str]
    #: Endpoint -> the group MACs that its filter holds, the broadcast MAC left out.
    filters: Mapping[str, frozenset[bytes]]

    def owner(self, payload: Payload) -> str | None:
        """The endpoint that owns the address that decides about a packet."""
        key = deciding_address(payload)
        return None if key is None else self.owners.get(key)

    def listeners(self, group: bytes, sender: str | None = None) -> tuple[str, ...]:
        """The endpoints that a group frame is copied to, the sender left out."""
        if group == BROADCAST_MAC:
            return tuple(name for name in self.filters if name != sender)
        return tuple(name for name, held in self.filters.items() if name != sender and group in held)


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a frame at a port, and the rule that says so; nothing set means dropped."""

    rule: Rule
    #: The endpoints that are handed the frame.
    endpoints: tuple[str, ...] = ()
    #: Whether the parent's own stack gets it, as if it had come from the wire.
    goes_to_parent: bool = False
    #: Whether it leaves by the parent.
    goes_out: bool = False
    #: Whether the host routes it as a packet of its own, bound to the parent.
    is_routed: bool = False

    @property
    def is_dropped(self) -> bool:
        """Whether nobody gets the frame."""
        return not (self.endpoints or self.goes_to_parent or self.goes_out or self.is_routed)


def deciding_address(payload: Payload) -> Address | None:
    """The address that a frame is handed out by; None where ipvlan reads none.

    The target of an ARP packet, the destination of an IP packet; for a
    solicitation without a source its target, and nothing for other ICMPv6
    without a source (ipvlan_core.c: ipvlan_get_L3_hdr, ipvlan_addr_lookup).
    """
    if isinstance(payload, Arp):
        return payload.target
    if not isinstance(payload, Packet) or not payload.is_sound:
        return None
    if _has_no_source(payload):
        return payload.target if payload.kind is PacketKind.SOLICITATION else None
    return payload.destination


def sending_address(payload: Payload) -> Address | None:
    """The address that tells whether a frame is of the port's own endpoints (ipvlan_external_frame)."""
    if isinstance(payload, Arp):
        return payload.sender
    if not isinstance(payload, Packet) or not payload.is_sound:
        return None
    if _has_no_source(payload):
        return payload.target if payload.kind is PacketKind.SOLICITATION else None
    return payload.source


def _has_no_source(packet: Packet) -> bool:
    is_icmp6 = packet.version == 6 and packet.kind not in (
        PacketKind.UDP,
        PacketKind.UDP_ANSWER,
        PacketKind.OTHER,
    )
    return is_icmp6 and packet.source.is_unspecified


def is_internal(port: Port, frame: Frame) -> bool:
    """Whether a frame from the wire was sent by one of the port's own endpoints and came back."""
    key = sending_address(frame.payload)
    return frame.sender == port.mac and key is not None and key in port.owners
