"""Many clients, broken clients, killed clients: nobody else notices, and nothing is left."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.netns.engine_place import EnginePlace, engine_place, needs_client


@pytest.fixture
def place(tmp_path: Path) -> Iterator[EnginePlace]:
    """Two hosts, each behind its API, and the documents' first network on ``h1``."""
    with engine_place(tmp_path) as made:
        made.make_network()
        yield made


def api_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("engine-api")]


@needs_client
def test_twenty_clients_at_once_each_get_their_own(place: EnginePlace) -> None:
    def run(number: int) -> tuple[int, str]:
        result = place.docker(
            "run", "--rm", "-i", "--net=db_net", f"--name=c{number}", "alpine", "sh", "-c",
            f"cat; hostname; exit {number}", stdin=f"{number}\n".encode(),
        )  # fmt: skip
        assert result.stderr == ""
        return result.exit_code, result.stdout.split()[0]

    with ThreadPoolExecutor(20) as clients:
        assert list(clients.map(run, range(20))) == [(number, str(number)) for number in range(20)]
    assert place.must("ps", "-aq") == ""
    assert place.must("network", "inspect", "--format", "{{len .Containers}}", "db_net") == "0"


@needs_client
def test_a_client_that_is_killed_leaves_the_container_and_the_others_alone(place: EnginePlace) -> None:
    script = "read a; echo $a; read b; echo $b; exit 4"
    place.must("run", "-di", "--net=db_net", "--name=c1", "alpine", "sh", "-c", script)
    client = place.begin("attach", "c1")
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(b"ready\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"ready\n"
    other = place.begin("wait", "c1")
    client.send_signal(signal.SIGKILL)
    client.communicate()
    assert place.must("ps", "--format", "{{.Names}} {{.State}}") == "c1 running"
    again = place.begin("attach", "c1")
    assert again.communicate(b"go on\n", 60)[0] == b"go on\n"
    assert other.communicate(timeout=60)[0] == b"4\n"


@needs_client
def test_a_client_that_is_killed_before_it_starts_its_container_leaves_it_created(place: EnginePlace) -> None:
    place.must("create", "-it", "--net=db_net", "--name=c1", "alpine", "sh")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(place.path()))
        sock.sendall(
            b"POST /containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: h\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")
    place.must("start", "c1")
    assert place.must("ps", "--format", "{{.Names}}") == "c1"


@needs_client
def test_a_slow_reader_makes_the_program_wait_and_gets_everything(place: EnginePlace) -> None:
    place.must("run", "-itd", "--net=db_net", "--name=c1", "alpine", "/bin/sh")
    size = 40_000_000
    client = place.begin("exec", "c1", "head", "-c", str(size), "/dev/zero")
    assert client.stdout is not None
    # Nothing is read while another client comes and goes.
    assert place.must("exec", "c1", "echo", "hi") == "hi"
    read = 0
    while piece := client.stdout.read(1 << 16):
        read += len(piece)
    client.communicate(timeout=60)
    assert (read, client.returncode) == (size, 0)


@needs_client
def test_an_endless_program_does_not_fill_memory_and_ends_with_its_container(place: EnginePlace) -> None:
    client = place.begin("run", "--net=db_net", "--name=c1", "alpine", "cat", "/dev/zero")
    assert client.stdout is not None
    assert client.stdout.read(1) == b"\0"
    before = resident()
    for _ in range(20):
        place.must("exec", "c1", "true")
    assert resident() - before < 64 << 20
    place.must("rm", "-f", "c1")
    client.stdout.read()
    client.communicate(timeout=60)
    assert client.returncode == 137


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@needs_client
def test_broken_clients_harm_nobody_and_their_threads_end(place: EnginePlace) -> None:
    broken = (
        b"",
        b"\0\1\2\3",
        b"GET / HTTP/1.1\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\n\r\n{",
        b"GET /events HTTP/1.1\r\nHost: h\r\n\r\n",
        b"POST /networks/create HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: h\r\n\r\n" * 100,
    )
    sockets = []
    for content in broken * 5:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(place.path()))
        sock.sendall(content)
        sockets.append(sock)
    with socket.socket(socket.AF_UNIX) as sane:
        sane.connect(str(place.path()))
        sane.sendall(b"GET /_ping HTTP/1.1\r\nHost: h\r\n\r\n")
        assert sane.recv(1000).startswith(b"HTTP/1.1 200 ")
    for sock in sockets:
        sock.close()
    for api in place.apis:
        api.close()
    assert api_threads() == []
    assert list(place.docker_host("h1").engine.networks) == ["db_net"]
