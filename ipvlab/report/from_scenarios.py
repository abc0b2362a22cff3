"""Scenario results in the form of conformance runs, so that one set of reports serves both."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ipvlab.implementations.evidence import beside, packets_of
from ipvlab.implementations.results import Case, CaseOutcome, Claim, ConformanceRun, Subject
from ipvlab.implementations.trial import proof_of
from ipvlab.run.results import Outcome, ScenarioResult, Verdict
from ipvlab.run.topology import Topology

#: Expectations of silence: what passed of these was proved not to have arrived.
_SILENT_KINDS = ("blocked", "undelivered")


def as_runs(
    results: Sequence[ScenarioResult],
    now: datetime.datetime,
    topologies: Mapping[str, Topology] | None = None,
    folder: Path | None = None,
) -> list[ConformanceRun]:
    """One run for each datapath that the results come from, with a case for each verdict.

    ``topologies`` are the labs by the name of their scenario, where drawings are wanted;
    ``folder`` is that of the report, which captures are named from.
    """
    by_datapath: dict[str, list[ScenarioResult]] = {}
    for result in results:
        by_datapath.setdefault(result.datapath, []).append(result)
    return [_run_of(datapath, mine, now, topologies or {}, folder) for datapath, mine in by_datapath.items()]


def _run_of(
    datapath: str,
    results: Sequence[ScenarioResult],
    now: datetime.datetime,
    topologies: Mapping[str, Topology],
    folder: Path | None,
) -> ConformanceRun:
    first = results[0]
    verdicts = [verdict for result in results for verdict in result.verdicts]
    return ConformanceRun(
        ipvlab=first.version,
        date=now.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        subject=Subject(
            name=datapath,
            version=first.version,
            kernel=first.kernel,
            notes=tuple(dict.fromkeys(note for result in results for note in result.notes)),
        ),
        seconds=sum(r.seconds.build + r.seconds.probe + r.seconds.teardown for r in results),
        probes=sum(verdict.from_ is not None for verdict in verdicts),
        silences=sum(v.kind in _SILENT_KINDS and v.outcome is Outcome.PASS for v in verdicts),
        topologies={r.scenario: topologies[r.scenario] for r in results if r.scenario in topologies},
        cases=tuple(case for result in results for case in _cases_of(result, folder)),
    )


def _cases_of(result: ScenarioResult, folder: Path | None) -> Iterator[Case]:
    capture = Path(result.capture) if result.capture else None
    for verdict in result.verdicts:
        outcome = CaseOutcome(str(verdict.outcome))
        claim = _claim_of(verdict, outcome)
        yield Case(
            id=f"{result.scenario}::{verdict.id}",
            title=f"{result.title or result.scenario}: {verdict.kind}",
            outcome=outcome,
            reason=verdict.reason,
            claims=(claim,),
            packets=packets_of(capture, (claim,)) if capture is not None else (),
            capture=beside(capture, folder) if capture is not None else "",
            topology=result.scenario,
            reproduce=f"ipvlab run {shlex.quote(result.path)} --datapath {result.datapath}",
        )


def _claim_of(verdict: Verdict, outcome: CaseOutcome) -> Claim:
    return Claim(
        id=verdict.id,
        outcome=outcome,
        expected=verdict.expected,
        observed=verdict.observed,
        reason=verdict.reason,
        explanation=verdict.explanation,
        proof=proof_of(verdict),
    )
