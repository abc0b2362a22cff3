"""``ipvlab run --keep-on-failure``: a lab that fails stays up, as it was when it failed."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from tests.netns.standing import UpLab, await_end, call, listed, write_scenario
from tests.netns.traces import PROJECT, command, links, named_namespaces


def test_a_lab_that_fails_stays_up_and_the_report_says_how_to_enter_and_end_it(tmp_path: Path) -> None:
    good, bad = write_scenario(tmp_path), write_scenario(tmp_path, fails=True)
    names = [path.name.removesuffix(".ipvlab.yaml") for path in (good, bad)]
    report = tmp_path / "report.json"
    done = call("run", "--keep-on-failure", "--datapath", "bpf", "--json", report, good, bad)
    assert done.returncode == 1, done.stderr
    assert [name for name in listed() if name in names] == [names[1]]
    try:
        assert f"ipvlab shell --lab {names[1]} NODE enters it, ipvlab down {names[1]} ends it" in done.stdout
        assert names[0] not in done.stdout.replace(f"{names[0]}  A lab of a test", "")
        results = json.loads(report.read_text())
        assert [result["summary"]["fail"] for result in results] == [0, 1]
        assert all(result["summary"]["pass"] for result in results)
        lab = UpLab(names[1])
        assert lab.exec("a1", "ping", "-c1", "-W5", "192.168.20.21").returncode == 0
        # From now on it is a lab like any other, in which any program runs.
        run = lab.docker("h1", "run", "--rm", "--net=v20", "alpine", "sh", "-c", "exit 3")
        assert run.returncode == 3
        again = call("run", "--keep-on-failure", "--datapath", "bpf", good, bad)
        assert (again.returncode, again.stdout) == (5, "")
        assert again.stderr.startswith(f"IPV701 a lab {names[1]} is up already")
    finally:
        assert call("down", names[1]).returncode == 0


def test_a_lab_that_passes_leaves_nothing(tmp_path: Path) -> None:
    before = links(), named_namespaces()
    path = write_scenario(tmp_path)
    done = call("run", "--keep-on-failure", "--datapath", "bpf", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert path.name.removesuffix(".ipvlab.yaml") not in listed()
    assert (links(), named_namespaces()) == before


def test_a_simulated_lab_that_fails_stays_up_too(tmp_path: Path) -> None:
    path = write_scenario(tmp_path, fails=True)
    name = path.name.removesuffix(".ipvlab.yaml")
    assert call("run", "--keep-on-failure", "--datapath", "sim", path).returncode == 1
    try:
        assert UpLab(name).exec("a1", "ping", "-c1", "192.168.20.21").returncode == 0
    finally:
        assert call("down", name).returncode == 0


def test_a_run_that_is_interrupted_keeps_nothing(tmp_path: Path) -> None:
    paths = [write_scenario(tmp_path) for _ in range(30)]
    run = subprocess.Popen(
        # A shell's background jobs ignore SIGINT, and whoever they start inherits that.
        ["env", "--default-signal=INT", *command("run", "--keep-on-failure", "--datapath", "bpf", *paths)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    assert run.stdout is not None
    assert run.stdout.readline().startswith("ok ")
    run.send_signal(signal.SIGINT)
    run.communicate()
    assert run.returncode == 130
    left = [lab for lab in listed() if any(path.name.startswith(f"{lab}.") for path in paths)]
    await_end(UpLab(name).pid for name in left)
    assert not set(left) & set(listed())
