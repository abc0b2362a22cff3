"""Labs that stay up of an ordinary user: a supervisor that is root of namespaces of its own only.

Where the kernel has no ipvlan, the lab has hosts and a wire and no network; the check
that would refuse such a kernel is left out. What real ipvlan does there is asked in tests/guest.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.netns.traces import PROJECT, links, named_namespaces

NOBODY = 65534
LAB = """
name: rootless
wires: {lan: {}}
hosts:
  h1: {interfaces: {eth0: {wire: lan, addresses: [10.0.0.1/24]}}}
  h2: {interfaces: {eth0: {wire: lan, addresses: [10.0.0.2/24]}}}
"""
#: Our command line, told that the kernel is fit.
MAIN = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
import ipvlab.datapath.kernel.datapath
import ipvlab.datapath.kernel.fitness as fitness
fitness.check_fitness = ipvlab.datapath.kernel.datapath.check_fitness = lambda: None
fitness.is_fit_without_root = lambda: True
from ipvlab.cli import main
main()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script as an ordinary user, in a network namespace of its own; ``$IPV`` is our command.

    Where the interpreter lies in a folder of root's, a mount namespace shows it at the
    same path below an empty one.
    """
    (folder / "main.py").write_text(MAIN)
    (folder / "lab.ipvlab.yaml").write_text(LAB)
    ipv = shlex.join([sys.executable, str(folder / "main.py")])
    user = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups env IPV={shlex.quote(ipv)}"
    whole = f"set -e\n{_reveal(folder)}\ncd /\nset +e\n{user} sh -c {shlex.quote(script)}"
    return subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", whole], capture_output=True, text=True, check=False
    )


def _reveal(folder: Path) -> str:
    """Commands that let everybody reach the interpreter where its folder is hidden from others."""
    base = Path(sys.base_prefix)
    hidden = [parent for parent in reversed(base.parents) if not parent.stat().st_mode & 0o001]
    if not hidden:
        return ""
    aside = folder / "python"
    return (
        f"mkdir {aside}; mount --bind {base} {aside}; mount -t tmpfs -o mode=755 none {hidden[0]}; "
        f"mkdir -p {base}; mount --move {aside} {base}"
    )


def test_an_ordinary_user_keeps_a_lab_up_enters_it_and_takes_it_down(folder: Path) -> None:
    before = links(), named_namespaces()
    lab = folder / "lab.ipvlab.yaml"
    docker = shutil.which("docker")
    genuine = f"{docker} -H unix://$API network ls -q | wc -l" if docker else "echo 3"
    python = shlex.quote(sys.executable)
    done = as_nobody(
        f"""
        $IPV up --datapath kernel {lab} >/dev/null || exit 9
        $IPV exec h1 -- sh -c 'id -u; hostname; ping -c1 -W5 10.0.0.2 >/dev/null; echo $?'
        READ='import json, sys; print(json.load(sys.stdin)[0]["nodes"][0]["api"])'
        API=$($IPV ps --json | {python} -c "$READ")
        {genuine}
        echo 'docker network ls -q | wc -l; ls /run/docker.sock' | $IPV shell h2
        $IPV capture h1:eth0 -c 1 -w - >/dev/null 2>&1 & C=$!
        while kill -0 $C 2>/dev/null; do $IPV exec h2 -- ping -c1 10.0.0.1 >/dev/null; done
        wait $C; echo captured $?
        $IPV up --datapath kernel {lab} 2>&1 | head -c 6; echo
        $IPV down; $IPV ps
        """,
        folder,
    )
    expected = "0 h1 0 3 3 /run/docker.sock captured 0 IPV701 rootless is down no lab is up"
    assert " ".join(done.stdout.split()).endswith(expected), done.stdout + done.stderr
    assert (links(), named_namespaces()) == before


def test_the_kill_of_a_rootless_supervisor_ends_everything_of_it(folder: Path) -> None:
    lab = folder / "lab.ipvlab.yaml"
    python = shlex.quote(sys.executable)
    done = as_nobody(
        f"""
        $IPV up --datapath kernel {lab} >/dev/null || exit 9
        PID=$($IPV ps --json | {python} -c 'import json,sys; print(json.load(sys.stdin)[0]["pid"])')
        ON=/tmp/ipvlab-test-$PID; mkfifo $ON
        $IPV exec h1 -- sh -c "trap '' TERM; echo on > $ON; sleep 1000" & E=$!
        read line < $ON; rm $ON
        kill -9 $PID
        wait $E; echo $?
        $IPV ps
        """,
        folder,
    )
    assert done.stdout.splitlines()[-2:] == ["137", "no lab is up"], done.stdout + done.stderr
