"""Labs that stay up: their life, their end, and what a second one of the same name is told."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.netns.standing import (
    UpLab,
    await_end,
    call,
    children_of,
    lab_up,
    listed,
    new_name,
    processes_in,
    write_scenario,
)
from tests.netns.traces import PROJECT, command, links, named_namespaces

#: A lab that is stopped by itself at a place of the code, in its supervisor, and tells so in a file.
STOPPED = """
import os, signal, socket, sys
from ipvlab.cli import main
import {module}

real = {module}.{place}

def stop(*arguments, **options):
    result = real(*arguments, **options)
    with socket.socket(socket.AF_UNIX) as told:
        told.connect(sys.argv[2])
        told.send(str(os.getpid()).encode())
    signal.pause()
    return result

{module}.{place} = stop
main(["up", sys.argv[1], "--datapath", "bpf"])
"""


def start_and_stop(path: Path, module: str, place: str) -> tuple[subprocess.Popen[str], int]:
    """An ``up`` whose supervisor has stopped at a place of its code, and that supervisor's pid."""
    code = STOPPED.format(module=module, place=place)
    told = path.parent / "told"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(60)
        listener.bind(str(told))
        listener.listen()
        caller = subprocess.Popen(
            [sys.executable, "-c", code, path, told], stderr=subprocess.PIPE, text=True, cwd=PROJECT
        )
        connection, _ = listener.accept()
        with connection:
            return caller, int(connection.recv(20))


def test_a_lab_stays_up_until_it_is_taken_down(tmp_path: Path) -> None:
    before = links(), named_namespaces()
    with lab_up(tmp_path) as lab:
        assert lab.about["datapath"] == "bpf"
        nodes = {node["name"]: node for node in lab.about["nodes"]}
        assert {name: node["kind"] for name, node in nodes.items()} == {
            "h1": "host",
            "h2": "host",
            "a1": "container",
            "a2": "container",
            "b1": "container",
        }
        assert nodes["a1"]["host"] == "h1"
        assert nodes["a1"]["addresses"] == ["192.168.20.11/24"]
        assert nodes["h1"]["host"] is None
        assert os.readlink(nodes["a1"]["namespace"]) in lab.networks()
        assert lab.exec("a1", "ping", "-c1", "-W5", "192.168.20.21").returncode == 0
        networks = lab.networks()
        assert (links(), named_namespaces()) == before
        ended = call("down", lab.name)
        assert (ended.returncode, ended.stdout) == (0, f"{lab.name} is down\n")
        assert lab.name not in listed()
        await_end([lab.pid])
        assert processes_in(networks) == set()


def test_the_supervisor_is_one_process_without_the_files_of_its_caller(tmp_path: Path) -> None:
    read, write = os.pipe()
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    process = subprocess.Popen(command("up", path, "--datapath", "bpf"), pass_fds=[write], cwd=PROJECT)
    os.close(write)
    assert process.wait() == 0
    lab = UpLab(name)
    try:
        # End of file: nobody holds the other end any more.
        assert os.read(read, 1) == b""
        assert children_of(lab.pid) == set()
        assert os.readlink(f"/proc/{lab.pid}/fd/0") == os.devnull
        assert os.getsid(lab.pid) != os.getsid(0)
    finally:
        os.close(read)
        assert call("down", name).returncode == 0


def test_a_second_lab_of_the_name_is_refused_and_the_first_not_touched(tmp_path: Path) -> None:
    with lab_up(tmp_path) as lab:
        second = call("up", tmp_path / f"{lab.name}.ipvlab.yaml", "--datapath", "bpf")
        assert second.returncode == 5
        assert second.stderr.startswith(
            f"IPV701 a lab {lab.name} is up already, its supervisor is process {lab.pid}\n"
        )
        assert "--name" in second.stderr
        assert UpLab(lab.name).about == lab.about


def test_several_labs_are_up_by_name_and_all_go_down_together(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    names = sorted(new_name() for _ in range(3))
    ups = " && ".join(f'"$@" up {path} --name {name} --datapath bpf >/dev/null' for name in names)
    script = f'{ups} && "$@" exec h1 -- true; echo $?; "$@" down --all && "$@" ps'
    # Names are those of a network namespace, so that a lab of nobody else's goes down.
    own = ["unshare", "--net", "sh", "-c", script, "sh", *command()]
    done = subprocess.run(own, capture_output=True, text=True, check=False, cwd=PROJECT)
    status, *rest = done.stdout.splitlines()
    assert status == "125"
    assert "3 labs are up, and none is named" in done.stderr
    assert rest == [*(f"{name} is down" for name in names), "no lab is up"]


def test_the_name_of_a_lab_is_free_again_once_it_is_down(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    for _ in range(3):
        assert call("up", path, "--datapath", "bpf").returncode == 0
        assert call("down", name).returncode == 0


@pytest.mark.parametrize("name", ["", "Ab", "a/b", "x" * 64, "-a"])
def test_a_name_that_is_none_is_bad_input(tmp_path: Path, name: str) -> None:
    done = call("up", write_scenario(tmp_path), f"--name={name}", "--datapath", "bpf")
    assert done.returncode == 2
    assert "IPV104" in done.stderr
    assert listed().count(name) == 0


def test_down_of_a_lab_that_is_not_up_says_so() -> None:
    done = call("down", new_name())
    assert done.returncode == 5
    assert done.stderr.startswith("IPV702 no lab ")


def test_a_command_that_fails_while_the_lab_is_built_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    text = path.read_text()
    path.write_text(text.replace("--name=b1 -itd", "--name=b1 --ip=192.168.99.1 -itd"))
    before = links(), named_namespaces()
    done = call("up", path, "--datapath", "bpf")
    assert done.returncode == 5
    assert done.stderr.startswith("IPV400 commands[h2:2] `docker run")
    assert "at " + str(path) in done.stderr
    assert path.name.removesuffix(".ipvlab.yaml") not in listed()
    assert (links(), named_namespaces()) == before


def test_an_invalid_file_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.ipvlab.yaml"
    path.write_text("name: bad\nhost: {}\n")
    done = call("up", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:2:1: IPV102 ")


@pytest.mark.parametrize(
    ("module", "place"),
    [
        ("ipvlab.lab.live", "LiveLab.add_topology"),
        ("ipvlab.lab.host", "LiveHost.attach"),
        ("ipvlab.run.live", "LiveGround.serve_names"),
    ],
    ids=["wires", "endpoints", "names"],
)
@pytest.mark.parametrize("who", ["supervisor", "caller"])
def test_a_supervisor_or_caller_that_is_killed_while_it_builds_leaves_nothing(
    tmp_path: Path, module: str, place: str, who: str
) -> None:
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    caller, supervisor = start_and_stop(path, module, place)
    assert name in listed()
    lab = UpLab(name)
    networks = lab.networks()
    assert networks
    os.kill(supervisor if who == "supervisor" else caller.pid, signal.SIGKILL)
    await_end([supervisor])
    _, stderr = caller.communicate()
    if who == "supervisor":
        assert caller.returncode == 5
        assert stderr.startswith("IPV703 ")
    assert name not in listed()
    assert processes_in(networks) == set()


def test_a_lab_that_is_being_built_is_listed_and_can_be_taken_down(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    caller, _ = start_and_stop(path, "ipvlab.lab.host", "LiveHost.attach")
    lab = UpLab(name)
    assert lab.about["state"] == "building"
    entered = lab.exec("h1", "true")
    assert entered.returncode == 125
    assert "still being built" in entered.stderr
    assert call("down", name).returncode == 0
    await_end([lab.pid])
    caller.communicate()
    assert caller.returncode == 5


def test_ctrl_c_while_it_builds_leaves_nothing(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    caller, supervisor = start_and_stop(path, "ipvlab.lab.host", "LiveHost.attach")
    caller.send_signal(signal.SIGINT)
    _, stderr = caller.communicate()
    assert (caller.returncode, stderr.strip()) == (130, "interrupted; everything built is gone")
    await_end([supervisor])
    assert path.name.removesuffix(".ipvlab.yaml") not in listed()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lab_whose_supervisor_is_killed_leaves_no_program_and_no_namespace(
    tmp_path: Path, number: signal.Signals
) -> None:
    with lab_up(tmp_path) as lab:
        programs = [
            subprocess.Popen(
                command("exec", "--lab", lab.name, node, "--", "sh", "-c", "trap '' TERM; echo on; cat"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=PROJECT,
            )
            for node in ("h1", "a1", "a2", "b1")
        ]
        for program in programs:
            assert program.stdout is not None
            assert program.stdout.readline() == b"on\n"
        networks = lab.networks()
        inside = processes_in(networks)
        assert len(inside) > 8
        os.kill(lab.pid, number)
        await_end(inside)
        assert [program.wait() for program in programs] == [137] * 4
        for program in programs:
            program.communicate()
        assert lab.name not in listed()
        assert processes_in(networks) == set()


def test_down_ends_a_lab_that_is_stopped(tmp_path: Path) -> None:
    with lab_up(tmp_path) as lab:
        networks = lab.networks()
        os.kill(lab.pid, signal.SIGSTOP)
        shown = call("ps")
        assert f"{lab.name}: process {lab.pid} does not answer" in shown.stdout
        assert call("down", lab.name).returncode == 0
        assert processes_in(networks) == set()
        assert lab.name not in listed()


def test_a_lab_outlives_the_terminal_that_it_was_started_from(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(PROJECT)
        os.execv(sys.executable, command("up", path, "--datapath", "bpf"))
    shown = b""
    while b"ends it" not in shown:
        shown += os.read(terminal, 1000)
    os.waitpid(child, 0)
    os.close(terminal)
    lab = UpLab(name)
    try:
        assert lab.exec("a1", "true").returncode == 0
    finally:
        assert call("down", name).returncode == 0
