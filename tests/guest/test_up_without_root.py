"""Labs that stay up on real ipvlan: of an ordinary user, and with links typed by hand."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.test_without_root import as_nobody
from tests.guest.verdicts import PROJECT
from tests.netns.standing import await_end, call, listed

PATH = PROJECT / "scenarios" / "reference.ipvlab.yaml"


@pytest.fixture
def lab() -> Iterator[str]:
    """The reference lab of an ordinary user, on the kernel datapath."""
    name = f"guest-{os.getpid()}"
    done = as_nobody("up", PATH, "--name", name, "--datapath", "kernel")
    assert done.returncode == 0, done.stderr
    yield name
    assert as_nobody("down", name).returncode == 0
    assert json.loads(as_nobody("ps", "--json").stdout) == []


def test_an_ordinary_user_enters_a_lab_on_real_links_and_gives_docker_commands(lab: str) -> None:
    [about] = json.loads(as_nobody("ps", "--json").stdout)
    assert (about["name"], about["datapath"]) == (lab, "kernel")
    sockets = [node["api"] for node in about["nodes"] if node["kind"] == "host"]
    assert all(Path(path).is_socket() for path in sockets)
    assert as_nobody("exec", "a1", "--", "ping", "-c1", "-W5", "192.168.20.21").returncode == 0
    line = ("run", "--rm", "--net=v20", "alpine", "sh", "-c", "ip -br addr; exit 3")
    run = as_nobody("docker", "h1", "--", *line)
    assert (run.returncode, "192.168.20." in run.stdout) == (3, True), run.stderr
    # A lab of one user is not another's.
    assert lab not in listed()


def test_links_typed_by_hand_are_the_kernels_own() -> None:
    name = f"guest-{os.getpid()}-links"
    assert call("up", PATH, "--name", name, "--datapath", "kernel").returncode == 0
    try:
        for line in (
            "link add link eth0 name foo7 type vlan id 77",
            "link set foo7 up",
            "link add dm7 type dummy",
            "link add link eth0 name iv7 type ipvlan mode l2",
        ):
            done = call("exec", "--lab", name, "h1", "--", "ip", *line.split())
            assert (done.returncode, done.stderr) == (0, ""), line
        shown = call("exec", "--lab", name, "h1", "--", "ip", "-d", "-j", "link")
        kinds = {
            link["ifname"]: link.get("linkinfo", {}).get("info_kind") for link in json.loads(shown.stdout)
        }
        assert [kinds[name] for name in ("foo7", "dm7", "iv7")] == ["vlan", "dummy", "ipvlan"]
        inside = ("link", "add", "link", "eth0", "name", "more", "type", "ipvlan", "mode", "l2")
        assert call("exec", "--lab", name, "a1", "--", "ip", *inside).returncode == 0
        for device in ("foo7", "dm7", "iv7"):
            assert call("exec", "--lab", name, "h1", "--", "ip", "link", "del", device).returncode == 0
    finally:
        assert call("down", name).returncode == 0


def test_the_kill_of_an_ordinary_users_supervisor_ends_its_programs(lab: str) -> None:
    [about] = json.loads(as_nobody("ps", "--json").stdout)
    done = as_nobody("exec", "a1", "--", "sh", "-c", "exit 0")
    assert done.returncode == 0
    os.kill(about["pid"], signal.SIGKILL)
    await_end([about["pid"]])
    assert json.loads(as_nobody("ps", "--json").stdout) == []
    again = as_nobody("up", PATH, "--name", lab, "--datapath", "kernel")
    assert again.returncode == 0, again.stderr
