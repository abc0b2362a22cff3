"""Containers without processes: what is interpreted, what idles, what is refused."""

from __future__ import annotations

import datetime

import pytest

from ipvlab.driver.ip_grammar import AddressShow, IpCommand, Ping
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.state import Container
from ipvlab.driver.workloads import LogEntry, ProgramRequest
from ipvlab.errors import DriverRefusal
from ipvlab.run.workloads import InterpretedWorkloads, keep_newest, read_closed

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


class Interpreter:
    """Answers every command with its name, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[IpCommand] = []
        self.ended: list[tuple[str, int]] = []

    def __call__(self, container: Container, command: IpCommand) -> CommandResult:
        self.asked.append(command)
        return CommandResult(3, stdout=f"{container.name}\nsecond\n", stderr="told\n")

    def hear(self, container: Container, code: int) -> None:
        self.ended.append((container.name, code))


def container(*command: str, is_detached: bool = True) -> Container:
    request = ContainerRequest((EndpointRequest("n"),), command=command, is_detached=is_detached)
    return Container(name="a", id="1" * 64, created=NOW, hostname="a", request=request)


@pytest.fixture
def interpreter() -> Interpreter:
    return Interpreter()


@pytest.fixture
def workloads(interpreter: Interpreter) -> InterpretedWorkloads:
    made = InterpretedWorkloads(interpreter, lambda: NOW)
    made.on_exit = interpreter.hear
    return made


@pytest.mark.parametrize("command", [(), ("/bin/sh",), ("sleep", "1000"), ("tail", "-f", "/dev/null")])
def test_an_idle_container_does_nothing_and_runs_on(
    workloads: InterpretedWorkloads, interpreter: Interpreter, command: tuple[str, ...]
) -> None:
    idle = container(*command)
    workloads.start(idle)
    assert (interpreter.asked, interpreter.ended, workloads.wait(idle), workloads.logs(idle)) == (
        [],
        [],
        None,
        [],
    )


def test_a_command_of_the_grammar_is_carried_out_at_start_and_its_end_told(
    workloads: InterpretedWorkloads, interpreter: Interpreter
) -> None:
    ran = container("ping", "-c", "2", "b")
    workloads.start(ran)
    assert interpreter.asked == [Ping("b", 2)]
    assert interpreter.ended == [("a", 3)]
    assert workloads.wait(ran) == 3
    assert [(entry.stream, entry.content) for entry in workloads.logs(ran)] == [
        (1, b"a\n"),
        (1, b"second\n"),
        (2, b"told\n"),
    ]
    workloads.forget(ran)
    assert (workloads.wait(ran), workloads.logs(ran)) == (None, [])


def test_a_detached_ping_without_a_count_runs_on_and_an_attached_one_ends(
    workloads: InterpretedWorkloads, interpreter: Interpreter
) -> None:
    workloads.start(container("ping", "b"))
    assert (interpreter.asked, interpreter.ended) == ([], [])
    workloads.start(container("ping", "b", is_detached=False))
    assert (interpreter.asked, interpreter.ended) == ([Ping("b")], [("a", 3)])


@pytest.mark.parametrize("command", [("httpd", "-f"), ("sh", "-c", "ping b"), ("ip", "tunnel"), ("exit",)])
def test_any_other_program_is_refused_and_nothing_is_told(
    workloads: InterpretedWorkloads, interpreter: Interpreter, command: tuple[str, ...]
) -> None:
    for act in (
        lambda: workloads.start(container(*command)),
        lambda: workloads.execute(container(), ProgramRequest(command)),
    ):
        with pytest.raises(DriverRefusal) as refusal:
            act()
        assert refusal.value.status == 400
        assert f'exec: "{command[0]}"' in refusal.value.what
        assert "bpf and kernel" in (refusal.value.hint or "")
    assert (interpreter.asked, interpreter.ended) == ([], [])


def test_exec_is_interpreted_and_a_bare_shell_does_nothing(
    workloads: InterpretedWorkloads, interpreter: Interpreter
) -> None:
    shown = workloads.execute(container(), ProgramRequest(("ip", "addr", "show", "eth0")))
    assert (shown.exit_code, interpreter.asked) == (3, [AddressShow("eth0")])
    assert workloads.execute(container(), ProgramRequest(("sh",))) == CommandResult(0)
    assert interpreter.ended == []


def test_only_what_acts_inside_a_container_is_read_as_a_command() -> None:
    assert read_closed(["ping", "b"]) == Ping("b")
    assert [read_closed(words.split()) for words in ("exit", "restart docker", "ls", "")] == [None] * 4


def test_the_newest_lines_are_kept_up_to_the_bound() -> None:
    entries = [LogEntry(NOW, 1, bytes([number]) * 10) for number in range(5)]
    assert keep_newest(entries, most=1000) == entries
    assert keep_newest(entries, most=29) == entries[3:]
    assert keep_newest(entries, most=9) == []
