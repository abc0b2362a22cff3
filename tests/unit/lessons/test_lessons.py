"""The lessons are true: their commands work, and print what they quote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipvlab.rules.catalogue import CATALOGUE
from tests.unit.lessons.blocks import (
    ANSWERS,
    EXERCISES,
    LESSONS,
    NAMES,
    PAGES,
    SUFFIX,
    commands_of,
    find_missing,
    go_through,
)


def test_every_scenario_has_a_lesson_an_exercise_with_hints_and_an_answer() -> None:
    assert len(NAMES) >= 18
    assert sorted(path.name for path in LESSONS.glob("*.md")) == sorted(PAGES)
    exercises = {f"{name}{suffix}" for name in NAMES for suffix in (SUFFIX, ".hints.yaml")}
    assert {path.name for path in EXERCISES.iterdir()} == exercises
    assert {path.name for path in ANSWERS.iterdir()} == {f"{name}{SUFFIX}" for name in NAMES}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_lesson_print_what_it_quotes(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    go_through(page, tmp_path, "sim", capsys)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_predicts_runs_explains_and_asks_further(name: str) -> None:
    text = (LESSONS / f"{name}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Predict", "Run", "Explain", "Exercise", "Further questions"]
    verbs = [(typed.words[0], typed.words[1]) for typed in commands_of(text)]
    assert verbs[0] == ("ipvlab", "run")
    assert ("ipvlab", "explain") in verbs
    predictions = text.split("## Predict")[1].split("##")[0]
    assert len(re.findall(r"^\d\. .*\?", predictions, re.MULTILINE)) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_that_a_lesson_names_is_in_the_catalogue_and_in_what_it_quotes(name: str) -> None:
    text = (LESSONS / f"{name}.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    quoted = "\n".join(line for typed in commands_of(text) for line in typed.quoted)
    named = {word for word in re.findall(r"`([A-Z][A-Z0-9-]+)`", prose) if "-" in word or word in CATALOGUE}
    assert named, "a lesson names the rules that explain it"
    assert named - set(CATALOGUE) == set()
    assert [rule for rule in sorted(named) if f"({rule})" not in quoted] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_lesson_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", (LESSONS / page).read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (LESSONS / target).exists()] == []


def test_a_quoted_line_that_is_not_printed_is_noticed_and_so_is_a_wrong_order() -> None:
    printed = "ok   one\n  2. b is dropped  (NO-ROUTE)\n"
    assert find_missing(["ok one", "2. b is dropped (NO-ROUTE)"], printed) == []
    assert find_missing(["2. b is dropped (NO-NEIGHBOUR)"], printed) == ["2. b is dropped (NO-NEIGHBOUR)"]
    assert find_missing(["2. b is dropped", "ok one"], printed) == ["ok one"]


def test_the_lessons_are_listed_on_the_first_page() -> None:
    listed = set(re.findall(r"\]\((\S+?\.md)\)", (LESSONS / "README.md").read_text(encoding="utf-8")))
    assert listed == {f"{name}.md" for name in NAMES}
