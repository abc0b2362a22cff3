"""The result of an exercise for the student who wrote it: what is done, hints for what is not, the score."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import IO

from ipvlab.report.terminal import TerminalReport
from ipvlab.run.exercise import Hints, Mark, TaskMark, mark
from ipvlab.run.results import Outcome, ScenarioResult, Verdict


def add_result(
    report: TerminalReport, stream: IO[str], result: ScenarioResult, hints: Mapping[str, Hints]
) -> None:
    """Print one result: an exercise with its tasks and without the answers, other scenarios as they are.

    ``stream`` is where the report writes; ``hints`` are those of the exercises, by path.
    """
    if result.path not in hints:
        report.add(result)
        return
    marked = mark(hints[result.path], result)
    # What was observed at a blank is its answer; the report shows the rest as it always does.
    told = [verdict for verdict in result.verdicts if verdict or verdict in marked.others]
    hidden = [_without_answer(task, each) for task in marked.tasks for each in task.failed]
    shown = {verdict.id: verdict for verdict in (*told, *hidden)}
    report.add(
        dataclasses.replace(
            result, verdicts=tuple(shown[verdict.id] for verdict in result.verdicts if verdict.id in shown)
        )
    )
    for line in describe(marked, result.path):
        stream.write(f"  {line}\n")
    stream.flush()


def describe(marked: Mark, path: str = "") -> Iterator[str]:
    """The tasks of an exercise and the score, line by line."""
    for number, task in enumerate(marked.tasks, 1):
        worth = "1 point" if task.task.points == 1 else f"{task.task.points} points"
        yield f"{'done' if task.is_done else 'to do'}  {number}. {task.task.task} ({worth})"
        if task.is_done:
            continue
        yield from (f"         not in the file: {check}" for check in task.missing)
        for line_number, line in enumerate(task.task.hint.strip().splitlines()):
            yield f"         {'hint: ' if not line_number else '      '}{line}"
    score = f"{marked.points} of {marked.hints.points} points"
    if marked.is_complete:
        yield f"exercise {marked.hints.exercise}: complete, {score}"
        return
    if not marked.is_proved:
        yield "some questions could not be answered on this machine; try --datapath sim"
    elif marked.points == marked.hints.points:
        yield "all tasks are done, but something else failed: see above"
    yield f"exercise {marked.hints.exercise}: not finished, {score}" + (f" ({path})" if path else "")


def _without_answer(task: TaskMark, verdict: Verdict) -> Verdict:
    if verdict.outcome is not Outcome.FAIL or not task.is_answer(verdict):
        return verdict
    return dataclasses.replace(
        verdict, expected=None, observed=None, reason="this is not what happens; see the hint", explanation=()
    )
