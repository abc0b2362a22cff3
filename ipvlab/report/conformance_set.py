"""The suite on several implementations: one run of pytest for each, and reports over all of them."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

import ipvlab
from ipvlab.errors import EnvironmentUnfit, PathUnreadable
from ipvlab.implementations.choosing import find_implementation
from ipvlab.implementations.register import Register
from ipvlab.implementations.results import CaseOutcome, ConformanceRun
from ipvlab.report.conformance_yaml import format_report
from ipvlab.report.html import format_html
from ipvlab.report.json_report import write_text_whole
from ipvlab.report.junit import format_junit
from ipvlab.report.ktap import format_ktap
from ipvlab.report.markdown import format_markdown

_RUNS = TypeAdapter(list[ConformanceRun])
#: As for ``ipvlab run``: the first that holds.
_EXITS = (
    (CaseOutcome.ERROR, 5),
    (CaseOutcome.FAIL, 1),
    (CaseOutcome.UNEXPECTED_PASS, 1),
    (CaseOutcome.UNOBSERVED, 4),
    (CaseOutcome.UNSUPPORTED, 3),
)


def suite_folder() -> Path:
    """The suite: in a checkout beside the package, in an installation inside it."""
    package = Path(ipvlab.__file__).parent
    for root in (package.parent, package / "_suite"):
        if (root / "conformance" / "requirements.yaml").is_file():
            return root / "conformance"
    raise EnvironmentUnfit(
        "this installation of ipvlab comes without the conformance suite", hint="use a checkout of ipvlab"
    )


def read_register() -> Register:
    """The suite's register of requirements."""
    return Register.read(suite_folder() / "requirements.yaml")


def list_requirements() -> str:
    """The requirements as text, profile by profile."""
    lines = []
    for requirement in read_register().in_force():
        lines += [
            f"{requirement.id}  {requirement.level}  {requirement.profile}",
            f"    {requirement.text}",
            f"    {requirement.source}",
        ]
    return "\n".join(lines)


def run_suite(
    name: str,
    expression: str | None,
    processes: str,
    captures: Path | None = None,
) -> ConformanceRun:
    """Run the suite on one implementation, in a process of its own, its output shown as it comes.

    ``captures`` is a folder that gets a pcapng of each lab; cases name it in full.
    Raises :class:`EnvironmentUnfit` where pytest is missing or the run came to
    nothing, and :class:`ValueInvalid` for an implementation that is unknown.
    """
    find_implementation(name)
    if importlib.util.find_spec("pytest") is None:
        raise EnvironmentUnfit(
            "the suite runs on pytest, which is not installed", hint="pip install 'ipvlab[test]'"
        )
    folder = suite_folder()
    with tempfile.TemporaryDirectory(prefix="ipvlab-") as scratch:
        file = Path(scratch) / "run.json"
        command = [sys.executable, "-m", "pytest", str(folder), "-q", "-p", "no:cacheprovider"]
        command += [f"--ipvlab-implementation={name}", f"--ipvlab-json={file}"]
        command += [f"--rootdir={folder.parent}", "-o", f"pythonpath={folder.parent}"]
        if captures is not None:
            command.append(f"--ipvlab-pcap={captures.absolute()}")
        if expression is not None:
            command += ["-k", expression]
        if processes != "0":
            command += ["-n", processes, "--dist", "loadgroup"]
        status = subprocess.run(command, check=False).returncode
        if not file.is_file():
            raise EnvironmentUnfit(f"the suite came to nothing on {name}: pytest ended with status {status}")
        run = ConformanceRun.model_validate_json(file.read_bytes())
        return name_captures(run, lambda name: os.path.normpath(file.parent / name))


def name_captures(run: ConformanceRun, rename: Callable[[str], str]) -> ConformanceRun:
    """A run whose cases have other names for their captures."""
    cases = tuple(
        case.model_copy(update={"capture": rename(case.capture)}) if case.capture else case
        for case in run.cases
    )
    return run.model_copy(update={"cases": cases})


def read_runs(paths: Sequence[Path]) -> list[ConformanceRun]:
    """The runs of JSON files, each one run or a list; raises :class:`PathUnreadable` for other files."""
    runs: list[ConformanceRun] = []
    for path in paths:
        try:
            written = json.loads(path.read_text(encoding="utf-8"))
            runs += _RUNS.validate_python(written if isinstance(written, list) else [written])
        except (OSError, ValueError) as error:
            raise PathUnreadable(f"{path} holds no results of conformance runs: {error}") from error
    return runs


def write_set(runs: Sequence[ConformanceRun], files: Mapping[str, str | None]) -> None:
    """Write the reports that have a file; raises OSError where one cannot be written.

    Captures that are named in full are named from the folder of the page, or of
    the first report there is.
    """
    first = next((path for path in (files.get("html"), *files.values()) if path), None)
    if first is not None:
        folder = Path(first).absolute().parent
        runs = [
            name_captures(run, lambda name: os.path.relpath(name, folder) if os.path.isabs(name) else name)
            for run in runs
        ]
    register = read_register() if any(case.requirements for run in runs for case in run.cases) else None
    writers = {
        "json": lambda: _RUNS.dump_json(list(runs), indent=1).decode() + "\n",
        "html": lambda: format_html(runs, register),
        "markdown": lambda: format_markdown(runs, register),
        "ktap": lambda: format_ktap(runs, register),
        "junit": lambda: format_junit(runs, register),
        "report": lambda: "---\n".join(format_report(run, register or read_register()) for run in runs),
    }
    for name, path in files.items():
        if path:
            write_text_whole(Path(path), writers[name]())


def exit_code(runs: Sequence[ConformanceRun]) -> int:
    """The exit code of the contract over all runs: 5 error, 1 fail, 4 unobserved, 3 unsupported, 0."""
    outcomes = {case.outcome for run in runs for case in run.cases}
    for outcome, code in _EXITS:
        if outcome in outcomes:
            return code
    return 0 if runs and all(run.cases for run in runs) else 3
