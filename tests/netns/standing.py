"""Labs that stay up as tests hold them: brought up by the command line, watched, and gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.netns.traces import command, held_networks, network_of

_numbers = itertools.count()

#: Two hosts on a wire, two containers on VLAN 20 of the first and one of the second.
SCENARIO = """
name: {name}
title: A lab of a test
wires: {{lan: {{}}}}
hosts:
  h1:
    interfaces: {{eth0: {{wire: lan, addresses: [10.0.0.1/24]}}}}
    networks:
      v20:
        driver: ipvlan
        driver_opts: {{parent: eth0.20, ipvlan_mode: l2}}
        ipam: {{config: [{{subnet: 192.168.20.0/24, gateway: 192.168.20.254}}]}}
    containers:
      a1: {{networks: {{v20: {{ipv4_address: 192.168.20.11}}}}}}
      a2: {{networks: {{v20: {{ipv4_address: 192.168.20.12}}}}}}
  h2:
    interfaces: {{eth0: {{wire: lan, addresses: [10.0.0.2/24]}}}}
    commands: |
      docker network create -d ipvlan --subnet=192.168.20.0/24 --gateway=192.168.20.254 -o parent=eth0.20 v20
      docker run --net=v20 --ip=192.168.20.21 --name=b1 -itd alpine /bin/sh
expect:
  - reach: {{from: a1, to: b1}}
  - blocked: {{from: a1, to: {blocked}}}
"""


def write_scenario(folder: Path, *, fails: bool = False) -> Path:
    """A scenario of a name that no other test has; ``fails`` gives it an expectation that does not hold."""
    name = new_name()
    path = folder / f"{name}.ipvlab.yaml"
    path.write_text(SCENARIO.format(name=name, blocked="b1" if fails else "h1"))
    return path


def new_name() -> str:
    """A lab's name that no test has, in this process or another."""
    return f"test-{os.getpid()}-{next(_numbers)}"


def call(
    *arguments: str | Path, prefix: Sequence[str] = (), stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*prefix, *command(*arguments)],
        capture_output=True,
        text=True,
        input=stdin,
        check=False,
        cwd=Path(__file__).parents[2],
    )


class UpLab:
    """A lab that is up: its name, its supervisor's pid, and what ``ps`` tells of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.about = describe(name)
        self.pid = int(self.about["pid"])

    def exec(self, node: str, *argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program in a node by the command line."""
        return call("exec", "--lab", self.name, node, "--", *argv, stdin=stdin)

    def docker(self, host: str, *argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Give a host a Docker command by the command line."""
        return call("docker", "--lab", self.name, host, "--", *argv, stdin=stdin)

    def networks(self) -> set[str]:
        """The network namespaces that are the lab's.

        They are kept for as long as this object, so that no other lab gets one of their numbers.
        """
        found = set()
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            name = os.readlink(entry)
            if name.startswith("net:[") and name != network_of("self"):
                weakref.finalize(self, os.close, os.open(entry, os.O_RDONLY | os.O_CLOEXEC))
                found.add(name)
        return found


def describe(name: str) -> dict[str, Any]:
    """What ``ps --json`` says of a lab."""
    [about] = [lab for lab in json.loads(call("ps", "--json").stdout) if lab["name"] == name]
    assert isinstance(about, dict)
    return about


def listed() -> list[str]:
    """The names of the labs that ``ps`` shows."""
    return [lab["name"] for lab in json.loads(call("ps", "--json").stdout)]


@contextlib.contextmanager
def lab_up(folder: Path, datapath: str = "bpf") -> Iterator[UpLab]:
    """A lab of :data:`SCENARIO` that is up, and gone afterwards whatever the test did."""
    path = write_scenario(folder)
    name = path.name.removesuffix(".ipvlab.yaml")
    done = call("up", path, "--datapath", datapath)
    assert done.returncode == 0, done.stderr
    try:
        yield UpLab(name)
    finally:
        if name in listed():
            assert call("down", name).returncode == 0


def processes_in(networks: Iterable[str]) -> set[int]:
    """The processes in any of some network namespaces, or that hold one, this one left out."""
    wanted = set(networks)
    found = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if network_of(entry) in wanted or held_networks(int(entry)) & wanted:
                found.add(int(entry))
    return found


def await_end(pids: Iterable[int]) -> None:
    """Return once all of these processes have ended."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([pidfd], [], [], 30)
            assert ended, f"process {pid} goes on"
        finally:
            os.close(pidfd)


def children_of(pid: int) -> set[int]:
    """A process's children, and theirs."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
                parents[int(entry)] = int(fields[1])
    found: set[int] = set()
    while True:
        more = {child for child, parent in parents.items() if parent == pid or parent in found} - found
        if not more:
            return found
        found |= more
