"""Commands that run something in a container, or show what was run there."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ipvlab.driver.docker_commands import (
    ContainerAttach,
    ContainerExec,
    ContainerLogs,
    ContainerRun,
    ContainerStart,
)
from ipvlab.driver.ip_grammar import Ping
from ipvlab.driver.json_text import moment
from ipvlab.driver.port import CommandResult
from ipvlab.driver.replies import daemon_line, program_exit_code, refuse_run
from ipvlab.driver.requests import ContainerRequest
from ipvlab.driver.workloads import LogEntry, ProgramRequest, is_idle
from ipvlab.errors import DriverRefusal, KernelRefusal

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost
    from ipvlab.driver.state import Container

_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@runtime_checkable
class StartsPrograms(Protocol):
    """Workloads that can leave a program running in a container (``exec -d``)."""

    def begin(self, container: Container, program: ProgramRequest) -> object:
        """Start a program and return at once; raises :class:`DriverRefusal` where it cannot be started."""


def run(host: DockerHost, command: ContainerRun) -> CommandResult:
    """``docker run``: to the end of the program, unless it is detached.

    A shell that somebody could type to (``-i`` or ``-t``) stays up, and the id
    is printed as with ``-d``: whoever types next is in it.
    """
    request = command.request
    try:
        if not request.is_detached and not is_idle(request):
            _, result = host.run_attached(request)
            return result
        container = host.create(request)
    except (DriverRefusal, KernelRefusal) as refusal:
        return refuse_run(refusal)
    # The client prints the id as soon as it has it, and what then fails afterwards.
    id_line = f"{container.id}\n"
    try:
        host.start(container.id)
    except (DriverRefusal, KernelRefusal) as refusal:
        return refuse_run(refusal, stdout=id_line if request.is_detached else "")
    return CommandResult(0, id_line)


def start(host: DockerHost, command: ContainerStart) -> CommandResult:
    """``docker start``: each by itself, or one with its output up to its end (``-a``)."""
    output = errors = ""
    failed: list[str] = []
    if command.is_attached or command.is_interactive:
        return _start_attached(host, command.names[0])
    for name in command.names:
        try:
            host.start(name)
        except (DriverRefusal, KernelRefusal) as refusal:
            errors += daemon_line(refusal)
            failed.append(name)
        else:
            output += f"{name}\n"
    if failed:
        errors += f"Error: failed to start containers: {', '.join(failed)}\n"
    return CommandResult(1 if failed else 0, output, errors)


def _start_attached(host: DockerHost, name: str) -> CommandResult:
    with host.lock:
        container = host.engine.find_container(name)
        written = len(host.workloads.logs(container))
    host.start(container.id)
    if is_idle(container.request):
        return CommandResult(0)
    code = host.wait(container.id)
    with host.lock:
        entries = host.workloads.logs(container)[written:]
    return CommandResult(code, _text(entries, 1), _text(entries, 2))


def attach(host: DockerHost, command: ContainerAttach) -> CommandResult:
    """``docker attach``: what the program writes from now on, up to its end; nothing of an idle one."""
    with host.lock:
        container = host.engine.find_container(command.container)
        if not container.is_running:
            return CommandResult(1, stderr="cannot attach to a stopped container, start it first\n")
        written = len(host.workloads.logs(container))
    if is_idle(container.request):
        return CommandResult(0)
    code = host.wait(container.id)
    with host.lock:
        entries = host.workloads.logs(container)[written:]
    return CommandResult(code, _text(entries, 1), _text(entries, 2))


def execute_inside(host: DockerHost, command: ContainerExec) -> CommandResult:
    """``docker exec``: to the program's end, or (``-d``) started and left alone."""
    program = ProgramRequest(
        argv=command.argv,
        env=command.env,
        has_tty=command.has_tty,
        has_stdin=command.is_interactive,
        workdir=command.workdir or "/",
        user=command.user,
    )
    with host.lock:
        container = host.engine.find_container(command.container)
        if not container.is_running:
            raise DriverRefusal(f"container {container.id} is not running", status=409)
    if command.inner is None and is_idle(ContainerRequest((), command=command.argv)):
        # A shell, or a program that waits: nobody is there to type.
        return CommandResult(0)
    is_endless = isinstance(command.inner, Ping) and command.inner.count is None
    try:
        if command.is_detached and isinstance(host.workloads, StartsPrograms):
            host.workloads.begin(container, program)
            return CommandResult(0)
        if command.is_detached and is_endless:
            return CommandResult(0)
        result = host.execute(container.id, program)
    except DriverRefusal as refusal:
        code = program_exit_code(refusal.what, 0)
        if not code:
            raise
        return CommandResult(code, stderr=f"{refusal.what}\n")
    return CommandResult(0) if command.is_detached else result


def show_logs(host: DockerHost, command: ContainerLogs) -> CommandResult:
    """``docker logs``; ``-f`` shows what comes up to the program's end."""
    with host.lock:
        container = host.engine.find_container(command.container)
    if command.is_followed and container.is_running and not is_idle(container.request):
        host.wait(container.id)
    with host.lock:
        entries = host.workloads.logs(container)
        now = host.engine.clock()
    lines = select_lines(entries, command, now)
    texts = {1: "", 2: ""}
    for when, stream, text in lines:
        texts[stream] += f"{moment(when)} {text}" if command.has_times else text
    return CommandResult(0, texts[1], texts[2])


def select_lines(
    entries: Sequence[LogEntry], command: ContainerLogs, now: datetime.datetime
) -> list[tuple[datetime.datetime, int, str]]:
    """The lines of a log that ``--since``, ``--until`` and ``--tail`` leave, in order: time, stream, text.

    Raises :class:`DriverRefusal` (400) for a time that is none.
    """
    lines: list[tuple[datetime.datetime, int, str]] = []
    pending: dict[int, tuple[datetime.datetime, bytes]] = {}
    for entry in entries:
        when, before = pending.pop(entry.stream, (entry.time, b""))
        *whole, rest = (before + entry.content).split(b"\n")
        for number, line in enumerate(whole):
            time = when if number == 0 else entry.time
            lines.append((time, entry.stream, line.decode(errors="replace") + "\n"))
        if rest:
            pending[entry.stream] = (when if not whole else entry.time, rest)
    lines += [(when, stream, rest.decode(errors="replace")) for stream, (when, rest) in pending.items()]
    since = _read_time(command.since, now)
    until = _read_time(command.until, now)
    lines = [
        line for line in lines if (since is None or line[0] >= since) and (until is None or line[0] <= until)
    ]
    if command.tail is None:
        return lines
    return lines[-command.tail :] if command.tail else []


def _read_time(text: str, now: datetime.datetime) -> datetime.datetime | None:
    """A time of the clock, seconds since 1970, or how long ago (``42m``) (timetypes: GetTimestamp)."""
    if not text:
        return None
    parts = re.findall(r"([0-9.]+)(h|ms|m|s|us|µs|ns)", text)
    if parts and "".join(f"{amount}{unit}" for amount, unit in parts) == text:
        return now - datetime.timedelta(seconds=sum(float(a) * _UNIT_SECONDS[u] for a, u in parts))
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return datetime.datetime.fromtimestamp(float(text), datetime.UTC)
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise DriverRefusal(
            f'invalid value for "since": failed to parse value as time or duration: "{text}"', status=400
        ) from None
    return when if when.tzinfo is not None else when.replace(tzinfo=datetime.UTC)


def _text(entries: Sequence[LogEntry], stream: int) -> str:
    return b"".join(entry.content for entry in entries if entry.stream == stream).decode(errors="replace")
