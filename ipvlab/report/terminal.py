"""Results for a person at a terminal, or for a log: a line for each scenario, then what went wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from ipvlab.report.matrix import matrices
from ipvlab.run.results import Outcome, ScenarioResult, Verdict

_STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.UNSUPPORTED: "yellow",
    Outcome.UNOBSERVED: "magenta",
    Outcome.ERROR: "bold red",
}


class TerminalReport:
    """Prints results as they come; colour only on a terminal, and never as the only sign."""

    def __init__(self, stream: IO[str], *, is_verbose: bool = False) -> None:
        # rich takes colour away for NO_COLOR and where the stream is no terminal.
        self._console = Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)
        self._is_verbose = is_verbose

    def add(self, result: ScenarioResult) -> None:
        """Print one scenario's result."""
        line = Text()
        line.append(_outcome_of(result).ljust(11), style=_style_of(result))
        line.append(result.scenario, style="bold")
        if result.title:
            line.append(f"  {result.title}")
        seconds = result.seconds
        line.append(
            f"  [{result.datapath}] build {seconds.build:.2f} s, probe {seconds.probe:.2f} s, "
            f"teardown {seconds.teardown:.2f} s: {count_outcomes(result.summary)}",
            style="dim",
        )
        self._console.print(line)
        if self._is_verbose:
            for paragraph in result.about.strip().splitlines():
                self._console.print(f"    {paragraph}", style="italic")
            for note in result.notes:
                self._console.print(f"    note: {note}")
        if self._is_verbose or not result.ok:
            for stage in _stages(result.verdicts):
                for row in matrices(stage):
                    self._console.print(f"    {row}")
        for verdict in result.verdicts:
            if self._is_verbose or verdict.outcome is not Outcome.PASS:
                self._add_verdict(verdict)
        if result.stays_up:
            self._console.print(f"  {result.stays_up}")

    def add_total(self, results: Sequence[ScenarioResult]) -> None:
        """Print the last line: how many scenarios and verdicts, and their outcomes."""
        totals = {str(outcome): 0 for outcome in Outcome}
        for result in results:
            for outcome, count in result.summary.items():
                totals[outcome] += count
        seconds = sum(r.seconds.build + r.seconds.probe + r.seconds.teardown for r in results)
        scenarios = "1 scenario" if len(results) == 1 else f"{len(results)} scenarios"
        is_good = bool(results) and all(result.ok for result in results)
        self._console.print(
            Text(
                f"{scenarios}, {count_outcomes(totals)} in {seconds:.2f} s",
                style="bold green" if is_good else "bold red",
            )
        )

    def _add_verdict(self, verdict: Verdict) -> None:
        line = Text("  ")
        line.append(str(verdict.outcome).ljust(11), style=_STYLES[verdict.outcome])
        line.append(verdict.id)
        line.append(f" {verdict.kind}")
        if verdict.where:
            line.append(f"  ({verdict.where})", style="dim")
        if verdict.outcome is Outcome.PASS:
            line.append(f"  {_show(verdict.observed)}", style="dim")
            if verdict.reason:
                line.append(f"  {verdict.reason}", style="dim")
            self._console.print(line)
            return
        self._console.print(line)
        if verdict.expected is not None or verdict.observed is not None:
            self._console.print(f"      expected  {_show(verdict.expected)}")
            self._console.print(f"      observed  {_show(verdict.observed)}")
        if verdict.reason:
            first, *others = verdict.reason.strip().splitlines() or [""]
            self._console.print(f"      reason    {first}")
            for other in others:
                self._console.print(f"                {other}")
        for number, text in enumerate(verdict.explanation):
            self._console.print(f"      {'explained ' if not number else ' ' * 10}{text}")


def count_outcomes(summary: dict[str, int]) -> str:
    """Counts in words: ``12 pass, 1 fail``; outcomes that did not occur are left out."""
    told = [f"{count} {outcome}" for outcome, count in summary.items() if count]
    return ", ".join(told) or "no verdicts"


def _stages(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """The verdicts of the beginning and of each step, whose labs differ."""
    stages: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        step, dot, _ = verdict.id.partition(".")
        stages.setdefault(step if dot and step.startswith("steps[") else "", []).append(verdict)
    return list(stages.values())


def _outcome_of(result: ScenarioResult) -> str:
    if result.ok:
        return "ok"
    if not result.verdicts:
        return "incomplete"
    for outcome in (Outcome.ERROR, Outcome.FAIL, Outcome.UNOBSERVED, Outcome.UNSUPPORTED):
        if result.summary[outcome]:
            return str(outcome)
    return "incomplete"


def _style_of(result: ScenarioResult) -> str:
    return "bold green" if result.ok else "bold red"


def _show(value: Any) -> str:
    """A JSON value in one line, as a person would write it down."""
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) if value else "(none)"
    if isinstance(value, dict):
        return (
            ", ".join(f"{key} {_show(item)}" for key, item in value.items() if item is not None)
            or "(nothing)"
        )
    if isinstance(value, str):
        return value.strip()
    return json.dumps(value)
