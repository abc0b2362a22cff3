"""What an endpoint's frame comes to, row by row of the kernel's transmit tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest

from ipvlab.rules.packets import BROADCAST_MAC, ETHERTYPE_PAUSE, Frame
from ipvlab.rules.ports import Decision
from ipvlab.rules.transmit import transmit
from ipvlab.spec.values import Flag, Mode
from tests.unit.rules.frames import (
    A4,
    A6,
    A_LL,
    ANY6,
    B4,
    B6,
    B_LL,
    DIRECTED,
    GROUP4,
    GROUP6,
    LIMITED,
    NOBODY4,
    NOBODY6,
    OTHER,
    P4,
    P6,
    PORT,
    WIRE,
    X4,
    X6,
    A,
    B,
    advertisement,
    arp,
    group,
    ip,
    other,
    port,
    solicitation,
)

#: What becomes of a frame: B gets it, the parent's stack, the wire, both, the host's routing, nobody.
TO_B, UP, OUT, B_AND_OUT, ROUTED, DROP = "B", "P", "W", "B+W", "routed", "drop"


def outcome(decision: Decision) -> str:
    """A decision in the words of the tables; A, the sender, never gets its own frame."""
    assert A not in decision.endpoints
    if decision.is_dropped:
        return DROP
    parts = [*("B" for name in decision.endpoints if name == B)]
    parts += ["P"] * decision.goes_to_parent + ["W"] * decision.goes_out + ["routed"] * decision.is_routed
    return "+".join(parts)


#: Fact, frame from A, and its outcome in bridge, private and vepa.
L2 = [
    ("K-L2-001/K-PRV-001/K-VEPA-001", ip(A4, B4), (TO_B, DROP, OUT)),
    ("K-L2-001 ipv6", ip(A6, B6), (TO_B, DROP, OUT)),
    ("K-L2-005/K-VEPA-004", ip(A4, P4), (UP, UP, OUT)),
    ("K-L2-005 ipv6", ip(A6, P6), (UP, UP, OUT)),
    ("K-L2-020 nobody's address", ip(A4, NOBODY4), (UP, UP, OUT)),
    ("K-L2-004/K-PRV-006 sibling by a gateway's MAC", ip(A4, B4, WIRE), (OUT, OUT, OUT)),
    ("K-L2-002 external", ip(A4, X4, WIRE), (OUT, OUT, OUT)),
    ("K-L2-002 external ipv6", ip(A6, X6, WIRE), (OUT, OUT, OUT)),
    ("K-L2-003 spoofed pair of MACs", ip(A4, B4, OTHER, OTHER), (TO_B, DROP, OUT)),
    ("K-L2-003 spoofed source MAC", ip(A4, B4, PORT, OTHER), (OUT, OUT, OUT)),
    ("K-L2-014 other ethertype, own MAC", other(PORT), (UP, UP, OUT)),
    ("K-L2-014 other ethertype, broadcast", other(BROADCAST_MAC), (B_AND_OUT,) * 3),
    ("K-L2-014 other ethertype, other MAC", other(WIRE), (OUT, OUT, OUT)),
    ("K-L2-007/K-PRV-003/K-VEPA-002 limited", group(LIMITED), (B_AND_OUT,) * 3),
    ("K-L2-007 directed", group(DIRECTED), (B_AND_OUT,) * 3),
    ("K-L2-008/K-PRV-002 ARP request for B", arp(B4), (B_AND_OUT,) * 3),
    ("K-L2-008 ARP reply to B", arp(B4, to=PORT), (TO_B, DROP, OUT)),
    ("K-L2-008 ARP request for X", arp(X4), (B_AND_OUT,) * 3),
    ("K-L2-009 ARP request for P", arp(P4), (B_AND_OUT,) * 3),
    ("K-L2-010 multicast", group(GROUP4), (B_AND_OUT,) * 3),
    ("K-L2-010 multicast ipv6", group(GROUP6, A6), (B_AND_OUT,) * 3),
    ("K-L2-011 NS for B", solicitation(B6), (B_AND_OUT,) * 3),
    ("K-L2-011 NA to B", advertisement(A6, B6, PORT), (TO_B, DROP, OUT)),
    ("K-L2-012 DAD for B's address", solicitation(B6, ANY6), (B_AND_OUT,) * 3),
    ("K-L2-013 link-local to B", ip(A_LL, B_LL), (TO_B, DROP, OUT)),
    ("K-L2-015 PAUSE to a group", other(BROADCAST_MAC, ethertype=ETHERTYPE_PAUSE), (DROP,) * 3),
]

#: The same for L3 and L3S.
L3 = [
    ("K-L3-001/K-PRV-005/K-VEPA-005", ip(A4, B4), (TO_B, DROP, ROUTED)),
    ("K-L3-001 ipv6", ip(A6, B6), (TO_B, DROP, ROUTED)),
    ("K-L3-026 sibling, foreign MAC", ip(A4, B4, OTHER), (TO_B, DROP, ROUTED)),
    ("K-L3-026 sibling, broadcast MAC", ip(A4, B4, BROADCAST_MAC), (TO_B, DROP, DROP)),
    ("K-L3-007 parent's address", ip(A4, P4), (ROUTED,) * 3),
    ("K-L3-007 parent's address ipv6", ip(A6, P6), (ROUTED,) * 3),
    ("K-L3-002 external", ip(A4, X4), (ROUTED,) * 3),
    ("K-L3-002 external ipv6", ip(A6, X6), (ROUTED,) * 3),
    ("K-L3-008 spoofed source", ip(NOBODY4, X4), (ROUTED,) * 3),
    ("K-L3-010 limited", group(LIMITED), (DROP,) * 3),
    ("K-L3-010 directed", group(DIRECTED), (DROP,) * 3),
    ("K-L3-010 multicast", group(GROUP4), (DROP,) * 3),
    ("K-L3-010 multicast ipv6", group(GROUP6, A6), (DROP,) * 3),
    ("NS for anything", solicitation(X6), (DROP,) * 3),
    ("NS for B with a real source", solicitation(B6), (DROP,) * 3),
    ("DAD NS for B's address", solicitation(B6, ANY6), (TO_B, DROP, DROP)),
    ("K-L3-025 ARP for B", arp(B4), (TO_B, DROP, DROP)),
    ("K-L3-025 ARP for X", arp(X4), (DROP,) * 3),
    ("K-L3-025 other ethertype", other(WIRE), (DROP,) * 3),
    ("K-L3-019 link-local to B", ip(A_LL, B_LL), (TO_B, DROP, ROUTED)),
    ("nobody's ipv6 address", ip(A6, NOBODY6), (ROUTED,) * 3),
]


def cases(rows: Sequence[tuple[str, Frame, tuple[str, ...]]]) -> list[object]:
    """One case for each row and flag."""
    return [
        pytest.param(frame, flag, expected, id=f"{fact} [{flag}]")
        for fact, frame, outcomes in rows
        for flag, expected in zip((Flag.BRIDGE, Flag.PRIVATE, Flag.VEPA), outcomes, strict=True)
    ]


@pytest.mark.parametrize(("frame", "flag", "expected"), cases(L2))
def test_l2_sends_as_the_kernel_does(frame: Frame, flag: Flag, expected: str) -> None:
    assert outcome(transmit(port(Mode.L2, flag), A, frame)) == expected


@pytest.mark.parametrize("mode", [Mode.L3, Mode.L3S])
@pytest.mark.parametrize(("frame", "flag", "expected"), cases(L3))
def test_l3_and_l3s_send_alike_as_the_kernel_does(
    frame: Frame, flag: Flag, expected: str, mode: Mode
) -> None:
    # K-L3S-001: the code is the same.
    assert outcome(transmit(port(mode, flag), A, frame)) == expected


@pytest.mark.parametrize("mode", [Mode.L2, Mode.L3])
def test_the_address_of_a_down_endpoint_is_nobodys(mode: Mode) -> None:
    # K-L2-006: in L2 the parent's stack gets it, in L3 the host routes it.
    decision = transmit(port(mode, b_is_up=False), A, ip(A4, B4))
    assert outcome(decision) == (UP if mode is Mode.L2 else ROUTED)


def test_a_packet_that_ipvlan_cannot_read_is_nobodys() -> None:
    broken = ip(A4, B4, is_sound=False)
    assert outcome(transmit(port(Mode.L2), A, broken)) == UP
    assert outcome(transmit(port(Mode.L3), A, broken)) == ROUTED


def test_a_group_frame_skips_endpoints_that_did_not_join() -> None:
    bare = dataclasses.replace(port(Mode.L2), filters={A: frozenset(), B: frozenset()})
    assert outcome(transmit(bare, A, group(GROUP4))) == OUT
    assert outcome(transmit(bare, A, group(LIMITED))) == B_AND_OUT


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("flag", list(Flag))
def test_every_decision_names_its_rule(mode: Mode, flag: Flag) -> None:
    for _, frame, _ in L2 + L3:
        decision = transmit(port(mode, flag), A, frame)
        assert decision.rule.id.startswith("L2-" if mode is Mode.L2 else "L3-")
