"""Exec and logs: what is answered, framed, selected, followed."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Iterator

import pytest

from ipvlab.engine_api.streams import frame
from tests.unit.engine_api.served_host import FakeProgram, ServedHost, read_all, read_until
from tests.unit.engine_api.test_streams import HEAD_END, hijack, main_of, send


@pytest.fixture
def running(host: ServedHost) -> Iterator[ServedHost]:
    """A host whose container ``c`` runs a program."""
    host.make_network()
    host.make_container("c", "work")
    host.start()
    yield host
    main_of(host).finish()


def make_exec(host: ServedHost, *command: str, **changes: object) -> str:
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **changes}
    reply = host.ask("POST", "/containers/c/exec", body)
    assert reply.status == 201
    value = reply.json
    assert isinstance(value, dict)
    assert list(value) == ["Id"]
    return str(value["Id"])


def inspect_exec(host: ServedHost, exec_id: str) -> dict[str, object]:
    value = host.get(f"/exec/{exec_id}/json")
    assert isinstance(value, dict)
    return value


def test_exec_is_created_started_and_inspected(running: ServedHost) -> None:
    exec_id = make_exec(running, "look", "around", Env=["A=1"], WorkingDir="/tmp", User="nobody")
    before = inspect_exec(running, exec_id)
    assert (before["Running"], before["ExitCode"], before["Pid"]) == (False, None, 0)
    sock, head, rest = hijack(running, f"/exec/{exec_id}/start", {"Detach": False, "Tty": False})
    with sock:
        assert b"multiplexed-stream" in head
        assert running.workloads.has_exec.wait(60)
        [program] = running.workloads.execs
        assert program.request.argv == ("look", "around")
        assert program.request.env == {"A": "1"}
        assert (program.request.workdir, program.request.user) == ("/tmp", "nobody")
        assert inspect_exec(running, exec_id)["Running"] is True
        container = running.get("/containers/c/json")
        assert isinstance(container, dict)
        assert container["ExecIDs"] == [exec_id]
        program.speak(b"out\n")
        program.speak(b"error\n", 2)
        program.finish(3)
        assert rest + read_all(sock) == frame(1, b"out\n") + frame(2, b"error\n")
    after = inspect_exec(running, exec_id)
    assert (after["Running"], after["ExitCode"]) == (False, 3)


def test_exec_passes_input_on_and_its_end(running: ServedHost) -> None:
    exec_id = make_exec(running, "read", AttachStdin=True)
    sock, _, rest = hijack(running, f"/exec/{exec_id}/start", {})
    with sock:
        sock.sendall(b"input")
        sock.shutdown(socket.SHUT_WR)
        assert running.workloads.has_exec.wait(60)
        [program] = running.workloads.execs
        program.await_input(b"input")
        assert program.is_stdin_closed.wait(60)
        program.finish()
        assert rest + read_all(sock) == b""


def test_exec_on_a_terminal_is_raw_and_has_a_size(running: ServedHost) -> None:
    exec_id = make_exec(running, "sh", Tty=True, ConsoleSize=[20, 70])
    running.workloads.plays["sh"] = lambda program: program.speak(b"$ ")
    sock, head, rest = hijack(running, f"/exec/{exec_id}/start", {"Tty": True, "ConsoleSize": [30, 100]})
    with sock:
        assert b"raw-stream" in head
        read = rest or sock.recv(100)
        [program] = running.workloads.execs
        assert program.size == (30, 100)
        assert running.ask("POST", f"/exec/{exec_id}/resize?h=40&w=110").status == 200
        assert program.size == (40, 110)
        program.finish()
        assert read + read_all(sock) == b"$ "
    assert running.ask("POST", f"/exec/{exec_id}/resize?h=40&w=110").status == 400


def test_exec_detached_is_answered_at_once(running: ServedHost) -> None:
    exec_id = make_exec(running, "work", AttachStdin=True)
    reply = running.ask("POST", f"/exec/{exec_id}/start", {"Detach": True})
    assert (reply.status, reply.body) == (200, b"")
    [program] = running.workloads.execs
    assert not program.request.has_stdin
    program.finish(1)
    assert inspect_exec(running, exec_id)["ExitCode"] == 1


def test_exec_of_a_program_that_is_not_there_says_so_in_the_stream_and_is_127(running: ServedHost) -> None:
    exec_id = make_exec(running, "nosuch")
    sock, _, rest = hijack(running, f"/exec/{exec_id}/start", {})
    with sock:
        read = rest + read_all(sock)
    assert b'exec: "nosuch": executable file not found in $PATH' in read[8:]
    assert read[0] == 2
    assert inspect_exec(running, exec_id)["ExitCode"] == 127
    detached = make_exec(running, "nosuch")
    assert running.ask("POST", f"/exec/{detached}/start", {"Detach": True}).status == 400
    assert inspect_exec(running, detached)["ExitCode"] == 127


def test_exec_is_refused_without_command_container_or_twice(running: ServedHost) -> None:
    reply = running.ask("POST", "/containers/c/exec", {"Cmd": []})
    assert (reply.status, reply.message) == (400, "No exec command specified")
    assert running.ask("POST", "/containers/nosuch/exec", {"Cmd": ["a"]}).status == 404
    assert running.ask("GET", "/exec/nosuch/json").message == "No such exec instance: nosuch"
    exec_id = make_exec(running, "work")
    assert running.ask("POST", f"/exec/{exec_id}/start", {"Detach": True}).status == 200
    assert running.ask("POST", f"/exec/{exec_id}/start", {"Detach": True}).status == 409
    late = make_exec(running, "work")
    main_of(running).finish()
    container = running.host.engine.find_container("c").id
    for reply in (
        running.ask("POST", f"/exec/{late}/start", {}),
        running.ask("POST", "/containers/c/exec", {"Cmd": ["a"]}),
    ):
        assert (reply.status, reply.message) == (409, f"container {container} is not running")


def read_logs(host: ServedHost, query: str) -> bytes:
    reply = host.ask("GET", f"/containers/c/logs?{query}")
    assert reply.status == 200
    return reply.body


def test_logs_are_selected_by_stream_tail_and_time(running: ServedHost) -> None:
    program = main_of(running)
    program.speak(b"one\ntwo\n")
    program.speak(b"three\n", 2)
    one, two, three = frame(1, b"one\n"), frame(1, b"two\n"), frame(2, b"three\n")
    assert read_logs(running, "stdout=1&stderr=1&tail=all") == one + two + three
    assert read_logs(running, "stdout=1") == one + two
    assert read_logs(running, "stderr=1") == three
    assert read_logs(running, "stdout=1&stderr=1&tail=2") == two + three
    assert read_logs(running, "stdout=1&stderr=1&tail=0") == b""
    last = program.log[-1].time
    assert read_logs(running, f"stdout=1&stderr=1&since={last.timestamp():.6f}") == three
    early = last - datetime.timedelta(hours=1)
    assert read_logs(running, f"stdout=1&stderr=1&until={early.isoformat().replace('+', '%2B')}") == b""
    assert read_logs(running, "stdout=1&since=1").startswith(one)
    for query in ("", "stdout=0", "stdout=1&since=yesterday"):
        assert running.ask("GET", f"/containers/c/logs?{query}").status == 400


def test_logs_with_timestamps_have_nine_digits_of_a_second(running: ServedHost) -> None:
    program = main_of(running)
    program.speak(b"one\n")
    when = program.log[0].time.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    assert read_logs(running, "stdout=1&timestamps=1") == frame(1, f"{when} one\n".encode())


def test_logs_that_are_followed_go_on_to_the_end_and_have_each_line_once(running: ServedHost) -> None:
    program = main_of(running)
    program.speak(b"one\ntwo\n")
    with running.open() as sock:
        send(sock, "GET", "/containers/c/logs?stdout=1&follow=1&tail=1")
        read = read_until(sock, b"two\n")
        program.speak(b"three\n")
        read += read_until(sock, b"three\n")
        program.speak(b"four\n")
        program.finish()
        read += read_until(sock, b"\r\n0\r\n\r\n")
    assert b"one" not in read
    assert [read.count(word) for word in (b"two", b"three", b"four")] == [1, 1, 1]


def test_logs_of_one_that_has_ended_end_though_they_are_followed(running: ServedHost) -> None:
    main_of(running).speak(b"one\n")
    main_of(running).finish()
    assert read_logs(running, "stdout=1&follow=1") == frame(1, b"one\n")


def test_logs_of_an_idle_container_begin_with_its_program(host: ServedHost) -> None:
    host.make_network()
    host.make_container("c", "sh", Tty=True, OpenStdin=True)
    host.start()
    assert read_logs(host, "stdout=1") == b""
    with host.open() as sock:
        send(sock, "GET", "/containers/c/logs?stdout=1&follow=1")
        read_until(sock, HEAD_END)
        attached, _, _ = hijack(host, "/containers/c/attach?stdout=1&stream=1")
        with attached:
            main_of(host).speak(b"$ \n")
            read_until(sock, b"$ \n")
            main_of(host).finish()
            read_until(sock, b"0\r\n\r\n")


def test_logs_of_an_idle_container_that_is_removed_end(host: ServedHost) -> None:
    host.make_network()
    host.make_container("c", "sh", Tty=True, OpenStdin=True)
    host.start()
    assert not host.workloads.mains
    with host.open() as sock:
        send(sock, "GET", "/containers/c/logs?stdout=1&follow=1")
        read_until(sock, HEAD_END)
        assert host.ask("DELETE", "/containers/c?force=1").status == 204
        read_until(sock, b"0\r\n\r\n")


def test_a_client_that_stops_following_is_forgotten(running: ServedHost) -> None:
    program: FakeProgram = main_of(running)
    with running.open() as sock:
        send(sock, "GET", "/containers/c/logs?stdout=1&follow=1")
        program.speak(b"one\n")
        read_until(sock, b"one\n")
        assert program.listeners == 1
    # Closing the API waits for the threads of all clients.
    running.api.close()
    assert program.listeners == 0
