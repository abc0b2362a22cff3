"""The root file system of a container: the machine's files, and nothing of one seen by another."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import run_command

NodeMaker = Callable[..., Node]
#: What `ls` says of folders with nothing in them but, maybe, ipvlab's own interpreter.
INTERPRETERS = {path.split("/")[2] for path in (sys.prefix, sys.base_prefix) if path.startswith("/tmp/")}


def container(make_node: NodeMaker, name: str) -> Node:
    return make_node(name, "container")


def read(node: Node, *argv: str) -> str:
    result = run_command(node, argv)
    assert result.exit_code == 0, result
    return result.stdout


@pytest.mark.parametrize("folder", ["/tmp", "/var/tmp", "/run", "/dev/shm"])
def test_what_a_container_writes_is_seen_by_no_other_and_not_by_the_machine(
    make_node: NodeMaker, folder: str
) -> None:
    one, two = container(make_node, "c1"), container(make_node, "c2")
    name = f"{folder}/of-one-container"
    read(one, "sh", "-c", f"echo mine > {name}")
    assert read(one, "cat", name) == "mine\n"
    assert run_command(two, ["test", "-e", name]).exit_code == 1
    assert not Path(name).exists()
    assert read(one, "stat", "-c", "%a", folder) == read(two, "stat", "-c", "%a", folder)


def test_a_container_does_not_see_what_the_machine_has_in_tmp_and_run(
    make_node: NodeMaker, tmp_path: Path
) -> None:
    (tmp_path / "machine").write_text("secret")
    node = container(make_node, "c1")
    assert run_command(node, ["test", "-e", str(tmp_path)]).exit_code == 1
    for folder in ("/tmp/", "/run/", "/var/run/", "/var/tmp/", "/dev/shm/"):
        assert set(read(node, "ls", "-A", folder).split()) <= INTERPRETERS


def test_a_host_sees_tmp_and_run_of_the_machine(make_node: NodeMaker, tmp_path: Path) -> None:
    (tmp_path / "capture").write_text("of the machine")
    assert read(make_node("h1"), "cat", str(tmp_path / "capture")) == "of the machine"
    assert os.listdir("/run") == read(make_node("r1", "router"), "ls", "-U", "/run").split()


def test_a_host_that_was_given_a_folder_sees_it_as_run(make_node: NodeMaker, tmp_path: Path) -> None:
    (tmp_path / "docker.sock").write_text("")
    node = make_node("h1")
    node.run_folder = str(tmp_path)
    assert read(node, "ls", "/run").split() == ["docker.sock"]
    assert "docker.sock" not in run_command(container(make_node, "c1"), ["ls", "/run"]).stdout


def test_the_rest_of_the_root_is_the_machines(make_node: NodeMaker) -> None:
    node = container(make_node, "c1")
    assert read(node, "ls", "/usr") == "".join(f"{name}\n" for name in sorted(os.listdir("/usr")))
    assert read(node, "cat", "/etc/passwd") == Path("/etc/passwd").read_text()


def test_a_container_sees_its_own_processes_only(make_node: NodeMaker) -> None:
    listed = read(container(make_node, "c1"), "sh", "-c", "echo /proc/[0-9]*")
    assert f"/proc/{os.getpid()}" not in listed.split()
    assert len(listed.split()) < 8


def test_the_interpreter_of_ipvlab_runs_in_a_container_wherever_it_lies(make_node: NodeMaker) -> None:
    node = container(make_node, "c1")
    assert read(node, sys.executable, "-IS", "-c", "print(6 * 7)") == "42\n"
    python = os.path.realpath(sys.executable)
    assert read(node, python, "-IS", "-c", "print(6 * 7)") == "42\n"
