#!/usr/bin/env python3
"""Which of Docker's statements on ipvlan are held by which tests, and why the others are not.

    ci/docker_coverage.py            print the statements without a test or a reason
    ci/docker_coverage.py --write    the same, and write docs/docker-coverage.md

The status is 0 when every statement has a test or a reason, and every mark a statement; else 1.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ruamel.yaml import YAML

PROJECT = Path(__file__).resolve().parents[1]
STATEMENTS = PROJECT / "ci" / "docker_statements.yaml"
PAGE = PROJECT / "docs" / "docker-coverage.md"
#: Where tests are that may hold the driver to a statement.
FOLDERS = ("tests", "conformance")

HEAD = """\
# What Docker does, and the tests that hold ipvlab to it

Each statement on Docker's ipvlan driver, with the tests that carry its id
(`@pytest.mark.docker("D-OPT-001")`), or the reason why none does. Written by
`ci/docker_coverage.py --write` from `ci/docker_statements.yaml` and the tests.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Statement:
    """One thing that Docker does."""

    id: str
    section: str
    says: str
    #: Why a lab has nothing to hold a test against; empty where it has.
    out_of_scope: str = ""
    #: What ipvlab does instead, for a thing that it does not do yet.
    not_built: str = ""

    @property
    def reason(self) -> str:
        """Why there is no test, in the words of the page; empty where there is to be one."""
        if self.out_of_scope:
            return f"out of scope: {self.out_of_scope}"
        return f"not built: {self.not_built}" if self.not_built else ""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Marked:
    """A test that holds the driver to a statement, or a fault of its mark."""

    path: str
    test: str


class MarkUnreadable(ValueError):
    """A mark whose ids are not written out, so that nobody can look for them."""


def read_statements(path: Path = STATEMENTS) -> list[Statement]:
    """The statements in their order; raises ValueError for an id that is there twice."""
    sections: Mapping[str, Mapping[str, Mapping[str, str]]] = YAML(typ="safe").load(path)
    return [
        Statement(name, section, **entry)
        for section, entries in sections.items()
        for name, entry in entries.items()
    ]


def read_marks(folders: Sequence[Path]) -> dict[str, set[Marked]]:
    """The tests that carry each id; raises :class:`MarkUnreadable`."""
    found: dict[str, set[Marked]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("test_*.py")):
            text = path.read_text(encoding="utf-8")
            if "mark.docker(" not in text:
                continue
            where = str(path.relative_to(folder.parent))
            for name, test in marks_of(ast.parse(text), where):
                found.setdefault(name, set()).add(Marked(where, test))
    return found


def marks_of(module: ast.Module, where: str) -> Iterator[tuple[str, str]]:
    """Each id and the test that it marks; a mark of a class or module counts for each of its tests."""
    taken: set[ast.Call] = set()
    for scope, tests in _scopes(module):
        for call in _mark_calls(scope):
            taken.add(call)
            for argument in call.args:
                if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                    raise MarkUnreadable(
                        f"{where}:{call.lineno}: the ids of a docker mark are not written out"
                    )
                yield from ((argument.value, test) for test in tests)
    for call in _mark_calls([module]):
        if call not in taken:
            raise MarkUnreadable(f"{where}:{call.lineno}: a docker mark that is on no test")


def _scopes(module: ast.Module) -> Iterator[tuple[Sequence[ast.expr], list[str]]]:
    """What may hold marks, and the tests that they are then on."""
    tests = [each for each in ast.walk(module) if isinstance(each, ast.FunctionDef) and _is_test(each)]
    for line in module.body:
        if isinstance(line, ast.Assign) and any(
            ast.unparse(target) == "pytestmark" for target in line.targets
        ):
            yield [line.value], [test.name for test in tests]
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef):
            inner = [each.name for each in node.body if isinstance(each, ast.FunctionDef) and _is_test(each)]
            yield node.decorator_list, inner
    for test in tests:
        yield test.decorator_list, [test.name]


def _is_test(function: ast.FunctionDef) -> bool:
    return function.name.startswith("test_")


def _mark_calls(nodes: Sequence[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.docker":
                yield call


def faults(statements: Sequence[Statement], marks: Mapping[str, set[Marked]]) -> list[str]:
    """What is wrong: statements with neither test nor reason, or with both, and marks without statement."""
    known = {statement.id for statement in statements}
    found = [
        f"{name}: no such statement, but {mark.path}::{mark.test} is marked so"
        for name, tests in sorted(marks.items())
        if name not in known
        for mark in sorted(tests)
    ]
    for statement in statements:
        has_test = statement.id in marks
        if not has_test and not statement.reason:
            found.append(f"{statement.id}: no test and no reason ({statement.says})")
        if has_test and statement.reason:
            found.append(f"{statement.id}: tested, so it cannot be {statement.reason}")
    return found


def page(statements: Sequence[Statement], marks: Mapping[str, set[Marked]]) -> str:
    """The text of docs/docker-coverage.md."""
    tested = sum(statement.id in marks for statement in statements)
    apart = sum(bool(statement.out_of_scope) for statement in statements)
    missing = sum(bool(statement.not_built) for statement in statements)
    counts = f"{tested} tested, {apart} out of scope, {missing} not built"
    lines = [HEAD, f"{len(statements)} statements: {counts}."]
    section = ""
    for statement in statements:
        if statement.section != section:
            section = statement.section
            lines += ["", f"## {section}", "", "| id | what Docker does | tests |", "|---|---|---|"]
        held = statement.reason
        if not held:
            tests = sorted(marks.get(statement.id, set()), key=lambda mark: (mark.test, mark.path))
            held = ", ".join(f"[`{mark.test}`](../{mark.path})" for mark in tests) or "**none**"
        lines.append(f"| {statement.id} | {statement.says} | {held} |")
    return "\n".join(lines) + "\n"


def read_all() -> tuple[list[Statement], dict[str, set[Marked]]]:
    """The project's own statements and marks."""
    return read_statements(), read_marks([PROJECT / folder for folder in FOLDERS])


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(PROJECT)}")
    options = parser.parse_args()
    statements, marks = read_all()
    if options.write:
        PAGE.write_text(page(statements, marks), encoding="utf-8")
    found = faults(statements, marks)
    for fault in found:
        print(fault)
    print(page(statements, marks).splitlines()[HEAD.count("\n") + 1])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
