"""What travels in a lab, as small frozen values: frames and what they carry."""

from __future__ import annotations

import dataclasses
from enum import StrEnum

from ipvlab.spec.values import Address

BROADCAST_MAC = b"\xff" * 6
#: IEEE 802.3x flow control, the one ethertype that ipvlan never copies to a group.
ETHERTYPE_PAUSE = 0x8808


class ArpKind(StrEnum):
    """The two ARP operations."""

    REQUEST = "request"
    REPLY = "reply"


class PacketKind(StrEnum):
    """What an IP packet carries, as far as anybody on its way cares."""

    ECHO = "echo request"
    ECHO_REPLY = "echo reply"
    UDP = "UDP datagram"
    UDP_ANSWER = "UDP answer"
    SOLICITATION = "neighbour solicitation"
    ADVERTISEMENT = "neighbour advertisement"
    ROUTER_ADVERTISEMENT = "router advertisement"
    OTHER = "packet"


#: What a scenario's firewall drops: echo and UDP; neighbour discovery passes.
PROBE_KINDS = frozenset({PacketKind.ECHO, PacketKind.ECHO_REPLY, PacketKind.UDP, PacketKind.UDP_ANSWER})
ANSWER_KINDS = frozenset({PacketKind.ECHO_REPLY, PacketKind.UDP_ANSWER})


@dataclasses.dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet for IPv4 over Ethernet."""

    kind: ArpKind
    sender_mac: bytes
    sender: Address
    target: Address
    #: The number of the probe that this packet is, or None.
    mark: int | None = None

    def __str__(self) -> str:
        if self.kind is ArpKind.REQUEST:
            return f"ARP request for {self.target} from {self.sender}"
        return f"ARP reply to {self.target}: {self.sender} is at {self.sender_mac.hex(':')}"


@dataclasses.dataclass(frozen=True, slots=True)
class Packet:
    """An IPv4 or IPv6 packet."""

    kind: PacketKind
    source: Address
    destination: Address
    #: TTL or hop limit.
    ttl: int = 64
    #: For neighbour discovery: the address asked for or told.
    target: Address | None = None
    #: For neighbour discovery: the link-layer address option.
    mac: bytes | None = None
    mark: int | None = None
    #: False for a header that ipvlan refuses to read (bad length; ipvlan_get_L3_hdr).
    is_sound: bool = True

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.destination.version

    @property
    def is_probe(self) -> bool:
        """Whether a scenario's firewall drops it."""
        return self.kind in PROBE_KINDS

    def __str__(self) -> str:
        about = f" for {self.target}" if self.target is not None else ""
        return f"{self.kind}{about} {self.source} -> {self.destination}"


@dataclasses.dataclass(frozen=True, slots=True)
class OtherPayload:
    """A frame of another ethertype."""

    ethertype: int = 0x88B5

    def __str__(self) -> str:
        return f"frame of ethertype 0x{self.ethertype:04x}"


Payload = Arp | Packet | OtherPayload


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """An Ethernet frame; ``tags`` are VLAN ids, the outermost first."""

    to: bytes
    sender: bytes
    payload: Payload
    tags: tuple[int, ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether it is for everybody or for a group."""
        return bool(self.to[0] & 1)

    @property
    def vlan(self) -> int | None:
        """The outermost VLAN id; a priority tag (VID 0) counts as none."""
        return (self.tags[0] or None) if self.tags else None

    def push(self, vlan: int) -> Frame:
        """The frame with one more tag around it."""
        return Frame(self.to, self.sender, self.payload, (vlan, *self.tags))

    def pop(self) -> Frame:
        """The frame without its outermost tag."""
        return Frame(self.to, self.sender, self.payload, self.tags[1:])


class PacketType(StrEnum):
    """Whom a stack takes a frame to be for (the kernel's pkt_type)."""

    HOST = "for this machine"
    BROADCAST = "for everybody"
    MULTICAST = "for a group"
    OTHERHOST = "for somebody else"


def packet_type(frame: Frame, mac: bytes) -> PacketType:
    """Whom a link with that MAC takes a frame to be for (net/ethernet/eth.c: eth_type_trans)."""
    if frame.to == mac:
        return PacketType.HOST
    if frame.to == BROADCAST_MAC:
        return PacketType.BROADCAST
    return PacketType.MULTICAST if frame.is_group else PacketType.OTHERHOST
