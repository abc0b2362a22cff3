"""A learning switch: where a frame goes, and with which tag."""

from __future__ import annotations

import pytest

from ipvlab.rules import catalogue_linux as rules
from ipvlab.rules.packets import BROADCAST_MAC, Frame, OtherPayload
from ipvlab.rules.switching import NO_VLAN, SwitchPort, forward

ONE, TWO = b"\x02\0\0\0\0\1", b"\x02\0\0\0\0\2"
PLAIN, HAIRPIN = SwitchPort(), SwitchPort(is_hairpin=True)
ACCESS20, ACCESS30 = SwitchPort(access=20), SwitchPort(access=30)
TRUNK, NATIVE = SwitchPort(trunk=(20, 30)), SwitchPort(trunk=(30,), native=20)


def frame(to: bytes = BROADCAST_MAC, *tags: int, sender: bytes = ONE) -> Frame:
    return Frame(to, sender, OtherPayload(), tags)


def leaving(
    ports: list[SwitchPort], sent: Frame, table: dict[tuple[int, bytes], int] | None = None
) -> dict[int, tuple[int, ...]]:
    """Port -> tags of the copy that leaves there, for a frame that comes in at port 0."""
    return {number: copy.tags for number, copy in forward(ports, 0, sent, table or {}).copies}


def test_a_group_frame_and_an_unknown_address_leave_by_every_other_port() -> None:
    assert leaving([PLAIN] * 3, frame()) == {1: (), 2: ()}
    assert leaving([PLAIN] * 3, frame(TWO)) == {1: (), 2: ()}


def test_a_known_address_leaves_by_its_port_only() -> None:
    assert leaving([PLAIN] * 3, frame(TWO), {(NO_VLAN, TWO): 2}) == {2: ()}


def test_an_address_known_in_another_vlan_is_unknown() -> None:
    assert leaving([TRUNK] * 3, frame(TWO, 20), {(30, TWO): 2}) == {1: (20,), 2: (20,)}


def test_no_frame_goes_back_out_of_its_port_unless_that_is_a_hairpin_port() -> None:
    dead = forward([PLAIN] * 2, 0, frame(TWO), {(NO_VLAN, TWO): 0})
    assert (dead.copies, dead.rule) == ((), rules.SWITCH_SAME_PORT)
    assert leaving([HAIRPIN, PLAIN], frame(TWO), {(NO_VLAN, TWO): 0}) == {0: ()}
    assert leaving([HAIRPIN, PLAIN], frame()) == {0: (), 1: ()}


@pytest.mark.parametrize("last", range(16))
def test_reserved_addresses_stay_on_their_segment(last: int) -> None:
    forwarding = forward([PLAIN] * 2, 0, frame(b"\x01\x80\xc2\0\0" + bytes([last])), {})
    assert (forwarding.copies, forwarding.rule) == ((), rules.SWITCH_RESERVED)


@pytest.mark.parametrize(
    ("ports", "tags", "expected"),
    [
        ([ACCESS20, TRUNK, ACCESS20, ACCESS30], (), {1: (20,), 2: ()}),
        ([TRUNK, ACCESS20, ACCESS30, TRUNK], (30,), {2: (), 3: (30,)}),
        ([TRUNK, PLAIN], (), {}),
        ([TRUNK, PLAIN], (40,), {}),
        ([TRUNK, PLAIN], (20,), {1: (20,)}),
        ([NATIVE, TRUNK, ACCESS20], (), {1: (20,), 2: ()}),
        ([TRUNK, NATIVE], (20,), {1: ()}),
        ([ACCESS20, ACCESS20], (20,), {1: ()}),
        ([ACCESS20, ACCESS20], (30,), {}),
        ([PLAIN, PLAIN], (20,), {1: (20,)}),
        ([PLAIN, ACCESS20], (20,), {1: ()}),
        ([PLAIN, ACCESS20], (), {}),
        ([PLAIN, PLAIN], (1,), {1: (1,)}),
        ([PLAIN, PLAIN], (0,), {1: (0,)}),
        ([PLAIN, PLAIN, ACCESS20], (1,), {1: ()}),
    ],
)
def test_ports_let_pass_and_tag_what_they_are_members_of(
    ports: list[SwitchPort], tags: tuple[int, ...], expected: dict[int, tuple[int, ...]]
) -> None:
    assert leaving(ports, frame(BROADCAST_MAC, *tags)) == expected


def test_a_frame_that_its_own_port_refuses_is_not_learnt_from() -> None:
    assert forward([TRUNK, PLAIN], 0, frame(), {}).vlan is None
    assert forward([TRUNK, PLAIN], 0, frame(BROADCAST_MAC, 20), {}).vlan == 20


def test_the_ports_that_are_no_members_are_told() -> None:
    assert forward([TRUNK, ACCESS20, ACCESS30], 0, frame(BROADCAST_MAC, 20), {}).refused == (2,)
