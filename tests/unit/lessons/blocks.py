"""The command blocks of the lessons: what a learner types, and the lines that the lesson quotes."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import pytest

from ipvlab.cli import run_command_line

PROJECT = Path(__file__).parents[3]
LESSONS = PROJECT / "docs" / "lessons"
EXERCISES = LESSONS / "exercises"
ANSWERS = LESSONS / "answers"
SCENARIOS = PROJECT / "scenarios"
SUFFIX = ".ipvlab.yaml"

#: The lessons by name: every scenario has one.
NAMES = sorted(path.name.removesuffix(SUFFIX) for path in SCENARIOS.glob(f"*{SUFFIX}"))
#: The pages with commands.
PAGES = [*(f"{name}.md" for name in NAMES), "README.md"]

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Typed:
    """One command, and what the page says that it prints; lines that are left out are not among them."""

    words: list[str]
    quoted: list[str]


def commands_of(text: str) -> list[Typed]:
    """The commands of a page, in order."""
    typed: list[Typed] = []
    for block in _BLOCK.findall(text):
        assert block.startswith("$ "), block
        for line in block.splitlines():
            if line.startswith("$ "):
                typed.append(Typed(shlex.split(line[2:]), []))
            elif line.strip() not in ("", "…"):
                typed[-1].quoted.append(line)
    return typed


def lay_out(folder: Path) -> None:
    """A folder in which the commands of the lessons work, and may write."""
    for name in ("scenarios", "docs"):
        (folder / name).symlink_to(PROJECT / name)


def carry_out(typed: Typed, folder: Path, datapath: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Do what a learner does in the folder; return what is printed.

    The exit code is 0, but for an exercise as handed out, which is not finished.
    """
    program, *words = typed.words
    if program == "mkdir":
        assert words[0] == "-p"
        (folder / words[1]).mkdir(exist_ok=True)
        return ""
    if program == "cp":
        pattern, target = words
        copied = [shutil.copy(path, folder / target) for path in folder.glob(pattern)]
        assert len(copied) == 2, pattern
        return ""
    assert program == "ipvlab", typed.words
    capsys.readouterr()
    takes_datapath = words[0] in ("run", "grade")
    code = run_command_line([*words, *(["--datapath", datapath] if takes_datapath else [])])
    printed = capsys.readouterr()
    is_unfinished = words[0] == "run" and words[1].startswith("mine/")
    assert code in ((1, 5) if is_unfinished else (0,)), printed.out + printed.err
    return printed.out


def find_missing(quoted: list[str], printed: str) -> list[str]:
    """Quoted lines that are not among the printed ones, in the same order; white space aside."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    return [line for line in quoted if not any(" ".join(line.split()) in each for each in lines)]


def go_through(page: str, folder: Path, datapath: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Carry out all commands of a page in an empty folder, which is the current one."""
    lay_out(folder)
    typed = commands_of((LESSONS / page).read_text(encoding="utf-8"))
    assert any(each.quoted for each in typed)
    for each in typed:
        printed = carry_out(each, folder, datapath, capsys)
        assert find_missing(each.quoted, printed) == [], shlex.join(each.words)
