"""The packets of probes, as scapy reads them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.inet import ICMP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
)
from scapy.layers.l2 import ARP, Ether

from ipvlab.probe import frames
from ipvlab.probe.marks import MAGIC, MARK_SIZE, Marker, Role

MAC = bytes.fromhex("020000000a00")
MARKER = Marker(b"\x01\x02\x03\x04")


@pytest.mark.parametrize("number", [0, 1, 0x1234, 0xFFFF, 0x1_0000, 0xFFFFFFFF])
def test_echo_carries_the_mark_and_a_right_checksum(number: int) -> None:
    packet = frames.echo4(frames.ECHO_REQUEST, MARKER.write(number))
    seen = ICMP(packet)
    assert (seen.type, seen.code) == (8, 0)
    written = seen.chksum
    del seen.chksum
    assert ICMP(bytes(seen)).chksum == written
    assert frames.checksum(packet) == 0
    assert MARKER.read(packet, frames.MARK_OFFSETS[8], len(packet)) == (number, Role.PROBE)


def test_icmpv6_echo_carries_the_mark() -> None:
    packet = frames.echo6(frames.ECHO6_REQUEST, MARKER.write(5))
    seen = ICMPv6EchoRequest(packet)
    assert seen.type == 128
    assert MARKER.read(packet, frames.MARK_OFFSETS[128], len(packet)) == (5, Role.PROBE)


def test_an_arp_request_asks_for_the_target_and_hides_the_mark_in_the_padding() -> None:
    frame = frames.arp_request(MAC, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.9"), MARKER.write(6))
    seen = Ether(frame)
    assert len(frame) == 60
    assert (seen.dst, seen.src, seen.type) == ("ff:ff:ff:ff:ff:ff", "02:00:00:00:0a:00", 0x806)
    asked = seen[ARP]
    assert (asked.op, asked.hwsrc, asked.psrc, asked.pdst) == (1, "02:00:00:00:0a:00", "10.0.0.1", "10.0.0.9")
    assert MARKER.read(frame, frames.ARP_MARK_OFFSET, len(frame)) == (6, Role.PROBE)


def test_a_neighbour_solicitation_has_its_target_the_mark_as_nonce_and_the_source_mac() -> None:
    packet = frames.neighbour_solicitation(MAC, IPv6Address("fd00::9"), MARKER.write(7))
    seen = ICMPv6ND_NS(packet)
    assert (seen.type, seen.tgt) == (135, "fd00::9")
    nonce = seen.payload
    assert (nonce.type, nonce.len) == (14, 2)
    assert seen[ICMPv6NDOptSrcLLAddr].lladdr == "02:00:00:00:0a:00"
    assert MARKER.read(packet, frames.MARK_OFFSETS[135], len(packet)) == (7, Role.PROBE)


def test_a_router_advertisement_changes_nothing() -> None:
    packet = frames.router_advertisement(MAC, MARKER.write(8))
    seen = ICMPv6ND_RA(packet)
    assert (seen.type, seen.routerlifetime, seen.reachabletime, seen.retranstimer) == (134, 0, 0, 0)
    assert seen[ICMPv6NDOptUnknown].type == 14
    assert MARKER.read(packet, frames.MARK_OFFSETS[134], len(packet)) == (8, Role.PROBE)


def test_the_solicited_node_group_holds_the_last_24_bits() -> None:
    assert frames.solicited_node_group(IPv6Address("2001:db8::ab12:3456")) == IPv6Address("ff02::1:ff12:3456")


def test_a_mark_of_another_prober_is_not_read() -> None:
    mark = Marker(b"\x09\x02\x03\x04").write(1)
    assert len(mark) == MARK_SIZE == 14
    assert mark.startswith(MAGIC)
    assert MARKER.read(mark, 0, len(mark)) is None


def test_a_packet_too_short_for_a_mark_has_none() -> None:
    mark = MARKER.write(1)
    assert MARKER.read(bytearray(mark), 0, len(mark) - 1) is None


def test_a_nonce_has_four_bytes() -> None:
    with pytest.raises(ValueError, match="four"):
        Marker(b"abc")
