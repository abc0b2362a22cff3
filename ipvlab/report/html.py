"""Runs as one self-contained HTML page: implementations side by side, and behind each cell its evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from ipvlab.implementations.register import Profile, Register
from ipvlab.implementations.results import Case, CaseOutcome, Claim, ConformanceRun, worst
from ipvlab.report.drawing import draw
from ipvlab.report.failure_text import printable, show

#: A word and a shape for each outcome: colour is never the only sign.
_OUTCOMES = {
    CaseOutcome.PASS: ("✔", "pass"),
    CaseOutcome.FAIL: ("✘", "fail"),
    CaseOutcome.ERROR: ("⚠", "error"),
    CaseOutcome.UNEXPECTED_PASS: ("✘", "unexpected pass"),
    CaseOutcome.UNOBSERVED: ("?", "unobserved"),
    CaseOutcome.KNOWN: ("▲", "known failure"),
    CaseOutcome.UNSUPPORTED: ("–", "unsupported"),
}
_LEDE = (
    "Each cell is what was observed, not what was configured. Silence is proved: a fence that had to arrive "
    "was heard after the probe, and a canary shows that the listener heard at all. "
    "Open a cell for its evidence."
)


def format_html(runs: Sequence[ConformanceRun], register: Register | None = None) -> str:
    """The runs as one HTML document that loads nothing from anywhere.

    With a register there is a row for each requirement, without one for each case.
    """
    rows = _requirement_rows(runs, register) if register is not None else _case_rows(runs)
    content = {
        "runs": [_run(run, register) for run in runs],
        "rows": rows,
        "row_name": "requirement" if register is not None else "expectation",
        "outcomes": {
            str(outcome): {"sign": sign, "words": words} for outcome, (sign, words) in _OUTCOMES.items()
        },
        "drawings": {name: draw(each) for run in runs for name, each in run.topologies.items()},
    }
    parts = {
        "title": "Conformance of ipvlan" if register is not None else "What the scenarios proved",
        "lede": _LEDE,
        "subjects_heading": "Implementations" if register is not None else "Datapaths",
        "matrix_heading": "Requirements" if register is not None else "Expectations",
        "version": escape(runs[0].ipvlab) if runs else "",
        "style": _asset("page.css"),
        "script": _asset("page.js"),
        # Inside a script element only ``</`` and ``<!--`` are special, and JSON may write them otherwise.
        "content": json.dumps(_cleaned(content), ensure_ascii=False).replace("<", "\\u003c"),
    }
    return re.sub(r"\{(\w+)\}", lambda found: parts[found[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (resources.files("ipvlab.report") / "page" / name).read_text(encoding="utf-8")


def _run(run: ConformanceRun, register: Register | None) -> dict[str, Any]:
    subject = run.subject
    about = [f"version {subject.version}", f"kernel {subject.kernel}", run.date]
    profiles = [] if register is None else register.judge(run)
    return {
        "name": subject.name,
        "about": ", ".join([subject.organization, *about] if subject.organization else about),
        "notes": list(subject.notes),
        "counts": run.counts(),
        "seconds": f"{run.seconds:.1f}",
        "probes": run.probes,
        "silences": run.silences,
        "profiles": [
            {
                "name": str(report.profile),
                "result": str(report.result),
                "words": "not conformant" if report.result == "nonconformant" else str(report.result),
                "passed": sum(outcome is CaseOutcome.PASS for outcome in report.outcomes.values()),
                "total": len(report.outcomes),
            }
            for report in profiles
            if report.outcomes
        ],
        "cases": [_case(case) for case in run.cases],
    }


def _case(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "title": case.title,
        "outcome": str(case.outcome),
        "reason": case.reason,
        "link": case.link if case.link.startswith(("https://", "http://")) else "",
        "topology": case.topology,
        "capture": case.capture,
        "reproduce": case.reproduce,
        "claims": [_claim(claim) for claim in case.claims],
        "packets": [packet.model_dump() for packet in case.packets],
    }


def _claim(claim: Claim) -> dict[str, Any]:
    proof = claim.proof
    told = [proof.text] if proof.text else []
    for name, numbers in (
        ("probe", proof.probes),
        ("answer", proof.answers),
        ("next hop asked for", proof.resolution),
        ("fence", proof.fences),
        ("canary", proof.canaries),
    ):
        if numbers:
            told.append(f"{name} in packet {', '.join(map(str, numbers))}")
    if proof.silent:
        told.append(f"proved silent: {', '.join(proof.silent)}")
    return {
        "id": claim.id,
        "outcome": str(claim.outcome),
        "expected": show(claim.expected),
        "observed": show(claim.observed),
        "reason": claim.reason,
        "explanation": list(claim.explanation),
        "proof": "; ".join(told),
    }


def _cell(cases: Sequence[tuple[int, Case]]) -> dict[str, Any]:
    outcome = worst(case.outcome for _, case in cases)
    # What went wrong comes first.
    ordered = sorted(cases, key=lambda item: item[1].outcome is CaseOutcome.PASS)
    return {"outcome": outcome and str(outcome), "cases": [number for number, _ in ordered]}


def _requirement_rows(runs: Sequence[ConformanceRun], register: Register) -> list[dict[str, Any]]:
    by_requirement: list[dict[str, list[tuple[int, Case]]]] = []
    for run in runs:
        found: dict[str, list[tuple[int, Case]]] = {}
        for number, case in enumerate(run.cases):
            for requirement in case.requirements:
                found.setdefault(requirement, []).append((number, case))
        by_requirement.append(found)
    rows = []
    for entry in (entry for profile in Profile for entry in register.of_profile(profile)):
        mine = [found.get(entry.id, []) for found in by_requirement]
        ids = {case.id for cases in mine for _, case in cases}
        rows.append(
            {
                "id": entry.id,
                "group": str(entry.profile),
                "level": str(entry.level),
                "text": entry.text,
                "source": entry.source,
                "search": " ".join([entry.id, entry.text, entry.source, *ids]).lower(),
                "cells": [_cell(cases) for cases in mine],
            }
        )
    return rows


def _case_rows(runs: Sequence[ConformanceRun]) -> list[dict[str, Any]]:
    places = [{case.id: (number, case) for number, case in enumerate(run.cases)} for run in runs]
    rows = []
    for case_id in dict.fromkeys(case.id for run in runs for case in run.cases):
        mine = [[place[case_id]] if case_id in place else [] for place in places]
        title = next(case.title for cases in mine for _, case in cases)
        group, _, name = case_id.partition("::")
        rows.append(
            {
                "id": name or case_id,
                "group": group,
                "level": "",
                "text": title,
                "source": "",
                "search": f"{case_id} {title}".lower(),
                "cells": [_cell(cases) for cases in mine],
            }
        )
    return rows


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value
