"""Every statement on Docker's ipvlan driver has a test or a reason, and the page that says so is true."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ci.docker_coverage import (
    PAGE,
    Marked,
    MarkUnreadable,
    Statement,
    faults,
    marks_of,
    page,
    read_all,
    read_marks,
)

OPEN = Statement("D-OPT-001", "Options", "l2 is the default")
APART = Statement("D-PAR-019", "Parents", "macvlan", out_of_scope="no such driver")
LATER = Statement("D-JOIN-019", "Joining", "announcements", not_built="none are sent")
MARKS = """
import pytest
pytestmark = [pytest.mark.docker("D-A")]

@pytest.mark.docker("D-B", "D-C")
@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.docker("D-D"))])
def test_one(n): ...

@pytest.mark.docker("D-E")
class TestMore:
    def test_two(self): ...
    def help(self): ...

def not_a_test(): ...
"""


def test_every_statement_has_a_test_or_a_reason_and_every_mark_a_statement() -> None:
    assert faults(*read_all()) == []


def test_the_page_says_what_the_tests_say() -> None:
    assert PAGE.read_text() == page(*read_all()), "run ci/docker_coverage.py --write"


def test_a_statement_without_a_test_is_a_fault_unless_there_is_a_reason() -> None:
    assert faults([OPEN, APART, LATER], {}) == ["D-OPT-001: no test and no reason (l2 is the default)"]
    assert faults([OPEN, APART], {"D-OPT-001": {Marked("t.py", "test_x")}}) == []


def test_a_mark_without_a_statement_is_a_fault_and_so_is_a_test_of_what_is_out_of_scope() -> None:
    marks = {"D-OPT-099": {Marked("t.py", "test_x")}, "D-PAR-019": {Marked("t.py", "test_y")}}
    assert faults([APART], marks) == [
        "D-OPT-099: no such statement, but t.py::test_x is marked so",
        "D-PAR-019: tested, so it cannot be out of scope: no such driver",
    ]


def test_marks_of_modules_classes_functions_and_parameters_count() -> None:
    assert set(marks_of(ast.parse(MARKS), "t.py")) == {
        ("D-A", "test_one"),
        ("D-A", "test_two"),
        ("D-B", "test_one"),
        ("D-C", "test_one"),
        ("D-D", "test_one"),
        ("D-E", "test_two"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.docker(ID)\ndef test_x(): ...",
        "@pytest.mark.docker(*IDS)\ndef test_x(): ...",
        "@pytest.mark.docker('D-A')\ndef not_a_test(): ...",
        "mark = pytest.mark.docker('D-A')",
    ],
)
def test_a_mark_that_nobody_can_count_is_an_error(text: str) -> None:
    with pytest.raises(MarkUnreadable):
        list(marks_of(ast.parse(text), "t.py"))


def test_tests_are_found_in_folders_and_below(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text("@pytest.mark.docker('D-A')\ndef test_x(): ...\n")
    (folder / "other.py").write_text("@pytest.mark.docker('D-B')\ndef test_y(): ...\n")
    assert read_marks([tmp_path / "tests"]) == {"D-A": {Marked("tests/unit/test_it.py", "test_x")}}


def test_the_page_shows_tests_reasons_and_what_is_open() -> None:
    text = page([OPEN, APART, LATER], {})
    assert "3 statements: 0 tested, 1 out of scope, 1 not built." in text
    assert "| D-JOIN-019 | announcements | not built: none are sent |" in text
    assert "| D-OPT-001 | l2 is the default | **none** |" in text
    assert "| D-PAR-019 | macvlan | out of scope: no such driver |" in text
    text = page([OPEN], {"D-OPT-001": {Marked("tests/unit/test_it.py", "test_x")}})
    assert "| D-OPT-001 | l2 is the default | [`test_x`](../tests/unit/test_it.py) |" in text
