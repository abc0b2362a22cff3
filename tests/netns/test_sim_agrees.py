"""The simulated lab and the bpf datapath come to the same: scenarios, and labs by chance."""

from __future__ import annotations

import io
import json
from pathlib import Path
from random import Random

import pytest

from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.datapath.sim.trace import Deed, Step
from ipvlab.driver.requests import container_request, network_request
from ipvlab.probe.questions import BroadcastObservation, Observation, Question
from ipvlab.report.terminal import TerminalReport
from ipvlab.rules.catalogue_ipvlan import L3_ROUTED
from ipvlab.run.console import Console
from ipvlab.run.live import LiveGround
from ipvlab.run.prepare import Prepared, prepare
from ipvlab.run.replay import replay
from ipvlab.run.results import Verdict
from ipvlab.run.runner import run, run_on, run_prepared
from ipvlab.run.sim import SimGround
from tests.unit.sim.labs import draw_questions, draw_scenario, write

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.ipvlab.yaml"))


def told(verdict: Verdict) -> tuple[str, str, str]:
    """What two datapaths must agree in: id, verdict and observed."""
    return verdict.id, str(verdict.outcome), json.dumps(verdict.observed, sort_keys=True)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name.partition(".")[0])
def test_a_scenario_has_the_same_verdicts_on_sim_and_bpf(path: Path) -> None:
    prepared = prepare(path)
    simulated = run_on(prepared, SimGround, "sim", "").verdicts
    assert simulated
    assert [told(each) for each in simulated] == [
        told(each) for each in run_prepared(prepared, "bpf").verdicts
    ]


def build_live(prepared: Prepared) -> LiveGround:
    """The scenario's lab on the bpf datapath."""
    scenario = prepared.scenario
    ground = LiveGround(scenario.name, BpfDatapath(), prepared.naming.display)
    try:
        console = Console(ground, scenario.dialect)
        ground.add_topology(scenario.wires, scenario.hosts, scenario.routers)
        for host, spec in scenario.hosts.items():
            engine = console.add_host(host)
            for name, network in spec.networks.items():
                engine.create_network(network_request(name, network))
            for name, container in spec.containers.items():
                engine.run_container(container_request(name, container))
    except BaseException:
        ground.close()
        raise
    return ground


def legs(seen: Observation) -> object:
    """What is compared: who heard it and how often, or which legs arrived and with which TTL."""
    if isinstance(seen, BroadcastObservation):
        return sorted(seen.heard_by), dict(seen.copies), sorted(seen.unobserved)
    return seen.request, seen.reply, seen.ttl, seen.is_proved


def leaves_by_another_link(ground: SimGround, steps: tuple[Step, ...]) -> bool:
    """Whether a host routes an endpoint's packet by another link than the endpoint's parent.

    The kernel follows such IPv6 routes (K-L3-006); bpf_redirect_neigh is bound to
    the link that it is given.
    """
    for at, step in enumerate(steps):
        if step.rule is L3_ROUTED:
            parent = ground.nodes[step.who].links[step.where].below
            onward = next((later for later in steps[at + 1 :] if later.deed is Deed.SENDS), None)
            if onward is not None and onward.where != parent:
                return True
    return False


def is_comparable(ground: SimGround, question: Question) -> bool:
    """Whether bpf can do what the rules ask for here."""
    return not leaves_by_another_link(ground, ground.account(question).steps)


@pytest.mark.parametrize("seed", range(40))
def test_a_lab_by_chance_behaves_alike_on_sim_and_bpf(seed: int, tmp_path: Path) -> None:
    chance = Random(seed)
    prepared = write(draw_scenario(chance, has_firewalls=False), tmp_path)
    simulated = replay(prepared)
    questions = draw_questions(chance, simulated.directory, 16, 8)
    comparable = [is_comparable(replay(prepared), question) for question in questions]
    expected = [legs(seen) for seen in simulated.answer(questions)]
    live = build_live(prepared)
    try:
        observed = [legs(seen) for seen in live.answer(questions)]
    finally:
        live.close()
    differing = [
        (question, rules, seen)
        for question, rules, seen, counts in zip(questions, expected, observed, comparable, strict=True)
        if counts and rules != seen
    ]
    assert differing == []


def test_a_failed_probe_of_a_run_ends_with_its_explanation(tmp_path: Path) -> None:
    path = tmp_path / "wrong.ipvlab.yaml"
    text = SCENARIOS[0].read_text()
    assert "expect:\n" in text
    [host] = prepare(SCENARIOS[0]).scenario.hosts
    nodes = replay(prepare(SCENARIOS[0])).nodes.values()
    container = next(node.name for node in nodes if node.kind == "container")
    path.write_text(text.replace("expect:\n", f"expect:\n  - reach: {{from: {container}, to: {host}}}\n", 1))
    result = run(path, "bpf")
    [failed] = [verdict for verdict in result.verdicts if not verdict]
    assert any("(L2-FAN-OUT)" in line for line in failed.explanation)
    assert failed.explanation[-1].startswith("again: ipvlab explain ")
    stream = io.StringIO()
    TerminalReport(stream).add(result)
    assert failed.explanation[-1] in stream.getvalue()
