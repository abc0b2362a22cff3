"""Scenario files as tests: one item for each expectation, one run for each file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipvlab.errors import FeatureMissing, IpvlabError, Unobserved
from ipvlab.implementations.evidence import beside, packets_of
from ipvlab.implementations.results import Case, CaseOutcome, Claim, worst
from ipvlab.implementations.trial import claim_of, count_silences
from ipvlab.pytest_plugin.bench import CASE, FIGURES, TOPOLOGY, ClaimsFailed, told
from ipvlab.pytest_plugin.options import chosen_datapath, open_captures, reports_folder
from ipvlab.run.expand import claim_of as kind_of
from ipvlab.run.prepare import Prepared, prepare
from ipvlab.run.recording import CaptureFolder
from ipvlab.run.results import ScenarioResult
from ipvlab.run.stages import Stage
from ipvlab.run.topology import topology_of

#: The item for what is no expectation: building, and command lines that must work.
LINES = "commands"

_CAPTURES = pytest.StashKey["CaptureFolder | None"]()


def _captures(session: pytest.Session) -> CaptureFolder | None:
    """The folder for captures of this session, opened once."""
    if _CAPTURES not in session.stash:
        session.stash[_CAPTURES] = open_captures(session.config)
    return session.stash[_CAPTURES]


class ScenarioFile(pytest.File):
    """One scenario; it runs when the first of its items does."""

    _prepared: Prepared | None = None
    _result: ScenarioResult | None = None

    @property
    def prepared(self) -> Prepared:
        """The scenario, ready to run; raises :class:`IpvlabError` for a file that is invalid."""
        if self._prepared is None:
            self._prepared = prepare(self.path)
        return self._prepared

    def collect(self) -> Iterator[ScenarioItem]:
        """An item for the command lines, then one for each expectation."""
        try:
            prepared = self.prepared
        except IpvlabError as error:
            raise self.CollectError(str(error)) from error
        yield self._item(LINES, "builds, and its command lines work")
        for stage in (prepared.beginning, *prepared.steps):
            for claimed in stage.claims:
                yield self._item(claimed.id, kind_of(claimed.expectation)[0])

    def _item(self, name: str, kind: str) -> ScenarioItem:
        item: ScenarioItem = ScenarioItem.from_parent(self, name=name, kind=kind)
        # One process of pytest-xdist runs all of a file with ``--dist loadgroup``.
        item.add_marker(pytest.mark.xdist_group(self.nodeid))
        return item

    def result(self) -> tuple[ScenarioResult, bool]:
        """The result of the file's one run, and whether it was made just now."""
        if self._result is not None:
            return self._result, False
        from ipvlab.run.runner import run_prepared

        captures = _captures(self.session)
        capture = captures.file_for(self.prepared.scenario.name) if captures is not None else None
        self._result = run_prepared(self.prepared, chosen_datapath(self.config), capture)
        return self._result, True


class ScenarioItem(pytest.Item):
    """One expectation of a scenario; its verdicts are claims of one case."""

    def __init__(self, *, kind: str, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self._kind = kind

    @property
    def _file(self) -> ScenarioFile:
        assert isinstance(self.parent, ScenarioFile)
        return self.parent

    def runtest(self) -> None:
        """Judge this expectation's verdicts."""
        result, is_new = self._file.result()
        ids = {claimed.id for stage in self._stages() for claimed in stage.claims}
        claims = [
            claim_of(verdict)
            for verdict in result.verdicts
            if (verdict.id.partition(":")[0] == self.name)
            or (self.name == LINES and verdict.id.partition(":")[0] not in ids)
        ]
        if not claims:
            done = self.name == LINES
            reason = "" if done else "the scenario ended before it was asked"
            outcome = CaseOutcome.PASS if done else CaseOutcome.ERROR
            claims = [Claim(id=self.name, outcome=outcome, reason=reason)]
        outcome = worst(claim.outcome for claim in claims) or CaseOutcome.ERROR
        bad = [claim for claim in claims if claim.outcome is not CaseOutcome.PASS]
        if is_new:
            self.stash[TOPOLOGY] = topology_of(self._file.prepared)
            probes = sum(verdict.from_ is not None for verdict in result.verdicts)
            self.stash[FIGURES] = (probes, sum(map(count_silences, result.verdicts)))
        self.stash[CASE] = Case(
            id=self.nodeid,
            title=f"{result.title or result.scenario}: {self._kind}",
            outcome=outcome,
            reason=bad[0].reason if bad else "",
            claims=tuple(claims),
            packets=packets_of(Path(result.capture), claims) if result.capture else (),
            capture=beside(Path(result.capture), reports_folder(self.config)) if result.capture else "",
            topology=result.scenario,
            reproduce=f"ipvlab run {shlex.quote(result.path)} --datapath {result.datapath}",
        )
        if outcome is CaseOutcome.UNSUPPORTED:
            raise FeatureMissing(bad[0].reason)
        if outcome is CaseOutcome.UNOBSERVED:
            raise Unobserved(f"{bad[0].id}: {bad[0].reason}")
        if bad:
            lines = [line for claim in bad for line in told(claim)]
            raise ClaimsFailed("\n".join([*lines, *self._matrices(result)]))

    def _matrices(self, result: ScenarioResult) -> list[str]:
        """Who reaches whom and who hears whom at this item's stage, differences marked."""
        from ipvlab.report.matrix import matrices

        stage = self.name.rpartition(".")[0]
        return matrices(
            [each for each in result.verdicts if each.id.partition(":")[0].rpartition(".")[0] == stage]
        )

    def _stages(self) -> tuple[Stage, ...]:
        return (self._file.prepared.beginning, *self._file.prepared.steps)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The matrix of what was expected and observed, instead of a traceback."""
        if isinstance(excinfo.value, ClaimsFailed | IpvlabError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the file is, and what the item is called."""
        return self.path, None, self.name
