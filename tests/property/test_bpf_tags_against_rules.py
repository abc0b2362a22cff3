"""The programs of sub-interfaces and of switch ports treat tags as the rules do.

A tag travels beside the frame, as it does once the kernel has taken it off on receipt.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipvlab.datapath.base import PortFilter
from ipvlab.rules.switching import UNTAGGED, SwitchPort, forward, leave, vlan_inside
from ipvlab.rules.vlans import take_tagged
from tests.property import frame_bytes as write
from tests.property import frame_grid as grid
from tests.property.bpf_bench import (
    SENDER_LINK,
    WIRE_LINK,
    Bench,
    Call,
    Outcome,
    Shot,
    Verdict,
    What,
    compile_recorder,
    differences,
)
from tests.property.bpf_worlds import INGRESS
from tests.property.frame_bytes import read_frame

#: The ethertype of 802.1Q as the programs write it, in network order.
DOT1Q = socket.htons(0x8100)
#: None: no tag; 0: a priority tag.
TAGS = [None, 0, 1, 2, 5, 6, 7, 8, 9, 20, 255, 256, 2047, 2048, 4094, 4095]
SUB_INTERFACES: Mapping[int, int] = {2: 0x40000002, 20: 0x40000020, 4094: 0x40004094}
FRAMES = list(grid.frames())[::29]
MACS = [*grid.MACS, *((bytes.fromhex(f"0180c20000{last:02x}"), grid.THERE) for last in (0, 2, 15, 16, 255))]

PORTS = [
    PortFilter(access=1),
    PortFilter(access=20),
    PortFilter(access=4094),
    PortFilter(trunk=(2, 20)),
    PortFilter(trunk=(1, 5, 6, 7, 8, 9, 4094)),
    PortFilter(trunk=(5,), native=20),
    PortFilter(trunk=(2, 20), native=1),
    PortFilter(trunk=(20,), native=20),
    PortFilter(native=8),
]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The programs with their recorder; sub-interfaces hang below the wire's link and nowhere else."""
    with Bench(compile_recorder()) as ready:
        for vlan, link in SUB_INTERFACES.items():
            ready.tables.set_vlan(WIRE_LINK, vlan, link)
        yield ready


def test_a_tagged_frame_goes_untagged_to_the_sub_interface_of_its_vlan_alone(bench: Bench) -> None:
    shots = [Shot("vlan_in", frame, WIRE_LINK, tag) for frame in FRAMES for tag in TAGS]
    names = {vlan: str(link) for vlan, link in SUB_INTERFACES.items()}
    expected = []
    for shot in shots:
        value = read_frame(shot.frame)
        taker = take_tagged(value if shot.tag is None else value.push(shot.tag), names)
        if taker.sub_interface is None:
            expected.append(Outcome(Verdict.PASS))
        else:
            link = Call(What.TO_LINK, int(taker.sub_interface), INGRESS)
            expected.append(Outcome(Verdict.REDIRECT, (Call(What.POP, 0), link)))
    assert differences(shots, bench.run(shots), expected) == []


def test_a_link_without_sub_interfaces_takes_no_tag_off(bench: Bench) -> None:
    shots = [Shot("vlan_in", frame, SENDER_LINK, tag) for frame in FRAMES[:20] for tag in TAGS]
    assert set(bench.run(shots)) == {Outcome(Verdict.PASS)}


@pytest.mark.parametrize("vlan", [1, 20, 4094])
@pytest.mark.parametrize("tag", [None, 7])
def test_what_a_sub_interface_sends_leaves_by_the_link_below_with_its_tag(
    bench: Bench, vlan: int, tag: int | None
) -> None:
    below = 0x50000000
    bench.tables.set_vlan(below, vlan, SENDER_LINK)
    try:
        outcomes = bench.run([Shot("vlan_out", frame, SENDER_LINK, tag) for frame in FRAMES])
    finally:
        bench.tables.delete_vlan(below, vlan, SENDER_LINK)
    tagged = Call(What.PUSH, vlan, DOT1Q), Call(What.TO_LINK, below)
    assert set(outcomes) == {Outcome(Verdict.REDIRECT, tagged)}


def test_an_isolated_parent_leads_nowhere(bench: Bench) -> None:
    assert set(bench.run(Shot("vlan_out", frame, SENDER_LINK) for frame in FRAMES)) == {Outcome(Verdict.DROP)}


def switch_port(port: PortFilter | None) -> SwitchPort:
    """A port's filter as the rules know it."""
    return SwitchPort() if port is None else SwitchPort(port.access, port.trunk, port.native)


def expect_entry(port: SwitchPort, frame: bytes, tag: int | None) -> Outcome:
    """A frame is let in as what it is inside: without a tag in VLAN 1, with a tag in any other."""
    value = read_frame(frame)
    if tag is not None:
        value = value.push(tag)
    if forward([port, SwitchPort(access=4000)], 0, value, {}).vlan is None:
        return Outcome(Verdict.DROP)
    vlan = vlan_inside(port, value)
    assert vlan is not None
    takes_off = tag is not None and (tag == 0 or vlan == UNTAGGED)
    puts_on = not tag and vlan != UNTAGGED
    calls = [Call(What.POP, 0)] * takes_off + [Call(What.PUSH, vlan, DOT1Q)] * puts_on
    return Outcome(Verdict.PASS, tuple(calls))


def expect_exit(port: SwitchPort, frame: bytes, tag: int | None) -> Outcome:
    """A frame of the inside leaves as the port wants its VLAN."""
    left = leave(port, tag or UNTAGGED, read_frame(frame))
    if left is None:
        return Outcome(Verdict.DROP)
    if tag is None and left.tags:
        return Outcome(Verdict.PASS, (Call(What.PUSH, left.tags[0], DOT1Q),))
    if tag is not None and not left.tags:
        return Outcome(Verdict.PASS, (Call(What.POP, 0),))
    return Outcome(Verdict.PASS)


def judge(bench: Bench, port: PortFilter | None, frame: bytes, tag: int | None) -> list[str]:
    """Let a frame in by a port, and out if it can be inside the switch; where programs and rules part."""
    link = WIRE_LINK
    bench.tables.set_filter(link, port)
    rules = switch_port(port)
    shots, expected = [Shot("switch_in", frame, link, tag)], [expect_entry(rules, frame, tag)]
    if tag is None or tag > UNTAGGED:
        shots.append(Shot("switch_out", frame, link, tag))
        expected.append(expect_exit(rules, frame, tag))
    return differences(shots, bench.run(shots), expected)


@pytest.mark.parametrize("port", [None, *PORTS], ids=str)
def test_a_switch_port_lets_in_and_out_what_the_rules_let(bench: Bench, port: PortFilter | None) -> None:
    frames = [write.ethernet(to, sender, 0x88B5, bytes(46)) for to, sender in MACS]
    assert [line for frame in frames for tag in TAGS for line in judge(bench, port, frame, tag)] == []


def test_a_port_of_a_switch_that_nobody_asks_for_tags_lets_them_pass(bench: Bench) -> None:
    # No filter is ever taken back, so this is a link that never has one.
    frames = [write.ethernet(to, sender, 0x88B5, bytes(46)) for to, sender in MACS]
    shots = [Shot("switch_in", frame, SENDER_LINK, tag) for frame in frames for tag in TAGS]
    expected = [
        Outcome(
            Verdict.PASS
            if forward([SwitchPort()] * 2, 0, read_frame(shot.frame), {}).copies
            else Verdict.DROP
        )
        for shot in shots
    ]
    assert {outcome.verdict for outcome in expected} == {Verdict.PASS, Verdict.DROP}
    assert differences(shots, bench.run(shots), expected) == []
    leaving = [Shot("switch_out", frame, SENDER_LINK, tag) for frame in frames for tag in TAGS]
    assert set(bench.run(leaving)) == {Outcome(Verdict.PASS)}


@st.composite
def filters(draw: st.DrawFn) -> PortFilter:
    """A filter of any shape that a scenario can state: access alone, or trunk with or without native."""
    vlans = st.integers(1, 4094) | st.integers(1, 9)
    if draw(st.booleans()):
        return PortFilter(access=draw(vlans))
    trunk = tuple(draw(st.lists(vlans, max_size=6, unique=True)))
    return PortFilter(trunk=trunk, native=draw(st.none() | vlans))


@settings(max_examples=300, deadline=None)
@given(filters(), st.sampled_from(MACS), st.data())
def test_any_switch_port_treats_any_tag_as_the_rules_do(
    bench: Bench, port: PortFilter, macs: tuple[bytes, bytes], data: st.DataObject
) -> None:
    near = [vlan for vlan in (port.access, port.native, *port.trunk) if vlan]
    tag = data.draw(st.sampled_from([None, *near]) | st.integers(0, 4094), "tag")
    frame = write.ethernet(*macs, 0x88B5, bytes(46))
    assert judge(bench, port, frame, tag) == []
