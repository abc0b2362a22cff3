"""Runs as Markdown, for the summary of a CI job and for a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipvlab.implementations.register import ProfileReport, ProfileResult, Register
from ipvlab.implementations.results import Case, CaseOutcome, ConformanceRun
from ipvlab.report.failure_text import RED, describe, headline, printable

#: How many cases that are not green are told in full; the rest are counted.
TOLD_MOST = 50
_SIGNS = {
    CaseOutcome.PASS: "✅ pass",
    CaseOutcome.FAIL: "❌ fail",
    CaseOutcome.ERROR: "❌ error",
    CaseOutcome.UNOBSERVED: "❔ unobserved",
    CaseOutcome.UNEXPECTED_PASS: "❌ unexpected pass",
    CaseOutcome.KNOWN: "🟡 known failure",
    CaseOutcome.UNSUPPORTED: "➖ unsupported",
}
_RESULTS = {
    ProfileResult.CONFORMANT: "✅ conformant",
    ProfileResult.NONCONFORMANT: "❌ not conformant",
    ProfileResult.INCOMPLETE: "➖ incomplete",
}
#: What Markdown, or HTML inside it, would take for its own in the middle of a line.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def format_markdown(runs: Sequence[ConformanceRun], register: Register | None = None) -> str:
    """The runs as one Markdown text: counts, profiles, and what is not green."""
    lines = ["# ipvlab", ""]
    lines += _table(
        ["implementation", "version", "kernel", "cases", *map(str, CaseOutcome), "seconds"],
        [_counts_row(run) for run in runs],
    )
    if register is not None:
        lines += ["", "## Profiles", ""]
        lines += _profiles(runs, register)
    told = [(run, case) for run in runs for case in run.cases if case.outcome in RED]
    if told:
        lines += ["", "## Not passed", ""]
    for run, case in told[:TOLD_MOST]:
        lines += _details(run, case, register)
    if len(told) > TOLD_MOST:
        lines += [f"… and {len(told) - TOLD_MOST} more.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _counts_row(run: ConformanceRun) -> list[str]:
    counts = run.counts()
    return [
        run.subject.name,
        run.subject.version,
        run.subject.kernel,
        str(len(run.cases)),
        *(str(counts[outcome]) for outcome in CaseOutcome),
        f"{run.seconds:.1f}",
    ]


def _profiles(runs: Sequence[ConformanceRun], register: Register) -> list[str]:
    judged = [register.judge(run) for run in runs]
    rows = [
        [str(reports[0].profile), *(_profile_cell(report) for report in reports)]
        for reports in zip(*judged, strict=True)
    ]
    return _table(["profile", *(run.subject.name for run in runs)], rows)


def _profile_cell(report: ProfileReport) -> str:
    passed = sum(outcome is CaseOutcome.PASS for outcome in report.outcomes.values())
    return f"{_RESULTS[report.result]} ({passed} of {len(report.outcomes)})"


def _details(run: ConformanceRun, case: Case, register: Register | None) -> list[str]:
    # Nothing inside a code block is read as Markdown, but for the fence itself.
    text = "\n".join(describe(case, register))
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    name, case_id, first = (_escape_html(t) for t in (run.subject.name, case.id, headline(case)))
    return [
        f"<details><summary>{_SIGNS[case.outcome]} <b>{name}</b> {case_id}: {first}</summary>",
        "",
        f"{fence}text",
        text,
        fence,
        "",
        "</details>",
        "",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [[*map(_escape, head)], ["---"] * len(head), *([*map(_escape, row)] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def _escape_html(text: str) -> str:
    flat = " ".join(printable(text).split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
