"""docs/deviations.md and the tests that pin its rows name each other, and leave nobody out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (DEV-\d\d) \|.*\| ((?:`test_\w+`(?:, )?)+) \|$")


def rows() -> dict[str, set[str]]:
    """The tests of each row, by its id; the rows of the tables of datapaths have one."""
    page = (PROJECT / "docs" / "deviations.md").read_text()
    about_datapaths, driver, _ = page.partition("## The driver")
    assert driver
    found: dict[str, set[str]] = {}
    for line in about_datapaths.splitlines():
        if not line.startswith("|") or line.startswith(("| id |", "|---")):
            continue
        match = ROW.match(line)
        assert match, f"no id, or no test: {line}"
        assert match[1] not in found, f"{match[1]} is there twice"
        found[match[1]] = set(re.findall(r"`(test_\w+)`", match[2]))
    return found


def pins() -> Iterator[tuple[str, str]]:
    """An id and the name of a test function whose docstring begins with it."""
    for path in (PROJECT / "tests").rglob("test_*.py"):
        text = path.read_text()
        if "DEV-" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                yield from ((name, node.name) for name in re.findall(r"DEV-\d\d", first))


def test_every_row_names_the_tests_that_name_it() -> None:
    named: dict[str, set[str]] = {}
    for name, test in pins():
        named.setdefault(name, set()).add(test)
    assert rows()
    assert rows() == named


def test_ids_are_numbered_without_a_gap() -> None:
    assert sorted(rows()) == [f"DEV-{number:02}" for number in range(1, len(rows()) + 1)]
