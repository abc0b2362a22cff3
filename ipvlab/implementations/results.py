"""The one result model of conformance runs: every report is made from it and from nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ipvlab.run.topology import Topology

#: The version of the JSON form; it changes when a field changes its meaning or goes.
FORMAT: Literal["ipvlab-conformance/1"] = "ipvlab-conformance/1"


class CaseOutcome(StrEnum):
    """How one test case ended."""

    PASS = "pass"
    FAIL = "fail"
    #: The implementation does not offer what the requirement needs, and says so.
    UNSUPPORTED = "unsupported"
    #: The proof broke; never a pass.
    UNOBSERVED = "unobserved"
    ERROR = "error"
    #: It failed, as the file of known failures says it does.
    KNOWN = "known-failure"
    #: It passed although the file of known failures says that it fails, or the entry has expired.
    UNEXPECTED_PASS = "unexpected-pass"


#: Worst first: what a requirement or profile with several cases is called after.
SEVERITY = (
    CaseOutcome.ERROR,
    CaseOutcome.FAIL,
    CaseOutcome.UNEXPECTED_PASS,
    CaseOutcome.UNOBSERVED,
    CaseOutcome.KNOWN,
    CaseOutcome.UNSUPPORTED,
    CaseOutcome.PASS,
)


class Frozen(BaseModel):
    """A value; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Packet(Frozen):
    """One captured packet that belongs to a case."""

    #: Its number in the capture file, from 1.
    number: int
    #: ``h1:eth0``, ``wire lan`` …
    interface: str
    #: Seconds since the beginning of the capture.
    at: float
    #: One line, as a person would read it.
    summary: str
    role: Literal["probe", "answer", "fence", "canary", "other"] = "other"
    #: The dissected layers, in lines.
    layers: tuple[str, ...] = ()


class Proof(Frozen):
    """Why the observation may be believed: numbers of packets in the capture of the case."""

    probes: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()
    #: Of a probe that was never sent: how its sender asked for the next hop.
    resolution: tuple[int, ...] = ()
    fences: tuple[int, ...] = ()
    canaries: tuple[int, ...] = ()
    #: Who was proved silent.
    silent: tuple[str, ...] = ()
    #: In words, where there is more to say.
    text: str = ""


class Claim(Frozen):
    """One expectation of a case: what was expected of whom, and what was observed."""

    #: ``reach a1 -> a2 ipv4``: stable, and without addresses.
    id: str
    outcome: CaseOutcome
    expected: Any = None
    observed: Any = None
    reason: str = ""
    explanation: tuple[str, ...] = ()
    proof: Proof = Proof()


class Case(Frozen):
    """One test of the suite on one implementation."""

    #: The test's id, stable over runs (``test_unicast.py::test_siblings[l2-bridge-ipv4]``).
    id: str
    title: str = ""
    requirements: tuple[str, ...] = ()
    outcome: CaseOutcome
    reason: str = ""
    #: For a known failure: the link that says more.
    link: str = ""
    claims: tuple[Claim, ...] = ()
    packets: tuple[Packet, ...] = ()
    #: The capture file, relative to the report.
    capture: str = ""
    #: The name of its lab among the run's topologies.
    topology: str = ""
    #: The command that runs this case alone.
    reproduce: str = ""
    seconds: float = 0.0


class Subject(Frozen):
    """The implementation that was held against the suite."""

    name: str
    version: str
    kernel: str
    organization: str = ""
    url: str = ""
    features: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class ConformanceRun(Frozen):
    """All cases of one implementation."""

    format: Literal["ipvlab-conformance/1"] = FORMAT
    ipvlab: str
    #: ISO 8601, UTC.
    date: str
    subject: Subject
    seed: int | None = None
    seconds: float = 0.0
    #: How many probes were sent, and how many of their listeners were proved silent.
    probes: int = 0
    silences: int = 0
    #: The labs that the cases were run in, by name.
    topologies: dict[str, Topology] = Field(default_factory=dict)
    cases: tuple[Case, ...] = ()

    def outcome_of(self, requirement: str) -> CaseOutcome | None:
        """The worst outcome among a requirement's cases; None where it has no case.

        A case that could not be asked says nothing where others could: a lab with a
        flag that is not offered settles requirements that a lab without it settles too.
        """
        outcomes = {case.outcome for case in self.cases if requirement in case.requirements}
        return worst(outcomes - {CaseOutcome.UNSUPPORTED} or outcomes)

    def counts(self) -> dict[str, int]:
        """How many cases ended each way; every outcome is present."""
        counted = Counter(case.outcome for case in self.cases)
        return {str(outcome): counted[outcome] for outcome in CaseOutcome}


def worst(outcomes: Iterable[CaseOutcome]) -> CaseOutcome | None:
    """The first of :data:`SEVERITY` among the outcomes; None of none."""
    present = set(outcomes)
    return next((outcome for outcome in SEVERITY if outcome in present), None)
