"""One lab of the suite on one implementation: what it was asked, and what came of it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from ipvlab.errors import FeatureMissing, IpvlabError
from ipvlab.implementations.operating import PortOperator
from ipvlab.implementations.port import Feature, Implementation
from ipvlab.implementations.results import CaseOutcome, Claim, Proof
from ipvlab.run.ground import ProbedGround
from ipvlab.run.prepare import Prepared, prepare_loaded
from ipvlab.run.results import Outcome, Verdict
from ipvlab.run.runner import ScenarioRun
from ipvlab.run.topology import Topology, topology_of
from ipvlab.spec.load import load_scenario_text

#: Reads claims of a stage that scenario files have no words for; called with the stage's number.
AfterStage = Callable[[int, ProbedGround], Sequence[tuple[str, Claim]]]


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """A lab that was tried: its claims by requirement."""

    topology: Topology
    claims: Mapping[str, tuple[Claim, ...]]
    #: Why the lab as a whole came to nothing; empty where it did not.
    fault: str
    seconds: float
    probes: int
    silences: int
    #: The file that holds what passed, where it was captured.
    capture: Path | None = None


def prepare_text(text: str, name: str) -> Prepared:
    """A lab of the suite, ready to run."""
    return prepare_loaded(load_scenario_text(text, f"{name}.ipvlab.yaml"))


def check_features(implementation: Implementation, needed: Collection[Feature]) -> None:
    """Raise :class:`FeatureMissing` when the implementation does not offer what a lab needs."""
    missing = sorted(set(needed) - implementation.features)
    if missing:
        raise FeatureMissing(f"{implementation.name} does not offer: {', '.join(missing)}")


def try_lab(
    implementation: Implementation,
    prepared: Prepared,
    labels: Mapping[str, Collection[str]],
    after_stage: AfterStage,
    capture: Path | None = None,
) -> Trial:
    """Build a lab, ask all that it has to say, end it.

    ``labels`` gives requirements for the ids of expectations, ``capture`` a file for
    all that passes. Raises :class:`FeatureMissing` and :class:`EnvironmentUnfit`, and
    OSError where the capture cannot be written.
    """
    started = time.perf_counter()
    claims: dict[str, list[Claim]] = {}

    def take_facts(stage: int, ground: ProbedGround) -> None:
        for requirement, claim in after_stage(stage, ground):
            claims.setdefault(requirement, []).append(claim)

    port = implementation.open(prepared.scenario.name, prepared.naming.display)
    try:
        scenario_run = ScenarioRun(prepared, port.ground, operator=PortOperator(port), after_stage=take_facts)
        if capture is not None:
            scenario_run.record()
        scenario_run.go()
        if capture is not None:
            scenario_run.write_capture(capture, labels)
    finally:
        port.close()
    verdicts = scenario_run.result(implementation.name, "").verdicts
    faults = []
    for verdict in verdicts:
        requirements = labels.get(verdict.id.partition(":")[0])
        if requirements is None:
            faults.append(f"{verdict.id}: {verdict.reason}")
            continue
        for requirement in requirements:
            claims.setdefault(requirement, []).append(claim_of(verdict))
    return Trial(
        topology=topology_of(prepared),
        claims={requirement: tuple(mine) for requirement, mine in claims.items()},
        fault="\n".join(faults),
        seconds=time.perf_counter() - started,
        probes=sum(verdict.from_ is not None for verdict in verdicts),
        silences=sum(count_silences(verdict) for verdict in verdicts),
        capture=capture,
    )


def count_silences(verdict: Verdict) -> int:
    """How many listeners a verdict proves silent."""
    if verdict.outcome is not Outcome.PASS:
        return 0
    if verdict.kind in ("blocked", "undelivered"):
        return 1
    silent = verdict.proof.get("silent", ())
    return len(silent) if isinstance(silent, list | tuple) else 0


def claim_of(verdict: Verdict) -> Claim:
    """A verdict as a claim of the result model."""
    who = f"{verdict.from_} -> {verdict.to}" if verdict.to else verdict.from_ or ""
    told = " ".join(part for part in (verdict.kind, who, verdict.family or "") if part)
    return Claim(
        id=f"{verdict.id} {told}",
        outcome=CaseOutcome(str(verdict.outcome)),
        expected=verdict.expected,
        observed=verdict.observed,
        reason=verdict.reason,
        explanation=verdict.explanation,
        proof=proof_of(verdict),
    )


def proof_of(verdict: Verdict) -> Proof:
    """A verdict's proof: packet numbers where a capture has them, else its words."""
    proof = dict(verdict.proof)
    numbers = {
        name: tuple(value)
        for name, value in (
            (key, proof.pop(key, ())) for key in ("probes", "answers", "resolution", "fences", "canaries")
        )
        if isinstance(value, list | tuple)
    }
    silent = proof.get("silent", ())
    return Proof(
        silent=tuple(map(str, silent)) if isinstance(silent, list | tuple) else (),
        text="; ".join(f"{name} {value}" for name, value in proof.items() if name != "silent"),
        **numbers,
    )


def as_fault(error: IpvlabError) -> str:
    """What an error says, with its code."""
    return f"{error.code} {error.what}"
