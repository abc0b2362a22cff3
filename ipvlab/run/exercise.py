"""Exercises: scenario files with blanks, and the tasks and hints that lie beside them.

``NN-name.ipvlab.yaml`` is an exercise exactly when ``NN-name.hints.yaml`` lies beside
it. The exercise is an ordinary scenario, so the file format knows nothing of blanks;
the hints say which places are the student's to write, and which verdicts show that they
are right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictInt, ValidationError

from ipvlab.errors import KeyUnknown, PathUnreadable, SpecError, ValueInvalid
from ipvlab.run.results import Outcome, ScenarioResult, Verdict
from ipvlab.spec.load import locate, raise_first
from ipvlab.spec.networks import Value
from ipvlab.spec.source import MappingNode, read_source
from ipvlab.spec.words import translate

SUFFIX = ".ipvlab.yaml"
HINTS_SUFFIX = ".hints.yaml"


class Task(Value):
    """One thing to find out or to write."""

    task: Annotated[str, Field(min_length=1)] = Field(description="What is to be done, one line.")
    hint: Annotated[str, Field(min_length=1)] = Field(description="Said as long as it is not done.")
    checks: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="Ids of expectations (`expect[2]`, `steps[0].expect[1]`); all of their verdicts pass."
    )
    blanks: tuple[str, ...] = Field(
        default=(), description="The student's places: `hosts/h1/commands`; `expect/2/*` is the kind only."
    )
    points: Annotated[StrictInt, Field(ge=1, le=100)] = Field(default=1, description="What it is worth.")


class Hints(Value):
    """What lies beside an exercise."""

    exercise: str = Field(description="The name of the scenario.")
    lesson: str = Field(description="The lesson's file name.")
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)] = Field(description="In order.")

    @property
    def points(self) -> int:
        """The full marks."""
        return sum(task.points for task in self.tasks)

    @property
    def blanks(self) -> tuple[str, ...]:
        """Every place that is the student's, each once."""
        return tuple(dict.fromkeys(blank for task in self.tasks for blank in task.blanks))


@dataclasses.dataclass(frozen=True, slots=True)
class TaskMark:
    """One task, held against the verdicts of a run."""

    task: Task
    #: Checks that no verdict belongs to: their expectation is not in the file, or was not reached.
    missing: tuple[str, ...]
    #: Verdicts of its checks that did not pass.
    failed: tuple[Verdict, ...]

    @property
    def is_done(self) -> bool:
        """Whether every check has verdicts and all of them passed."""
        return not self.missing and not self.failed

    @property
    def points(self) -> int:
        """The points earned: all or none."""
        return self.task.points if self.is_done else 0

    def is_answer(self, verdict: Verdict) -> bool:
        """Whether the blank is in the verdict's own expectation, so that what was observed is the answer."""
        places = (_id_of(blank) for blank in self.task.blanks)
        return any(place and _belongs(verdict.id, place) for place in places)


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A run of an exercise, task by task."""

    hints: Hints
    tasks: tuple[TaskMark, ...]
    #: Verdicts that did not pass and belong to no task: commands that failed, given parts that broke.
    others: tuple[Verdict, ...]

    @property
    def points(self) -> int:
        """The points earned."""
        return sum(task.points for task in self.tasks)

    @property
    def is_complete(self) -> bool:
        """Whether all tasks are done and nothing else failed."""
        return not self.others and all(task.is_done for task in self.tasks)

    @property
    def is_proved(self) -> bool:
        """Whether the machine could answer every question, so that the points are fair."""
        silent = (Outcome.UNOBSERVED, Outcome.UNSUPPORTED)
        verdicts = (*self.others, *(verdict for task in self.tasks for verdict in task.failed))
        return not any(verdict.outcome in silent for verdict in verdicts)


def hints_beside(path: Path) -> Path | None:
    """The hints of a scenario file, where it has some; then it is an exercise."""
    if not path.name.endswith(SUFFIX):
        return None
    hints = path.with_name(path.name.removesuffix(SUFFIX) + HINTS_SUFFIX)
    return hints if hints.is_file() else None


def find_hints(paths: Iterable[str]) -> dict[str, Hints]:
    """The hints of those scenario files that are exercises, by path; raises as :func:`load_hints`."""
    found = {path: hints_beside(Path(path)) for path in paths}
    return {path: load_hints(hints) for path, hints in found.items() if hints is not None}


def load_hints(path: Path) -> Hints:
    """Read a file of hints.

    Raises :class:`PathUnreadable` for a file that cannot be read, and
    :class:`SyntaxInvalid`, :class:`KeyUnknown`, :class:`KeyMissing` or
    :class:`ValueInvalid` with the place in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as refusal:
        why = refusal.strerror if isinstance(refusal, OSError) else "it is not text in UTF-8"
        raise PathUnreadable(f"the hints {path} cannot be read: {why}") from None
    tree, errors = read_source(text, str(path))
    try:
        hints = Hints.model_validate(tree.plain)
    except ValidationError as refusal:
        for detail in refusal.errors(include_url=False):
            errors.append(_in_hints(translate(detail, lambda keys, key: locate(tree, keys, wants_key=key))))
        raise_first(errors)
        raise
    errors += _check_places(hints, tree)
    raise_first(errors)
    return hints


def _in_hints(error: SpecError) -> SpecError:
    """The same error in words that fit a file of hints."""
    error.what = error.what.replace("the scenario", "the file of hints")
    if isinstance(error, KeyUnknown):
        error.hint = f"Keys: {', '.join(Hints.model_fields)}; of a task: {', '.join(Task.model_fields)}."
    return error


def _check_places(hints: Hints, tree: MappingNode) -> list[SpecError]:
    """Checks and blanks that cannot be places of a scenario."""
    errors: list[SpecError] = []
    for number, task in enumerate(hints.tasks):
        for key, written in (("checks", task.checks), ("blanks", task.blanks)):
            for index, place in enumerate(written):
                good = place.endswith("]") if key == "checks" else not place.startswith("/") and "/" in place
                if not good:
                    at = locate(tree, ("tasks", number, key, index), wants_key=False)
                    like = "expect[2]" if key == "checks" else "expect/2/broadcast/heard_by"
                    what = f"{place!r} is no {key.removesuffix('s')}"
                    errors.append(ValueInvalid(what, where=at, hint=f"Write it like {like}."))
    return errors


def mark(hints: Hints, result: ScenarioResult) -> Mark:
    """Hold a run against the tasks of its exercise."""
    tasks = []
    of_tasks: set[str] = set()
    for task in hints.tasks:
        missing = []
        failed = []
        for check in task.checks:
            verdicts = [verdict for verdict in result.verdicts if _belongs(verdict.id, check)]
            of_tasks.update(verdict.id for verdict in verdicts)
            failed += [verdict for verdict in verdicts if not verdict]
            if not verdicts:
                missing.append(check)
        tasks.append(TaskMark(task, tuple(missing), tuple(failed)))
    others = [verdict for verdict in result.verdicts if not verdict and verdict.id not in of_tasks]
    return Mark(hints, tuple(tasks), tuple(others))


def _belongs(verdict: str, expectation: str) -> bool:
    """Whether a verdict is one of an expectation's: ``expect[2]:a1->h1/ipv4`` of ``expect[2]``."""
    return verdict == expectation or verdict.startswith(f"{expectation}:")


def _id_of(blank: str) -> str:
    """The id of the expectation that a blank lies in, or nothing: ``steps/0/expect/1/*``."""
    parts = blank.split("/")
    if parts[0] == "expect" and len(parts) > 1:
        return f"expect[{parts[1]}]"
    if parts[0] == "steps" and len(parts) > 3 and parts[2] == "expect":
        return f"steps[{parts[1]}].expect[{parts[3]}]"
    return ""
