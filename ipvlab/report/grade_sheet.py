"""One sheet for a class: students, exercises, points, and what failed; Markdown and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from ipvlab.report.failure_text import printable
from ipvlab.run.grade import Answer, best_of

COLUMNS = ("student", "exercise", "file", "points", "of", "complete", "failed", "changed", "error")

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")
#: What a spreadsheet would take for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def format_csv(answers: Sequence[Answer]) -> str:
    """One line for each file that was handed in, with a head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for answer in answers:
        row = (
            answer.student,
            answer.exercise.name if answer.exercise else "",
            answer.file,
            str(answer.points),
            str(answer.out_of),
            "yes" if answer.is_full else "no",
            "; ".join(_failed(answer)),
            "; ".join(answer.changes),
            answer.error,
        )
        writer.writerow([_cell(each) for each in row])
    return text.getvalue()


def format_sheet(answers: Sequence[Answer], datapath: str = "") -> str:
    """The matrix of students and exercises, then student by student what is missing."""
    best = best_of(answers)
    students = list(dict.fromkeys(answer.student for answer in answers))
    answered = {each.exercise.path: each.exercise for each in best.values() if each.exercise}
    exercises = {answered[path].name: answered[path].hints.points for path in sorted(answered)}
    where = f", datapath {datapath}" if datapath else ""
    lines = [
        "# Grades",
        "",
        f"{_count(students, 'student')}, {_count(list(exercises), 'exercise')}{where}.",
        "",
        _row(["student", *exercises, "total"]),
        _row(["---"] * (len(exercises) + 2)),
    ]
    total = sum(exercises.values())
    for student in students:
        cells = [_points(best.get((student, name))) for name in exercises]
        earned = sum(best[student, name].points for name in exercises if (student, name) in best)
        lines.append(_row([_escape(student), *cells, f"{earned}/{total}"]))
    lines += ["", "`!`: something was changed that was given. `x`: it does not run."]
    for student in students:
        told = [line for answer in answers if answer.student == student for line in _details(answer)]
        if told:
            lines += ["", f"## {_escape(student)}", "", *told]
    return "\n".join(lines) + "\n"


def _details(answer: Answer) -> Iterator[str]:
    """What kept an answer from full marks."""
    if answer.is_full:
        return
    name = (
        f"{answer.exercise.name}, {answer.points} of {answer.out_of} points"
        if answer.exercise
        else "no exercise"
    )
    yield f"- {_escape(name)}" + (f" ({_escape(answer.file)})" if answer.file else "")
    if answer.error:
        yield f"  - does not run: {_escape(answer.error)}" if answer.file else f"  - {_escape(answer.error)}"
    yield from (f"  - failed: {_escape(each)}" for each in _failed(answer))
    yield from (f"  - given part changed: {_escape(each)}" for each in answer.changes)
    if answer.mark is not None and not answer.mark.is_proved:
        yield "  - the machine could not answer every question: grade it again on another datapath"


def _failed(answer: Answer) -> list[str]:
    """The tasks that are not done, and what else failed."""
    if answer.mark is None:
        return []
    tasks = [
        f"{number}. {task.task.task} ({', '.join([*task.missing, *(each.id for each in task.failed)])})"
        for number, task in enumerate(answer.mark.tasks, 1)
        if not task.is_done
    ]
    others = [f"{each.id}: {' '.join(each.reason.split())}" for each in answer.mark.others]
    return tasks + others


def _points(answer: Answer | None) -> str:
    if answer is None:
        return "-"
    sign = " x" if answer.error else " !" if answer.changes else ""
    return f"{answer.points}/{answer.out_of}{sign}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _count(things: Sequence[str], word: str) -> str:
    return f"1 {word}" if len(things) == 1 else f"{len(things)} {word}s"


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def _cell(text: str) -> str:
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
