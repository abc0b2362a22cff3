"""The end of the process, however it comes, is the end of the lab; and labs do not see each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.netns.traces import (
    PROJECT,
    hold_networks,
    kill,
    links,
    members,
    named_namespaces,
    networks_of_others,
    start,
)

#: A guest has one emulated processor, on which a run takes twenty seconds.
AT_ONCE = 5 if "IPVLAB_GUEST" in os.environ else 20

#: A lab of many containers, stopped at a place of the code by a signal to itself.
STOPPED = """
import os, signal, sys
from ipvlab.cli import main
import {module}

real = {module}.{place}

def stop(*arguments, **options):
    result = real(*arguments, **options)
    stop.calls += 1
    if stop.calls == {calls}:
        print("here", flush=True)
        signal.pause()
    return result

stop.calls = 0
{module}.{place} = stop
main(["run", sys.argv[1], "--datapath", "bpf"])
"""


def scenario(folder: Path) -> Path:
    runs = "".join(f"      docker run --net=n --name=c{number} -itd alpine sh\n" for number in range(20))
    path = folder / "many.ipvlab.yaml"
    path.write_text(
        "name: many\nwires: {lan: {}}\nhosts:\n"
        "  h1:\n    interfaces: {eth0: {wire: lan, addresses: [10.0.0.1/24]}}\n    commands: |\n"
        "      docker network create -d ipvlan --subnet=10.0.0.0/24 "
        "--gateway=10.0.0.254 -o parent=eth0.20 n\n"
        f"{runs}"
        "  h2:\n    interfaces: {eth0: {wire: lan, addresses: [10.0.0.2/24]}}\n"
        "expect:\n  - broadcast: {from: c0, heard_by: [" + ", ".join(f"c{n}" for n in range(1, 20)) + "]}\n"
        "  - resolves: {in: c0, name: c1, to: [10.0.0.2]}\n"
    )
    return path


@pytest.mark.parametrize(
    ("module", "place", "calls"),
    [
        ("ipvlab.lab.host", "LiveHost.attach", 10),
        ("ipvlab.run.live", "LiveGround.answer", 1),
        ("ipvlab.run.live", "LiveGround.resolve", 1),
    ],
    ids=["while it builds", "after it has probed", "while names are served"],
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_process_that_is_killed_leaves_nothing(
    tmp_path: Path, module: str, place: str, calls: int, number: signal.Signals
) -> None:
    before = links(), named_namespaces()
    code = STOPPED.format(module=module, place=place, calls=calls)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(scenario(tmp_path))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    held = hold_networks(process.pid)
    assert len(held) > 10
    kill(process, number)
    assert members(process.pid) == []
    left = set(held) & networks_of_others()
    for fd in held.values():
        os.close(fd)
    assert left == set()
    assert (links(), named_namespaces()) == before
    if number is signal.SIGINT:
        assert process.returncode == 130


def test_many_runs_at_once_agree_and_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = scenario(tmp_path)
    processes = [start("run", path, "--datapath", "bpf") for _ in range(AT_ONCE)]
    for process in processes:
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stdout + stderr
        assert members(process.pid) == []
