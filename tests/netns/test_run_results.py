"""A scenario from end to end on the bpf datapath: verdicts, JSON, exit codes, steps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import ipvlab as package
from ipvlab.run.results import Outcome, ScenarioResult, Verdict
from tests.netns.traces import PROJECT, ipvlab

HEAD = """\
name: t
title: A title
about: The lesson.
wires: {lan: {}}
hosts:
  h1:
    interfaces: {eth0: {wire: lan, addresses: [192.168.1.250/24]}}
    commands: |
      docker network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n1
      docker run --net=n1 --ip=192.168.1.11 --name=a1 -itd alpine /bin/sh
      docker run --net=n1 --name=a2 -itd alpine /bin/sh
  h2:
    interfaces: {eth0: {wire: lan, addresses: [192.168.1.251/24]}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "t.ipvlab.yaml"
    path.write_text(HEAD + text)
    return path


def run(folder: Path, text: str) -> ScenarioResult:
    return package.run(write(folder, text), datapath="bpf")


def verdicts(folder: Path, text: str) -> dict[str, Verdict]:
    return {verdict.id: verdict for verdict in run(folder, text).verdicts}


def test_every_scenario_of_the_project_passes_and_the_folder_takes_under_15_seconds(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = ipvlab("run", "scenarios", "--json", out)
    assert result.returncode == 0, result.stdout + result.stderr
    scenarios: list[dict[str, Any]] = json.loads(out.read_text())
    assert len(scenarios) >= 12
    assert sum(len(each["verdicts"]) for each in scenarios) >= 80
    assert sum(sum(each["seconds"].values()) for each in scenarios) < 15


def test_the_json_of_one_scenario_is_an_object_in_the_form_of_the_contract(tmp_path: Path) -> None:
    path = write(
        tmp_path, "expect: [{blocked: {from: a1, to: h1}}, {broadcast: {from: a1, heard_by: [a2, h2]}}]"
    )
    result = ipvlab("run", path, "--datapath", "bpf", "--json", "-")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert set(document) == {"ipvlab", "scenario", "datapath", "kernel", "seconds", "verdicts", "summary"}
    assert (document["ipvlab"], document["scenario"], document["datapath"], document["kernel"]) == (
        package.__version__,
        "t",
        "bpf",
        os.uname().release,
    )
    assert set(document["seconds"]) == {"build", "probe", "teardown"}
    assert all(seconds > 0 for seconds in document["seconds"].values())
    assert document["summary"] == {"pass": 2, "fail": 0, "unsupported": 0, "unobserved": 0, "error": 0}
    blocked, broadcast = document["verdicts"]
    for verdict in (blocked, broadcast):
        assert set(verdict) == {
            "id", "kind", "from", "to", "family", "expected", "observed", "verdict", "reason", "proof"
        }  # fmt: skip
        assert verdict["proof"]
    assert (blocked["id"], blocked["kind"], blocked["from"], blocked["to"], blocked["family"]) == (
        "expect[0]:a1->h1/ipv4",
        "blocked",
        "a1",
        "h1",
        "ipv4",
    )
    assert blocked["observed"] == {"round_trip": False, "request": False, "reply": False, "ttl": None}
    assert (broadcast["expected"], broadcast["observed"]) == (["a2", "h2"], ["a2", "h2"])


@pytest.mark.parametrize(
    ("expectation", "code"),
    [
        ("reach: {from: a1, to: a2}", 0),
        ("reach: {from: a1, to: h1}", 1),
        ("blocked: {from: a1, to: a2}", 1),
        ("broadcast: {from: a1, heard_by: [a2]}", 1),
        ("undelivered: {from: a1, to: h2}", 1),
        ("routes: {in: a1, ipv4: []}", 1),
        ("addresses: {in: a1, eth0: [192.168.1.12/24]}", 1),
        ("resolves: {in: a1, name: a2, to: []}", 1),
        ("links: {in: h1, absent: [eth0]}", 1),
        ("on_wire: {wire: lan, from: a1, to: h2, vlan: 20}", 1),
        ("fails: {on: h1, command: docker ps, error: ''}", 1),
        ("fails: {on: h1, command: docker rm nosuch, error: something else}", 1),
    ],
)
def test_an_expectation_that_does_not_hold_fails_with_exit_code_1(
    tmp_path: Path, expectation: str, code: int
) -> None:
    result = ipvlab("run", write(tmp_path, f"expect:\n  - {expectation}\n"))
    assert result.returncode == code, result.stdout + result.stderr
    if code:
        assert f"{tmp_path}/t.ipvlab.yaml:15:5" in result.stdout
        assert "expected " in result.stdout


def test_a_command_that_fails_is_an_error_verdict_with_exit_code_5(tmp_path: Path) -> None:
    commands = "  h3:\n    commands: |\n      # none\n      docker rm nosuch\n"
    text = commands + "expect: [{reach: {from: a1, to: a2}}]\n"
    result = ipvlab("run", write(tmp_path, text))
    assert result.returncode == 5
    assert "commands[h3:2] command  (" in result.stdout
    assert "No such container: nosuch" in result.stdout


def test_a_command_that_fails_as_an_expectation_says_is_no_error(tmp_path: Path) -> None:
    text = (
        "  h3:\n    commands: docker rm nosuch\n"
        "expect: [{fails: {on: h3, command: docker rm nosuch, error: No such container}}]\n"
    )
    found = verdicts(tmp_path, text)
    assert list(found) == ["expect[0]:h3"]
    assert found["expect[0]:h3"]


def test_a_ping_line_is_asked_for_real_and_its_failure_is_an_error(tmp_path: Path) -> None:
    text = "steps:\n  - do: {a1: [ping -c 2 a2, ping -c 1 192.168.1.250]}\n"
    found = verdicts(tmp_path, text)
    assert list(found) == ["steps[0].do[a1:2]"]
    assert found["steps[0].do[a1:2]"].outcome is Outcome.ERROR


def test_lines_after_docker_run_it_run_in_that_container_until_exit(tmp_path: Path) -> None:
    text = """\
  h3:
    interfaces: {eth0: {wire: lan}}
    commands: |
      docker network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n1
      docker run --net=n1 --ip=192.168.1.31 --name=c1 -it alpine /bin/sh
      ping -c 1 192.168.1.11
      ip addr add 192.168.1.32/24 dev eth0
expect:
  - addresses: {in: c1, eth0: [192.168.1.31/24, 192.168.1.32/24]}
  - reach: {from: a1, to: c1/192.168.1.32}
"""
    found = verdicts(tmp_path, text)
    assert len(found) == 2
    assert all(found.values())


def test_steps_change_the_lab_and_have_their_own_expectations(tmp_path: Path) -> None:
    text = """\
expect: [{reach: {from: h2, to: a1}}, {links: {in: h1, absent: [foo]}}]
steps:
  - do: {h1: [docker rm -f a1, ip link add link eth0 name foo type vlan id 41]}
    expect: [{links: {in: h1, present: [foo]}}, {resolves: {in: a2, name: a1, to: []}}]
  - do: {h1: [docker run --net=n1 --ip=192.168.1.11 --name=a1 -itd alpine sh, ip link del foo]}
    expect: [{reach: {from: h2, to: a1}}, {links: {in: h1, absent: [foo]}}]
"""
    found = verdicts(tmp_path, text)
    assert list(found) == [
        "expect[0]:h2->a1/ipv4",
        "expect[1]:h1",
        "steps[0].expect[0]:h1",
        "steps[0].expect[1]:a2/a1",
        "steps[1].expect[0]:h2->a1/ipv4",
        "steps[1].expect[1]:h1",
    ]
    assert all(found.values()), [each for each in found.values() if not each]


def test_containers_of_one_name_on_two_hosts_are_told_apart(tmp_path: Path) -> None:
    text = """\
  h3:
    interfaces: {eth0: {wire: lan}}
    commands: |
      docker network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n1
      docker run --net=n1 --ip=192.168.1.31 --name=a1 -itd alpine /bin/sh
expect:
  - reach: {from: h1/a1, to: h3/a1}
  - broadcast: {from: h1/a1, heard_by: [a2, h2, h3/a1, h3]}
"""
    found = verdicts(tmp_path, text)
    assert "expect[0]:h1/a1->h3/a1/ipv4" in found
    # The sender's own host does not hear it; another host's parent does.
    assert all(found.values()), [each for each in found.values() if not each]


def test_two_runs_observe_the_same(tmp_path: Path) -> None:
    text = "expect: [{reach: {from: [a1, h2], to: [a1, a2, h1]}}, {broadcast: {from: h2, heard_by: [h1]}}]\n"
    one, other = run(tmp_path, text), run(tmp_path, text)
    assert [(v.id, v.outcome, v.observed) for v in one.verdicts] == [
        (v.id, v.outcome, v.observed) for v in other.verdicts
    ]


def test_a_scenario_without_expectations_is_incomplete_with_exit_code_3(tmp_path: Path) -> None:
    result = ipvlab("run", write(tmp_path, ""))
    assert result.returncode == 3
    assert result.stdout.startswith("incomplete")


def test_verbose_shows_the_lesson_and_every_verdict_and_plain_text_has_no_colour(tmp_path: Path) -> None:
    path = write(tmp_path, "expect: [{reach: {from: a1, to: a2}}]\n")
    quiet, verbose = ipvlab("run", path), ipvlab("run", path, "-v")
    assert "expect[0]" not in quiet.stdout
    assert "The lesson." in verbose.stdout
    assert "pass       expect[0]:a1->a2/ipv4 reach" in verbose.stdout
    assert "\x1b" not in quiet.stdout + verbose.stdout


def test_k_selects_by_name_or_title(tmp_path: Path) -> None:
    for name in ("alpha", "beta"):
        text = HEAD.replace("name: t\n", f"name: {name}\n") + "expect: [{reach: {from: a1, to: a2}}]\n"
        (tmp_path / f"{name}.ipvlab.yaml").write_text(text)
    result = ipvlab("run", tmp_path, "-k", "alpha or nosuch")
    assert "alpha" in result.stdout
    assert "beta" not in result.stdout
    assert "1 scenario, 1 pass" in result.stdout


def test_the_json_file_is_replaced_as_a_whole_and_leaves_no_other(tmp_path: Path) -> None:
    path, folder = write(tmp_path, "expect: [{reach: {from: a1, to: a2}}]\n"), tmp_path / "out"
    folder.mkdir()
    out = folder / "out.json"
    out.write_text("old")
    out.chmod(0o600)
    assert ipvlab("run", path, "--json", out).returncode == 0
    assert [each.name for each in folder.iterdir()] == ["out.json"]
    assert json.loads(out.read_text())["scenario"] == "t"


def test_the_reference_scenario_is_the_one_that_the_documents_show() -> None:
    result = package.run(PROJECT / "scenarios" / "reference.ipvlab.yaml")
    assert result.ok, [verdict for verdict in result.verdicts if not verdict]
    assert result.datapath in ("kernel", "bpf", "sim")
