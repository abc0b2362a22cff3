"""The register of requirements: what an ipvlan implementation must, should or may do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError
from ruamel.yaml import YAML

from ipvlab.errors import ValueInvalid
from ipvlab.implementations.port import Feature
from ipvlab.implementations.results import CaseOutcome, ConformanceRun, Frozen

#: IPV, area, topic, number: an id never changes and is never given twice.
ID_PATTERN = r"^IPV-[A-Z0-9]{2,5}-[A-Z0-9]{2,9}-[0-9]{3}$"


class Level(StrEnum):
    """How binding a requirement is, in the words of RFC 2119."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"


class Profile(StrEnum):
    """What an implementation can be conformant to, each by itself."""

    CORE_L2 = "core-l2"
    CORE_L3 = "core-l3"
    L3S = "l3s"
    FLAGS = "flags"
    VLAN = "vlan"
    DUAL_STACK = "dual-stack"
    LIFECYCLE = "lifecycle"
    NAMES = "names"
    CONTROL_PLANE = "control-plane"


class Requirement(Frozen):
    """One statement on what can be observed from outside."""

    id: str = Field(pattern=ID_PATTERN)
    level: Level
    profile: Profile
    #: What an implementation has to offer for it to be asked at all.
    features: tuple[Feature, ...] = ()
    text: str = Field(min_length=10)
    #: Kernel function, Docker's file, or document.
    source: str = Field(min_length=3)
    #: Why a requirement is no longer one; its id stays taken.
    withdrawn: str | None = None


class ProfileResult(StrEnum):
    """What a run says of one profile."""

    CONFORMANT = "conformant"
    NONCONFORMANT = "nonconformant"
    #: A must was not tried, not offered or not observed: neither one nor the other.
    INCOMPLETE = "incomplete"


@dataclasses.dataclass(frozen=True, slots=True)
class ProfileReport:
    """One profile of one run: its result, and its requirements by outcome (None: no case)."""

    profile: Profile
    result: ProfileResult
    outcomes: Mapping[str, CaseOutcome | None]


class Register:
    """All requirements, by id, in the order of the file."""

    def __init__(self, requirements: Iterable[Requirement]) -> None:
        self.requirements: dict[str, Requirement] = {}
        for requirement in requirements:
            if requirement.id in self.requirements:
                raise ValueInvalid(
                    f"the id {requirement.id} is given twice", hint="give the later one its own"
                )
            self.requirements[requirement.id] = requirement

    @classmethod
    def read(cls, path: Path) -> Register:
        """Read a register; raises :class:`ValueInvalid` for a file that is none, OSError for no file."""
        written = YAML(typ="safe").load(path)
        try:
            entries = TypeAdapter(list[Requirement]).validate_python(written["requirements"])
        except (ValidationError, KeyError, TypeError) as error:
            raise ValueInvalid(f"{path} is no register of requirements: {error}") from error
        return cls(entries)

    def in_force(self) -> list[Requirement]:
        """The requirements that have not been withdrawn."""
        return [each for each in self.requirements.values() if each.withdrawn is None]

    def of_profile(self, profile: Profile) -> list[Requirement]:
        """The requirements in force of one profile."""
        return [each for each in self.in_force() if each.profile is profile]

    def judge(self, run: ConformanceRun) -> list[ProfileReport]:
        """What a run says of each profile; a skip is never a pass."""
        outcomes = {each.id: run.outcome_of(each.id) for each in self.in_force()}
        reports = []
        for profile in Profile:
            mine = self.of_profile(profile)
            musts = [outcomes[each.id] for each in mine if each.level is Level.MUST]
            reports.append(
                ProfileReport(profile, _result_of(musts), {each.id: outcomes[each.id] for each in mine})
            )
        return reports


def _result_of(musts: Sequence[CaseOutcome | None]) -> ProfileResult:
    wrong = {CaseOutcome.FAIL, CaseOutcome.ERROR, CaseOutcome.KNOWN, CaseOutcome.UNEXPECTED_PASS}
    if any(outcome in wrong for outcome in musts):
        return ProfileResult.NONCONFORMANT
    if musts and all(outcome is CaseOutcome.PASS for outcome in musts):
        return ProfileResult.CONFORMANT
    return ProfileResult.INCOMPLETE
