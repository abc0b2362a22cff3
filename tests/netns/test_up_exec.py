"""Programs and shells in the nodes of a lab that is up."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.screen import Screen
from tests.netns.standing import UpLab, await_end, call, lab_up, processes_in
from tests.netns.traces import PROJECT, command


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpLab]:
    """One lab for all tests of this module, none of which changes it for the others."""
    with lab_up(tmp_path_factory.mktemp("exec")) as up:
        yield up


@pytest.mark.parametrize(
    ("argv", "status"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("no-such-program",), 127),
        (("/etc/passwd",), 126),
        (("/etc",), 126),
    ],
    ids=["good", "its own", "by a signal", "not found", "not executable", "a folder"],
)
def test_the_status_is_that_of_the_program_as_a_shell_tells_it(
    lab: UpLab, argv: tuple[str, ...], status: int
) -> None:
    assert lab.exec("a1", *argv).returncode == status


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody", "--", "true"), "IPV203 there is no node 'nobody'"),
        (("--lab", "no-lab", "a1", "--", "true"), "IPV702 no lab no-lab is up"),
    ],
)
def test_a_failure_of_ipvlab_itself_is_125(lab: UpLab, arguments: tuple[str, ...], told: str) -> None:
    named = arguments if "--lab" in arguments else ("--lab", lab.name, *arguments)
    done = call("exec", *named)
    assert done.returncode == 125
    assert done.stderr.startswith(told)


def test_a_program_gets_input_environment_and_arguments_and_sees_the_node(lab: UpLab) -> None:
    script = 'cat; echo "$0 $1 $WORD"; hostname; ip -br addr show eth0; pwd'
    done = subprocess.run(
        command("exec", "--lab", lab.name, "a1", "sh", "-c", script, "-x", "two words"),
        input="in\n",
        env={**os.environ, "WORD": "given"},
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    first, second, hostname, address, folder = done.stdout.splitlines()
    assert (first, second, folder) == ("in", "-x two words given", "/")
    assert hostname == json.loads(lab.docker("h1", "inspect", "a1").stdout)[0]["Config"]["Hostname"]
    assert address.split()[2] == "192.168.20.11/24"


def test_a_node_sees_its_own_run_and_none_of_the_machine_and_no_other_nodes_process(lab: UpLab) -> None:
    assert sorted(set(lab.exec("h1", "ls", "/run").stdout.split()) - {"mount"}) == ["docker.sock", "ipvlab"]
    assert sorted(set(lab.exec("h2", "ls", "/run").stdout.split()) - {"mount"}) == ["docker.sock", "ipvlab"]
    assert set(lab.exec("a1", "ls", "/run").stdout.split()) <= {"mount", "ipvlab"}
    seen = lab.exec("h1", "sh", "-c", "cat /proc/[0-9]*/comm").stdout
    assert "python" not in seen


def test_the_program_of_a_client_that_is_killed_ends_with_it(lab: UpLab) -> None:
    client = subprocess.Popen(
        command("exec", "--lab", lab.name, "a1", "--", "sh", "-c", "echo $$; exec cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert client.stdout is not None
    assert client.stdin is not None
    client.stdout.readline()
    # The shell has become `cat` once something comes back.
    client.stdin.write(b"x\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"x\n"
    [namespace] = [node["namespace"] for node in lab.about["nodes"] if node["name"] == "a1"]
    [program] = [
        pid
        for pid in processes_in([os.readlink(namespace)]) - {lab.pid}
        if Path(f"/proc/{pid}/cmdline").read_bytes() == b"cat\0" and _parent_of(pid) == client.pid
    ]
    client.kill()
    await_end([program])
    client.communicate()


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_client_is_for_the_program(lab: UpLab, number: signal.Signals) -> None:
    script = (
        f"trap 'echo heard; exit 3' {number.name.removeprefix('SIG')}; echo ready; while :; do read x; done"
    )
    client = subprocess.Popen(
        command("exec", "--lab", lab.name, "a1", "--", "bash", "-c", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(number)
    assert client.stdout.readline() == b"heard\n"
    client.communicate(b"")
    assert client.returncode == 3


def test_what_a_program_adds_in_a_container_is_reached_once_it_has_ended(tmp_path: Path) -> None:
    with lab_up(tmp_path) as own:
        assert own.exec("a1", "ip", "addr", "add", "192.168.20.77/24", "dev", "eth0").returncode == 0
        assert own.exec("b1", "ping", "-c1", "-W5", "192.168.20.77").returncode == 0
        [about] = [node for node in UpLab(own.name).about["nodes"] if node["name"] == "a1"]
        assert about["addresses"] == ["192.168.20.11/24", "192.168.20.77/24"]


def test_a_trivial_program_costs_less_than_a_fifth_of_a_second(lab: UpLab) -> None:
    lab.exec("a1", "true")
    costs = []
    for _ in range(5):
        client = subprocess.Popen(command("exec", "--lab", lab.name, "a1", "--", "true"), cwd=PROJECT)
        _, status, usage = os.wait4(client.pid, 0)
        client.returncode = os.waitstatus_to_exitcode(status)
        assert client.returncode == 0
        costs.append(usage.ru_utime + usage.ru_stime)
    # Time on a processor, not on the clock: the machine may be busy with others.
    assert min(costs) < 0.2


def test_clients_load_no_heavy_library() -> None:
    modules = (
        "ipvlab.cli.exec, ipvlab.cli.shell, ipvlab.cli.docker, ipvlab.cli.down, ipvlab.cli.ps, "
        "ipvlab.supervisor.client, ipvlab.supervisor.docker_client, ipvlab.supervisor.listing, "
        "ipvlab.supervisor.shims"
    )
    code = f"import sys; import {modules}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    ).stdout.split()
    assert "ipvlab.supervisor.client" in loaded
    heavy = {"scapy", "pyroute2", "pydantic", "pydantic_core", "ruamel", "rich", "dns", "h11"}
    assert {name for name in loaded if name.split(".")[0] in heavy} == set()


def test_twenty_clients_at_once_do_not_disturb_each_other(lab: UpLab) -> None:
    clients = [
        subprocess.Popen(
            command("exec", "--lab", lab.name, node, "--", "sh", "-c", f"echo {number}"),
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        for number in range(5)
        for node in ("a1", "a2", "h1", "b1")
    ]
    answers = [client.communicate()[0].strip() for client in clients]
    assert answers == [str(number) for number in range(5) for _ in range(4)]


def test_the_prompt_of_a_shell_names_the_node_and_its_status_is_passed_on(lab: UpLab) -> None:
    with Screen("shell", "--lab", lab.name, "h2") as screen:
        screen.read_until(f"[{lab.name}] h2:/# ")
        screen.type("echo $((40+2)); hostname\n")
        assert "42\r\nh2\r\n" in screen.read_until("h2:/# ")
        screen.type("exit 5\n")
        assert screen.wait() == 5


#: Tells when it runs, and is then a program that waits; what is typed does not hold what is shown.
WAITING = "sh -c 'echo st$((1))art; exec sleep 1000'"


def test_keys_and_jobs_of_a_shell_are_its_own(lab: UpLab) -> None:
    with Screen("shell", "--lab", lab.name, "a1") as screen:
        assert "job control" not in screen.read_until("a1:/# ")
        screen.type(f"{WAITING}\n")
        screen.read_until("st1art")
        screen.type("\x03")
        screen.read_until("a1:/# ")
        screen.type(f"{WAITING}\n")
        screen.read_until("st1art")
        screen.type("\x1a")
        screen.read_until("Stopped")
        screen.type("kill -KILL %1; wait; echo over$((1))\n")
        screen.read_until("over1")
        screen.type("exit 4\n")
        assert screen.wait() == 4


def test_a_node_is_entered_from_outside_only(lab: UpLab) -> None:
    """Pid namespaces lead downwards, so a shell in one node cannot start a program in another."""
    python, flag, code, *rest = command("exec", "--lab", lab.name, "a1", "--", "true")
    line = f"cd {PROJECT} && {python} {flag} '{code}' {' '.join(rest)}"
    done = lab.exec("h2", "sh", "-c", line)
    assert done.returncode == 125
    assert "a program in a node cannot enter a1" in done.stderr
    other = lab.exec("h2", "sh", "-c", line.replace(lab.name, "other-lab"))
    assert other.returncode == 125
    assert f"this is a node of the lab {lab.name}, and no other lab can be reached" in other.stderr


def test_a_terminal_belongs_to_the_program_and_comes_back(lab: UpLab, tmp_path: Path) -> None:
    script = tmp_path / "client"
    argv = command("exec", "--lab", lab.name, "a1", "--", "sh", "-c", "echo st$((1))art; exec cat")
    script.write_text(shlex.join(argv))
    with Screen(program=["bash", "--norc", "-i"]) as screen:
        screen.type(f"PS1='at home: '; . {script}\n")
        screen.read_until("st1art")
        screen.type("one\n")
        screen.read_until("one\r\none\r\n")
        screen.type("\x1a")
        screen.read_until("Stopped")
        screen.type("echo ba$((1))ck\n")
        screen.read_until("ba1ck")
        screen.type("fg\n")
        screen.read_until("exec cat")
        screen.type("two\n")
        screen.read_until("two\r\ntwo\r\n")
        screen.type("\x03")
        screen.read_until("at home: ")
        screen.type("echo status $?\n")
        screen.read_until("status 130")
        screen.type("exit 0\n")
        assert screen.wait() == 0
