"""``ipvlab run --pcap``: one capture for each scenario, and proofs that name its packets."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ipvlab.cli import run_command_line
from ipvlab.probe import recorder
from ipvlab.probe.belonging import read_asked_address
from ipvlab.probe.pcapng import WrittenPacket, read_packets
from ipvlab.run import live as live_room
from tests.netns.traces import PROJECT, ipvlab

REFERENCE = PROJECT / "scenarios" / "reference.ipvlab.yaml"
TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed (apt install tshark)")
#: What the reference scenario has, in its own words.
PLACES = {
    "wire lan",
    *(f"h1:{link}" for link in ("eth0", "eth0.20", "eth0.30", "eth0.40", "foo")),
    *(f"h2:{link}" for link in ("eth0", "eth0.20")),
    *(f"gw:{link}" for link in ("eth0", "eth0.20")),
    *(f"{container}:eth0" for container in ("a1", "a2", "a3", "b1")),
}

SMALL = """
name: small
wires: {lan: {}}
hosts:
  h1:
    interfaces: {eth0: {wire: lan}}
    networks:
      net: {driver: ipvlan, driver_opts: {parent: eth0}, ipam: {config: [{subnet: 10.9.0.0/24}]}}
    containers: {a1: {networks: [net]}, a2: {networks: [net]}}
  h2:
    interfaces: {eth0: {wire: lan, addresses: [10.9.0.200/24]}}
expect:
  - reach: {from: a1, to: [a2, h2]}
steps:
  - do: {h1: docker rm -f a2}
    expect: [{broadcast: {from: a1, heard_by: [h2]}}]
"""


class Captured(NamedTuple):
    """A run that was captured."""

    file: Path
    packets: list[WrittenPacket]
    verdicts: list[dict[str, Any]]
    began: float
    ended: float

    def of(self, id_: str) -> dict[str, Any]:
        """The proof of a verdict."""
        [proof] = [verdict["proof"] for verdict in self.verdicts if verdict["id"] == id_]
        assert isinstance(proof, dict)
        return proof

    def at(self, number: int) -> WrittenPacket:
        """A packet by its number."""
        return self.packets[number - 1]


def capture(scenario: Path, datapath: str, folder: Path) -> Captured:
    """Run a scenario that passes, in a process of its own, which leaves nothing."""
    results, captures = folder / "results.json", folder / "captures" / "here"
    began = time.time()
    done = ipvlab("run", scenario, "--datapath", datapath, "--pcap", captures, "--json", results)
    assert done.returncode == 0, done.stdout + done.stderr
    [file] = captures.iterdir()
    verdicts = json.loads(results.read_text())["verdicts"]
    return Captured(file, list(read_packets(file.read_bytes())), verdicts, began, time.time())


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """The reference scenario on ``bpf``."""
    return capture(REFERENCE, "bpf", tmp_path_factory.mktemp("live"))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """The reference scenario on ``sim``."""
    return capture(REFERENCE, "sim", tmp_path_factory.mktemp("sim"))


def tshark(file: Path, *arguments: str) -> Iterator[list[str]]:
    """What tshark says of a capture: a line's fields."""
    assert TSHARK is not None
    done = subprocess.run([TSHARK, "-n", "-r", file, *arguments], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        yield line.split("\t")


def fields(file: Path, *names: str) -> list[list[str]]:
    """These fields of every packet, as tshark reads them."""
    options = [option for name in names for option in ("-e", name)]
    return list(tshark(file, "-T", "fields", *options))


def by_number(file: Path, name: str) -> dict[int, str]:
    """One field of every packet, as tshark reads it."""
    return {int(number): value for number, value in fields(file, "frame.number", name)}


@needs_tshark
@pytest.mark.parametrize("datapath", ["live", "simulated"])
def test_tshark_opens_it_and_reads_interfaces_and_comments(
    datapath: str, request: pytest.FixtureRequest
) -> None:
    captured: Captured = request.getfixturevalue(datapath)
    read = fields(captured.file, "frame.number", "frame.interface_name", "frame.comment")
    assert read == [[str(each.number), each.interface, each.comment] for each in captured.packets]


@pytest.mark.parametrize("datapath", ["live", "simulated"])
def test_every_wire_and_every_interface_has_a_block_used_or_not(
    datapath: str, request: pytest.FixtureRequest
) -> None:
    captured: Captured = request.getfixturevalue(datapath)
    content = captured.file.read_bytes()
    names = {
        name for name in PLACES if b"\x02\0" + len(name).to_bytes(2, "little") + name.encode() in content
    }
    assert names == PLACES
    # Beside them are only the loopbacks that canaries and fences come by.
    others = {each.interface for each in captured.packets} - PLACES
    assert all(name.endswith(":lo") for name in others)


def test_a_probe_its_answer_and_what_vouches_for_the_listeners_are_told_apart(live: Captured) -> None:
    proof = live.of("expect[0]:a1->a2/ipv4")
    told = "expect[0]:a1->a2/ipv4 (reach)"
    assert [live.at(number).comment for number in proof["probes"]] == [f"probe of {told}"] * 2
    assert [live.at(number).comment for number in proof["answers"]] == [f"answer of {told}"] * 2
    assert [live.at(number).interface for number in proof["canaries"]] == ["a1:lo", "a2:lo"]
    assert [live.at(number).interface for number in proof["fences"]] == ["a1:lo", "a2:lo"]
    for number in proof["canaries"] + proof["fences"]:
        assert told in live.at(number).comment


def test_every_silence_names_canaries_before_its_probes_and_fences_after_them(live: Captured) -> None:
    silences = [each for each in live.verdicts if each["kind"] in ("blocked", "undelivered", "broadcast")]
    assert len(silences) >= 4
    for verdict in silences:
        proof = verdict["proof"]
        assert proof["capture"] == live.file.name
        listeners = (
            {"a2", "a3", "b1", "h1", "h2", "gw"}
            if verdict["kind"] == "broadcast"
            else {
                verdict["from"],
                verdict["to"],
            }
        )
        for key in ("canaries", "fences"):
            assert {live.at(number).interface for number in proof[key]} == {
                f"{name}:lo" for name in listeners
            }
        assert max(proof["canaries"]) < min(proof["probes"])
        assert max(proof["probes"]) < min(proof["fences"])


def test_what_a_wire_did_not_carry_is_vouched_for_by_the_capture_of_the_wire(live: Captured) -> None:
    [proof] = [each["proof"] for each in live.verdicts if each["kind"] == "on_wire"]
    for key in ("canaries", "fences"):
        assert "wire lan" in {live.at(number).interface for number in proof[key]}


@needs_tshark
def test_tags_are_back_in_the_frames_of_the_wire_and_not_in_those_of_containers(live: Captured) -> None:
    proof = live.of("expect[1]:a1->gw/ipv4")
    tags = by_number(live.file, "vlan.id")
    found = {live.at(number).interface: tags[number] for number in proof["probes"]}
    assert found["a1:eth0"] == ""
    assert found["h1:eth0"] == found["wire lan"] == found["gw:eth0"] == "20"
    assert found["gw:eth0.20"] == ""


@needs_tshark
def test_flags_tell_which_way_a_frame_passed_an_interface(live: Captured) -> None:
    proof = live.of("expect[0]:a1->a2/ipv4")
    ways = {
        number: int(way, 0) if way else 0
        for number, way in by_number(live.file, "frame.packet_flags_direction").items()
    }
    passed = [(live.at(number).interface, ways[number]) for number in proof["probes"]]
    assert passed == [("a1:eth0", 2), ("a2:eth0", 1)]
    crossing = live.of("expect[1]:a1->gw/ipv4")["probes"]
    assert [ways[number] for number in crossing if live.at(number).interface == "wire lan"] == [0]


@needs_tshark
def test_times_are_the_kernels_in_nanoseconds_and_ascend(live: Captured) -> None:
    times = [moment for (moment,) in fields(live.file, "frame.time_epoch")]
    assert times == sorted(times)
    assert all(live.began < float(moment) < live.ended for moment in times)
    assert {len(moment.partition(".")[2]) for moment in times} == {9}
    assert any(int(moment.partition(".")[2]) % 1000 for moment in times)


def test_the_simulated_capture_has_the_probes_where_the_live_one_has_them(
    live: Captured, simulated: Captured
) -> None:
    """On ``bpf`` what leaves by a sub-interface takes a short cut past it, so those are left out."""

    def places(captured: Captured, key: str) -> dict[str, Counter[str]]:
        return {
            verdict["id"]: Counter(
                captured.at(number).interface
                for number in verdict["proof"][key]
                if "eth0." not in captured.at(number).interface
            )
            for verdict in captured.verdicts
            if key in verdict["proof"]
        }

    for key in ("probes", "answers"):
        assert places(simulated, key) == places(live, key)
    assert sum(places(live, "probes").values(), Counter())["wire lan"] > 0


def test_a_simulated_capture_is_the_same_each_time(simulated: Captured, tmp_path: Path) -> None:
    assert capture(REFERENCE, "sim", tmp_path).file.read_bytes() == simulated.file.read_bytes()


def test_without_the_option_proofs_name_no_packets_and_nothing_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_room, "LiveRecorder", None)
    results = tmp_path / "results.json"
    scenario = write(tmp_path, "small")
    assert run_command_line(["run", str(scenario), "--datapath", "bpf", "--json", str(results)]) == 0
    proofs = [verdict["proof"] for verdict in json.loads(results.read_text())["verdicts"]]
    assert not {"probes", "canaries", "fences", "capture"} & {key for proof in proofs for key in proof}


def test_of_a_probe_that_was_never_sent_the_question_for_its_next_hop_is_named(tmp_path: Path) -> None:
    captured = capture(PROJECT / "scenarios" / "05-trunk-without-router.ipvlab.yaml", "bpf", tmp_path)
    proof = captured.of("expect[2]:a20->a30/ipv4")
    assert proof["probes"] == []
    assert {captured.at(number).interface for number in proof["resolution"]} == {"a20:eth0"}
    for number in proof["resolution"]:
        packet = captured.at(number)
        assert read_asked_address(packet.frame) == ip_address("192.168.20.1")
        assert packet.comment.startswith("next hop asked for, by expect[2]:a20->a30/ipv4 (blocked)")
    assert (
        max(proof["canaries"]) < min(proof["resolution"]) <= max(proof["resolution"]) < min(proof["fences"])
    )


def write(folder: Path, stem: str) -> Path:
    """The small scenario in a file."""
    path = folder / f"{stem}.ipvlab.yaml"
    path.write_text(SMALL)
    return path


def test_what_a_removed_container_saw_stays_in_the_capture_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    captured = capture(write(tmp_path, "small"), "bpf", tmp_path)
    removed = [each for each in captured.packets if each.interface == "a2:eth0"]
    assert any(each.comment == "probe of expect[0]:a1->a2/ipv4 (reach)" for each in removed)
    after = captured.of("steps[0].expect[0]:a1")
    assert max(each.number for each in removed) < min(after["probes"])
    assert {captured.at(number).interface for number in after["canaries"]} == {"h1:lo", "h2:lo"}


def test_a_bare_wire_carries_each_frame_once(tmp_path: Path) -> None:
    captured = capture(write(tmp_path, "small"), "bpf", tmp_path)
    proof = captured.of("expect[0]:a1->h2/ipv4")
    places = Counter(captured.at(number).interface for number in proof["probes"])
    assert places == {"a1:eth0": 1, "h1:eth0": 1, "wire lan": 1, "h2:eth0": 1}


def test_scenarios_of_one_name_get_a_file_each(tmp_path: Path) -> None:
    files = [str(write(tmp_path, stem)) for stem in ("one", "two")]
    captures = tmp_path / "captures"
    assert run_command_line(["run", *files, "--datapath", "sim", "--pcap", str(captures)]) == 0
    assert {each.name for each in captures.iterdir()} == {"small.pcapng", "small-2.pcapng"}


def test_a_folder_that_cannot_be_made_is_bad_usage_and_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    scenario = str(write(tmp_path, "small"))
    arguments = ["run", scenario, "--datapath", "sim", "--pcap", str(taken / "below")]
    assert run_command_line(arguments) == 2
    output = capsys.readouterr()
    assert "cannot write captures to" in output.err
    assert output.out == ""


def test_frames_that_the_capture_itself_missed_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_ROOM", 1)
    results, captures = tmp_path / "results.json", tmp_path / "captures"
    scenario = str(write(tmp_path, "small"))
    arguments = ["run", scenario, "--datapath", "bpf", "--pcap", str(captures), "--json", str(results)]
    assert run_command_line(arguments) == 0
    proofs = [verdict["proof"] for verdict in json.loads(results.read_text())["verdicts"]]
    assert all(proof["capture_lost"] > 0 for proof in proofs)
