"""A host in memory behind its API: programs do what the test says, and clients speak bytes."""

from __future__ import annotations

import dataclasses
import datetime
import http.client
import json
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.engine import Engine
from ipvlab.driver.port import CommandResult
from ipvlab.driver.state import Container
from ipvlab.driver.workloads import LogEntry, ProgramRequest, is_idle, main_program
from ipvlab.engine_api.served import About
from ipvlab.engine_api.server import EngineApi
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import RecordingPort

NETWORK = {
    "Name": "n",
    "Driver": "ipvlan",
    "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]},
    "Options": {"parent": "eth0"},
}


class FakeProgram:
    """A program that says and does nothing but what the test lets it."""

    def __init__(self, request: ProgramRequest, at_end: Callable[[int], None] = lambda code: None) -> None:
        self.request = request
        self.pid = 4711
        self.exit_code: int | None = None
        self.log: list[LogEntry] = []
        self.input = bytearray()
        self.is_stdin_closed = threading.Event()
        self.size: tuple[int, int] | None = request.size
        self.waiting = 0
        self.holds = 0
        self.is_held = threading.Event()
        self.is_released = threading.Event()
        self.heard_input = threading.Condition()
        self._at_end = at_end
        self.is_left = threading.Event()
        self._listeners: list[tuple[Callable[[int, bytes], None], Callable[[int], None]]] = []

    def listen(
        self,
        on_output: Callable[[int, bytes], None],
        on_exit: Callable[[int], None],
        *,
        replays_log: bool = False,
        on_room: Callable[[], None] | None = None,
    ) -> Callable[[], None]:
        if replays_log:
            for entry in self.log:
                on_output(entry.stream, entry.content)
        if self.exit_code is not None:
            on_exit(self.exit_code)
        listener = (on_output, on_exit)
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
                self.is_left.set()

        return stop

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def hold(self) -> None:
        self.holds += 1
        self.is_held.set()

    def release(self) -> None:
        self.holds -= 1
        self.is_released.set()

    def write(self, content: bytes) -> None:
        with self.heard_input:
            self.input += content
            self.heard_input.notify_all()

    def close_stdin(self) -> None:
        self.is_stdin_closed.set()

    def resize(self, rows: int, columns: int) -> None:
        self.size = rows, columns

    def await_input(self, content: bytes) -> None:
        """Return when everything that was sent has arrived."""
        with self.heard_input:
            self.heard_input.wait_for(lambda: len(self.input) >= len(content))
        assert bytes(self.input) == content

    def speak(self, content: bytes, stream: Literal[1, 2] = 1) -> None:
        """Write, as the program."""
        for line in content.splitlines(keepends=True):
            self.log.append(LogEntry(datetime.datetime.now(datetime.UTC), stream, line))
        for on_output, _ in list(self._listeners):
            on_output(stream, content)

    def finish(self, code: int = 0, *, is_on_purpose: bool = False) -> None:
        """End, as the program."""
        if self.exit_code is not None:
            return
        self.exit_code = code
        if not is_on_purpose:
            self._at_end(code)
        for _, on_exit in list(self._listeners):
            on_exit(code)


#: What a main program does as soon as it runs, by its name.
Play = Callable[[FakeProgram], None]


class FakeWorkloads:
    """Programs of a host, both as the driver and as the API see them."""

    def __init__(self) -> None:
        self.on_exit: Callable[[Container, int], None] = lambda container, code: None
        self.plays: dict[str, Play] = {}
        self.mains: dict[str, FakeProgram] = {}
        self.execs: list[FakeProgram] = []
        self.has_exec = threading.Event()
        self.signals: list[int] = []
        self._hearers: list[Callable[[Container, FakeProgram], None]] = []

    def start(self, container: Container) -> None:
        self.mains.pop(container.id, None)
        if not is_idle(container.request):
            self._launch(container)

    def _launch(self, container: Container) -> FakeProgram:
        request = main_program(container)
        self._refuse_missing(request)
        program = FakeProgram(request, lambda code: self.on_exit(container, code))
        self.mains[container.id] = program
        for hear in list(self._hearers):
            hear(container, program)
        self._play(program)
        return program

    def _play(self, program: FakeProgram) -> None:
        play = self.plays.get(program.request.argv[0])
        if play is not None:
            play(program)

    @staticmethod
    def _refuse_missing(request: ProgramRequest) -> None:
        if request.argv[0] == "nosuch":
            raise DriverRefusal('exec: "nosuch": executable file not found in $PATH: unknown', status=400)

    def program(self, container: Container) -> FakeProgram | None:
        return self.mains.get(container.id)

    def attach(self, container: Container) -> FakeProgram:
        return self.mains.get(container.id) or self._launch(container)

    def begin(
        self, container: Container, request: ProgramRequest, at_start: Callable[[FakeProgram], None]
    ) -> FakeProgram:
        self._refuse_missing(request)
        program = FakeProgram(request)
        self.execs.append(program)
        at_start(program)
        self.has_exec.set()
        self._play(program)
        return program

    def listen_starts(self, hear: Callable[[Container, FakeProgram], None]) -> Callable[[], None]:
        self._hearers.append(hear)
        return lambda: self._hearers.remove(hear)

    def end(self, container: Container, signal: int, patience: float) -> None:
        program = self.mains.get(container.id)
        if program is not None:
            program.finish(128 + signal, is_on_purpose=True)

    def kill(self, container: Container, signal: int) -> None:
        self.signals.append(signal)

    def wait(self, container: Container) -> int | None:
        program = self.mains.get(container.id)
        return None if program is None else program.exit_code

    def execute(
        self, container: Container, program: ProgramRequest, stdin: bytes | None = None
    ) -> CommandResult:
        return CommandResult(0)

    def logs(self, container: Container) -> list[LogEntry]:
        program = self.mains.get(container.id)
        return [] if program is None else list(program.log)

    def forget(self, container: Container) -> None:
        self.mains.pop(container.id, None)


@dataclasses.dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        value = self.json
        assert isinstance(value, dict)
        assert list(value) == ["message"]
        return str(value["message"])


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("api.moby.localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class ServedHost:
    """A host ``h1`` with ``lo`` and ``eth0``, served on a socket."""

    def __init__(self, folder: Path, dialect: Dialect = Dialect.DOCS) -> None:
        self.workloads = FakeWorkloads()
        self.port = RecordingPort()
        self.host = DockerHost(Engine("h1", self.port, dialect), self.workloads)
        self.path = str(folder / "h1.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(64)
        self.api = EngineApi(self.host, self.workloads, listener, About("lab", "memory"))
        self.api.start()

    def open(self) -> socket.socket:
        """A connection of bytes."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            raise
        return sock

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        connection = UnixConnection(self.path)
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if body is None or isinstance(body, bytes) else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, sent, {**kind, **(headers or {})})
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> object:
        """The JSON of a GET that succeeds."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.json

    def make_network(self, **changes: object) -> str:
        """Create the network ``n``; its id."""
        return self._made("/networks/create", {**NETWORK, **changes})

    def make_container(self, name: str = "c", *command: str, **changes: object) -> str:
        """Create a container on ``n``; its id."""
        body = {"Image": "alpine", "Cmd": list(command), "HostConfig": {"NetworkMode": "n"}, **changes}
        return self._made(f"/containers/create?name={name}", body)

    def start(self, name: str = "c") -> None:
        """Start a container."""
        assert self.ask("POST", f"/containers/{name}/start").status == 204

    def _made(self, path: str, body: object) -> str:
        reply = self.ask("POST", path, body)
        assert reply.status == 201, reply
        value = reply.json
        assert isinstance(value, dict)
        return str(value["Id"])


def read_until(sock: socket.socket, end: bytes) -> bytes:
    """Everything up to ``end``; fails where the connection ends before."""
    read = b""
    while end not in read:
        piece = sock.recv(65536)
        assert piece, f"the connection ended after {read!r}"
        read += piece
    return read


def read_all(sock: socket.socket) -> bytes:
    """Everything up to the server's end of the connection."""
    read = b""
    while piece := sock.recv(65536):
        read += piece
    return read
