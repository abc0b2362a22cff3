"""What the simulated lab leaves out: rows of docs/deviations.md, as they are today."""

from __future__ import annotations

import dataclasses
import ipaddress

from ipvlab.rules.neighbours import take_arp
from ipvlab.rules.packets import Arp, ArpKind, Packet, PacketKind
from ipvlab.rules.stack import LinkState, Stack


def test_a_packet_of_the_rules_has_no_length_and_is_never_an_error() -> None:
    """A limit, no difference: no verdict depends on it."""
    fields = {field.name for field in dataclasses.fields(Packet)}
    assert fields == {"kind", "source", "destination", "ttl", "target", "mac", "mark", "is_sound"}
    assert [kind for kind in PacketKind if "unreachable" in kind or "exceeded" in kind] == []


def test_a_neighbours_mac_is_replaced_at_once_however_new_it_is() -> None:
    """DEV-15"""
    own, other = ipaddress.ip_interface("10.0.0.1/24"), ipaddress.ip_address("10.0.0.2")
    link = LinkState("eth0", bytes(5) + b"\1", (own,))
    stack = Stack("s", {"eth0": link})
    for mac in (b"\2\0\0\0\0\2", b"\2\0\0\0\0\3"):
        answer = take_arp(stack, link, Arp(ArpKind.REPLY, mac, other, own.ip))
        assert (answer.learnt, answer.mac) == (other, mac)
