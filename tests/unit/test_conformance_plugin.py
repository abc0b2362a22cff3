"""Outcomes that pytest has no word for, known failures, several processes, and scenario files as tests."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from ipvlab import pytest_plugin

ROOT = Path(__file__).parents[2]
HEAD = """
import pytest
from ipvlab.errors import FeatureMissing, Unobserved
"""
PASSES = """
@pytest.mark.requirement("IPV-L2-UCAST-001")
def test_passes(): pass
"""
FAILS = """
@pytest.mark.requirement("IPV-L2-UCAST-002")
def test_fails(): assert 1 == 2
"""
DEAF = """
@pytest.mark.requirement("IPV-L2-BCAST-001")
def test_deaf(): raise Unobserved("the canary was lost")
"""
MISSING = """
@pytest.mark.requirement("IPV-FLAG-PRIV-001")
def test_missing(): raise FeatureMissing("no flags here")
"""
BREAKS = """
@pytest.mark.requirement("IPV-L2-BCAST-002")
def test_breaks(): raise RuntimeError("a defect")
"""
PLUGINS = ("-p", "no:ipvlab", "-p", "no:randomly", "-p", "no:cacheprovider")


def run(pytester: pytest.Pytester, *tests: str, options: tuple[str, ...] = ()) -> pytest.RunResult:
    """Run these tests as of the implementation ``sim``, results going to ``run.json``."""
    pytester.makepyfile(HEAD + "".join(tests))
    given = (*PLUGINS, "--ipvlab-implementation=sim", "--ipvlab-json=run.json", *options)
    return pytester.runpytest_inprocess(*given, plugins=[pytest_plugin])


def outcomes(pytester: pytest.Pytester) -> dict[str, str]:
    """The outcome of each case of the run, by the name of its test."""
    written: dict[str, Any] = json.loads((pytester.path / "run.json").read_text())
    return {case["id"].rpartition("::")[2]: case["outcome"] for case in written["cases"]}


def know(pytester: pytest.Pytester, case: str, expires: datetime.date) -> None:
    """Write a known failure of ``sim``."""
    folder = pytester.mkdir("expected")
    (folder / "sim.toml").write_text(
        f'[[known]]\nid = "{case}"\nreason = "they know"\n'
        f'link = "https://example.org/1"\nexpires = {expires}\n'
    )


def test_each_outcome_of_the_model_has_its_own_word(pytester: pytest.Pytester) -> None:
    result = run(pytester, PASSES, FAILS, DEAF, MISSING, BREAKS, options=("-v",))
    for name, word in (("passes", "PASSED"), ("deaf", "UNOBSERVED"), ("missing", "UNSUPPORTED")):
        result.stdout.fnmatch_lines([f"*test_{name} {word}*"])
    assert outcomes(pytester) == {
        "test_passes": "pass",
        "test_fails": "fail",
        "test_deaf": "unobserved",
        "test_missing": "unsupported",
        "test_breaks": "error",
    }
    assert result.ret == 1


def test_a_broken_proof_and_nothing_worse_is_exit_status_4(pytester: pytest.Pytester) -> None:
    assert run(pytester, PASSES, DEAF, MISSING).ret == 4


def test_a_failure_beside_a_broken_proof_is_exit_status_1(pytester: pytest.Pytester) -> None:
    assert run(pytester, DEAF, FAILS).ret == 1


def test_what_is_not_offered_is_neither_passed_nor_failed(pytester: pytest.Pytester) -> None:
    result = run(pytester, PASSES, MISSING)
    assert result.ret == 0
    # Beside them pytest may count a warning: that the suite, which the plugin's package holds, is loaded.
    result.stdout.fnmatch_lines(["*1 passed, *1 unsupported*"])


def test_a_known_failure_is_not_red_until_it_expires(pytester: pytest.Pytester) -> None:
    tomorrow = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
    know(pytester, "::test_fails", tomorrow)
    assert run(pytester, FAILS).ret == 0
    assert outcomes(pytester) == {"test_fails": "known-failure"}


def test_a_known_failure_that_has_expired_is_a_failure(pytester: pytest.Pytester) -> None:
    know(pytester, "IPV-L2-UCAST-002", datetime.date(2020, 1, 1))
    assert run(pytester, FAILS).ret == 1
    assert outcomes(pytester) == {"test_fails": "fail"}


def test_a_known_failure_that_passes_is_red(pytester: pytest.Pytester) -> None:
    know(pytester, "IPV-L2-UCAST-001", datetime.date(2999, 1, 1))
    assert run(pytester, PASSES).ret == 1
    assert outcomes(pytester) == {"test_passes": "unexpected-pass"}


def test_processes_of_xdist_report_to_one_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(HEAD + PASSES + FAILS + DEAF)
    given = ("-p", "no:randomly", "-p", "no:cacheprovider", "-n", "2", "--ipvlab-implementation=sim")
    result = pytester.runpytest_subprocess(*given, "--ipvlab-json=run.json")
    assert result.ret == 1
    assert outcomes(pytester) == {"test_passes": "pass", "test_fails": "fail", "test_deaf": "unobserved"}


def scenario(pytester: pytest.Pytester, heard: str) -> Path:
    """A scenario of one broadcast, heard by whom the text says."""
    path = pytester.path / "one.ipvlab.yaml"
    path.write_text(
        "name: one\nwires: {lan: {}}\nhosts:\n"
        "  h1: {interfaces: {eth0: {wire: lan, addresses: [10.0.0.1/24]}}}\n"
        "  h2: {interfaces: {eth0: {wire: lan, addresses: [10.0.0.2/24]}}}\n"
        "expect:\n"
        "  - reach: {from: h1, to: h2}\n"
        f"  - broadcast: {{from: h1, heard_by: {heard}}}\n"
    )
    return path


def test_a_scenario_file_is_a_test_for_each_expectation(pytester: pytest.Pytester) -> None:
    path = scenario(pytester, "[h2]")
    options = (*PLUGINS, "--ipvlab-datapath=sim", "-v", str(path))
    result = pytester.runpytest_inprocess(*options, plugins=[pytest_plugin])
    result.stdout.fnmatch_lines(
        ["*one.ipvlab.yaml::commands PASSED*", "*::expect[[]0] PASSED*", "*::expect[[]1] PASSED*"]
    )
    assert result.ret == 0


def test_a_scenario_that_fails_shows_what_was_observed_and_no_traceback(pytester: pytest.Pytester) -> None:
    path = scenario(pytester, "[]")
    options = (*PLUGINS, "--ipvlab-datapath=sim", str(path))
    result = pytester.runpytest_inprocess(*options, plugins=[pytest_plugin])
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*expected  [[][]]*", "*observed  [[]'h2'[]]*", "broadcasts *", "*h2", "*+!*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_scenario_file_that_is_invalid_is_an_error_with_its_place(pytester: pytest.Pytester) -> None:
    path = pytester.path / "bad.ipvlab.yaml"
    path.write_text("name: bad\nhosst: {}\n")
    options = (*PLUGINS, "--ipvlab-datapath=sim", str(path))
    result = pytester.runpytest_inprocess(*options, plugins=[pytest_plugin])
    result.stdout.fnmatch_lines(["*bad.ipvlab.yaml:2:1: IPV102*"])
    assert result.ret == 2
