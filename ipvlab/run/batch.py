"""Many scenarios in one command: find the files, prepare all before any runs, run one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ipvlab.errors import IpvlabError, PathUnreadable, SpecError
from ipvlab.run.prepare import Prepared, prepare
from ipvlab.run.recording import CaptureFolder
from ipvlab.run.results import Outcome, ScenarioResult
from ipvlab.run.selection import parse_selection

SUFFIX = ".ipvlab.yaml"


class InvalidFiles(SpecError):
    """Several errors of several files; the text has each of them as it would stand alone."""

    def __init__(self, errors: Sequence[IpvlabError]) -> None:
        super().__init__(f"{len(errors)} files are invalid")
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def find_scenarios(paths: Sequence[Path]) -> list[Path]:
    """The scenario files of the given files and folders, each once, folders in order of name.

    Raises :class:`PathUnreadable` for a path that does not exist and for a
    folder that holds no ``*.ipvlab.yaml``.
    """
    files: dict[Path, None] = {}
    for path in paths:
        try:
            files.update(dict.fromkeys(_scenarios_of(path)))
        except OSError as refusal:
            why = refusal.strerror or str(refusal)
            raise PathUnreadable(f"{path} cannot be read: {why}", hint="check its permissions") from refusal
    return list(files)


def _scenarios_of(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(each for each in path.rglob(f"*{SUFFIX}") if each.is_file())
        if not found:
            raise PathUnreadable(
                f"the folder {path} holds no scenario", hint=f"scenario files end in {SUFFIX}"
            )
        return found
    if not path.exists():
        raise PathUnreadable(f"there is no file or folder {path}", hint="check the path")
    return [path]


def prepare_all(files: Sequence[Path]) -> list[Prepared]:
    """All files, loaded, checked and dry-run; raises the one error, or :class:`InvalidFiles`."""
    prepared = []
    errors: list[IpvlabError] = []
    for file in files:
        try:
            prepared.append(prepare(file))
        except IpvlabError as error:
            errors.append(error)
    if len(errors) > 1:
        raise InvalidFiles(errors)
    if errors:
        raise errors[0]
    return prepared


def select(prepared: Sequence[Prepared], expression: str | None) -> list[Prepared]:
    """Those whose name, title or file name fits a ``-k`` expression.

    Raises ValueError when the expression does not parse or fits none.
    """
    if expression is None:
        return list(prepared)
    fits = parse_selection(expression)
    selected = [
        each
        for each in prepared
        if fits(f"{each.scenario.name}\n{each.scenario.title}\n{Path(each.path).name}")
    ]
    if not selected:
        raise ValueError("fits no scenario")
    return selected


class RunOne(Protocol):
    """The way to run one scenario; see :func:`ipvlab.run.runner.run_prepared`."""

    def __call__(
        self, prepared: Prepared, datapath: str, /, capture: Path | None = None
    ) -> ScenarioResult: ...


def run_all(
    prepared: Sequence[Prepared],
    datapath: str,
    run_one: RunOne | None = None,
    captures: CaptureFolder | None = None,
) -> Iterator[ScenarioResult]:
    """Run scenarios one after the other; yields each result as soon as it is there.

    ``run_one`` runs each of them; by default it is :func:`ipvlab.run.runner.run_prepared`.
    ``captures`` gets a pcapng file of each.
    """
    from ipvlab.run.runner import run_prepared

    for each in prepared:
        capture = captures.file_for(each.scenario.name) if captures is not None else None
        yield (run_one or run_prepared)(each, datapath, capture=capture)


def exit_code(results: Sequence[ScenarioResult]) -> int:
    """The exit code of the contract: 5 error, 1 fail, 4 unobserved, 3 unsupported or incomplete, 0."""
    outcomes = {verdict.outcome for result in results for verdict in result.verdicts}
    for outcome, code in (
        (Outcome.ERROR, 5),
        (Outcome.FAIL, 1),
        (Outcome.UNOBSERVED, 4),
        (Outcome.UNSUPPORTED, 3),
    ):
        if outcome in outcomes:
            return code
    return 0 if results and all(result.verdicts for result in results) else 3
