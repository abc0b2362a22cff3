"""A run as KTAP, the format of the kernel's own tests: a nested plan for each group of cases."""

from __future__ import annotations

from collections.abc import Sequence

from ipvlab.implementations.register import Register
from ipvlab.implementations.results import Case, CaseOutcome, ConformanceRun
from ipvlab.report.failure_text import RED, describe, headline, printable

VERSION = "KTAP version 1"


def format_ktap(runs: Sequence[ConformanceRun], register: Register | None = None) -> str:
    """The runs as one KTAP stream: implementation, group, case."""
    lines = [VERSION, f"1..{len(runs)}"]
    for number, run in enumerate(runs, 1):
        lines += [f"  {line}" for line in _run_lines(run, register)]
        lines.append(f"{_ok(_is_red(run.cases))} {number} {_name(run.subject.name)}")
    counts = {outcome: sum(run.counts()[outcome] for run in runs) for outcome in CaseOutcome}
    lines.append(
        f"# Totals: pass:{counts[CaseOutcome.PASS]} "
        f"fail:{counts[CaseOutcome.FAIL] + counts[CaseOutcome.UNOBSERVED]} "
        f"xfail:{counts[CaseOutcome.KNOWN]} xpass:{counts[CaseOutcome.UNEXPECTED_PASS]} "
        f"skip:{counts[CaseOutcome.UNSUPPORTED]} error:{counts[CaseOutcome.ERROR]}"
    )
    return "\n".join(lines) + "\n"


def _run_lines(run: ConformanceRun, register: Register | None) -> list[str]:
    groups: dict[str, list[Case]] = {}
    for case in run.cases:
        groups.setdefault(case.id.rpartition("::")[0] or run.subject.name, []).append(case)
    lines = [VERSION, f"1..{len(groups)}"]
    for number, (group, cases) in enumerate(groups.items(), 1):
        lines += [f"  {VERSION}", f"  1..{len(cases)}"]
        for at, case in enumerate(cases, 1):
            lines += [f"  {line}" for line in _case_lines(at, case, register)]
        lines.append(f"{_ok(_is_red(cases))} {number} {_name(group)}")
    return lines


def _case_lines(number: int, case: Case, register: Register | None) -> list[str]:
    name = _name(case.id.rpartition("::")[2])
    match case.outcome:
        case CaseOutcome.PASS:
            return [f"ok {number} {name}"]
        case CaseOutcome.UNSUPPORTED:
            return [f"ok {number} {name} # SKIP {headline(case)}"]
        case CaseOutcome.KNOWN:
            return [f"not ok {number} {name} # XFAIL {headline(case)}"]
    told = [f"# {line}" for line in describe(case, register)]
    return [*told, f"not ok {number} {name} # {case.outcome}"]


def _is_red(cases: Sequence[Case]) -> bool:
    return any(case.outcome in RED for case in cases)


def _ok(is_red: bool) -> str:
    return "not ok" if is_red else "ok"


def _name(text: str) -> str:
    """A description may hold anything but ``#``, which begins a directive, and line ends."""
    return " ".join(printable(text).replace("#", "%23").split())
