"""Docker's commands against a host of a lab that is up: ``ipvlab docker``, and ``docker`` in its shell."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.screen import Screen
from tests.netns.standing import UpLab, await_end, lab_up, processes_in
from tests.netns.traces import PROJECT, command


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpLab]:
    """One lab for all tests of this module; each uses names of its own."""
    with lab_up(tmp_path_factory.mktemp("docker")) as up:
        yield up


def test_a_command_answers_as_dockers_client_does(lab: UpLab) -> None:
    listed = lab.docker("h1", "network", "ls", "--format", "{{.Name}} {{.Driver}}")
    assert "v20 ipvlan" in listed.stdout.splitlines()
    refused = lab.docker("h1", "network", "rm", "v20")
    assert refused.returncode == 1
    assert "has active endpoints" in refused.stderr
    unknown = lab.docker("h1", "network", "create", "--bogus", "x")
    assert (unknown.returncode, "unknown flag: --bogus" in unknown.stderr) == (125, True)
    nowhere = lab.docker("h9", "ps")
    assert nowhere.returncode == 125
    assert nowhere.stderr.startswith("IPV203 ")


def test_a_container_in_the_foreground_shows_what_it_writes_and_ends_with_its_status(lab: UpLab) -> None:
    done = lab.docker(
        "h1", "run", "--rm", "--net=v20", "alpine", "sh", "-c", "echo out; echo err >&2; exit 6"
    )
    assert (done.returncode, done.stdout, done.stderr) == (6, "out\n", "err\n")


def test_a_container_reads_the_input_of_the_client_to_its_end(lab: UpLab) -> None:
    content = "".join(f"{number}\n" for number in range(50_000))
    done = lab.docker("h1", "run", "--rm", "-i", "--net=v20", "alpine", "cat", stdin=content)
    assert (done.returncode, done.stdout) == (0, content)


def test_without_i_there_is_no_input(lab: UpLab) -> None:
    done = lab.docker("h1", "run", "--rm", "--net=v20", "alpine", "cat", stdin="nothing of this")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_program_that_is_not_there_is_127_and_leaves_no_container(lab: UpLab) -> None:
    done = lab.docker("h1", "run", "--rm", "--net=v20", "--name=nix", "alpine", "no-such-program")
    assert done.returncode == 127
    assert "executable file not found in $PATH" in done.stderr
    assert lab.docker("h1", "ps", "-aq", "--filter", "name=nix").stdout == ""


def test_exec_is_a_program_beside_the_main_one(lab: UpLab) -> None:
    done = lab.docker(
        "h1", "exec", "-e", "WORD=given", "-w", "/etc", "a1", "sh", "-c", 'echo "$WORD"; pwd; exit 4'
    )
    assert (done.returncode, done.stdout) == (4, "given\n/etc\n")


def test_a_terminal_is_asked_for_where_there_is_none(lab: UpLab) -> None:
    for line in (("run", "--rm", "-it", "--net=v20", "alpine", "sh"), ("exec", "-it", "a1", "sh")):
        done = lab.docker("h1", *line, stdin="")
        assert (done.returncode, done.stderr) == (1, "the input device is not a TTY\n")


def test_run_with_a_terminal_is_a_shell_in_a_new_container_that_goes_with_it(lab: UpLab) -> None:
    arguments = (
        "--lab",
        lab.name,
        "h1",
        "--",
        "run",
        "-it",
        "--rm",
        "--net=v20",
        "--name=c9",
        "alpine",
        "sh",
    )
    with Screen("docker", *arguments) as screen:
        screen.resize(33, 99)
        screen.type("echo in$((1)); stty size; hostname\n")
        screen.read_until("in1")
        screen.read_until("33 99")
        screen.type("sh -c 'echo st$((1))art; exec sleep 1000'\n")
        screen.read_until("st1art")
        screen.type("\x03")
        screen.type("echo af$((1))ter; exit 3\n")
        screen.read_until("af1ter")
        assert screen.wait() == 3
    assert lab.docker("h1", "ps", "-aq", "--filter", "name=c9").stdout == ""


def test_exec_with_a_terminal_is_on_the_clients_own(lab: UpLab) -> None:
    with Screen("docker", "--lab", lab.name, "h1", "exec", "-it", "a1", "sh") as screen:
        screen.type("echo in$((1)); tty; cat /proc/self/status | grep -i sigign; ip -br addr show eth0\n")
        screen.read_until("in1")
        assert "/dev/pts/" in screen.read_until("192.168.20.11/24")
        screen.type("exit 8\n")
        assert screen.wait() == 8


def test_attach_to_an_idle_container_starts_its_shell(lab: UpLab) -> None:
    lab.docker("h1", "run", "-itd", "--net=v20", "--name=idle", "alpine", "sh")
    with Screen("docker", "--lab", lab.name, "h1", "attach", "idle") as screen:
        screen.type("echo in$((1))\n")
        screen.read_until("in1")
        screen.type("exit 0\n")
        assert screen.wait() == 0
    assert lab.docker("h1", "ps", "-q", "--filter", "name=idle").stdout == ""
    assert lab.docker("h1", "rm", "idle").returncode == 0


def test_a_log_is_followed_to_the_programs_end(lab: UpLab) -> None:
    script = "echo one; while read line; do echo $line; done"
    lab.docker("h1", "run", "-di", "--net=v20", "--name=talker", "alpine", "sh", "-c", script)
    follower = subprocess.Popen(
        command("docker", "--lab", lab.name, "h1", "logs", "-f", "talker"),
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "one\n"
    assert lab.docker("h1", "attach", "talker", stdin="two\n").returncode == 0
    assert follower.stdout.readline() == "two\n"
    follower.communicate()
    assert follower.returncode == 0
    assert lab.docker("h1", "logs", "talker").stdout == "one\ntwo\n"
    lab.docker("h1", "rm", "-f", "talker")


def test_an_interrupted_follower_of_a_log_ends_and_the_program_goes_on(lab: UpLab) -> None:
    lab.docker("h1", "run", "-di", "--net=v20", "--name=on", "alpine", "sh", "-c", "echo one; exec cat")
    follower = subprocess.Popen(
        command("docker", "--lab", lab.name, "h1", "logs", "-f", "on"), stdout=subprocess.PIPE, cwd=PROJECT
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"one\n"
    follower.send_signal(signal.SIGINT)
    follower.communicate()
    assert follower.returncode == 130
    assert lab.docker("h1", "ps", "--filter", "name=^on$", "--format", "{{.State}}").stdout == "running\n"
    assert lab.docker("h1", "rm", "-f", "on").stdout == "on\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_to_the_main_program(lab: UpLab, number: signal.Signals) -> None:
    script = (
        f"trap 'echo heard; exit 9' {number.name.removeprefix('SIG')}; echo ready; while :; do read x; done"
    )
    arguments = ("run", "--rm", "-i", "--net=v20", "alpine", "bash", "-c", script)
    client = subprocess.Popen(
        command("docker", "--lab", lab.name, "h1", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(number)
    assert client.stdout.readline() == b"heard\n"
    assert client.wait() == 9
    client.communicate()


def test_a_client_that_is_killed_leaves_its_container_running(lab: UpLab) -> None:
    run = ("run", "-i", "--net=v20", "--name=left", "alpine", "sh", "-c", "echo on; exec cat")
    client = subprocess.Popen(
        command("docker", "--lab", lab.name, "h1", *run),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"on\n"
    client.kill()
    client.communicate()
    assert lab.docker("h1", "ps", "--filter", "name=left", "--format", "{{.State}}").stdout == "running\n"
    assert lab.docker("h1", "rm", "-f", "left").stdout == "left\n"


def test_a_slow_reader_gets_everything_and_holds_nobody_up(lab: UpLab) -> None:
    script = "i=0; while [ $i -lt 200 ]; do head -c 100000 /dev/zero | tr '\\\\0' x; i=$((i+1)); done"
    client = subprocess.Popen(
        command("docker", "--lab", lab.name, "h1", "run", "--rm", "--net=v20", "alpine", "sh", "-c", script),
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    )
    with client:
        assert client.stdout is not None
        read = len(client.stdout.read(1))
        assert lab.exec("a1", "true").returncode == 0
        read += len(client.stdout.read())
    assert (client.returncode, read) == (0, 20_000_000)


def test_docker_in_a_hosts_shell_is_that_host(lab: UpLab) -> None:
    script = (
        "PATH=/run/ipvlab/bin:$PATH; docker network ls -q | wc -l; docker exec a1 echo inside; "
        "echo hello | docker run --rm -i --net=v20 alpine cat; docker exec a1 sh -c 'exit 5'; echo $?"
    )
    done = lab.exec("h1", "sh", "-c", script)
    assert done.stdout.split() == ["4", "inside", "hello", "5"], done.stderr
    other = lab.exec("h2", "sh", "-c", "PATH=/run/ipvlab/bin:$PATH; docker ps --format '{{.Names}}'")
    assert other.stdout == "b1\n"


def test_a_terminal_inside_a_shell_inside_a_host_works_too(lab: UpLab) -> None:
    with Screen("shell", "--lab", lab.name, "h1") as screen:
        screen.read_until("h1:/# ")
        screen.type("docker exec -it a1 sh\n")
        screen.type("echo in$((1)); hostname\n")
        screen.read_until("in1")
        screen.type("exit\n")
        screen.read_until("h1:/# ")
        screen.type("exit 0\n")
        assert screen.wait() == 0


def test_a_genuine_client_speaks_to_each_hosts_socket(lab: UpLab) -> None:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("this machine has no docker client")
    sockets = {node["name"]: node["api"] for node in lab.about["nodes"] if node["kind"] == "host"}
    assert all(path.startswith(f"/proc/{lab.pid}/root/run/ipvlab/") for path in sockets.values())
    names = {
        host: subprocess.run(
            [docker, "-H", f"unix://{path}", "ps", "--format", "{{.Names}}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for host, path in sockets.items()
    }
    assert {"a1", "a2"} <= set(names["h1"])
    assert names["h2"] == ["b1"]
    # In the host's own sandbox it needs no address: /run/docker.sock is where it looks.
    inside = lab.exec("h2", docker, "ps", "--format", "{{.Names}}")
    assert inside.stdout == "b1\n", inside.stderr
    info = lab.exec("h2", docker, "network", "inspect", "v20")
    assert json.loads(info.stdout) == json.loads(lab.docker("h2", "network", "inspect", "v20").stdout)


def test_a_lab_with_twenty_running_programs_ends_at_once_when_it_is_killed(tmp_path: Path) -> None:
    with lab_up(tmp_path) as own:
        script = "trap '' TERM HUP INT; while :; do read x; done"
        clients = [
            subprocess.Popen(
                command(
                    "docker", "--lab", own.name, "h1", "run", "-di", "--net=v20", "alpine", "sh", "-c", script
                ),
                stdout=subprocess.DEVNULL,
                cwd=PROJECT,
            )
            for _ in range(20)
        ]
        assert [client.wait() for client in clients] == [0] * 20
        networks = own.networks()
        inside = processes_in(networks)
        assert len(inside) > 40
        os.kill(own.pid, signal.SIGKILL)
        await_end(inside)
        assert processes_in(networks) == set()


def test_a_command_that_waits_keeps_no_other_from_its_turn(lab: UpLab) -> None:
    lab.docker("h1", "run", "-di", "--net=v20", "--name=slow", "alpine", "sh", "-c", "trap '' TERM; exec cat")
    waiting = [
        subprocess.Popen(
            command("docker", "--lab", lab.name, "h1", *line), stdout=subprocess.PIPE, text=True, cwd=PROJECT
        )
        for line in (("wait", "slow"), ("stop", "-t", "600", "slow"), ("logs", "-f", "slow"))
    ]
    assert lab.exec("a1", "true").returncode == 0
    assert lab.docker("h1", "exec", "slow", "echo", "beside").stdout == "beside\n"
    assert lab.docker("h2", "ps", "-q").returncode == 0
    assert [client.poll() for client in waiting] == [None] * 3
    assert lab.docker("h1", "kill", "slow").returncode == 0
    outputs = [client.communicate()[0] for client in waiting]
    assert [client.returncode for client in waiting] == [0] * 3
    assert outputs == ["137\n", "slow\n", ""]
    assert lab.docker("h1", "rm", "slow").returncode == 0


def test_a_full_file_system_undoes_the_change_and_loses_nothing(tmp_path: Path) -> None:
    with lab_up(tmp_path) as own:
        folder = Path(f"/proc/{own.pid}/root/run/ipvlab")
        before = own.docker("h1", "network", "ls", "-q").stdout
        with open(folder / "filling", "wb", buffering=0) as filling, contextlib.suppress(OSError):
            while True:
                filling.write(bytes(1 << 16))
        line = ("network", "create", "-d", "ipvlan", "--subnet=10.8.0.0/24", "-o", "parent=eth0.88", "late")
        refused = own.docker("h1", *line)
        assert refused.returncode == 1
        assert "no space left on device" in refused.stderr.lower()
        started = own.docker("h1", "run", "-itd", "--net=v20", "--name=late", "alpine", "sh")
        assert started.returncode == 125
        assert own.docker("h1", "network", "ls", "-q").stdout == before
        assert "eth0.88" not in own.exec("h1", "ip", "-br", "link").stdout
        assert own.docker("h1", "ps", "-aq", "--filter", "name=late").stdout == ""
        (folder / "filling").unlink()
        assert own.docker("h1", *line).returncode == 0
        assert own.docker("h1", "run", "-itd", "--net=late", "--name=late", "alpine", "sh").returncode == 0
        assert own.exec("a1", "ping", "-c1", "-W5", "192.168.20.12").returncode == 0


@pytest.mark.parametrize(
    "line",
    [("restart", "docker"), ("sh", "-c", "PATH=/run/ipvlab/bin:$PATH; restart docker")],
    ids=["exec", "shell"],
)
def test_a_hosts_docker_restarts_and_its_networks_are_back(tmp_path: Path, line: tuple[str, ...]) -> None:
    with lab_up(tmp_path) as own:
        before = json.loads(own.docker("h1", "network", "inspect", "v20").stdout)
        done = own.exec("h1", *line)
        assert (done.returncode, done.stderr) == (0, "")
        [after] = json.loads(own.docker("h1", "network", "inspect", "v20").stdout)
        assert {key: after[key] for key in ("Name", "Id", "Created", "IPAM", "Options")} == {
            key: before[0][key] for key in ("Name", "Id", "Created", "IPAM", "Options")
        }
        # Docker without live-restore: the containers were stopped, and start again.
        assert own.docker("h1", "start", "a1", "a2").returncode == 0
        assert own.exec("a1", "ping", "-c1", "-W5", "192.168.20.21").returncode == 0
        assert own.exec("h1", "restart", "nginx").returncode != 0
        assert own.exec("a1", "restart", "docker").returncode == 125
