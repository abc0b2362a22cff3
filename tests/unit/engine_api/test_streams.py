"""Connections that wait and connections that leave HTTP: wait, attach, exec, and how they end."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading

import pytest

from ipvlab.driver.workloads import ProgramRequest
from ipvlab.engine_api.streams import Conversation, Wiring, frame
from tests.unit.engine_api.served_host import FakeProgram, ServedHost, read_all, read_until

HEAD_END = b"\r\n\r\n"


def send(sock: socket.socket, method: str, path: str, body: object = None, *, upgrades: bool = False) -> None:
    """Send a request; with ``upgrades`` it offers to leave HTTP."""
    sent = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: api.moby.localhost", f"Content-Length: {len(sent)}"]
    if body is not None:
        lines.append("Content-Type: application/json")
    if upgrades:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    sock.sendall("\r\n".join([*lines, "", ""]).encode() + sent)


def hijack(host: ServedHost, path: str, body: object = None) -> tuple[socket.socket, bytes, bytes]:
    """A hijacked connection, the head of the answer, and what came behind it."""
    sock = host.open()
    send(sock, "POST", path, body, upgrades=True)
    head, _, rest = read_until(sock, HEAD_END).partition(HEAD_END)
    return sock, head, rest


def fill(sock: socket.socket) -> int:
    """Send until the other side takes no more; how many bytes."""
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += sock.send(b"x" * 65536, socket.MSG_DONTWAIT)
    return sent


def main_of(host: ServedHost, name: str = "c") -> FakeProgram:
    program = host.workloads.program(host.host.engine.find_container(name))
    assert program is not None
    return program


@pytest.fixture
def placed(host: ServedHost) -> ServedHost:
    """A host with the network ``n``."""
    host.make_network()
    return host


@pytest.mark.docker("D-API-006")
@pytest.mark.parametrize("condition", ["next-exit", "removed"])
def test_wait_sends_its_headers_before_the_container_is_started(placed: ServedHost, condition: str) -> None:
    placed.make_container("c", "work", HostConfig={"NetworkMode": "n", "AutoRemove": True})
    with placed.open() as sock:
        send(sock, "POST", f"/v1.50/containers/c/wait?condition={condition}")
        head = read_until(sock, HEAD_END)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"Transfer-Encoding: chunked" in head
        # Only now does a client start it.
        placed.start()
        main_of(placed).finish(7)
        assert b'{"StatusCode":7}' in read_until(sock, b"0\r\n\r\n")
    assert not placed.host.engine.containers


def test_wait_for_one_that_does_not_run_is_answered_at_once(placed: ServedHost) -> None:
    placed.make_container("c", "work")
    assert placed.ask("POST", "/containers/c/wait").json == {"StatusCode": 0}
    placed.start()
    main_of(placed).finish(3)
    for path in ("/containers/c/wait", "/containers/c/wait?condition=not-running"):
        assert placed.ask("POST", path).json == {"StatusCode": 3}
    reply = placed.ask("POST", "/containers/c/wait?condition=soon")
    assert (reply.status, reply.message) == (400, 'invalid condition: "soon"')
    assert placed.ask("POST", "/containers/nosuch/wait").status == 404


def test_wait_ends_when_the_container_is_removed(placed: ServedHost) -> None:
    placed.make_container("c", "work")
    with placed.open() as sock:
        send(sock, "POST", "/containers/c/wait?condition=next-exit")
        read_until(sock, HEAD_END)
        assert placed.ask("DELETE", "/containers/c").status == 204
        assert b'{"StatusCode":0}' in read_until(sock, b"0\r\n\r\n")


def test_a_restart_of_the_engine_answers_who_waits_and_the_containers_are_known_afterwards(
    placed: ServedHost,
) -> None:
    container = placed.make_container("c", "work")
    placed.start()
    with placed.open() as sock:
        send(sock, "POST", "/containers/c/wait?condition=next-exit")
        read_until(sock, HEAD_END)
        placed.host.restart_engine()
        assert b'{"StatusCode":143}' in read_until(sock, b"0\r\n\r\n")
    assert placed.ask("POST", f"/containers/{container}/wait").json == {"StatusCode": 143}
    placed.start()
    main_of(placed).finish(2)
    assert placed.ask("POST", "/containers/c/wait").json == {"StatusCode": 2}


@pytest.mark.docker("D-API-007")
def test_a_failed_start_of_an_auto_removed_container_answers_who_waits_and_who_is_attached(
    placed: ServedHost,
) -> None:
    placed.make_container("c", "nosuch", HostConfig={"NetworkMode": "n", "AutoRemove": True})
    attached, _, rest = hijack(placed, "/containers/c/attach?stdout=1&stderr=1&stream=1")
    with placed.open() as waiting, attached:
        send(waiting, "POST", "/containers/c/wait?condition=removed")
        read_until(waiting, HEAD_END)
        reply = placed.ask("POST", "/containers/c/start")
        assert reply.status == 400
        assert 'exec: "nosuch": executable file not found in $PATH' in reply.message
        assert b'{"StatusCode":127}' in read_until(waiting, b"0\r\n\r\n")
        assert rest + read_all(attached) == b""
    assert placed.ask("GET", "/containers/c/json").status == 404


def test_a_failed_start_ends_attached_clients_of_a_container_that_stays(placed: ServedHost) -> None:
    placed.make_container("c", "nosuch")
    attached, _, _ = hijack(placed, "/containers/c/attach?stdout=1&stream=1")
    with attached:
        assert placed.ask("POST", "/containers/c/start").status == 400
        assert read_all(attached) == b""
    inspected = placed.get("/containers/c/json")
    assert isinstance(inspected, dict)
    assert (inspected["State"]["Status"], inspected["State"]["ExitCode"]) == ("created", 127)


@pytest.mark.docker("D-API-009")
@pytest.mark.parametrize(
    ("version", "has_tty", "kind"),
    [
        ("v1.50", False, "application/vnd.docker.multiplexed-stream"),
        ("v1.42", False, "application/vnd.docker.multiplexed-stream"),
        ("v1.41", False, "application/vnd.docker.raw-stream"),
        ("v1.50", True, "application/vnd.docker.raw-stream"),
    ],
)
def test_output_is_framed_without_a_terminal_and_raw_with_one(
    placed: ServedHost, version: str, has_tty: bool, kind: str
) -> None:
    placed.make_container("c", "work", Tty=has_tty)
    sock, head, rest = hijack(placed, f"/{version}/containers/c/attach?stdout=1&stderr=1&stream=1")
    assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert f"Content-Type: {kind}".encode() in head
    assert b"Connection: Upgrade" in head
    assert b"Upgrade: tcp" in head
    with sock:
        placed.start()
        program = main_of(placed)
        program.speak(b"out\n")
        if not has_tty:
            program.speak(b"error\n", 2)
        program.finish()
        read = rest + read_all(sock)
    framed = struct.pack(">BxxxI", 1, 4) + b"out\n" + struct.pack(">BxxxI", 2, 6) + b"error\n"
    assert read == (b"out\n" if has_tty else framed)
    logs = placed.ask("GET", f"/{version}/containers/c/logs?stdout=1&stderr=1")
    assert (logs.headers["Content-Type"], logs.body) == (kind, read)


def test_only_the_streams_that_were_asked_for_are_sent(placed: ServedHost) -> None:
    placed.make_container("c", "work")
    sock, _, rest = hijack(placed, "/containers/c/attach?stderr=1&stream=1")
    with sock:
        placed.start()
        main_of(placed).speak(b"out\n")
        main_of(placed).speak(b"error\n", 2)
        main_of(placed).finish()
        assert rest + read_all(sock) == frame(2, b"error\n")


def test_a_program_that_ends_at_once_loses_nothing(placed: ServedHost) -> None:
    def play(program: FakeProgram) -> None:
        program.speak(b"x" * 3_000_000)
        program.finish(9)

    placed.workloads.plays["work"] = play
    placed.make_container("c", "work", Tty=True, HostConfig={"NetworkMode": "n", "AutoRemove": True})
    sock, _, rest = hijack(placed, "/containers/c/attach?stdout=1&stream=1")
    with sock:
        # The start ends only when the program has written all.
        starter = threading.Thread(target=placed.start)
        starter.start()
        read = rest + read_all(sock)
        starter.join()
    assert read == b"x" * 3_000_000


def test_input_goes_to_the_program_and_its_end_with_it(placed: ServedHost) -> None:
    placed.make_container("c", "work", OpenStdin=True, StdinOnce=True, AttachStdin=True)
    sock, _, rest = hijack(placed, "/containers/c/attach?stdin=1&stdout=1&stream=1")
    with sock:
        # A client sends before it starts the container, and ends its half.
        sock.sendall(b"before ")
        placed.start()
        sock.sendall(b"after")
        program = main_of(placed)
        program.await_input(b"before after")
        assert not program.is_stdin_closed.is_set()
        sock.shutdown(socket.SHUT_WR)
        assert program.is_stdin_closed.wait(60)
        program.speak(b"still here\n")
        program.finish()
        assert rest + read_all(sock) == frame(1, b"still here\n")


def test_one_begun_in_the_background_keeps_its_input_open_for_the_next_client(placed: ServedHost) -> None:
    placed.make_container("c", "work", OpenStdin=True)
    placed.start()
    program = main_of(placed)
    for number in (b"1", b"2"):
        sock, _, _ = hijack(placed, "/containers/c/attach?stdin=1&stream=1")
        with sock:
            sock.sendall(number)
            sock.shutdown(socket.SHUT_WR)
            program.await_input(b"12"[: int(number)])
    assert not program.is_stdin_closed.is_set()
    program.finish()


def test_the_end_of_a_clients_input_is_no_end_of_a_terminals(placed: ServedHost) -> None:
    placed.make_container("c", "work", OpenStdin=True, Tty=True, AttachStdin=True)
    sock, _, rest = hijack(placed, "/containers/c/attach?stdin=1&stdout=1&stream=1")
    with sock:
        placed.start()
        sock.sendall(b"ls\n")
        sock.shutdown(socket.SHUT_WR)
        program = main_of(placed)
        program.await_input(b"ls\n")
        program.speak(b"bin\n")
        program.finish()
        assert rest + read_all(sock) == b"bin\n"
        assert not program.is_stdin_closed.is_set()


@pytest.mark.docker("D-API-010")
def test_a_connection_ends_without_reset_though_bytes_of_the_client_were_never_read(
    placed: ServedHost,
) -> None:
    placed.make_container("c", "work", OpenStdin=True, Tty=True, AttachStdin=True)
    sock, _, rest = hijack(placed, "/containers/c/attach?stdin=1&stdout=1&stream=1")
    with sock:
        placed.start()
        program = main_of(placed)
        # More than the server takes for a program that does not read.
        program.waiting = 1 << 30
        assert fill(sock) > 0
        program.speak(b"bye")
        program.finish(5)
        assert rest + read_all(sock) == b"bye"
        # The server reads on until we end too, so that this does not fail.
        sock.sendall(b"y" * 1_000_000)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


def test_input_is_left_with_the_client_while_the_program_has_enough_of_it() -> None:
    ours, clients = socket.socketpair()
    with ours, clients:
        program = FakeProgram(ProgramRequest(("work",)))
        wiring = Wiring(streams=frozenset(), has_frames=True, takes_input=True)
        conversation = Conversation(ours, b"")
        wiring.plug(program)
        conversation._turn(wiring)
        program.waiting = 1 << 30
        clients.sendall(b"input")
        wiring.end()
        conversation._turn(wiring)
        assert ours.recv(10, socket.MSG_DONTWAIT) == b"input"
        # Output and the end come through all the same.
        assert conversation._is_over
        wiring.close()


def test_a_slow_reader_makes_the_program_wait_and_loses_nothing(placed: ServedHost) -> None:
    placed.make_container("c", "work", Tty=True)
    sock, _, rest = hijack(placed, "/containers/c/attach?stdout=1&stream=1")
    with sock:
        placed.start()
        program = main_of(placed)
        written = 0
        while not program.is_held.is_set():
            program.speak(b"z" * 65536)
            written += 65536
            assert written < 64 << 20
        read = rest
        while not program.is_released.is_set():
            piece = sock.recv(65536)
            assert piece
            read += piece
        program.finish()
        read += read_all(sock)
    assert len(read) == written
    assert program.holds == 0


def test_a_client_that_is_gone_is_forgotten_and_the_program_goes_on(placed: ServedHost) -> None:
    placed.make_container("c", "work", Tty=True, OpenStdin=True, AttachStdin=True)
    sock, _, _ = hijack(placed, "/containers/c/attach?stdin=1&stdout=1&stream=1")
    placed.start()
    program = main_of(placed)
    sock.close()
    assert program.is_left.wait(60)
    assert program.listeners == 0
    other, _, rest = hijack(placed, "/containers/c/attach?stdin=1&stdout=1&stream=1")
    with other:
        other.sendall(b"hi")
        program.await_input(b"hi")
        program.speak(b"to the other")
        program.finish()
        assert rest + read_all(other) == b"to the other"


def test_attach_with_logs_sends_the_past_first(placed: ServedHost) -> None:
    placed.make_container("c", "work")
    placed.start()
    program = main_of(placed)
    program.speak(b"past\n")
    past, _, rest = hijack(placed, "/containers/c/attach?stdout=1&logs=1")
    with past:
        assert rest + read_all(past) == frame(1, b"past\n")
    sock, _, rest = hijack(placed, "/containers/c/attach?stdout=1&logs=1&stream=1")
    with sock:
        if not rest:
            rest = read_until(sock, b"past\n")
        program.speak(b"present\n")
        program.finish()
        assert rest + read_all(sock) == frame(1, b"past\n") + frame(1, b"present\n")


def test_a_client_without_upgrade_is_answered_200_and_the_stream(placed: ServedHost) -> None:
    placed.make_container("c", "work", Tty=True)
    with placed.open() as sock:
        send(sock, "POST", "/containers/c/attach?stdout=1&stream=1")
        assert read_until(sock, HEAD_END).startswith(b"HTTP/1.1 200 OK\r\n")
        placed.start()
        main_of(placed).speak(b"out")
        main_of(placed).finish()
        assert read_all(sock) == b"out"


def test_an_idle_container_gets_its_program_when_somebody_attaches(placed: ServedHost) -> None:
    placed.make_container("c", "/bin/sh", Tty=True, OpenStdin=True)
    placed.start()
    assert not placed.workloads.mains
    sock, _, _ = hijack(placed, "/containers/c/attach?stdin=1&stdout=1&stream=1")
    with sock:
        sock.sendall(b"id\n")
        other, _, rest = hijack(placed, "/containers/c/attach?stdout=1&stream=1")
        with other:
            program = main_of(placed)
            program.await_input(b"id\n")
            program.speak(b"root\n")
            program.finish()
            assert rest + read_all(other) == b"root\n"
        assert read_all(sock) == b"root\n"


def test_a_size_is_given_to_the_program_of_a_container_that_runs(placed: ServedHost) -> None:
    placed.make_container("c", "work", Tty=True, HostConfig={"NetworkMode": "n", "ConsoleSize": [20, 70]})
    assert placed.ask("POST", "/containers/c/resize?h=30&w=100").status == 409
    placed.start()
    assert main_of(placed).size == (20, 70)
    assert placed.ask("POST", "/containers/c/resize?h=30&w=100").status == 200
    assert main_of(placed).size == (30, 100)
    for query in ("h=a&w=1", "h=-1&w=1", "w=1", "h=1&w=70000"):
        assert placed.ask("POST", f"/containers/c/resize?{query}").status == 400
