"""The BPF programs decide about each frame as the rules do: the same frames put to both, none sent.

``bpf_worlds`` says what the rules expect, and where the programs differ on purpose.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipvlab.rules import catalogue_ipvlan
from ipvlab.rules.catalogue_ipvlan import L3_BROADCAST, L3_LOCAL, L3_NO_ROUTE6, L3_ON_LINK
from ipvlab.rules.packets import BROADCAST_MAC, Frame, Packet
from ipvlab.rules.receive import receive
from ipvlab.rules.rule import Rule
from ipvlab.rules.transmit import transmit
from ipvlab.rules.vlans import take_tagged
from ipvlab.spec.values import Address, Flag, Interface, Mode
from tests.property import frame_bytes as write
from tests.property import frame_grid as grid
from tests.property.bpf_bench import (
    PORT_MAC,
    SENDER_LINK,
    WIRE_LINK,
    Bench,
    Outcome,
    Shot,
    Verdict,
    What,
    compile_recorder,
    differences,
)
from tests.property.bpf_worlds import SENDER, World, disagreements
from tests.property.frame_bytes import read_frame

CELLS = list(product(Mode, Flag))
HOOKED = [(mode, hooked) for mode in (Mode.L3, Mode.L3S) for hooked in (1, 2, 4, 8, 15)]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """The programs with their recorder, compiled from the source as it is."""
    with Bench(compile_recorder()) as ready:
        yield ready


@pytest.mark.parametrize(("mode", "flag"), CELLS, ids=str)
def test_every_kind_of_frame_is_decided_as_the_rules_say(bench: Bench, mode: Mode, flag: Flag) -> None:
    assert disagreements(bench, grid.world(mode, flag), list(grid.frames())) == []


@pytest.mark.parametrize(("mode", "hooked"), HOOKED, ids=str)
def test_packets_take_the_detour_of_their_family_while_a_rule_hangs_there(
    bench: Bench, mode: Mode, hooked: int
) -> None:
    world = dataclasses.replace(grid.world(mode, Flag.BRIDGE), hooked=hooked)
    assert disagreements(bench, world, list(grid.frames())[::3]) == []


def test_l2_knows_no_detour(bench: Bench) -> None:
    world = dataclasses.replace(grid.world(Mode.L2, Flag.BRIDGE), hooked=15)
    assert disagreements(bench, world, list(grid.frames())[::3]) == []


def test_the_grid_meets_every_rule_of_sending_and_receiving() -> None:
    met: set[Rule] = set()
    values = [read_frame(frame) for frame in grid.frames()]
    for mode, flag in CELLS:
        port = grid.world(mode, flag).port
        met.update(transmit(port, SENDER, value).rule for value in values)
        met.update(receive(port, value).rule for value in values)
    every = {
        rule
        for rule in vars(catalogue_ipvlan).values()
        if isinstance(rule, Rule) and rule.id.startswith(("L2-", "L3-", "RX-"))
    }
    # What the host's route look-up comes to is no decision of these programs.
    assert every - met == {L3_ON_LINK, L3_LOCAL, L3_NO_ROUTE6, L3_BROADCAST}


def test_what_has_passed_the_hosts_hooks_goes_to_the_owner_alone(bench: Bench) -> None:
    world = dataclasses.replace(grid.world(Mode.L3S, Flag.BRIDGE), hooked=15)
    values = [(frame, read_frame(frame)) for frame in grid.frames()]
    packets = [(frame, value) for frame, value in values if isinstance(value.payload, Packet)][::3]
    shots = [Shot("tap_in", frame, WIRE_LINK) for frame, _ in packets]
    with world.stated(bench.tables):
        outcomes = bench.run(shots)
    assert differences(shots, outcomes, [world.expect_returned(value) for _, value in packets]) == []
    assert {outcome.verdict for outcome in outcomes} == {Verdict.REDIRECT, Verdict.DROP}


@pytest.mark.parametrize("flag", Flag)
@pytest.mark.parametrize("siblings", [2, 29, 30, 31, 32, 61, 62, 63, 200])
def test_a_group_frame_is_copied_once_to_each_whatever_the_batches(
    bench: Bench, flag: Flag, siblings: int
) -> None:
    # The fan-out goes on by tail calls after each 32 places; two more are the sender's and a hole.
    world = grid.world(Mode.L2, flag, siblings)
    frames = [write.ethernet(BROADCAST_MAC, sender, 0x88B5, bytes(46)) for sender in (PORT_MAC, grid.THERE)]
    assert disagreements(bench, world, frames) == []
    with world.stated(bench.tables):
        [sent, received] = bench.run(
            [Shot("endpoint_in", frames[0], SENDER_LINK), Shot("parent_in", frames[1], WIRE_LINK)]
        )
    assert sum(call.what == What.COPY for call in sent.calls) == siblings
    assert sum(call.what == What.COPY for call in received.calls) == siblings + 1


@pytest.mark.parametrize(("mode", "flag"), CELLS, ids=str)
@pytest.mark.parametrize("tag", [0, 1, 20, 4095])
def test_a_tag_that_no_sub_interface_took_stays_with_the_frame_and_in_l3s_with_the_parent(
    bench: Bench, mode: Mode, flag: Flag, tag: int
) -> None:
    world = grid.world(mode, flag)
    frames = list(grid.frames())[::11]
    shots = [Shot("parent_in", frame, WIRE_LINK, tag) for frame in frames]
    with world.stated(bench.tables):
        outcomes = bench.run(shots)
    expected = [expect_tagged(world, read_frame(frame), tag) for frame in frames]
    assert differences(shots, outcomes, expected) == []


def expect_tagged(world: World, frame: Frame, tag: int) -> Outcome:
    """A priority tag is none; any other leaves a frame to stacks that drop it, the parent's alone in L3S."""
    taker = take_tagged(frame.push(tag), {})
    if taker.is_stray and world.mode is Mode.L3S:
        return Outcome(Verdict.PASS)
    return world.expect_received(taker.frame)


@pytest.mark.parametrize("program", ["endpoint_in", "parent_in", "tap_in"])
def test_a_link_that_belongs_to_no_port_leads_to_no_endpoint(bench: Bench, program: str) -> None:
    shots = [Shot(program, frame, WIRE_LINK) for frame in list(grid.frames())[::11]]
    verdict = Verdict.PASS if program == "parent_in" else Verdict.DROP
    assert set(bench.run(shots)) == {Outcome(verdict)}


ADDRESSES: list[Address] = [
    grid.A4, grid.B4, grid.C4, grid.P4, grid.E4, grid.X4,
    grid.A6, grid.B6, grid.C6, grid.P6, grid.E6, grid.X6, grid.B_LOCAL,
]  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any port: who owns what, places with holes, the host's addresses, perhaps an endpoint's as well."""
    owners = draw(st.dictionaries(st.sampled_from(ADDRESSES), st.sampled_from("abcde"), max_size=8))
    slots = draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=5))
    places: list[str | None] = list(slots)
    for at in draw(st.lists(st.integers(0, 5), max_size=3)):
        places.insert(at, None)
    return World(
        draw(st.sampled_from(Mode)),
        draw(st.sampled_from(Flag)),
        owners,
        tuple(places),
        draw(held_addresses()),
        draw(held_addresses()),
        draw(st.integers(0, 15)),
    )


def held_addresses() -> st.SearchStrategy[tuple[Interface, ...]]:
    """Addresses of a link of the host."""
    return st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=3).map(
        lambda chosen: tuple(map(ipaddress.ip_interface, chosen))
    )


@st.composite
def spoiled_frames(draw: st.DrawFn) -> bytes:
    """A frame of the grid with some bytes of its headers changed, or cut short, or made longer."""
    to, sender = draw(st.sampled_from(grid.MACS))
    ethertype, body = draw(st.sampled_from(grid.payloads()))
    frame = bytearray(write.ethernet(to, sender, ethertype, body))
    for at, value in draw(st.lists(st.tuples(st.integers(0, 77), st.integers(0, 255)), max_size=3)):
        if at < len(frame):
            frame[at] = value
    if draw(st.booleans()):
        del frame[draw(st.integers(14, 100)) :]
    return bytes(frame) + bytes(draw(st.sampled_from((0, 0, 1, 14, 40, 1000))))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.lists(st.one_of(spoiled_frames(), st.binary(min_size=14, max_size=120)), max_size=30))
def test_any_frame_in_any_world_is_decided_as_the_rules_say(
    bench: Bench, world: World, frames: Sequence[bytes]
) -> None:
    assert disagreements(bench, world, frames) == []
