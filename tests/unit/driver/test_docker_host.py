"""One host's Docker with programs that end when a test says so: states, exit codes, events, waiting."""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from ipvlab.driver.docker_host import ContainerEvent, DockerHost
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.state import Container, ContainerState
from ipvlab.driver.workloads import LogEntry, ProgramRequest, is_idle
from ipvlab.errors import DriverRefusal
from tests.unit.driver.dialects import CREATE
from tests.unit.driver.recording_port import Host

MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass
class Program:
    """A program that runs until somebody ends it."""

    ended: threading.Event = dataclasses.field(default_factory=threading.Event)
    code: int = 0
    signals: list[int] = dataclasses.field(default_factory=list)


class Programs:
    """Implements Workloads; ``ignores`` names the containers whose program heeds SIGKILL only."""

    def __init__(self) -> None:
        self.on_exit: Callable[[Container, int], None] = lambda _container, _code: None
        self.running: dict[str, Program] = {}
        self.ignores: set[str] = set()
        self.missing: set[str] = set()
        self.forgotten: list[str] = []
        self.ending = threading.Event()

    def start(self, container: Container) -> None:
        if is_idle(container.request):
            return
        name = container.request.command[0]
        if name in self.missing:
            raise DriverRefusal(f'exec: "{name}": executable file not found in $PATH', status=400)
        self.running[container.id] = Program()

    def end(self, container: Container, signal: int, patience: float) -> None:
        self.ending.set()
        assert patience >= 0
        program = self.running.get(container.id)
        if program is not None:
            program.signals.append(signal)
            program.code = 137 if container.name in self.ignores or signal == 9 else 128 + signal
            program.ended.set()

    def kill(self, container: Container, signal: int) -> None:
        self.running[container.id].signals.append(signal)

    def wait(self, container: Container) -> int | None:
        program = self.running.get(container.id)
        if program is None:
            return None
        program.ended.wait()
        return program.code

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        return CommandResult(0, " ".join((container.name, *program.argv)))

    def logs(self, container: Container) -> list[LogEntry]:
        assert container.id not in self.forgotten
        return [LogEntry(MOMENT, 1, b"out "), LogEntry(MOMENT, 2, b"err"), LogEntry(MOMENT, 1, b"put")]

    def forget(self, container: Container) -> None:
        self.forgotten.append(container.id)
        self.running.pop(container.id, None)

    def finish(self, container: Container, code: int) -> None:
        """The program ends by itself."""
        program = self.running[container.id]
        program.code = code
        program.ended.set()
        self.on_exit(container, code)


@dataclasses.dataclass
class Place:
    """A host with one network, its programs, and what it told."""

    host: Host
    docker: DockerHost
    programs: Programs
    events: list[ContainerEvent]

    def run(self, name: str = "c", command: str = "server", *, is_auto_remove: bool = False) -> Container:
        """A running container."""
        return self.docker.run(request(name, command, is_auto_remove=is_auto_remove))

    def actions(self) -> list[str]:
        """What was told since the last time."""
        told = [event.action for event in self.events if event.kind == "container"]
        self.events.clear()
        return told


def request(name: str = "c", command: str = "server", *, is_auto_remove: bool = False) -> ContainerRequest:
    return ContainerRequest(
        (EndpointRequest("n"),), name=name, command=(command,), is_auto_remove=is_auto_remove
    )


@pytest.fixture
def place(host: Host) -> Place:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    programs = Programs()
    docker = DockerHost(host.engine, programs)
    events: list[ContainerEvent] = []
    docker.listen(events.append)
    return Place(host, docker, programs, events)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_program_that_ends_takes_its_container_with_it(place: Place) -> None:
    container = place.run()
    assert place.actions() == ["create", "start"]
    place.programs.finish(container, 3)
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 3)
    assert place.host.port.containers == {}
    [death] = place.events
    assert (death.action, death.exit_code, death.attributes["exitCode"], death.attributes["name"]) == (
        "die", 3, "3", "c",
    )  # fmt: skip


def test_a_program_that_ends_takes_a_container_with_rm_away(place: Place) -> None:
    container = place.run(is_auto_remove=True)
    place.actions()
    place.programs.finish(container, 0)
    assert place.actions() == ["die", "destroy"]
    assert (dict(place.docker.engine.containers), place.programs.forgotten) == ({}, [container.id])


@pytest.mark.parametrize(
    ("act", "code", "signals", "told"),
    [
        (lambda docker: docker.stop("c"), 143, [15], ["kill", "die", "stop"]),
        (lambda docker: docker.stop("c", signal=2), 130, [2], ["kill", "die", "stop"]),
        (lambda docker: docker.kill("c"), 137, [9], ["kill", "die"]),
        (lambda docker: docker.remove("c", force=True), 137, [9], ["die", "destroy"]),
    ],
)
def test_a_program_is_ended_as_asked(
    place: Place, act: Callable[[DockerHost], object], code: int, signals: list[int], told: list[str]
) -> None:
    container = place.run()
    program = place.programs.running[container.id]
    place.actions()
    act(place.docker)
    assert (container.exit_code, program.signals, place.actions()) == (code, signals, told)


def test_another_signal_is_the_programs_own_affair(place: Place) -> None:
    container = place.run()
    place.docker.kill("c", 10)
    assert (place.programs.running[container.id].signals, container.is_running) == ([10], True)


def test_a_restart_keeps_a_container_with_rm(place: Place) -> None:
    container = place.run(is_auto_remove=True)
    place.actions()
    place.docker.restart("c")
    assert place.actions() == ["die", "start", "restart"]
    assert (container.is_running, container.exit_code) == (True, 0)


def test_a_late_end_of_a_stopped_program_is_no_end_of_its_container(place: Place) -> None:
    container = place.run()
    place.docker.stop("c")
    place.actions()
    place.programs.on_exit(container, 0)
    assert (container.exit_code, place.actions()) == (143, [])


@pytest.mark.parametrize("is_auto_remove", [False, True])
@pytest.mark.parametrize("command", ["nosuch", "./nosuch"])
def test_a_program_that_is_not_there_leaves_its_container_created(
    place: Place, command: str, is_auto_remove: bool
) -> None:
    place.programs.missing = {"nosuch", "./nosuch"}
    with pytest.raises(DriverRefusal, match="executable file not found"):
        place.run(command=command, is_auto_remove=is_auto_remove)
    assert place.host.port.containers == {}
    left = list(place.docker.engine.containers.values())
    if is_auto_remove:
        assert (left, place.actions()) == ([], ["create", "destroy"])
    else:
        assert [(c.state, c.exit_code) for c in left] == [(ContainerState.CREATED, 127)]
        assert "executable file not found" in left[0].error


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ('exec: "./x": stat ./x: no such file or directory', 127),
        ('exec: "/etc": is a directory', 126),
        ('exec: "/etc/passwd": permission denied', 126),
        ("unable to find user nosuch: no matching entries in passwd file", 128),
    ],
)
def test_the_exit_code_of_a_failed_start_is_told_by_its_text(place: Place, text: str, code: int) -> None:
    def refuse(_container: Container) -> None:
        raise DriverRefusal(text, status=400)

    place.programs.start = refuse  # type: ignore[method-assign,assignment]  # one program that cannot be started
    container = place.docker.create(request())
    with pytest.raises(DriverRefusal):
        place.docker.start("c")
    assert container.exit_code == code


def test_waiting_ends_with_the_container(place: Place, threads: ThreadPoolExecutor) -> None:
    container = place.run()
    waits = [threads.submit(place.docker.wait, "c") for _ in range(4)]
    place.programs.finish(container, 5)
    assert [wait.result() for wait in waits] == [5] * 4
    assert place.docker.wait("c") == 5


def test_waiting_for_an_idle_container_ends_with_its_removal(
    place: Place, threads: ThreadPoolExecutor
) -> None:
    place.run(command="/bin/sh", is_auto_remove=True)
    wait = threads.submit(place.docker.wait, "c")
    place.docker.remove("c", force=True)
    assert wait.result() == 137


def test_nothing_is_locked_while_a_program_takes_its_time(place: Place, threads: ThreadPoolExecutor) -> None:
    container = place.run()
    place.run("other")
    program = place.programs.running[container.id]
    slow: Future[Container]

    def end(_container: Container, _signal: int, _patience: float) -> None:
        place.programs.ending.set()
        program.ended.wait()

    place.programs.end = end  # type: ignore[method-assign,assignment]  # one that waits for the test
    slow = threads.submit(place.docker.stop, "c")
    place.programs.ending.wait()
    assert (
        threads.submit(place.docker.execute, "other", ProgramRequest(("ls",))).result().stdout == "other ls"
    )
    place.docker.rename("other", "another")
    program.ended.set()
    assert slow.result().exit_code == 0


def test_what_ran_attached_is_heard_even_if_it_was_removed(place: Place, threads: ThreadPoolExecutor) -> None:
    started = threading.Event()
    place.docker.listen(lambda event: started.set() if event.action == "start" else None)
    run = threads.submit(place.docker.run_attached, request(is_auto_remove=True))
    started.wait()
    with place.docker.lock:
        container = place.docker.engine.find_container("c")
    place.programs.finish(container, 2)
    assert run.result() == (container, CommandResult(2, "out put", "err"))
    assert dict(place.docker.engine.containers) == {}


def test_a_program_runs_only_in_a_container_that_does(place: Place) -> None:
    container = place.docker.create(request())
    with pytest.raises(DriverRefusal) as caught:
        place.docker.execute("c", ProgramRequest(("ls",)))
    assert (caught.value.what, caught.value.status) == (f"container {container.id} is not running", 409)


def test_networks_tell_of_themselves_and_of_who_joins(place: Place) -> None:
    container = place.run()
    place.events.clear()
    place.host.ok(f"{CREATE} --subnet=10.0.1.0/24 m")  # typed elsewhere
    place.docker.connect("m", "c", EndpointRequest("m"))
    place.docker.disconnect("m", "c")
    place.docker.remove_network("m")
    told = [(event.kind, event.action, event.attributes.get("container")) for event in place.events]
    assert told == [
        ("network", "connect", container.id),
        ("network", "disconnect", container.id),
        ("network", "destroy", None),
    ]
    assert all(event.attributes["name"] == "m" for event in place.events)


def test_who_stops_listening_hears_no_more(place: Place) -> None:
    heard: list[ContainerEvent] = []
    stop = place.docker.listen(heard.append)
    place.run()
    stop()
    stop()
    place.docker.stop("c")
    assert [event.action for event in heard] == ["create", "start"]


def test_a_restart_of_docker_ends_all_programs_side_by_side(place: Place) -> None:
    names = [f"c{number}" for number in range(20)]
    for name in names:
        place.run(name)
    place.programs.ignores = set(names[:10])
    barrier = threading.Barrier(20)
    end = place.programs.end

    def together(container: Container, signal: int, patience: float) -> None:
        # Were they ended one by one, the first would wait here for ever.
        barrier.wait(timeout=60)
        end(container, signal, patience)

    place.programs.end = together  # type: ignore[method-assign]  # nobody ends alone
    place.docker.restart_engine()
    codes = {name: container.exit_code for name, container in place.docker.engine.containers.items()}
    assert codes == {name: 137 if name in place.programs.ignores else 143 for name in names}
    assert place.host.port.containers == {}


def test_a_program_that_ran_on_over_a_restart_still_ends_its_container(
    place: Place, threads: ThreadPoolExecutor
) -> None:
    old = place.run()
    wait = threads.submit(place.docker.wait, "c")
    place.docker.restart_engine(keeps_running=True)
    now = place.docker.engine.containers["c"]
    assert (now is old, now.is_running) == (False, True)
    place.programs.finish(old, 4)
    assert (now.state, now.exit_code) == (ContainerState.EXITED, 4)
    assert wait.result() == 4
