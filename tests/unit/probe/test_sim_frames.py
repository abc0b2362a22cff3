"""Simulated frames as bytes: scapy reads back what the rules meant, checksums included."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether

from ipvlab.probe.belonging import Part, read_belonging
from ipvlab.probe.marks import Marker
from ipvlab.probe.sim_frames import FrameBytes
from ipvlab.rules.packets import Arp, ArpKind, Frame, OtherPayload, Packet, PacketKind

MARKER = Marker(b"sim0")
TO, SENDER, OWN = bytes.fromhex("020000000002"), bytes.fromhex("020000000001"), b"\x02\0\0\0\0\x09"
FOUR = (ip_address("10.0.0.1"), ip_address("10.0.0.2"))
SIX = (ip_address("2001:db8::1"), ip_address("2001:db8::2"))
TARGET = ip_address("2001:db8::7")


def write(payload: Arp | Packet | OtherPayload, *tags: int) -> bytes:
    """The bytes of a frame with that payload."""
    return FrameBytes(MARKER).write(Frame(TO, SENDER, payload, tags))


def rebuilt(frame: bytes) -> bytes:
    """A frame whose lengths and checksums scapy has worked out anew."""
    packet = Ether(frame)
    layer: Any = packet
    while layer:
        for field in ("chksum", "cksum", "len", "plen"):
            if hasattr(layer, "fields") and field in layer.fields:
                del layer.fields[field]
        layer = layer.payload
    return bytes(packet)


@pytest.mark.parametrize(
    ("packet", "layer", "part"),
    [
        (Packet(PacketKind.ECHO, *FOUR, 63, mark=1), ICMP, Part.PROBE),
        (Packet(PacketKind.ECHO_REPLY, *FOUR, mark=1), ICMP, Part.ANSWER),
        (Packet(PacketKind.UDP, *FOUR, mark=1), UDP, Part.PROBE),
        (Packet(PacketKind.UDP_ANSWER, *FOUR, mark=1), UDP, Part.ANSWER),
        (Packet(PacketKind.ECHO, *SIX, 63, mark=1), ICMPv6EchoRequest, Part.PROBE),
        (Packet(PacketKind.ECHO_REPLY, *SIX, mark=1), ICMPv6EchoReply, Part.ANSWER),
        (Packet(PacketKind.UDP, *SIX, mark=1), UDP, Part.PROBE),
        (Packet(PacketKind.UDP_ANSWER, *SIX, mark=1), UDP, Part.ANSWER),
        (Packet(PacketKind.SOLICITATION, *SIX, 255, TARGET, OWN, 1), ICMPv6ND_NS, Part.PROBE),
        (Packet(PacketKind.ROUTER_ADVERTISEMENT, *SIX, 255, mac=OWN, mark=1), ICMPv6ND_RA, Part.PROBE),
        (Packet(PacketKind.ADVERTISEMENT, *SIX, 255, TARGET, OWN), ICMPv6ND_NA, None),
    ],
    ids=lambda value: str(value) if isinstance(value, Packet) else None,
)
@pytest.mark.parametrize("tags", [(), (20,), (20, 30)])
def test_a_packet_is_read_back_with_its_tags_and_right_checksums(
    packet: Packet, layer: Any, part: Part | None, tags: tuple[int, ...]
) -> None:
    frame = write(packet, *tags)
    read = Ether(frame)
    assert (read.dst, read.src) == (TO.hex(":"), SENDER.hex(":"))
    assert tuple(tag.vlan for tag in read.iterpayloads() if isinstance(tag, Dot1Q)) == tags
    header = read[IP] if packet.version == 4 else read[IPv6]
    assert (header.src, header.dst) == (str(packet.source), str(packet.destination))
    assert (header.ttl if packet.version == 4 else header.hlim) == packet.ttl
    assert layer in read
    if packet.target is not None:
        assert read[layer].tgt == str(packet.target)
    assert frame == rebuilt(frame)
    belonging = read_belonging(frame, MARKER)
    assert (belonging.part if belonging is not None else None) == part


@pytest.mark.parametrize(("kind", "operation"), [(ArpKind.REQUEST, 1), (ArpKind.REPLY, 2)])
def test_arp_is_read_back_and_has_its_mark_in_the_padding(kind: ArpKind, operation: int) -> None:
    frame = write(Arp(kind, OWN, *FOUR, 7))
    arp = Ether(frame)[ARP]
    assert (arp.op, arp.hwsrc, arp.psrc, arp.pdst) == (operation, OWN.hex(":"), "10.0.0.1", "10.0.0.2")
    assert len(frame) == 60
    belonging = read_belonging(frame, MARKER)
    assert belonging is not None
    assert belonging.number == 7


def test_another_ethertype_keeps_its_number() -> None:
    assert Ether(write(OtherPayload(0x8808))).type == 0x8808


def test_every_packet_has_an_identification_of_its_own() -> None:
    writer = FrameBytes(MARKER)
    frame = Frame(TO, SENDER, Packet(PacketKind.ECHO, *FOUR, mark=1))
    assert Ether(writer.write(frame))[IP].id != Ether(writer.write(frame))[IP].id
