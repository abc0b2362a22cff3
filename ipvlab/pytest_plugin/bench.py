"""Labs of the conformance suite in tests: each built once a process, asked all that it has to say."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ipvlab.errors import EnvironmentUnfit, FeatureMissing, Unobserved
from ipvlab.implementations.evidence import beside, packets_of
from ipvlab.implementations.operating import PortOperator
from ipvlab.implementations.port import Feature, Implementation, Port
from ipvlab.implementations.results import Case, CaseOutcome, Claim, worst
from ipvlab.implementations.trial import AfterStage, Trial, check_features, prepare_text, try_lab
from ipvlab.pytest_plugin.options import reports_folder
from ipvlab.run.recording import CaptureFolder
from ipvlab.run.runner import ScenarioRun
from ipvlab.run.topology import Topology

CASE = pytest.StashKey[Case]()
TOPOLOGY = pytest.StashKey[Topology]()
#: (probes, silences) of a trial, told with the first case that it settles.
FIGURES = pytest.StashKey[tuple[int, int]]()
_TRIALS = pytest.StashKey[dict[str, "Trial | FeatureMissing | EnvironmentUnfit"]]()


class ClaimsFailed(AssertionError):
    """Claims of a requirement that did not hold, each with what was observed."""


class Bench:
    """The implementation under test, in one test."""

    def __init__(
        self, item: pytest.Item, implementation: Implementation, captures: CaptureFolder | None = None
    ) -> None:
        """``captures`` gets a pcapng file of each lab."""
        self._item = item
        self._captures = captures
        self.implementation = implementation

    def try_lab(
        self,
        name: str,
        text: Callable[[], str],
        labels: Mapping[str, Collection[str]],
        features: Collection[Feature],
        read_facts: Callable[[], AfterStage],
    ) -> Trial:
        """The trial of a lab, made at the first test that needs it.

        Raises :class:`FeatureMissing` where the implementation lacks what the lab needs.
        """
        known = self._item.session.stash.setdefault(_TRIALS, {})
        if name not in known:
            try:
                check_features(self.implementation, features)
                prepared = prepare_text(text(), name)
                capture = self._captures.file_for(name) if self._captures is not None else None
                known[name] = try_lab(self.implementation, prepared, labels, read_facts(), capture)
                self._item.stash[FIGURES] = (known[name].probes, known[name].silences)  # type: ignore[union-attr]
            except (FeatureMissing, EnvironmentUnfit) as unfit:
                known[name] = unfit
        trial = known[name]
        if not isinstance(trial, Trial):
            raise trial.with_traceback(None)
        return trial

    @contextlib.contextmanager
    def standing(self, name: str, text: str, features: Collection[Feature]) -> Iterator[Port]:
        """A lab that stands, for tests that go on by themselves; nothing of it is asked."""
        check_features(self.implementation, features)
        prepared = prepare_text(text, name)
        port = self.implementation.open(name, prepared.naming.display)
        try:
            ScenarioRun(prepared, port.ground, operator=PortOperator(port)).stand()
            yield port
        finally:
            port.close()

    def settle(self, trial: Trial, requirement: str, title: str) -> None:
        """Record what a lab proves of a requirement, and fail where it does not hold.

        Raises :class:`ClaimsFailed`, or :class:`Unobserved` where nothing worse than
        a broken proof is among the claims.
        """
        claims = trial.claims.get(requirement, ())
        if not claims:
            reason = trial.fault or "the lab has nothing to say on it"
            claims = (Claim(id="lab", outcome=CaseOutcome.ERROR, reason=reason),)
        self.record(claims, title, (requirement,), trial.topology, trial.capture)

    def record(
        self,
        claims: Sequence[Claim],
        title: str,
        requirements: Sequence[str],
        topology: Topology | None = None,
        capture: Path | None = None,
    ) -> None:
        """Record claims as this test's case, and raise as :meth:`settle` does."""
        outcome = worst(claim.outcome for claim in claims)
        assert outcome is not None
        bad = [claim for claim in claims if claim.outcome is not CaseOutcome.PASS]
        nodeid = self._item.nodeid
        self._item.stash[CASE] = Case(
            id=nodeid,
            title=title,
            requirements=tuple(requirements),
            outcome=outcome,
            reason=bad[0].reason if bad else "",
            claims=tuple(claims),
            packets=packets_of(capture, claims) if capture is not None else (),
            capture=beside(capture, reports_folder(self._item.config)) if capture is not None else "",
            topology=topology.name if topology is not None else "",
            reproduce=f"pytest {shlex.quote(nodeid)} --ipvlab-implementation={self.implementation.name}",
        )
        if topology is not None:
            self._item.stash[TOPOLOGY] = topology
        if outcome is CaseOutcome.UNSUPPORTED:
            raise FeatureMissing(bad[0].reason)
        if outcome is CaseOutcome.UNOBSERVED:
            raise Unobserved(f"{bad[0].id}: {bad[0].reason}")
        if bad:
            raise ClaimsFailed("\n".join(line for claim in bad for line in told(claim)))


def told(claim: Claim) -> list[str]:
    """A claim that did not hold, in lines."""
    lines = [f"{claim.id}: {claim.outcome}"]
    if claim.expected is not None or claim.observed is not None:
        lines += [f"  expected  {claim.expected}", f"  observed  {claim.observed}"]
    lines += [f"  {line}" for line in claim.reason.splitlines()]
    return lines + [f"  {line}" for line in claim.explanation]
