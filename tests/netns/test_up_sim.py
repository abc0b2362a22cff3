"""Simulated labs that stay up: without any privilege, and without what needs real nodes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.standing import UpLab, call, listed, write_scenario

#: Root without a single capability: what it may is what everybody may.
POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[UpLab]:
    """A simulated lab of a user without privileges."""
    path = write_scenario(tmp_path)
    done = call("up", path, "--datapath", "sim", prefix=POWERLESS)
    assert done.returncode == 0, done.stderr
    name = path.name.removesuffix(".ipvlab.yaml")
    assert "no shell, no capture, no Engine API" in done.stdout
    yield UpLab(name)
    assert call("down", name, prefix=POWERLESS).returncode == 0
    assert name not in listed()


def powerless(lab: UpLab, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call(verb, "--lab", lab.name, *arguments, prefix=POWERLESS)


def test_a_simulated_lab_answers_ping_ip_and_docker(lab: UpLab) -> None:
    assert lab.about["datapath"] == "sim"
    assert {node["namespace"] for node in lab.about["nodes"]} == {None}
    assert {node["api"] for node in lab.about["nodes"]} == {None}
    pinged = powerless(lab, "exec", "a1", "--", "ping", "-c1", "192.168.20.21")
    assert (pinged.returncode, "1 packets received" in pinged.stdout) == (0, True)
    silent = powerless(lab, "exec", "a1", "--", "ping", "-c1", "10.0.0.1")
    assert silent.returncode != 0
    line = "ip link add link eth0 name x type vlan id 9".split()
    assert powerless(lab, "exec", "h1", *line).returncode == 0
    made = powerless(lab, "docker", "h1", "--", "run", "-itd", "--net=v20", "--name=c5", "alpine", "sh")
    assert made.returncode == 0
    assert powerless(lab, "docker", "h1", "exec", "c5", "ping", "-c1", "192.168.20.11").returncode == 0


@pytest.mark.parametrize(
    ("verb", "arguments", "status"),
    [("exec", ("a1", "--", "ls"), 125), ("shell", ("a1",), 125), ("capture", ("a1:eth0",), 5)],
)
def test_what_needs_a_real_node_is_refused_with_the_way_to_have_one(
    lab: UpLab, verb: str, arguments: tuple[str, ...], status: int
) -> None:
    done = powerless(lab, verb, *arguments)
    assert done.returncode == status
    assert done.stderr.startswith("IPV502 ")
    assert "--datapath kernel or bpf" in done.stderr


def test_a_log_is_named_that_can_be_read(lab: UpLab) -> None:
    assert Path(lab.about["log"]).read_text() == ""


def test_a_user_without_privileges_gets_a_simulated_lab_by_default_and_is_told_why(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    done = call("up", path, prefix=POWERLESS)
    assert done.returncode == 0, done.stderr
    assert "datapath sim: it works anywhere, without privileges; kernel: this user may not" in done.stdout
    assert call("down", path.name.removesuffix(".ipvlab.yaml"), prefix=POWERLESS).returncode == 0


@pytest.mark.parametrize("datapath", ["kernel", "bpf"])
def test_a_datapath_that_cannot_work_is_refused_and_nothing_is_up(tmp_path: Path, datapath: str) -> None:
    path = write_scenario(tmp_path)
    done = call("up", path, "--datapath", datapath, prefix=POWERLESS)
    assert done.returncode == 5
    assert done.stderr.startswith("IPV501 ")
    assert path.name.removesuffix(".ipvlab.yaml") not in listed()
