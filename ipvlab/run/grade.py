"""A folder of answers to exercises: one row for each, whatever state it is in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import ipvlab
from ipvlab.errors import EnvironmentUnfit, IpvlabError, PathUnreadable
from ipvlab.run.blanks import fill, find_changes, write_text
from ipvlab.run.exercise import SUFFIX, Hints, Mark, hints_beside, load_hints, mark
from ipvlab.run.prepare import Prepared, prepare_loaded
from ipvlab.run.results import ScenarioResult
from ipvlab.spec.load import load_scenario, load_scenario_text
from ipvlab.spec.source import Plain, read_source

#: Where the exercises are, in a checkout of the project.
EXERCISES = Path("docs") / "lessons" / "exercises"
#: Bytes of an answer; the longest exercise has a tenth of it. A class is graded in one go, so that
#: nobody's lab of a thousand containers may hold it up.
MAX_BYTES = 1 << 15


@dataclasses.dataclass(frozen=True, slots=True)
class Exercise:
    """The reference copy of an exercise: what was handed out."""

    path: Path
    hints: Hints
    given: Plain

    @property
    def name(self) -> str:
        """The name of its scenario."""
        return self.hints.exercise


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One file that a student handed in, graded."""

    student: str
    #: The path below the folder; empty for a student without any file.
    file: str
    #: None where the file is an answer to no exercise.
    exercise: Exercise | None
    mark: Mark | None = None
    #: Places outside of the blanks that differ from the exercise as handed out.
    changes: tuple[str, ...] = ()
    #: Why it could not be run.
    error: str = ""

    @property
    def points(self) -> int:
        """The points earned; none for a file that does not run."""
        return self.mark.points if self.mark else 0

    @property
    def out_of(self) -> int:
        """The full marks of its exercise."""
        return self.exercise.hints.points if self.exercise else 0

    @property
    def is_full(self) -> bool:
        """Whether the answer has full marks, and nothing was changed that was given."""
        return self.mark is not None and self.mark.is_complete and not self.changes


def load_exercises(folder: Path | None = None) -> dict[str, Exercise]:
    """The exercises of a folder by name; by default those of the project's lessons.

    Raises :class:`PathUnreadable` for a folder without exercises, and what
    loading a scenario or its hints raises.
    """
    package = Path(ipvlab.__file__).parent
    installed = (package.parent / EXERCISES, package / "_suite" / "exercises")
    places = [folder] if folder else [EXERCISES, *installed]
    for place in places:
        paths = sorted(path for path in place.glob(f"*{SUFFIX}") if hints_beside(path))
        if paths:
            return {each.name: each for each in map(_load_exercise, paths)}
    raise PathUnreadable(
        f"the folder {places[0]} holds no exercise",
        hint=f"an exercise is NAME{SUFFIX} with NAME.hints.yaml beside it; name its folder with --exercises",
    )


def _load_exercise(path: Path) -> Exercise:
    hints = load_hints(hints_beside(path) or path)
    loaded = load_scenario(path)
    tree, _ = read_source(path.read_text(encoding="utf-8"), str(path))
    if loaded.scenario.name != hints.exercise:
        raise PathUnreadable(
            f"the hints beside {path} are for {hints.exercise!r}, not for {loaded.scenario.name!r}"
        )
    return Exercise(path, hints, tree.plain)


def find_answers(folder: Path) -> dict[str, list[Path]]:
    """The files that each student handed in: a folder each, or a file each.

    Raises :class:`PathUnreadable` for what is no folder or is empty.
    """
    if not folder.is_dir():
        raise PathUnreadable(f"there is no folder {folder}", hint="name the folder that holds the answers")
    try:
        entries = sorted(folder.iterdir())
    except OSError as refusal:
        raise PathUnreadable(f"the folder {folder} cannot be read: {refusal.strerror}") from None
    students: dict[str, list[Path]] = {}
    for entry in entries:
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            found = sorted(path for path in entry.rglob("*.yaml") if path.name.endswith(SUFFIX))
            students.setdefault(entry.name, []).extend(path for path in found if path.is_file())
        elif entry.name.endswith(SUFFIX):
            students.setdefault(entry.name.removesuffix(SUFFIX), []).append(entry)
    if not students:
        raise PathUnreadable(
            f"the folder {folder} holds no answers", hint=f"one folder or one *{SUFFIX} for each student"
        )
    return students


def grade(
    folder: Path,
    exercises: Mapping[str, Exercise],
    run_one: Callable[[Prepared], ScenarioResult],
) -> Iterator[Answer]:
    """Grade every answer below a folder; yields rows as they are ready, student by student.

    A file that cannot be read, or is no answer, is a row like any other. Raises
    :class:`EnvironmentUnfit` by way of ``run_one``, and as :func:`find_answers`.
    """
    for student, paths in find_answers(folder).items():
        if not paths:
            yield Answer(student, "", None, error="nothing was handed in")
        for path in paths:
            yield _grade_one(student, path, str(path.relative_to(folder)), exercises, run_one)


def _grade_one(
    student: str,
    path: Path,
    file: str,
    exercises: Mapping[str, Exercise],
    run_one: Callable[[Prepared], ScenarioResult],
) -> Answer:
    exercise = _exercise_by_file(path, exercises)
    try:
        written = _read_answer(path)
    except IpvlabError as error:
        return Answer(student, file, exercise, error=_told(error, path, file))
    name = written.get("name") if isinstance(written, dict) else None
    exercise = exercises.get(str(name), exercise)
    if exercise is None:
        return Answer(student, file, None, error=f"no exercise is called {name!r}")
    blanks = exercise.hints.blanks
    changes = tuple(find_changes(exercise.given, written, blanks))
    try:
        text = write_text(fill(exercise.given, written, blanks))
        prepared = prepare_loaded(load_scenario_text(text, str(path)))
        return Answer(student, file, exercise, mark(exercise.hints, run_one(prepared)), changes)
    except EnvironmentUnfit:
        raise
    except IpvlabError as error:
        told = _told(_own_error(path) or error, path, file)
    except Exception as defect:  # noqa: BLE001 - a defect that one answer finds must not cost a class its sheet
        told = f"ipvlab itself failed on it: {type(defect).__name__}: {defect}"
    return Answer(student, file, exercise, None, changes, told)


def _exercise_by_file(path: Path, exercises: Mapping[str, Exercise]) -> Exercise | None:
    """The exercise whose file has the same name; an answer that cannot be read has no other."""
    return next((each for each in exercises.values() if each.path.name == path.name), None)


def _read_answer(path: Path) -> Plain:
    """What a student wrote, as plain values; raises :class:`SpecError` where it is no YAML."""
    if path.is_symlink():
        raise PathUnreadable("it is a symbolic link, and not a file")
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as refusal:
        raise PathUnreadable(f"it cannot be read: {refusal.strerror}") from None
    except UnicodeDecodeError:
        raise PathUnreadable("it is not text in UTF-8") from None
    if len(content) > MAX_BYTES:
        raise PathUnreadable(f"it is longer than {MAX_BYTES} bytes")
    tree, repeated = read_source(text, str(path))
    if repeated:
        raise repeated[0]
    return tree.plain


def _own_error(path: Path) -> IpvlabError | None:
    """What is wrong with the student's file itself, with the place in it."""
    try:
        prepare_loaded(load_scenario(path))
    except IpvlabError as error:
        return error
    return None


def _told(error: IpvlabError, path: Path, file: str) -> str:
    """An error in one line, its place below the folder of answers."""
    first = str(error).splitlines()[0]
    return first.replace(str(path), file)


def best_of(answers: Sequence[Answer]) -> dict[tuple[str, str], Answer]:
    """For each student and exercise the answer with the most points; of equal ones the first."""
    best: dict[tuple[str, str], Answer] = {}
    for answer in answers:
        if answer.exercise is not None:
            key = (answer.student, answer.exercise.name)
            if key not in best or answer.points > best[key].points:
                best[key] = answer
    return best
