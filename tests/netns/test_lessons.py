"""The lessons on real packets: the same commands, the same quotations, the same marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.run.exercise import mark
from ipvlab.run.grade import Exercise, load_exercises
from ipvlab.run.prepare import prepare
from ipvlab.run.runner import run_prepared
from tests.netns.conftest import DATAPATHS
from tests.unit.lessons.blocks import ANSWERS, EXERCISES, NAMES, PAGES, SUFFIX, go_through


@pytest.fixture(scope="module")
def exercises() -> dict[str, Exercise]:
    """All exercises, by file name without its ending."""
    return {each.path.name.removesuffix(SUFFIX): each for each in load_exercises(EXERCISES).values()}


@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_lesson_print_what_it_quotes(
    page: str,
    datapath: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    go_through(page, tmp_path, datapath, capsys)


@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_has_no_marks_as_handed_out_and_full_marks_with_our_answer(
    name: str, datapath: str, exercises: dict[str, Exercise]
) -> None:
    exercise = exercises[name]
    unfinished = mark(exercise.hints, run_prepared(prepare(exercise.path), datapath))
    assert (unfinished.points, unfinished.is_complete, unfinished.is_proved) == (0, False, True)
    answer = mark(exercise.hints, run_prepared(prepare(ANSWERS / f"{name}{SUFFIX}"), datapath))
    assert (answer.points, answer.is_complete) == (exercise.hints.points, True)
