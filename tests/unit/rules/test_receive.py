"""What a frame from the wire comes to at a parent, row by row of the kernel's receive table."""

from __future__ import annotations

import ipaddress

import pytest

from ipvlab.rules.packets import BROADCAST_MAC, ETHERTYPE_PAUSE, ArpKind, Frame, Packet, PacketKind
from ipvlab.rules.ports import Decision
from ipvlab.rules.receive import divert, receive
from ipvlab.rules.vlans import take_tagged
from ipvlab.spec.values import Flag, Mode
from tests.unit.rules.frames import (
    A4,
    A6,
    A_LL,
    ANY4,
    ANY6,
    B4,
    DIRECTED,
    GROUP4,
    GROUP6,
    LIMITED,
    NOBODY4,
    OTHER,
    P4,
    PORT,
    WIRE,
    X4,
    X6,
    A,
    B,
    arp,
    group,
    ip,
    other,
    port,
    solicitation,
)

LLDP = bytes.fromhex("0180c200000e")
UNJOINED = ipaddress.ip_address("239.9.9.9")


def outcome(decision: Decision) -> str:
    """Who gets the frame: endpoints by letter, then P."""
    assert not decision.goes_out
    assert not decision.is_routed
    letters = sorted({A: "A", B: "B"}[name] for name in decision.endpoints)
    return "".join([*letters, *(["P"] if decision.goes_to_parent else [])])


#: Fact, frame, and who gets it in L2, L3 and L3S.
ROWS = [
    ("K-L2R-001 slave's address", ip(X4, A4, PORT, WIRE), ("A", "A", "P")),
    ("K-L2R-001 slave's address, ipv6", ip(X6, A6, PORT, WIRE), ("A", "A", "P")),
    ("K-L2R-001 parent's address", ip(X4, P4, PORT, WIRE), ("P", "P", "P")),
    ("K-L2R-001 nobody's address", ip(X4, NOBODY4, PORT, WIRE), ("P", "P", "P")),
    ("K-L2R-003 foreign MAC", ip(X4, A4, OTHER, WIRE), ("A", "A", "P")),
    ("K-L2R-006/K-L3-015 slave's address, broadcast MAC", ip(X4, A4, BROADCAST_MAC, WIRE), ("ABP", "A", "P")),
    ("K-L2R-004/K-L3-014/K-L3S-010 limited", group(LIMITED, X4, WIRE), ("ABP", "P", "P")),
    ("K-L2R-004 directed", group(DIRECTED, X4, WIRE), ("ABP", "P", "P")),
    ("K-L2R-005 joined group", group(GROUP4, X4, WIRE), ("ABP", "P", "P")),
    ("K-L2R-005 joined group, ipv6", group(GROUP6, X6, WIRE), ("ABP", "P", "P")),
    ("K-L2R-005 group that nobody joined", group(UNJOINED, X4, WIRE), ("P", "P", "P")),
    ("K-L2R-007/K-L3-013/K-L3S-008 ARP for A", arp(A4, X4, sender=WIRE), ("ABP", "A", "P")),
    ("K-L2R-007 ARP for P", arp(P4, X4, sender=WIRE), ("ABP", "P", "P")),
    ("ARP for nobody", arp(NOBODY4, X4, sender=WIRE), ("ABP", "P", "P")),
    ("K-L2R-008 unicast ARP request", arp(A4, X4, to=PORT, sender=WIRE), ("A", "A", "P")),
    ("K-L2R-008 unicast ARP reply", arp(A4, X4, to=PORT, sender=WIRE, kind=ArpKind.REPLY), ("A", "A", "P")),
    ("unicast ARP, not a slave's", arp(P4, X4, to=PORT, sender=WIRE), ("P", "P", "P")),
    ("K-L2R-009 ARP probe", arp(A4, ANY4, sender=WIRE), ("ABP", "A", "P")),
    ("K-L2R-010/K-L3-016 NS to A's group", solicitation(A6, X6, sender=WIRE), ("AP", "P", "P")),
    ("K-L3-016 unicast NS", solicitation(A6, X6, sender=WIRE, is_unicast=True), ("A", "A", "P")),
    ("K-L2R-010/K-L3-017 DAD NS for A's address", solicitation(A6, ANY6, sender=WIRE), ("AP", "A", "P")),
    ("link-local unicast", ip(X6, A_LL, PORT, WIRE), ("A", "A", "P")),
    ("K-L2R-018 other ethertype, unicast", other(PORT, WIRE), ("P", "P", "P")),
    ("K-L2R-018 other ethertype, broadcast", other(BROADCAST_MAC, WIRE), ("ABP", "P", "P")),
    ("K-L2R-018 LLDP", other(LLDP, WIRE, 0x88CC), ("P", "P", "P")),
    ("PAUSE to a group", other(BROADCAST_MAC, WIRE, ETHERTYPE_PAUSE), ("P", "P", "P")),
    ("K-L2R-013 bad header", ip(X4, A4, PORT, WIRE, is_sound=False), ("P", "P", "P")),
    ("K-L2R-014 reflected broadcast of A", group(LIMITED, A4, PORT), ("P", "P", "P")),
    ("K-L2R-014 reflected ARP of A for P", arp(P4, A4), ("P", "P", "P")),
    ("K-L2R-014 reflected ARP of A for B", arp(B4, A4), ("P", "B", "P")),
    ("K-L2R-015 reflected, sender P", group(LIMITED, P4, PORT), ("ABP", "P", "P")),
    ("K-L2R-015 reflected, sender 0.0.0.0", group(LIMITED, ANY4, PORT), ("ABP", "P", "P")),
    ("K-L2R-015 reflected, other ethertype", other(BROADCAST_MAC, PORT), ("ABP", "P", "P")),
    ("K-L2R-016 reflected DAD of A", solicitation(A6, ANY6), ("P", "A", "P")),
    ("K-L2R-017 reflected unicast", ip(A4, B4, PORT, PORT), ("B", "B", "P")),
]


@pytest.mark.parametrize("flag", list(Flag))
@pytest.mark.parametrize(
    ("frame", "mode", "expected"),
    [
        pytest.param(frame, mode, expected, id=f"{fact} [{mode}]")
        for fact, frame, outcomes in ROWS
        for mode, expected in zip((Mode.L2, Mode.L3, Mode.L3S), outcomes, strict=True)
    ],
)
def test_a_parent_hands_out_as_the_kernel_does_whatever_its_flag(
    frame: Frame, mode: Mode, expected: str, flag: Flag
) -> None:
    assert outcome(receive(port(mode, flag), frame)) == expected


def test_a_down_endpoint_gets_nothing_from_the_wire() -> None:
    # K-ADR-009: its address is the parent's stack's matter.
    assert outcome(receive(port(Mode.L2, b_is_up=False), ip(X4, B4, PORT, WIRE))) == "P"
    assert outcome(receive(port(Mode.L2, b_is_up=False), group(LIMITED, X4, WIRE))) == "AP"


def test_l3s_diverts_after_prerouting_and_only_what_an_endpoint_owns() -> None:
    packet, stranger = (Packet(PacketKind.UDP, X4, to) for to in (A4, P4))
    assert divert(port(Mode.L3S), packet) == A
    assert divert(port(Mode.L3S), stranger) is None
    assert divert(port(Mode.L3), packet) is None


def test_a_sub_interface_takes_its_tag_before_ipvlan_sees_the_frame() -> None:
    # K-VLAN-004
    taker = take_tagged(ip(X4, A4, PORT, WIRE, tags=(7,)), {7: "p.7"})
    assert taker.sub_interface == "p.7"
    assert taker.frame.tags == ()
    assert not taker.is_stray


def test_a_tag_without_sub_interface_leads_to_no_socket() -> None:
    # K-VLAN-001, K-VLAN-002
    taker = take_tagged(ip(X4, A4, PORT, WIRE, tags=(5,)), {7: "p.7"})
    assert taker.sub_interface is None
    assert taker.is_stray


def test_a_priority_tag_is_no_tag() -> None:
    # K-VLAN-003
    taker = take_tagged(ip(X4, A4, PORT, WIRE, tags=(0,)), {7: "p.7"})
    assert (taker.sub_interface, taker.is_stray, taker.frame.tags) == (None, False, ())
