"""A class's answers become one sheet: every file a row, whatever is in it."""

from __future__ import annotations

import csv
import functools
import io
import shutil
from pathlib import Path

import pytest

from ipvlab.cli import run_command_line
from ipvlab.errors import KernelUnfit, PathUnreadable
from ipvlab.report.grade_sheet import COLUMNS, format_csv, format_sheet
from ipvlab.run.grade import MAX_BYTES, Answer, Exercise, find_answers, grade, load_exercises
from ipvlab.run.prepare import Prepared
from ipvlab.run.results import Outcome, ScenarioResult, Seconds, Verdict
from ipvlab.run.runner import run_prepared
from tests.unit.lessons.blocks import ANSWERS, EXERCISES, SUFFIX

FIRST = f"01-l2-one-host{SUFFIX}"
SECOND = f"02-l2-two-hosts{SUFFIX}"


def on_sim(prepared: Prepared) -> ScenarioResult:
    return run_prepared(prepared, "sim")


@functools.cache
def handed_out() -> dict[str, Exercise]:
    return load_exercises(EXERCISES)


def grade_all(folder: Path) -> list[Answer]:
    return list(grade(folder, handed_out(), on_sim))


def hand_in(folder: Path, student: str, text: str | bytes, name: str = FIRST) -> None:
    (folder / student).mkdir(exist_ok=True)
    content = text.encode() if isinstance(text, str) else text
    (folder / student / name).write_bytes(content)


def solution(name: str = FIRST) -> str:
    return (ANSWERS / name).read_text(encoding="utf-8")


def test_every_student_is_a_row_and_every_exercise_a_column(tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", solution())
    hand_in(tmp_path, "ada", solution(SECOND), SECOND)
    hand_in(tmp_path, "bob", (EXERCISES / FIRST).read_text(encoding="utf-8"))
    shutil.copy(ANSWERS / FIRST, tmp_path / f"cyd{SUFFIX}")
    sheet = format_sheet(grade_all(tmp_path), "sim")
    assert "| student | ex-l2-one-host | ex-l2-two-hosts | total |" in sheet
    assert "| ada | 5/5 | 4/4 | 9/9 |" in sheet
    assert "| bob | 0/5 | - | 0/9 |" in sheet
    assert "| cyd | 5/5 | - | 5/9 |" in sheet
    assert "3 students, 2 exercises, datapath sim." in sheet
    assert "failed: 2. Which round trips succeed" in sheet
    assert "## ada" not in sheet


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: [", f"eve/{FIRST}:1:"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("", "empty"),
        ("- a\n", "list"),
        ("name: nosuch\n", ""),
        (solution().replace("heard_by: [c2, h2, gw]", "heard_by: [c2, h9]"), "IPV203 there is no node 'h9'"),
        ("x" * (MAX_BYTES + 1), "longer"),
    ],
)
def test_a_broken_file_is_a_row_with_its_reason(tmp_path: Path, text: str | bytes, said: str) -> None:
    hand_in(tmp_path, "ada", solution())
    hand_in(tmp_path, "eve", text)
    ada, eve = grade_all(tmp_path)
    assert ada.is_full
    assert (eve.student, eve.points, eve.out_of, eve.is_full) == ("eve", 0, 5, False)
    assert said in eve.error
    sheet = format_sheet([ada, eve])
    assert "| ada | 5/5 |" in sheet
    assert "| eve | 0/5" in sheet


def test_a_command_outside_of_the_grammar_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = solution(SECOND).replace("docker run --net=db_net_ipv --ip", "docker fly --ip")
    hand_in(tmp_path, "eve", wrong, SECOND)
    [eve] = grade_all(tmp_path)
    assert (eve.points, eve.out_of) == (0, 4)
    assert f"eve/{SECOND}:" in eve.error
    assert "IPV105" in eve.error


def test_what_is_broken_outside_of_the_blanks_is_replaced_by_what_was_given(tmp_path: Path) -> None:
    hand_in(tmp_path, "eve", solution().replace("docker run --net=db_net --name=c2", "docker fly"))
    [eve] = grade_all(tmp_path)
    assert (eve.points, eve.is_full) == (5, False)
    assert eve.changes == ("hosts/h1/commands was changed",)


def test_a_student_without_a_file_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "eve").mkdir()
    hand_in(tmp_path, "ada", solution())
    _, eve = grade_all(tmp_path)
    assert eve.error == "nothing was handed in"
    assert "| eve | - | 0/5 |" in format_sheet(grade_all(tmp_path))


def test_a_file_that_answers_no_exercise_is_told(tmp_path: Path) -> None:
    hand_in(tmp_path, "eve", "name: my-own\n", f"mine{SUFFIX}")
    [eve] = grade_all(tmp_path)
    assert eve.error == "no exercise is called 'my-own'"
    assert "no exercise" in format_sheet([eve])


def test_deleting_what_fails_gains_nothing_and_is_noticed(tmp_path: Path) -> None:
    given = (EXERCISES / FIRST).read_text(encoding="utf-8")
    hand_in(tmp_path, "eve", given.split("expect:")[0] + "expect: [{reach: {from: c1, to: c2}}]\n")
    [eve] = grade_all(tmp_path)
    assert eve.points == 0
    assert "expect/7 is missing" in eve.changes
    sheet = format_sheet([eve])
    assert "| eve | 0/5 ! |" in sheet
    assert "given part changed: expect/7 is missing" in sheet


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        ("{from: c1, to: h1}", "{from: c1, to: c2}", "expect/4/blocked/to was changed"),
        (
            "- broadcast: {from: h1,",
            "- broadcast: {from: h1, kind: directed,",
            "expect/1/broadcast/kind was added",
        ),
        ("name: ex-l2-one-host\n", "name: ex-l2-one-host\ndialect: docker-29\n", "dialect was added"),
        ("addresses: [192.168.1.251/24]", "addresses: []", "hosts/h2/interfaces/eth0/addresses was changed"),
        ("--name=c2 -itd", "--name=c2 --ip=192.168.1.9 -itd", "hosts/h1/commands was changed"),
    ],
)
def test_a_change_of_what_is_given_is_noticed_although_the_blanks_are_right(
    tmp_path: Path, old: str, new: str, change: str
) -> None:
    assert old in solution()
    hand_in(tmp_path, "eve", solution().replace(old, new, 1))
    [eve] = grade_all(tmp_path)
    assert eve.changes == (change,)
    # It is the exercise as handed out that is run, with what is in the blanks.
    assert eve.points == 5
    assert not eve.is_full


def test_an_expectation_that_is_turned_round_is_judged_as_given(tmp_path: Path) -> None:
    wrong = solution().replace("{from: h1, heard_by: [h2, gw]}", "{from: gw, heard_by: [h1, c1, c2, h2]}")
    hand_in(tmp_path, "eve", wrong)
    [eve] = grade_all(tmp_path)
    assert eve.points == 2
    assert eve.changes == ("expect/1/broadcast/from was changed",)


def test_expectations_of_a_students_own_are_welcome(tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", solution() + "  - reach: {from: gw, to: c1}\n")
    [ada] = grade_all(tmp_path)
    assert ada.is_full


def test_of_two_answers_to_one_exercise_the_better_one_counts(tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", (EXERCISES / FIRST).read_text(encoding="utf-8"))
    hand_in(tmp_path, "ada", solution(), f"second{SUFFIX}")
    assert "| ada | 5/5 | 5/5 |" in format_sheet(grade_all(tmp_path))


def test_a_question_without_an_answer_of_the_machine_is_no_fault_of_the_student(tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", solution())

    def deaf(prepared: Prepared) -> ScenarioResult:
        verdict = Verdict("expect[0]:c1", "broadcast", Outcome.UNOBSERVED, None, None, "canary lost")
        return ScenarioResult("0", "s", "", "", prepared.path, "sim", "6", Seconds(), (verdict,))

    [ada] = grade(tmp_path, handed_out(), deaf)
    assert ada.mark is not None
    assert not ada.mark.is_proved
    assert "grade it again" in format_sheet([ada])


def test_a_defect_that_an_answer_finds_is_a_row_and_an_unfit_machine_is_not(tmp_path: Path) -> None:
    hand_in(tmp_path, "ada", solution())
    hand_in(tmp_path, "eve", solution())

    def trip(prepared: Prepared) -> ScenarioResult:
        if "eve" in prepared.path:
            raise ZeroDivisionError("oops")
        return on_sim(prepared)

    ada, eve = grade(tmp_path, handed_out(), trip)
    assert ada.is_full
    assert (eve.points, eve.error) == (0, "ipvlab itself failed on it: ZeroDivisionError: oops")

    def refuse(prepared: Prepared) -> ScenarioResult:
        raise KernelUnfit("no ipvlan here")

    with pytest.raises(KernelUnfit):
        list(grade(tmp_path, handed_out(), refuse))


def test_a_link_to_a_file_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / FIRST).symlink_to(ANSWERS / FIRST)
    [eve] = grade_all(tmp_path)
    assert (eve.points, eve.mark) == (0, None)
    assert "symbolic link" in eve.error


def test_the_csv_has_a_line_for_each_file_and_no_formulas(tmp_path: Path) -> None:
    hand_in(tmp_path, "=cmd()", solution())
    hand_in(tmp_path, "bob|*x*", "name: [")
    answers = grade_all(tmp_path)
    rows = list(csv.DictReader(io.StringIO(format_csv(answers))))
    assert list(rows[0]) == list(COLUMNS)
    first, second = rows
    assert (first["student"], first["points"], first["of"], first["complete"]) == ("'=cmd()", "5", "5", "yes")
    assert (second["student"], second["complete"]) == ("bob|*x*", "no")
    assert "IPV101" in second["error"]
    assert "| bob\\|\\*x\\* | 0/5 x | 0/5 |" in format_sheet(answers)


def test_a_folder_without_answers_and_one_without_exercises_are_errors(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nosuch"):
        with pytest.raises(PathUnreadable):
            find_answers(folder)
    with pytest.raises(PathUnreadable, match="holds no exercise"):
        load_exercises(tmp_path)


def test_the_command_writes_both_sheets_and_grades_whatever_the_grades(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "class").mkdir()
    hand_in(tmp_path / "class", "ada", solution())
    hand_in(tmp_path / "class", "eve", "name: [")
    files = ["--sheet", str(tmp_path / "s.md"), "--csv", str(tmp_path / "s.csv")]
    assert run_command_line(["grade", str(tmp_path / "class"), *files]) == 0
    assert "2 answers, 1 with full marks" in capsys.readouterr().out
    assert "| ada | 5/5 | 5/5 |" in (tmp_path / "s.md").read_text(encoding="utf-8")
    assert len((tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert run_command_line(["grade", str(tmp_path / "class"), "--exercises", str(EXERCISES)]) == 0
    assert "# Grades" in capsys.readouterr().out
    assert run_command_line(["grade", str(tmp_path / "class"), "--sheet", str(tmp_path / "no" / "s.md")]) == 2
    assert run_command_line(["grade", str(tmp_path / "nosuch")]) == 2
