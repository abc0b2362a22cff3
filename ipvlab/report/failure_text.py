"""What a case has to say for itself in plain text, the same in every report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ipvlab.implementations.register import Register
from ipvlab.implementations.results import Case, CaseOutcome

#: Characters that neither XML 1.0 nor a terminal has a use for.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

#: Outcomes that make a run red.
RED = frozenset({CaseOutcome.FAIL, CaseOutcome.ERROR, CaseOutcome.UNOBSERVED, CaseOutcome.UNEXPECTED_PASS})


def printable(text: str) -> str:
    """The text with what no report can carry replaced by ``?``."""
    return _UNPRINTABLE.sub("?", text)


def show(value: Any) -> str:
    """An expected or observed value in one line, as a person would write it down."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value.strip() or "(empty)"
    if isinstance(value, list | tuple):
        return ", ".join(show(item) for item in value) or "(none)"
    if isinstance(value, dict):
        told = [f"{key} {show(item)}" for key, item in value.items() if item is not None]
        return ", ".join(told) or "(nothing)"
    return json.dumps(value, default=str)


def headline(case: Case) -> str:
    """One line: the reason, or the first reason among the claims that did not pass."""
    reasons = [
        case.reason,
        *(claim.reason for claim in case.claims if claim.outcome is not CaseOutcome.PASS),
    ]
    first = next((reason for reason in reasons if reason.strip()), str(case.outcome))
    return printable(first.strip().splitlines()[0])


def describe(case: Case, register: Register | None = None) -> list[str]:
    """The sentences of its requirements, each claim that did not pass, and how to see it again."""
    return [printable(line) for line in _lines(case, register)]


def _lines(case: Case, register: Register | None) -> Iterator[str]:
    for requirement in case.requirements:
        entry = None if register is None else register.requirements.get(requirement)
        yield requirement if entry is None else f"{requirement} ({entry.level}): {entry.text}"
    yield from case.reason.strip().splitlines()
    for claim in case.claims:
        if claim.outcome is CaseOutcome.PASS:
            continue
        yield f"{claim.id}: {claim.outcome}"
        if claim.expected is not None or claim.observed is not None:
            yield f"  expected  {show(claim.expected)}"
            yield f"  observed  {show(claim.observed)}"
        if claim.reason and claim.reason != case.reason:
            yield from (f"  {line}" for line in claim.reason.strip().splitlines())
        yield from (f"  {line}" for line in claim.explanation)
    if case.link:
        yield f"see {case.link}"
    if case.capture and case.packets:
        numbers = ", ".join(str(packet.number) for packet in case.packets)
        yield f"packets {numbers} of {case.capture}"
    if case.reproduce:
        yield f"again: {case.reproduce}"
