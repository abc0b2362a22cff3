"""Labs of an ordinary user on real ipvlan: ``ipvlab run`` enters a user namespace by itself."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.guest.verdicts import PROJECT, comparable, observed

NOBODY = 65534
PATH = PROJECT / "scenarios" / "reference.ipvlab.yaml"
PROGRAM = (sys.executable, "-c", "from ipvlab.cli import main; main()")
#: Counts what Ctrl-C brings; SIGTERM, passed on after it, asks for the count.
COUNTING = """
from ipvlab.linux.rootless import enter_user_namespace
enter_user_namespace()
import signal, sys
heard = []
def count(number, frame):
    heard.append(number)
    print("heard", flush=True)
def tell(number, frame):
    sys.exit(len(heard))
signal.signal(signal.SIGINT, count)
signal.signal(signal.SIGTERM, tell)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that belongs to an ordinary user and that every user can reach."""
    with TemporaryDirectory() as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def as_nobody(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *PROGRAM]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, cwd=PROJECT, check=False
    )


@pytest.mark.parametrize("datapath", ["kernel", "auto"])
def test_an_ordinary_user_runs_labs_on_real_links_and_owns_the_report(datapath: str, folder: Path) -> None:
    report = folder / "report.json"
    done = as_nobody("run", PATH, "--datapath", datapath, "--json", report)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["datapath"] == "kernel"
    assert comparable(result) == observed(PATH, "kernel")
    assert report.stat().st_uid == NOBODY


def test_the_doctor_tells_an_ordinary_user_that_real_links_work() -> None:
    done = as_nobody("doctor")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines["kernel"].startswith("kernel  yes  ipvlab run enters a user namespace by itself")
    assert lines["bpf"].startswith("bpf     no")
    assert lines["auto"] == "auto    takes kernel"


@pytest.mark.parametrize("is_entered", [False, True], ids=["as a user", "as root of a user namespace"])
def test_the_programs_say_that_a_privilege_is_missing_and_blame_no_kernel(is_entered: bool) -> None:
    entering = "from ipvlab.linux.rootless import enter_user_namespace; enter_user_namespace()\n"
    own = (sys.executable, "-c", entering + PROGRAM[2], "run", PATH, "--datapath", "bpf")
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *map(str, own)]
    done = (
        subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
        if is_entered
        else as_nobody("run", PATH, "--datapath", "bpf")
    )
    assert done.returncode == 5, done.stdout
    assert done.stderr.startswith("IPV501 ")
    assert "Operation not permitted" in done.stderr
    assert ("BPF" in done.stderr) is is_entered
    assert "5.10" not in done.stderr


def test_a_key_that_ends_programs_is_heard_once_in_a_user_namespace() -> None:
    """The terminal sends it to the whole group, so those who wait outside do not pass it on."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", f"import os; os.chdir({str(PROJECT)!r})\n{COUNTING}"])
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        shown = b""
        while b"ready" not in shown:
            shown += screen.read(100)
        os.write(screen.fileno(), b"\x03")
        while b"heard" not in shown:
            shown += screen.read(100)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1
