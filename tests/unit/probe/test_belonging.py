"""What a captured frame is for is read from its mark, wherever tags and headers put it."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    IPv6,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

from ipvlab.probe import frames
from ipvlab.probe.belonging import Belonging, Part, read_asked_address, read_belonging
from ipvlab.probe.layers import MDNS_PORT, PROBE_PORT, EarKind
from ipvlab.probe.marks import Marker, Role

MARKER = Marker(b"test")
OTHER = Marker(b"else")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FOUR = IP(src="10.0.0.1", dst="10.0.0.2")
SIX = IPv6(src="2001:db8::1", dst="2001:db8::2")


def read(packet: Packet, marker: Marker = MARKER) -> Belonging | None:
    """The belonging of a packet that scapy writes."""
    return read_belonging(bytes(packet), marker)


def mark(number: int, role: Role = Role.PROBE) -> Raw:
    """A mark as payload."""
    return Raw(MARKER.write(number, role))


def datagram(port: int) -> UDP:
    """A UDP header."""
    return UDP(sport=port, dport=port)


@pytest.mark.parametrize("tags", [None, Dot1Q(vlan=20), Dot1AD(vlan=7) / Dot1Q(vlan=20)])
@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (FOUR / ICMP(type=8) / mark(5), Belonging(5, Part.PROBE, EarKind.ICMP4)),
        (FOUR / ICMP(type=0) / mark(5), Belonging(5, Part.ANSWER, EarKind.ICMP4)),
        (FOUR / ICMP(type=0) / mark(9, Role.CANARY), Belonging(9, Part.CANARY, EarKind.ICMP4)),
        (SIX / ICMPv6EchoRequest(data=mark(6).load), Belonging(6, Part.PROBE, EarKind.ICMP6)),
        (SIX / ICMPv6EchoReply(data=mark(6).load), Belonging(6, Part.ANSWER, EarKind.ICMP6)),
        (FOUR / datagram(PROBE_PORT) / mark(7), Belonging(7, Part.PROBE, EarKind.UDP4)),
        (SIX / datagram(PROBE_PORT) / mark(7, Role.REPLY), Belonging(7, Part.ANSWER, EarKind.UDP6)),
        (SIX / datagram(MDNS_PORT) / mark(8), Belonging(8, Part.PROBE, EarKind.MDNS6)),
        (FOUR / datagram(PROBE_PORT) / mark(9, Role.FENCE), Belonging(9, Part.FENCE, EarKind.UDP4)),
    ],
)
def test_a_mark_is_found_behind_any_tags(tags: Packet | None, packet: Packet, expected: Belonging) -> None:
    assert read(ETHER / packet if tags is None else ETHER / tags / packet) == expected


def test_an_arp_request_has_its_mark_in_the_padding() -> None:
    frame = frames.arp_request(bytes(6), IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2"), MARKER.write(3))
    assert read_belonging(frame, MARKER) == Belonging(3, Part.PROBE, EarKind.ARP)


@pytest.mark.parametrize(
    "message",
    [
        frames.neighbour_solicitation(bytes(6), ipaddress.IPv6Address("2001:db8::2"), MARKER.write(4)),
        frames.router_advertisement(bytes(6), MARKER.write(4)),
    ],
)
def test_neighbour_discovery_has_its_mark_in_an_option(message: bytes) -> None:
    frame = bytes(ETHER / IPv6(src="2001:db8::1", dst="ff02::1", nh=58)) + message
    assert read_belonging(frame, MARKER) == Belonging(4, Part.PROBE, EarKind.ICMP6)


def test_an_error_message_that_quotes_a_probe_is_about_it_and_no_probe() -> None:
    quoted = bytes(FOUR / ICMP(type=8) / mark(5))
    assert read(ETHER / FOUR / ICMP(type=3, code=1) / Raw(quoted)) == Belonging(5, Part.OTHER, EarKind.ICMP4)
    quoted = bytes(SIX / datagram(PROBE_PORT) / mark(5))
    assert read(ETHER / SIX / ICMPv6DestUnreach() / Raw(quoted)) == Belonging(5, Part.OTHER, EarKind.ICMP6)


def test_what_only_captures_see_has_no_layer() -> None:
    assert read_belonging(frames.wake_up(MARKER.write(2, Role.FENCE)), MARKER) == Belonging(
        2, Part.FENCE, None
    )


@pytest.mark.parametrize(
    "packet",
    [
        ETHER / FOUR / ICMP(type=8),
        ETHER / FOUR / ICMP(type=8) / Raw(OTHER.write(5)),
        ETHER / FOUR / ICMP(type=8) / Raw(MARKER.write(5)[:10]),
        ETHER,
    ],
)
def test_frames_without_a_whole_mark_of_this_prober_belong_to_nothing(packet: Packet) -> None:
    assert read(packet) is None


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (ETHER / ARP(op=1, pdst="10.0.0.7"), IPv4Address("10.0.0.7")),
        (ETHER / Dot1Q(vlan=20) / ARP(op=1, pdst="10.0.0.7"), IPv4Address("10.0.0.7")),
        (ETHER / ARP(op=2, pdst="10.0.0.7"), None),
        (ETHER / SIX / ICMPv6ND_NS(tgt="2001:db8::7"), IPv6Address("2001:db8::7")),
        (ETHER / SIX / ICMPv6ND_NA(tgt="2001:db8::7"), None),
        (ETHER / FOUR / ICMP(type=8), None),
        (ETHER, None),
    ],
)
def test_the_address_that_a_neighbour_is_asked_for_is_read(
    packet: Packet, expected: IPv4Address | IPv6Address | None
) -> None:
    assert read_asked_address(bytes(packet)) == expected
