"""Runs as JUnit XML: a suite for each implementation, and for what is not passed its real text."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from ipvlab.implementations.register import Register
from ipvlab.implementations.results import Case, CaseOutcome, ConformanceRun
from ipvlab.report.failure_text import describe, headline, printable

#: Readers know four ends of a test; the ``type`` says which of ours it was.
_ELEMENTS = {
    CaseOutcome.FAIL: "failure",
    CaseOutcome.UNEXPECTED_PASS: "failure",
    CaseOutcome.UNOBSERVED: "failure",
    CaseOutcome.ERROR: "error",
    CaseOutcome.UNSUPPORTED: "skipped",
    CaseOutcome.KNOWN: "skipped",
}


def format_junit(runs: Sequence[ConformanceRun], register: Register | None = None) -> str:
    """The runs as one XML document."""
    root = ElementTree.Element("testsuites", name="ipvlab")
    for run in runs:
        _add_suite(root, run, register)
    _count(root, [case for run in runs for case in run.cases], sum(run.seconds for run in runs))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _count(element: ElementTree.Element, cases: Sequence[Case], seconds: float) -> None:
    ends = [_ELEMENTS.get(case.outcome) for case in cases]
    element.set("tests", str(len(cases)))
    for attribute, end in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(ends.count(end)))
    element.set("time", f"{seconds:.3f}")


def _add_suite(root: ElementTree.Element, run: ConformanceRun, register: Register | None) -> None:
    subject = run.subject
    suite = ElementTree.SubElement(root, "testsuite", name=printable(subject.name), timestamp=run.date)
    _count(suite, run.cases, run.seconds)
    properties = {
        "ipvlab": run.ipvlab,
        "implementation": subject.name,
        "implementation.version": subject.version,
        "kernel": subject.kernel,
        "probes": str(run.probes),
        "silences": str(run.silences),
    }
    _add_properties(suite, list(properties.items()))
    for case in run.cases:
        _add_case(suite, case, run, register)


def _add_properties(element: ElementTree.Element, pairs: Sequence[tuple[str, str]]) -> None:
    holder = ElementTree.SubElement(element, "properties")
    for name, value in pairs:
        ElementTree.SubElement(holder, "property", name=name, value=printable(value))


def _add_case(suite: ElementTree.Element, case: Case, run: ConformanceRun, register: Register | None) -> None:
    group, _, name = case.id.rpartition("::")
    element = ElementTree.SubElement(
        suite,
        "testcase",
        classname=printable(group or run.subject.name),
        name=printable(name),
        time=f"{case.seconds:.3f}",
    )
    pairs = [("implementation", run.subject.name), ("outcome", str(case.outcome))]
    for requirement in case.requirements:
        pairs.append(("requirement", requirement))
        entry = None if register is None else register.requirements.get(requirement)
        if entry is not None:
            pairs += [("level", str(entry.level)), ("profile", str(entry.profile))]
    _add_properties(element, list(dict.fromkeys(pairs)))
    end = _ELEMENTS.get(case.outcome)
    if end is not None:
        told = ElementTree.SubElement(element, end, type=str(case.outcome), message=headline(case))
        told.text = "\n".join(describe(case, register))
