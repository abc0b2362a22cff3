"""Captures in the reports: a case names its file, and shows the packets that its claims rest on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from ipvlab.cli import run_command_line
from ipvlab.implementations.evidence import MOST_PACKETS, packets_of
from ipvlab.implementations.results import Case, CaseOutcome, Claim, ConformanceRun, Proof
from ipvlab.probe.pcapng import read_packets
from tests.netns.traces import PROJECT

LAB = "l2-bridge-reflected"
SCENARIO = PROJECT / "scenarios" / "01-l2-one-host.ipvlab.yaml"


def run_pytest(folder: Path, *arguments: str) -> ConformanceRun:
    """Run pytest with captures, and read the results that it wrote beside them."""
    results = folder / "results.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    command += [f"--ipvlab-pcap={folder / 'captures'}", f"--ipvlab-json={results}"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ConformanceRun.model_validate_json(results.read_bytes())


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ConformanceRun]:
    """One lab of the suite on ``bpf``, and the folder of its results."""
    folder = tmp_path_factory.mktemp("suite")
    return folder, run_pytest(folder, "conformance/test_layouts.py", "-k", LAB, "--ipvlab-implementation=bpf")


def proved(case: Case) -> set[int]:
    """The packets that the proofs of a case name."""
    return {
        number
        for claim in case.claims
        for numbers in (claim.proof.probes, claim.proof.answers, claim.proof.fences, claim.proof.canaries)
        for number in numbers
    }


def test_a_case_of_the_suite_names_its_capture_from_the_folder_of_the_report(
    suite: tuple[Path, ConformanceRun],
) -> None:
    folder, run = suite
    assert {case.capture for case in run.cases} == {f"captures/{LAB}.pcapng"}
    assert (folder / run.cases[0].capture).is_file()


def test_a_case_shows_the_packets_of_its_own_claims_as_they_are_in_the_file(
    suite: tuple[Path, ConformanceRun],
) -> None:
    folder, run = suite
    written = list(read_packets((folder / run.cases[0].capture).read_bytes()))
    asked = [case for case in run.cases if proved(case)]
    assert asked
    for case in asked:
        assert len(case.packets) == min(len(proved(case)), MOST_PACKETS)
        for packet in case.packets:
            assert packet.number in proved(case)
            assert packet.interface == written[packet.number - 1].interface
            assert packet.role in written[packet.number - 1].comment
            if packet.role in ("probe", "answer"):
                assert packet.layers[0].startswith("Ethernet")


def test_comments_name_the_requirement_that_a_packet_serves(suite: tuple[Path, ConformanceRun]) -> None:
    folder, run = suite
    written = list(read_packets((folder / run.cases[0].capture).read_bytes()))
    for case in run.cases:
        [requirement] = case.requirements
        for claim in case.claims:
            for number in claim.proof.probes:
                assert requirement in written[number - 1].comment


def test_scenario_files_as_tests_are_captured_too(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, str(SCENARIO), "--ipvlab-datapath=sim")
    assert {case.capture for case in run.cases} == {"captures/l2-one-host.pcapng"}
    assert any(case.packets for case in run.cases)


def test_the_page_of_a_scenario_run_links_the_capture_beside_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    arguments = ["run", str(SCENARIO), "--datapath", "sim", "--html", str(page)]
    assert run_command_line([*arguments, "--pcap", str(tmp_path / "captures")]) == 0
    text = page.read_text()
    assert "captures/l2-one-host.pcapng" in text
    assert str(tmp_path) not in text


def test_several_implementations_have_a_folder_each(tmp_path: Path) -> None:
    results = tmp_path / "set.json"
    arguments = ["conformance", "--implementation", "sim", "-k", LAB, "--json", str(results)]
    assert run_command_line([*arguments, "--pcap", str(tmp_path / "captures")]) == 0
    [run] = TypeAdapter(list[ConformanceRun]).validate_json(results.read_bytes())
    assert {case.capture for case in run.cases} == {f"captures/sim/{LAB}.pcapng"}


def claim(outcome: CaseOutcome, first: int, last: int) -> Claim:
    """A claim whose probes are these packets."""
    return Claim(id="c", outcome=outcome, proof=Proof(probes=tuple(range(first, last + 1))))


def test_where_there_are_too_many_packets_those_of_failed_claims_come_first(tmp_path: Path) -> None:
    captures = tmp_path / "captures"
    assert run_command_line(["run", str(SCENARIO), "--datapath", "sim", "--pcap", str(captures)]) == 0
    [file] = captures.iterdir()
    claims = [claim(CaseOutcome.PASS, 1, MOST_PACKETS), claim(CaseOutcome.FAIL, 100, 103)]
    numbers = [packet.number for packet in packets_of(file, claims)]
    assert numbers == [*range(1, MOST_PACKETS - 3), 100, 101, 102, 103]


def test_every_process_of_a_run_has_files_of_its_own(tmp_path: Path) -> None:
    """Two of them may build the same lab, and a case's numbers are those of its own process."""
    run = run_pytest(tmp_path, "conformance/test_layouts.py", "-k", LAB, "--ipvlab-implementation=sim", "-n1")
    assert {case.capture for case in run.cases} == {f"captures/{LAB}.gw0.pcapng"}
