"""``/containers/X/exec`` and ``/exec``: create, start, inspect, resize."""

from __future__ import annotations

import dataclasses

from ipvlab.engine_api.bodies import console_size, exec_request
from ipvlab.engine_api.execs import Exec
from ipvlab.engine_api.fields import read_object
from ipvlab.engine_api.messages import Answer, Hijacked, Outcome, Request, answer_json
from ipvlab.engine_api.served import Served
from ipvlab.engine_api.streams import STDERR, STDOUT, Conversation, Wiring, stream_type
from ipvlab.errors import DriverRefusal, IpvlabError


def create(served: Served, request: Request, name: str) -> Answer:
    """``POST /containers/X/exec``; 409 for a container that does not run."""
    body = read_object(request.body, request.headers.get("content-type", ""), "ExecCreateRequest")
    wanted = exec_request(body)
    container = served.container(name)
    if not container.is_running:
        raise DriverRefusal(f"container {container.id} is not running", status=409)
    streams = {STDOUT: body.flag("AttachStdout"), STDERR: body.flag("AttachStderr")}
    made = served.execs.add(container, wanted, frozenset(s for s, is_on in streams.items() if is_on))
    return answer_json({"Id": made.id}, 201)


def start(served: Served, request: Request, name: str) -> Outcome:
    """``POST /exec/X/start``: detached it answers at once, else the connection becomes the program's."""
    body = read_object(
        request.body, request.headers.get("content-type", ""), "ExecStartRequest", may_be_empty=True
    )
    made = served.execs.find(name)
    # The engine may have been restarted since, and know the container by another object.
    made.container = served.container(made.container.id)
    if not made.container.is_running:
        raise DriverRefusal(f"container {made.container.id} is not running", status=409)
    served.execs.claim(made)
    size = console_size(body)
    if size is not None:
        made.request = dataclasses.replace(made.request, size=size)
    if body.flag("Detach"):
        made.request = dataclasses.replace(made.request, has_stdin=False)
        _begin(served, made)
        return Answer(200)

    has_tty = made.request.has_tty
    wiring = Wiring(streams=made.streams, has_frames=not has_tty, takes_input=made.request.has_stdin)

    def converse(conversation: Conversation) -> None:
        try:
            _begin(served, made, wiring)
        except IpvlabError as error:
            # The client has left HTTP by now: the reason is told where output would be.
            wiring.say(f"{error.what}\r\n")
            wiring.end()
        conversation.follow(wiring)

    def close() -> None:
        wiring.close()
        served.execs.release(made)

    return Hijacked(stream_type(request.version, has_tty=has_tty), converse, close)


def inspect(served: Served, _request: Request, name: str) -> Answer:
    """``GET /exec/X/json``; its ``ExitCode`` is the exit code of ``docker exec``."""
    return answer_json(served.execs.find(name).as_json())


def resize(served: Served, request: Request, name: str) -> Answer:
    """``POST /exec/X/resize``."""
    made = served.execs.find(name)
    rows, columns = read_size(request)
    if made.program is None or not made.is_running:
        raise DriverRefusal(f"exec process {made.id} is not started", status=400)
    made.program.resize(rows, columns)
    return Answer(200)


def read_size(request: Request) -> tuple[int, int]:
    """``h`` and ``w`` of a query; raises :class:`DriverRefusal` (400) for what is no size."""
    size = []
    for name in ("h", "w"):
        value = request.number(name)
        if value is None or not 0 <= value < 65536:
            raise DriverRefusal(f"invalid resize {name}: {request.text(name)!r}", status=400)
        size.append(value)
    return size[0], size[1]


def _begin(served: Served, made: Exec, wiring: Wiring | None = None) -> None:
    """Start the program; what keeps it from starting passes through, its exit code noted."""
    at_start = wiring.plug if wiring is not None else lambda _program: None
    try:
        made.program = served.programs.begin(made.container, made.request, at_start)
    except IpvlabError as error:
        made.failure_code = exit_code_of(error.what)
        raise


def exit_code_of(text: str) -> int:
    """The exit code of a program that could not be started (moby ``daemon/exec.go``)."""
    if "executable file not found" in text or "no such file or directory" in text:
        return 127
    if "permission denied" in text or "is a directory" in text:
        return 126
    return 128
