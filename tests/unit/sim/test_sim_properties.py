"""What holds in every lab, whatever its modes, flags, tags and routes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ipvlab.datapath.sim.machine import Machine
from ipvlab.probe.questions import BroadcastObservation, Observation, ReachObservation
from ipvlab.run.matrix import predict
from ipvlab.run.replay import replay
from ipvlab.run.sim import SimGround
from ipvlab.spec.values import Family, Flag, Mode
from tests.unit.sim.labs import draw_questions, draw_scenario, write

QUICK = settings(max_examples=60, deadline=None)
CHANCES = st.randoms(use_true_random=False)


def draw_lab(chance: Random, *, has_firewalls: bool = True, has_hairpins: bool = True) -> SimGround:
    """A simulated lab by chance."""
    scenario = draw_scenario(chance, has_firewalls=has_firewalls, has_hairpins=has_hairpins)
    with tempfile.TemporaryDirectory() as folder:
        return replay(write(scenario, Path(folder)))


def ask(chance: Random, ground: SimGround, pairs: int = 12, broadcasts: int = 8) -> list[Observation]:
    """Observations of questions by chance."""
    return ground.answer(draw_questions(chance, ground.directory, pairs, broadcasts))


@QUICK
@given(CHANCES)
def test_without_a_hairpin_port_nothing_arrives_twice(chance: Random) -> None:
    for seen in ask(chance, draw_lab(chance, has_hairpins=False)):
        if isinstance(seen, BroadcastObservation):
            assert set(seen.copies.values()) <= {1}
        else:
            assert seen.proof["requests"] <= 1
            assert seen.proof["replies"] <= 1


@QUICK
@given(CHANCES)
def test_every_frame_comes_to_rest_and_a_ttl_never_grows(chance: Random) -> None:
    ground = draw_lab(chance)
    for seen in ask(chance, ground):
        if isinstance(seen, ReachObservation) and seen.ttl is not None:
            assert 0 < seen.ttl <= 64
    assert not any(machine.waiting for machine in ground.lab.nodes.values())


@QUICK
@given(CHANCES)
def test_an_answer_needs_a_request_and_a_hearer_is_never_the_sender(chance: Random) -> None:
    for seen in ask(chance, draw_lab(chance)):
        if isinstance(seen, BroadcastObservation):
            assert seen.question.source not in seen.heard_by
            assert not seen.heard_by & seen.silent
        else:
            assert seen.request or not seen.reply
            assert seen.reason or (seen.request if seen.question.is_one_way else seen.reply)


@QUICK
@given(CHANCES)
def test_the_same_question_has_the_same_answer_again(chance: Random) -> None:
    ground = draw_lab(chance)
    questions = draw_questions(chance, ground.directory, 8, 6)
    first, second = ground.answer(questions), ground.answer(questions)
    for one, other in zip(first, second, strict=True):
        if isinstance(one, BroadcastObservation):
            assert isinstance(other, BroadcastObservation)
            assert one.heard_by == other.heard_by
        else:
            assert isinstance(other, ReachObservation)
            assert (one.request, one.reply, one.ttl) == (other.request, other.reply, other.ttl)


def siblings(ground: SimGround) -> list[tuple[Machine, Machine, Mode, Flag]]:
    """Pairs of containers that have nothing but one endpoint each, on the same parent."""
    found = []
    for machine in ground.lab.nodes.values():
        for parent in machine.links.values():
            if parent.port is not None:
                members = [member for member, _ in parent.port.endpoints.values()]
                found += [
                    (one, other, parent.port.mode, parent.port.flag)
                    for one in members
                    for other in members
                    if one is not other
                ]
    return found


@QUICK
@given(CHANCES)
def test_siblings_of_bridge_always_meet_and_of_private_never_meet_directly(chance: Random) -> None:
    ground = draw_lab(chance, has_firewalls=False, has_hairpins=False)
    cells = predict(ground)
    for one, other, _, flag in siblings(ground):
        for family in Family:
            is_possible = any(True for _ in one.addresses(family)) and any(
                True for _ in other.addresses(family)
            )
            reply = cells.cell(one.name, other.name, family).reply
            if flag is Flag.BRIDGE:
                assert reply is is_possible
            elif flag is Flag.PRIVATE:
                assert not reply


@QUICK
@given(CHANCES)
def test_in_l3_no_endpoint_is_heard_by_or_hears_a_broadcast(chance: Random) -> None:
    ground = draw_lab(chance)
    routed = {
        member.name
        for machine in ground.lab.nodes.values()
        for parent in machine.links.values()
        if parent.port is not None and parent.port.mode is not Mode.L2
        for member, _ in parent.port.endpoints.values()
    }
    for seen in ask(chance, ground, 0, 12):
        if isinstance(seen, BroadcastObservation):
            assert not seen.heard_by & routed
            assert seen.question.source not in routed or not seen.heard_by


@settings(max_examples=100, deadline=None)
@given(CHANCES)
def test_classes_never_merge_pairs_that_differ(chance: Random) -> None:
    ground = draw_lab(chance)
    merged, walked = predict(ground), predict(ground, merges=False)
    assert list(merged) == list(walked)


@settings(max_examples=100, deadline=None)
@given(CHANCES)
def test_classes_of_all_nodes_never_merge_pairs_that_differ_in_datagrams(chance: Random) -> None:
    ground = draw_lab(chance)
    names = list(ground.lab.nodes)
    assert list(predict(ground, names, proto="udp")) == list(
        predict(ground, names, proto="udp", merges=False)
    )
