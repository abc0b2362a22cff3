"""The register of requirements, and what a run means for its profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.errors import ValueInvalid
from ipvlab.implementations.register import Level, Profile, ProfileResult, Register, Requirement
from ipvlab.implementations.results import Case, CaseOutcome, ConformanceRun, Subject


def requirement(number: int, level: Level = Level.MUST, profile: Profile = Profile.CORE_L2) -> Requirement:
    return Requirement(
        id=f"IPV-L2-UCAST-{number:03}",
        level=level,
        profile=profile,
        text="Something that can be observed.",
        source="ipvlan_core.c",
    )


def run(**outcomes: CaseOutcome) -> ConformanceRun:
    """A run with one case for each requirement number (``n1=…``)."""
    return ConformanceRun(
        ipvlab="1",
        date="2026-01-01T00:00:00Z",
        subject=Subject(name="sim", version="1", kernel="6.1"),
        cases=tuple(
            Case(id=f"t{name}", requirements=(f"IPV-L2-UCAST-{int(name[1:]):03}",), outcome=outcome)
            for name, outcome in outcomes.items()
        ),
    )


def result(register: Register, of: ConformanceRun) -> ProfileResult:
    return next(each.result for each in register.judge(of) if each.profile is Profile.CORE_L2)


def test_a_profile_is_conformant_when_every_must_passed() -> None:
    register = Register([requirement(1), requirement(2), requirement(3, Level.SHOULD)])
    passed = run(n1=CaseOutcome.PASS, n2=CaseOutcome.PASS, n3=CaseOutcome.FAIL)
    assert result(register, passed) is ProfileResult.CONFORMANT


@pytest.mark.parametrize("outcome", [CaseOutcome.FAIL, CaseOutcome.KNOWN, CaseOutcome.UNEXPECTED_PASS])
def test_a_must_that_did_not_pass_makes_a_profile_nonconformant(outcome: CaseOutcome) -> None:
    register = Register([requirement(1), requirement(2)])
    assert result(register, run(n1=CaseOutcome.PASS, n2=outcome)) is ProfileResult.NONCONFORMANT


@pytest.mark.parametrize("outcome", [CaseOutcome.UNSUPPORTED, CaseOutcome.UNOBSERVED, None])
def test_a_must_that_was_not_tried_or_not_observed_leaves_a_profile_incomplete(
    outcome: CaseOutcome | None,
) -> None:
    register = Register([requirement(1), requirement(2)])
    tried = {} if outcome is None else {"n2": outcome}
    assert result(register, run(n1=CaseOutcome.PASS, **tried)) is ProfileResult.INCOMPLETE


def test_a_profile_without_requirements_is_never_conformant() -> None:
    assert result(Register([]), run()) is ProfileResult.INCOMPLETE


def test_the_worst_case_speaks_for_a_requirement() -> None:
    cases = [
        Case(id="a", requirements=("IPV-L2-UCAST-001",), outcome=CaseOutcome.PASS),
        Case(id="b", requirements=("IPV-L2-UCAST-001",), outcome=CaseOutcome.UNOBSERVED),
    ]
    both = run().model_copy(update={"cases": tuple(cases)})
    assert both.outcome_of("IPV-L2-UCAST-001") is CaseOutcome.UNOBSERVED
    assert both.outcome_of("IPV-L2-UCAST-009") is None


def test_a_case_that_could_not_be_asked_is_silent_beside_one_that_could() -> None:
    cases = [
        Case(id="a", requirements=("IPV-L2-UCAST-001",), outcome=CaseOutcome.PASS),
        Case(id="b", requirements=("IPV-L2-UCAST-001",), outcome=CaseOutcome.UNSUPPORTED),
        Case(id="c", requirements=("IPV-L2-UCAST-002",), outcome=CaseOutcome.UNSUPPORTED),
    ]
    some = run().model_copy(update={"cases": tuple(cases)})
    assert some.outcome_of("IPV-L2-UCAST-001") is CaseOutcome.PASS
    assert some.outcome_of("IPV-L2-UCAST-002") is CaseOutcome.UNSUPPORTED


def test_a_withdrawn_requirement_is_asked_of_nobody_and_keeps_its_id() -> None:
    withdrawn = requirement(1).model_copy(update={"withdrawn": "the kernel never did it"})
    register = Register([withdrawn, requirement(2)])
    assert [each.id for each in register.in_force()] == ["IPV-L2-UCAST-002"]
    assert "IPV-L2-UCAST-001" in register.requirements


def test_an_id_is_given_once() -> None:
    with pytest.raises(ValueInvalid, match="given twice"):
        Register([requirement(1), requirement(1)])


@pytest.mark.parametrize("wrong", ["requirements: [{id: X}]", "other: 1", "[]"])
def test_a_file_that_is_no_register_is_refused_with_its_name(tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "requirements.yaml"
    path.write_text(wrong)
    with pytest.raises(ValueInvalid, match=r"requirements\.yaml is no register"):
        Register.read(path)
