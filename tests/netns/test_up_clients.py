"""Clients of a supervisor that break, stop or lie: each harms nobody but itself."""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipvlab.supervisor.channel import LONGEST_LINE
from ipvlab.supervisor.names import abstract_address
from tests.netns.standing import UpLab, await_end, call, lab_up, listed, processes_in, write_scenario
from tests.netns.traces import PROJECT, command


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpLab]:
    """One lab for all tests of this module; they leave it as it was."""
    with lab_up(tmp_path_factory.mktemp("clients")) as up:
        yield up


@contextlib.contextmanager
def dial(lab: UpLab) -> Iterator[socket.socket]:
    """A bare connection to a supervisor."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        sock.connect(abstract_address(os.geteuid(), lab.name))
        yield sock


def read_line(sock: socket.socket) -> dict[str, object]:
    line = b""
    while not line.endswith(b"\n"):
        piece = sock.recv(65536)
        assert piece, "the connection ended"
        line += piece
    answer = json.loads(line)
    assert isinstance(answer, dict)
    return answer


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[1, 2]\n",
        b'{"op": 5}\n',
        b'{"op": "destroy"}\n',
        b'{"op": "enter"}\n',
        b'{"op": "enter", "node": ["a1"]}\n',
        b'{"op": "docker", "host": "h1", "argv": "ps"}\n',
        b'{"op": "docker", "host": "h1", "argv": ["ps"], "size": [1]}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
        b"\n",
    ],
    ids=lambda line: repr(line[:30]),
)
def test_what_is_no_request_is_told_so(lab: UpLab, line: bytes) -> None:
    with dial(lab) as sock:
        sock.sendall(line)
        error = read_line(sock)["error"]
        assert isinstance(error, dict)
        assert "this is no request" in str(error["what"])
    assert lab.exec("a1", "true").returncode == 0


def test_half_a_line_waits_for_nobody(lab: UpLab) -> None:
    with dial(lab) as sock:
        sock.sendall(b'{"op": "abo')
        assert lab.exec("a1", "true").returncode == 0
        sock.sendall(b'ut"}\n')
        assert read_line(sock)["name"] == lab.name


def test_a_line_without_end_is_cut_off(lab: UpLab) -> None:
    with dial(lab) as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(b"x" * (4 * LONGEST_LINE))
        assert lab.exec("a1", "true").returncode == 0


def test_a_client_that_reads_nothing_holds_nobody_up(lab: UpLab) -> None:
    with dial(lab) as sock:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.send(b'{"op": "about"}\n' * 100)
        assert lab.exec("a1", "true").returncode == 0
        assert lab.docker("h1", "ps", "-q").returncode == 0


def test_descriptors_that_a_client_sends_are_closed(lab: UpLab) -> None:
    before = descriptors_of(lab.pid)
    with dial(lab) as sock, open(os.devnull, "rb") as nothing:
        for _ in range(20):
            rights = array.array("i", [nothing.fileno()] * 8)
            sock.sendmsg([b'{"op": "about"}\n'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            read_line(sock)
        # The connection itself is one.
        assert descriptors_of(lab.pid) <= before + 1


def test_hundreds_of_idle_connections_leave_room_for_others(lab: UpLab) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(300):
            held.enter_context(dial(lab))
        assert lab.exec("a1", "true").returncode == 0
    assert lab.exec("a1", "true").returncode == 0


def test_a_client_that_is_stopped_does_not_keep_its_container(tmp_path: Path) -> None:
    with lab_up(tmp_path) as own:
        client = subprocess.Popen(
            command("exec", "--lab", own.name, "a1", "--", "sh", "-c", "echo on; exec cat"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
        )
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"on\n"
            os.kill(client.pid, signal.SIGSTOP)
            assert own.docker("h1", "rm", "-f", "a1").stdout == "a1\n"
            assert own.exec("a2", "true").returncode == 0
            assert call("down", own.name).returncode == 0
            await_end([own.pid])
        finally:
            os.kill(client.pid, signal.SIGCONT)
            client.communicate()
        assert client.returncode == 137
        assert own.name not in listed()


def test_another_user_is_not_answered(lab: UpLab) -> None:
    code = (
        "import os, socket, sys\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "sock.settimeout(30)\n"
        f"os.setgid(65534); os.setuid(65534); sock.connect({abstract_address(os.geteuid(), lab.name)!r})\n"
        "try:\n"
        '    sock.sendall(b\'{"op": "about"}\\n\')\n'
        "    print(repr(sock.recv(100)))\n"
        "except (ConnectionResetError, BrokenPipeError): print(repr(b''))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "b''", done.stderr


def test_a_name_that_another_user_holds_is_not_believed(tmp_path: Path) -> None:
    """Whoever listens by our name is told apart by its user id."""
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    code = (
        "import os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        f"sock.bind({abstract_address(os.geteuid(), name)!r}); sock.listen()\n"
        "print('on', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as squatter:
        assert squatter.stdout is not None
        assert squatter.stdin is not None
        assert squatter.stdout.readline() == "on\n"
        assert name not in listed()
        done = call("exec", "--lab", name, "h1", "--", "true")
        assert done.returncode == 125
        assert "another user (65534)" in done.stderr
        assert call("up", path, "--datapath", "bpf").returncode == 5
        squatter.stdin.close()


#: A supervisor whose socket queues one connection only.
NARROW = """
import sys
import ipvlab.supervisor.birth
from ipvlab.cli import main
ipvlab.supervisor.birth._BACKLOG = 0
main(["up", sys.argv[1], "--datapath", "bpf"])
"""


def test_down_ends_a_stopped_lab_whose_socket_is_full(tmp_path: Path) -> None:
    path = write_scenario(tmp_path)
    name = path.name.removesuffix(".ipvlab.yaml")
    subprocess.run([sys.executable, "-c", NARROW, path], check=True, capture_output=True, cwd=PROJECT)
    lab = UpLab(name)
    networks = lab.networks()
    os.kill(lab.pid, signal.SIGSTOP)
    with contextlib.ExitStack() as held:
        for _ in range(3):
            sock = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect(abstract_address(os.geteuid(), name))
        assert f"{name}: process {lab.pid} does not answer" in call("ps").stdout
        assert call("down", name).returncode == 0
    await_end([lab.pid])
    assert processes_in(networks) == set()
    assert name not in listed()
