"""The exercises: unfinished as handed out, complete with our answers, and silent about the solution."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ipvlab.cli import run_command_line
from ipvlab.run.blanks import PAIR_KINDS, fill, find_changes
from ipvlab.run.exercise import Mark, hints_beside, load_hints, mark
from ipvlab.run.grade import Exercise, load_exercises
from ipvlab.run.prepare import prepare
from ipvlab.run.results import Outcome
from ipvlab.run.runner import run_prepared
from ipvlab.spec.source import Plain, read_source
from tests.unit.lessons.blocks import ANSWERS, EXERCISES, NAMES, SUFFIX


@pytest.fixture(scope="module")
def exercises() -> dict[str, Exercise]:
    """All exercises, by file name without its ending."""
    return {each.path.name.removesuffix(SUFFIX): each for each in load_exercises(EXERCISES).values()}


def run_mark(exercise: Exercise, path: Path) -> Mark:
    return mark(exercise.hints, run_prepared(prepare(path), "sim"))


def plain_of(path: Path) -> Plain:
    tree, _ = read_source(path.read_text(encoding="utf-8"), str(path))
    return tree.plain


def value_at(content: Plain, keys: list[str]) -> Plain:
    for key in keys:
        if isinstance(content, list):
            content = content[int(key)]
        else:
            assert isinstance(content, dict)
            content = content[key]
    return content


@pytest.mark.parametrize("name", NAMES)
def test_no_task_of_an_exercise_is_done_as_handed_out(name: str, exercises: dict[str, Exercise]) -> None:
    marked = run_mark(exercises[name], exercises[name].path)
    assert [task.task.task for task in marked.tasks if task.is_done] == []
    assert (marked.points, marked.is_complete, marked.is_proved) == (0, False, True)


@pytest.mark.parametrize("name", NAMES)
def test_our_answer_has_full_marks_and_changes_nothing_that_is_given(
    name: str, exercises: dict[str, Exercise]
) -> None:
    exercise, answer = exercises[name], ANSWERS / f"{name}{SUFFIX}"
    marked = run_mark(exercise, answer)
    assert marked.is_complete
    assert marked.points == exercise.hints.points >= 4
    assert find_changes(exercise.given, plain_of(answer), exercise.hints.blanks) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_blank_is_a_place_of_the_exercise_that_our_answer_fills(
    name: str, exercises: dict[str, Exercise]
) -> None:
    exercise = exercises[name]
    answer = plain_of(ANSWERS / f"{name}{SUFFIX}")
    same = [
        blank
        for task in exercise.hints.tasks
        for blank in task.blanks
        if fill(exercise.given, answer, [blank]) == exercise.given and not blank.endswith("*")
    ]
    assert same == []
    for blank in exercise.hints.blanks:
        # Of several choices some are right as they stand; their place is an expectation of a pair.
        if blank.endswith("*"):
            given = value_at(exercise.given, blank.split("/")[:-1])
            assert isinstance(given, dict)
            assert set(given) <= set(PAIR_KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_hints_belong_to_their_lesson_and_every_given_expectation_counts(
    name: str, exercises: dict[str, Exercise]
) -> None:
    hints = exercises[name].hints
    assert hints.lesson == f"{name}.md"
    assert hints.exercise.startswith("ex-")
    result = run_prepared(prepare(ANSWERS / f"{name}{SUFFIX}"), "sim")
    counted = {check for task in hints.tasks for check in task.checks}
    asked = {verdict.id.partition(":")[0] for verdict in result.verdicts}
    assert counted <= asked
    # What no task counts holds in any case, and keeps an answer from being complete when it breaks.
    uncounted = [each for each in result.verdicts if each.id.partition(":")[0] not in counted]
    assert all(each.outcome is Outcome.PASS for each in uncounted)


def hand_out(name: str, folder: Path) -> Path:
    for path in EXERCISES.glob(f"{name}.*"):
        shutil.copy(path, folder)
    return folder / f"{name}{SUFFIX}"


def test_a_run_of_an_unfinished_exercise_gives_hints_and_not_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hand_out("01-l2-one-host", tmp_path)
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "to do  1. Who hears a broadcast of c1, of h1 and of h2 (3 points)" in printed
    assert "hint: Before a ping there is an ARP request" in printed
    assert "exercise ex-l2-one-host: not finished, 0 of 5 points" in printed
    assert "observed" not in printed
    assert "c2, gw" not in printed
    assert "=> It is heard by" not in printed


def test_a_command_that_fails_is_told_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hand_out("02-l2-two-hosts", tmp_path)
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 5
    printed = capsys.readouterr().out
    assert "network db_net_ipv not found" in printed
    assert "to do  1. A network of h2 on the same segment" in printed


def test_a_run_of_a_complete_exercise_says_so_with_the_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hand_out("01-l2-one-host", tmp_path)
    shutil.copy(ANSWERS / path.name, path)
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "exercise ex-l2-one-host: complete, 5 of 5 points" in printed
    assert "hint" not in printed


def test_an_answer_whose_tasks_are_done_is_not_complete_while_something_else_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hand_out("02-l2-two-hosts", tmp_path)
    answer = (ANSWERS / path.name).read_text(encoding="utf-8")
    spoilt = answer.replace(
        "-itd alpine /bin/sh\n\nexpect", "-itd alpine /bin/sh\n      docker rm nobody\n\nexpect"
    )
    assert spoilt != answer
    path.write_text(spoilt, encoding="utf-8")
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 5
    printed = capsys.readouterr().out
    assert "all tasks are done, but something else failed" in printed
    assert "not finished, 4 of 4 points" in printed


def test_an_expectation_that_was_taken_out_is_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hand_out("01-l2-one-host", tmp_path)
    lines = (ANSWERS / path.name).read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "to: c2, source_mac" not in line), encoding="utf-8")
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "not in the file: expect[7]" in printed
    assert "not finished, 4 of 5 points" in printed


def test_a_scenario_without_hints_beside_it_is_no_exercise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"lab{SUFFIX}"
    shutil.copy(EXERCISES / f"01-l2-one-host{SUFFIX}", path)
    assert hints_beside(path) is None
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "observed" in printed
    assert "points" not in printed


def test_hints_that_are_broken_are_bad_input_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hand_out("01-l2-one-host", tmp_path)
    hints = hints_beside(path)
    assert hints is not None
    hints.write_text("exercise: ex-l2-one-host\nlesson: x\ntasks:\n  - task: t\n", encoding="utf-8")
    assert run_command_line(["run", "--datapath", "sim", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "01-l2-one-host.hints.yaml:4:5: IPV103" in printed.err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("exercise: e\nlesson: l\n", "IPV103", "tasks"),
        ("exercise: e\nlesson: l\ntasks: []\n", "IPV104", "empty"),
        ("exercise: e\nlesson: l\nhint: x\ntasks: []\n", "IPV102", "Keys: exercise, lesson, tasks"),
        ("exercise: e\nlesson: l\ntasks: [{task: t, hint: h, checks: [expect]}]\n", "IPV104", "expect[2]"),
        (
            "exercise: e\nlesson: l\ntasks: [{task: t, hint: h, checks: ['expect[0]'], blanks: [x]}]\n",
            "IPV104",
            "expect/2/broadcast/heard_by",
        ),
        ("- a\n", "IPV101", "list"),
    ],
)
def test_a_fault_in_a_file_of_hints_is_told_with_its_place(
    tmp_path: Path, text: str, code: str, said: str
) -> None:
    path = tmp_path / "x.hints.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=f"x.hints.yaml:.*{code}") as caught:
        load_hints(path)
    assert said in str(caught.value)
