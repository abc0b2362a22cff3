"""A run as a ConformanceReport: what an implementer publishes, profile by profile."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from ipvlab.implementations.register import Level, ProfileReport, Register
from ipvlab.implementations.results import CaseOutcome, ConformanceRun
from ipvlab.report.failure_text import headline, printable

API_VERSION = "ipvlab.dev/v1"


def report_of(run: ConformanceRun, register: Register) -> dict[str, Any]:
    """The report as plain values."""
    subject = run.subject
    offered = set(subject.features)
    asked = {str(feature) for each in register.in_force() for feature in each.features}
    return {
        "apiVersion": API_VERSION,
        "kind": "ConformanceReport",
        "date": run.date,
        "ipvlabVersion": run.ipvlab,
        "implementation": {
            "organization": subject.organization,
            "project": subject.name,
            "version": subject.version,
            "url": subject.url,
            "kernel": subject.kernel,
            "notes": list(subject.notes),
        },
        "supportedFeatures": sorted(offered),
        "unsupportedFeatures": sorted(asked - offered),
        "probes": run.probes,
        "provedSilences": run.silences,
        "profiles": [_profile_of(report, register) for report in register.judge(run)],
        "knownFailures": [
            {"case": case.id, "reason": headline(case), "link": case.link}
            for case in run.cases
            if case.outcome is CaseOutcome.KNOWN
        ],
    }


def _profile_of(report: ProfileReport, register: Register) -> dict[str, Any]:
    levels: dict[str, dict[str, int]] = {}
    for level in Level:
        outcomes = [
            outcome
            for requirement, outcome in report.outcomes.items()
            if register.requirements[requirement].level is level
        ]
        if not outcomes:
            continue
        counts = {str(outcome): outcomes.count(outcome) for outcome in CaseOutcome}
        levels[str(level)] = {**counts, "untried": outcomes.count(None)}
    return {
        "name": str(report.profile),
        "result": str(report.result),
        "statistics": levels,
        "notPassed": {
            requirement: "untried" if outcome is None else str(outcome)
            for requirement, outcome in report.outcomes.items()
            if outcome is not CaseOutcome.PASS
        },
    }


def format_report(run: ConformanceRun, register: Register) -> str:
    """The report as YAML."""
    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 100
    writer.dump(_cleaned(report_of(run, register)), stream)
    return stream.getvalue()


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
