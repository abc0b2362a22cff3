"""Whole labs on real ipvlan: the same verdicts as the programs give, and without root as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ipvlab import Lab
from tests.guest.verdicts import PROJECT, SCENARIOS, comparable, observed

ROOTLESS = (
    "import sys; from ipvlab.linux.rootless import enter_user_namespace; enter_user_namespace()\n"
    "from ipvlab.cli import main; sys.argv[0] = 'ipvlab'; sys.exit(main())\n"
)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name.split(".")[0])
def test_real_links_and_programs_give_the_same_verdicts(path: Path) -> None:
    real = observed(path, "kernel")
    assert real
    assert observed(path, "bpf") == real


def network(mode: str, flag: str) -> str:
    return (
        f"network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 "
        f"-o ipvlan_mode={mode} -o ipvlan_flag={flag} net"
    )


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
@pytest.mark.parametrize(("flag", "is_reached"), [("bridge", True), ("private", False), ("vepa", False)])
def test_siblings_reach_each_other_on_the_host_in_bridge_only(mode: str, flag: str, is_reached: bool) -> None:
    with Lab(datapath="kernel") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        lab.host("h2", eth0=lan.port("192.168.1.251/24"))
        assert h1.docker(network(mode, flag)).exit_code == 0
        c1 = h1.container("c1", network="net", ip="192.168.1.11")
        c2 = h1.container("c2", network="net", ip="192.168.1.12")
        assert bool(c1.reaches(c2)) is is_reached
        assert not c1.reaches(h1)


def test_a_hairpin_port_sends_the_frames_of_vepa_back() -> None:
    with Lab(datapath="kernel") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24", hairpin=True))
        lab.host("h2", eth0=lan.port("192.168.1.251/24"))
        assert h1.docker(network("l2", "vepa")).exit_code == 0
        c1 = h1.container("c1", network="net", ip="192.168.1.11")
        c2 = h1.container("c2", network="net", ip="192.168.1.12")
        assert c1.reaches(c2)


def test_a_lab_runs_in_a_user_namespace_with_the_same_verdicts() -> None:
    path = PROJECT / "scenarios" / "reference.ipvlab.yaml"
    command = [sys.executable, "-c", ROOTLESS, "run", str(path), "--datapath", "kernel", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    [result] = result if isinstance(result, list) else [result]
    assert comparable(result) == observed(path, "kernel")


def test_the_status_of_a_lab_in_a_user_namespace_is_the_commands_own() -> None:
    for code, status in (("sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 15)", 128 + 15)):
        text = ROOTLESS.split("\n", 1)[0] + "\n" + code
        assert subprocess.run([sys.executable, "-c", text], check=False, cwd=PROJECT).returncode == status
