"""Every report is made from one model, so all of them count and name the same."""

from __future__ import annotations

import io
import re
from collections import Counter
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ipvlab.implementations.register import Level, Profile, Register, Requirement
from ipvlab.implementations.results import Case, CaseOutcome, Claim, ConformanceRun, Subject
from ipvlab.report.conformance_yaml import format_report
from ipvlab.report.failure_text import RED
from ipvlab.report.junit import format_junit
from ipvlab.report.ktap import format_ktap
from ipvlab.report.markdown import TOLD_MOST, format_markdown

REGISTER = Register(
    Requirement(
        id=f"IPV-L2-UCAST-{number:03}",
        level=list(Level)[number % 3],
        profile=list(Profile)[number % 4],
        text="Something that can be observed.",
        source="a source",
    )
    for number in range(12)
)
#: Whatever an implementation may say of itself, control characters and markup among it.
TEXTS = st.text(max_size=40)
OUTCOMES = st.sampled_from(CaseOutcome)
CLAIMS = st.builds(
    Claim, id=TEXTS, outcome=OUTCOMES, expected=st.lists(TEXTS, max_size=3), observed=TEXTS, reason=TEXTS
)
CASES = st.builds(
    Case,
    id=st.builds("test_{0}.py::{1}".format, st.integers(0, 3), TEXTS),
    requirements=st.lists(st.sampled_from(list(REGISTER.requirements)), max_size=3).map(tuple),
    outcome=OUTCOMES,
    reason=TEXTS,
    claims=st.lists(CLAIMS, max_size=2).map(tuple),
)
RUNS = st.builds(
    ConformanceRun,
    ipvlab=st.just("1.0"),
    date=st.just("2026-01-01T00:00:00Z"),
    subject=st.builds(Subject, name=TEXTS, version=TEXTS, kernel=TEXTS),
    cases=st.lists(CASES, max_size=8).map(tuple),
)


@settings(deadline=None)
@given(st.lists(RUNS, min_size=1, max_size=3))
def test_junit_is_xml_and_has_every_case_with_its_outcome_and_requirements(
    runs: list[ConformanceRun],
) -> None:
    root = ElementTree.fromstring(format_junit(runs, REGISTER))
    told = Counter(
        (suite_at, element.get("value"))
        for suite_at, suite in enumerate(root)
        for element in suite.iterfind("testcase/properties/property[@name='outcome']")
    )
    assert told == Counter((at, str(case.outcome)) for at, run in enumerate(runs) for case in run.cases)
    requirements = Counter(
        element.get("value")
        for element in root.iterfind(".//testcase/properties/property[@name='requirement']")
    )
    assert requirements == Counter(
        name for run in runs for case in run.cases for name in set(case.requirements)
    )
    assert root.get("tests") == str(sum(len(run.cases) for run in runs))
    for failure in (*root.iter("failure"), *root.iter("error"), *root.iter("skipped")):
        assert failure.get("message")


@settings(deadline=None)
@given(st.lists(RUNS, min_size=1, max_size=3))
def test_ktap_has_a_line_for_every_case_and_totals_that_add_up(runs: list[ConformanceRun]) -> None:
    lines = format_ktap(runs, REGISTER).splitlines()
    cases = [case for run in runs for case in run.cases]
    results = [line for line in lines if re.match(r"    (not )?ok \d+ ", line)]
    assert len(results) == len(cases)
    red = [line for line in results if line.startswith("    not ok") and "# XFAIL" not in line]
    assert len(red) == sum(case.outcome in RED for case in cases)
    totals = [int(number) for number in re.findall(r":(\d+)", lines[-1])]
    assert sum(totals) == len(cases)


@settings(deadline=None)
@given(st.lists(RUNS, min_size=1, max_size=3))
def test_markdown_tells_each_case_that_is_red_and_no_other(runs: list[ConformanceRun]) -> None:
    text = format_markdown(runs, REGISTER)
    red = sum(case.outcome in RED for run in runs for case in run.cases)
    assert text.count("<details>") == min(red, TOLD_MOST) == text.count("</details>")


@settings(deadline=None)
@given(RUNS)
def test_the_conformance_report_is_yaml_and_counts_each_requirement_once(run: ConformanceRun) -> None:
    report = YAML(typ="safe").load(io.StringIO(format_report(run, REGISTER)))
    counted = sum(
        count
        for profile in report["profiles"]
        for level in profile["statistics"].values()
        for count in level.values()
    )
    assert counted == len(REGISTER.requirements)
    assert len(report["knownFailures"]) == run.counts()["known-failure"]


@settings(deadline=None)
@given(RUNS)
def test_a_run_survives_its_own_json(run: ConformanceRun) -> None:
    assert ConformanceRun.model_validate_json(run.model_dump_json()) == run
