"""Scenario texts with marks: each § stands where an error is expected."""

from __future__ import annotations

import re
import textwrap

from ipvlab.errors import SpecError
from ipvlab.spec.check import check_scenario
from ipvlab.spec.load import load_scenario_text

PATH = "lab.ipvlab.yaml"


def dedent(text: str) -> str:
    """The text without its indentation and first line break."""
    return textwrap.dedent(text).removeprefix("\n")


def list_errors(text: str) -> list[SpecError]:
    """Load and check a text; return every error that is raised, in the order shown."""
    try:
        check_scenario(load_scenario_text(text, PATH))
    except SpecError as error:
        return [error, *error.others]
    return []


def refuse(marked: str) -> list[SpecError]:
    """Assert that a marked text is refused exactly at its marks; return the errors."""
    text = dedent(marked)
    expected = [
        f"{PATH}:{number}:{match.start() - count + 1}"
        for number, line in enumerate(text.split("\n"), 1)
        for count, match in enumerate(re.finditer("§", line))
    ]
    assert expected, "a text to refuse needs a mark"
    errors = list_errors(text.replace("§", ""))
    assert [str(error.where) for error in errors] == expected, "\n".join(map(str, errors))
    return errors


def refuse_one(marked: str, kind: type[SpecError]) -> SpecError:
    """Assert that a marked text is refused at its one mark with one error of exactly this class."""
    (error,) = refuse(marked)
    assert type(error) is kind, error
    assert str(error).startswith(f"{error.where}: {kind.code} ")
    return error


def accept(text: str) -> None:
    """Assert that a text is a scenario without contradiction."""
    errors = list_errors(dedent(text))
    assert not errors, "\n".join(map(str, errors))
