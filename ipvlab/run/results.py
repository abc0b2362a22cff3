"""The one result model: verdicts, and the scenario that they belong to."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How an expectation ended."""

    PASS = "pass"
    FAIL = "fail"
    #: This datapath or implementation cannot, and says why.
    UNSUPPORTED = "unsupported"
    #: The proof broke; never a pass.
    UNOBSERVED = "unobserved"
    ERROR = "error"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation, held against what was observed; true exactly when it passed."""

    id: str
    kind: str
    outcome: Outcome
    expected: Any
    observed: Any
    reason: str = ""
    proof: dict[str, Any] = dataclasses.field(default_factory=dict)
    from_: str | None = None
    to: str | None = None
    family: str | None = None
    #: ``path:line:column`` of the expectation in its file, where there is one.
    where: str | None = None
    #: For a failed probe: what the rules say, hop by hop, and the command that shows it again.
    explanation: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.outcome is Outcome.PASS

    def to_dict(self) -> dict[str, Any]:
        """The verdict in the form of the JSON contract."""
        return {
            "id": self.id,
            "kind": self.kind,
            "from": self.from_,
            "to": self.to,
            "family": self.family,
            "expected": self.expected,
            "observed": self.observed,
            "verdict": str(self.outcome),
            "reason": self.reason,
            "proof": self.proof,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Seconds:
    """Wall time of the three phases of a run, in seconds."""

    build: float = 0.0
    probe: float = 0.0
    teardown: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class ScenarioResult:
    """Everything that one run of one scenario observed."""

    version: str
    scenario: str
    title: str
    about: str
    path: str
    datapath: str
    kernel: str
    seconds: Seconds
    verdicts: tuple[Verdict, ...]
    #: Notes on the run as a whole: the datapath chosen and why, known deviations.
    notes: tuple[str, ...] = ()
    #: The file of what passed, where it was captured.
    capture: str = ""
    #: How to enter and end the lab, where it stays up.
    stays_up: str = ""

    @property
    def ok(self) -> bool:
        """Whether there are verdicts and all of them passed."""
        return bool(self.verdicts) and all(self.verdicts)

    @property
    def summary(self) -> dict[str, int]:
        """How many verdicts ended each way; every outcome is present."""
        counts = Counter(verdict.outcome for verdict in self.verdicts)
        return {str(outcome): counts[outcome] for outcome in Outcome}

    def to_dict(self) -> dict[str, Any]:
        """The result in the form of the JSON contract."""
        return {
            "ipvlab": self.version,
            "scenario": self.scenario,
            "datapath": self.datapath,
            "kernel": self.kernel,
            "seconds": {
                "build": round(self.seconds.build, 6),
                "probe": round(self.seconds.probe, 6),
                "teardown": round(self.seconds.teardown, 6),
            },
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
            "summary": self.summary,
        }

    def to_json(self) -> str:
        """The JSON contract as text."""
        return json.dumps(self.to_dict(), indent=2)
