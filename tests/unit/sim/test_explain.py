"""Explanations: every hop with its rule, in words, for anybody."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ipvlab.cli import group
from ipvlab.errors import NodeNotFound, ValueInvalid
from ipvlab.probe.questions import ReachObservation
from ipvlab.rules.catalogue import CATALOGUE
from ipvlab.run.explain import Wanted, explain, explain_verdicts
from ipvlab.run.prepare import prepare
from ipvlab.run.results import Outcome, Verdict
from ipvlab.spec.values import Family

PROJECT = Path(__file__).parents[3]
SCENARIOS = PROJECT / "scenarios"
ISOLATION = SCENARIOS / "14-host-isolation.ipvlab.yaml"
L3 = SCENARIOS / "08-l3-between-hosts.ipvlab.yaml"


def run_explain(*arguments: str) -> str:
    """What ``ipvlab explain`` prints."""
    result = CliRunner().invoke(group, ["explain", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_ping_is_told_hop_by_hop_with_the_rules_and_their_sources() -> None:
    text = run_explain(str(L3), "a1", "h1")
    assert "a1 -> h1: reach (ipv4)" in text
    for rule in ("L3-ROUTED", "L3-LOCAL", "NO-ROUTE"):
        assert f"({rule})" in text
        assert CATALOGUE[rule].sentence in text
        assert CATALOGUE[rule].source in text
    assert "=> There is no round trip: the request arrived" in text


def test_every_step_names_a_rule_of_the_catalogue() -> None:
    for path in sorted(SCENARIOS.glob("*.yaml")):
        prepared = prepare(path)
        hosts = list(prepared.scenario.hosts)
        for explanation in explain(prepared, Wanted(hosts[0])):
            assert explanation.steps
            assert all(step.rule is CATALOGUE[step.rule.id] for step in explanation.steps)


def test_macs_and_tags_on_the_wire_are_told() -> None:
    text = run_explain(str(SCENARIOS / "reference.ipvlab.yaml"), "a1", "b1")
    assert re.search(r"wire lan: .*echo request.* \[02:00:00:00:0a:00 -> [0-9a-f:]{17}, tag 20\]", text)


def test_a_broadcast_needs_no_target_and_names_its_hearers() -> None:
    text = run_explain(str(ISOLATION), "a1")
    assert "It is heard by a2, gw, h2, h3." in text
    assert "It is heard by" in run_explain(str(ISOLATION), "a1", "--kind", "arp")


def test_a_step_of_the_scenario_can_be_asked_for() -> None:
    [before] = explain(prepare(ISOLATION), Wanted("h2", "b1"))
    [after] = explain(prepare(ISOLATION), Wanted("h2", "b1", step=1))
    assert isinstance(before.observation, ReachObservation)
    assert isinstance(after.observation, ReachObservation)
    assert (before.observation.reply, after.observation.reply) == (False, True)


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Wanted("nobody", "h1"), NodeNotFound),
        (Wanted("a1", "h1", kind="arp"), ValueInvalid),
        (Wanted("a1", kind="ping"), ValueInvalid),
        (Wanted("a1", kind="arp", family=Family.IPV4), ValueInvalid),
        (Wanted("a1", "h1", step=9), ValueInvalid),
        (Wanted("a1", "a1"), ValueInvalid),
    ],
)
def test_what_cannot_be_asked_is_refused(wanted: Wanted, error: type[Exception]) -> None:
    with pytest.raises(error):
        explain(prepare(ISOLATION), wanted)


@pytest.mark.parametrize(
    "arguments",
    [["--kind", "carrier-pigeon"], ["--destination", "here"], ["--step", "-1"], ["--family", "5"]],
)
def test_bad_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(group, ["explain", str(ISOLATION), "a1", *arguments])
    assert result.exit_code == 2


def test_a_failed_verdict_is_explained_with_the_command_that_shows_it_again(tmp_path: Path) -> None:
    path = tmp_path / "wrong claim.ipvlab.yaml"
    path.write_text(
        ISOLATION.read_text().replace(
            "- reach: {from: h2, to: [b1, b2], ttl: 63, via: [gw]}", "- blocked: {from: h2, to: b1}"
        )
    )
    verdict = Verdict("steps[0].expect[0]:h2->b1/ipv4", "blocked", Outcome.FAIL, None, {"round_trip": True})
    told = explain_verdicts(prepare(path), [verdict])[verdict.id]
    assert told[0] == "observed: round trip yes"
    assert told[1].startswith("the rules say: The request arrives at b1 with TTL 63")
    again = shlex.split(told[-1].removeprefix("again: "))
    assert again[:2] == ["ipvlab", "explain"]
    assert "The request arrives at b1 with TTL 63" in run_explain(*again[2:])


def test_what_cannot_be_explained_is_left_out() -> None:
    table = Verdict("expect[0]:a1/ipv4", "routes", Outcome.FAIL, [], [])
    assert explain_verdicts(prepare(ISOLATION), [table]) == {}


def test_an_explanation_needs_neither_linux_nor_privileges() -> None:
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "grp", "pwd", "resource", "termios", "scapy", "pyroute2"):
            raise ImportError(name)
        if name.startswith("ipvlab.linux"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import ipvlab.run.runner, ipvlab.run.lab
from pathlib import Path
from ipvlab.run.explain import Wanted, explain
from ipvlab.run.prepare import prepare
for each in explain(prepare(Path({str(L3)!r})), Wanted("a1", "b1")):
    print(each.outcome)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=PROJECT
    )
    assert result.returncode == 0, result.stderr
    assert "the answer comes back" in result.stdout
