"""The HTML page and its drawings: whole in themselves, and safe whatever an implementation says."""

from __future__ import annotations

import datetime
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ipvlab.implementations.register import Level, Profile, Register, Requirement
from ipvlab.implementations.results import Case, CaseOutcome, Claim, ConformanceRun, Proof, Subject
from ipvlab.report.drawing import draw
from ipvlab.report.from_scenarios import as_runs
from ipvlab.report.html import format_html
from ipvlab.run.prepare import prepare
from ipvlab.run.runner import run_prepared
from ipvlab.run.topology import topology_of

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.ipvlab.yaml"))
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
REGISTER = Register(
    [
        Requirement(
            id="IPV-L2-UCAST-001",
            level=Level.MUST,
            profile=Profile.CORE_L2,
            text="Two endpoints reach each other.",
            source="ipvlan_core.c",
        )
    ]
)
NASTY = '</script><script>alert(1)</script> <!-- {content} "quoted" \x00\x1b'


class Elements(HTMLParser):
    """All elements of a page with their attributes, and what its scripts hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._is_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts.append(data)
            self._is_script = False


def read(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    elements.close()
    return elements


def content_of(page: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(read(page).scripts[0])
    return loaded


def run_of(*cases: Case, name: str = "sim") -> ConformanceRun:
    return ConformanceRun(
        ipvlab="1",
        date="2026-01-01T00:00:00Z",
        subject=Subject(name=name, version="1", kernel="6.1"),
        cases=cases,
    )


def test_the_page_loads_nothing_from_anywhere() -> None:
    page = format_html([run_of()], REGISTER)
    for tag, attributes in read(page).found:
        assert tag not in {"link", "img", "iframe", "object"}
        assert not {"src", "href"} & set(attributes)
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest", page)


def test_what_an_implementation_says_stays_text() -> None:
    case = Case(
        id=f"t::{NASTY}",
        outcome=CaseOutcome.FAIL,
        reason=NASTY,
        link=f"javascript:{NASTY}",
        requirements=("IPV-L2-UCAST-001",),
        claims=(Claim(id=NASTY, outcome=CaseOutcome.FAIL, expected=[NASTY], explanation=(NASTY,)),),
    )
    page = format_html([run_of(case, name=NASTY)], REGISTER)
    scripts = [attributes for tag, attributes in read(page).found if tag == "script"]
    assert len(scripts) == 2
    told = content_of(page)["runs"][0]["cases"][0]
    assert told["reason"].startswith("</script>")
    assert "\x00" not in page
    assert told["link"] == ""


def test_each_requirement_has_a_cell_for_each_implementation_and_the_worst_case_names_it() -> None:
    cases = [
        Case(id="a", outcome=CaseOutcome.PASS, requirements=("IPV-L2-UCAST-001",)),
        Case(id="b", outcome=CaseOutcome.UNOBSERVED, requirements=("IPV-L2-UCAST-001",)),
    ]
    content = content_of(format_html([run_of(*cases), run_of(name="bpf")], REGISTER))
    [row] = content["rows"]
    assert [cell["outcome"] for cell in row["cells"]] == ["unobserved", None]
    assert row["cells"][0]["cases"] == [1, 0]


def test_a_proof_names_its_packets_and_who_was_silent() -> None:
    proof = Proof(probes=(3,), fences=(4, 5), canaries=(1,), silent=("h1",))
    case = Case(
        id="a", outcome=CaseOutcome.PASS, claims=(Claim(id="c", outcome=CaseOutcome.PASS, proof=proof),)
    )
    [told] = content_of(format_html([run_of(case)]))["runs"][0]["cases"][0]["claims"]
    assert told["proof"] == ("probe in packet 3; fence in packet 4, 5; canary in packet 1; proved silent: h1")


def test_the_page_of_scenarios_has_a_row_for_each_verdict_and_the_drawing_of_its_lab() -> None:
    prepared = prepare(SCENARIOS[0])
    result = run_prepared(prepared, "sim")
    topology = topology_of(prepared)
    content = content_of(format_html(as_runs([result], NOW, {result.scenario: topology})))
    assert len(content["rows"]) == len(result.verdicts)
    assert "<svg" in content["drawings"][result.scenario]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name.removesuffix(".ipvlab.yaml"))
def test_a_drawing_is_xml_and_names_every_machine_container_and_wire(path: Path) -> None:
    prepared = prepare(path)
    topology = topology_of(prepared)
    root = ElementTree.fromstring(draw(topology))
    words = [text for element in root.iter() for text in (element.text or "",)]
    for node in topology.nodes:
        assert node.name in words
    for wire in prepared.scenario.wires:
        assert wire in words
    left, top, right, bottom = map(float, root.attrib["viewBox"].split())
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, width, height = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert left <= x <= x + width <= right + 1
        assert top <= y <= y + height <= bottom + 1


def test_names_in_a_drawing_are_escaped() -> None:
    prepared = prepare(SCENARIOS[0])
    strange = topology_of(prepared).model_copy(update={"name": 'a"b<c>&d'})
    assert ElementTree.fromstring(draw(strange)).attrib["aria-label"].startswith('The lab a"b<c>&d')
