"""``ipvlab capture``: packets of an interface, on a terminal or as pcapng."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Dot1Q
from scapy.utils import PcapNgReader

from tests.netns.standing import UpLab, await_end, call, lab_up, processes_in
from tests.netns.traces import PROJECT, command


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[UpLab]:
    """A lab that the test may end."""
    with lab_up(tmp_path) as up:
        yield up


def start(lab: UpLab, *arguments: str) -> subprocess.Popen[bytes]:
    """A capture that has begun: what is sent from now on is seen."""
    client = subprocess.Popen(
        command("capture", "--lab", lab.name, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert client.stderr is not None
    assert client.stderr.readline().startswith(b"capturing ")
    return client


def test_a_file_holds_the_frames_as_they_crossed_the_wire_tags_included(lab: UpLab, tmp_path: Path) -> None:
    file = tmp_path / "seen.pcapng"
    client = start(lab, "h2:eth0", "-w", str(file))
    assert lab.exec("a1", "ping", "-c1", "-W5", "192.168.20.21").returncode == 0
    client.send_signal(signal.SIGINT)
    _, stderr = client.communicate()
    assert client.returncode == 0, stderr
    with PcapNgReader(str(file)) as reader:
        frames = list(reader)
    assert stderr.decode().strip() == f"{len(frames)} packets"
    echoes = [frame for frame in frames if ICMP in frame]
    assert [(frame[Dot1Q].vlan, frame[IP].src, frame[ICMP].type) for frame in echoes] == [
        (20, "192.168.20.11", 8),
        (20, "192.168.20.21", 0),
    ]
    assert all(frame.time > 1_600_000_000 for frame in frames)


def test_a_capture_ends_after_the_number_of_packets_asked_for(lab: UpLab, tmp_path: Path) -> None:
    client = start(lab, "a1:eth0", "-c", "2", "-w", "-")
    assert lab.exec("a1", "ping", "-c2", "-i0.2", "-W5", "192.168.20.12").returncode == 0
    stdout, stderr = client.communicate()
    assert (client.returncode, stderr) == (0, b"2 packets\n")
    seen = tmp_path / "seen.pcapng"
    seen.write_bytes(stdout)
    with PcapNgReader(str(seen)) as reader:
        assert len(list(reader)) == 2


def test_a_packet_is_a_line_on_a_terminal(lab: UpLab) -> None:
    client = start(lab, "a1:lo", "-c", "1")
    assert lab.exec("a1", "ping", "-c1", "-W5", "127.0.0.1").returncode == 0
    stdout, _ = client.communicate()
    assert "ICMP 127.0.0.1 > 127.0.0.1 echo-request" in stdout.decode()


@pytest.mark.parametrize("end", ["down", "kill"])
def test_a_capture_ends_with_its_lab_and_holds_nothing_of_it(lab: UpLab, end: str) -> None:
    client = start(lab, "a1:eth0")
    networks = lab.networks()
    if end == "down":
        assert call("down", lab.name).returncode == 0
    else:
        os.kill(lab.pid, signal.SIGKILL)
    _, stderr = client.communicate()
    assert client.returncode == 5
    assert b"IPV703" in stderr
    await_end([lab.pid])
    assert processes_in(networks) == set()


def test_an_interface_that_is_not_there_is_told_with_those_that_are(lab: UpLab) -> None:
    done = call("capture", "--lab", lab.name, "a1:eth9")
    assert done.returncode == 5
    assert "No such device" in done.stderr
    assert "a1 has lo, eth0" in done.stderr
    assert call("capture", "--lab", lab.name, "a1").returncode == 2


def test_a_file_that_cannot_be_written_is_told(lab: UpLab) -> None:
    done = call("capture", "--lab", lab.name, "a1:eth0", "-w", "/nowhere/x.pcapng")
    assert done.returncode == 2
    assert "/nowhere/x.pcapng" in done.stderr
