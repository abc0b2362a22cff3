"""``/containers/X/…`` that act: start, stop, kill, restart, wait, attach, resize, rename, remove."""

from __future__ import annotations

import contextlib
import signal

from ipvlab.driver.docker_host import ContainerEvent
from ipvlab.engine_api.exec_routes import read_size
from ipvlab.engine_api.feed import Feed
from ipvlab.engine_api.mailbox import Mailbox
from ipvlab.engine_api.messages import (
    JSON,
    NO_CONTENT,
    NOT_MODIFIED,
    Answer,
    Hijacked,
    Request,
    Streamed,
)
from ipvlab.engine_api.served import Served
from ipvlab.engine_api.streams import STDERR, STDOUT, Wiring, stream_type
from ipvlab.errors import DriverRefusal

#: What a stop waits for before SIGKILL, where the client says nothing (moby ``DefaultStopTimeout``).
STOP_PATIENCE = 10.0
_CONDITIONS = ("not-running", "next-exit", "removed")


def start(served: Served, _request: Request, name: str) -> Answer:
    """``POST /containers/X/start``: 304 for one that runs already."""
    container = served.container(name)
    if container.is_running:
        return NOT_MODIFIED
    try:
        served.host.start(container.id)
    except BaseException:
        # Nothing will come for clients that are attached; they may hear so.
        served.attached.end(container)
        raise
    return NO_CONTENT


def stop(served: Served, request: Request, name: str) -> Answer:
    """``POST /containers/X/stop``: 304 for one that does not run."""
    container = served.container(name)
    if not container.is_running:
        return NOT_MODIFIED
    number = read_signal(request.text("signal"), signal.SIGTERM)
    served.host.stop(container.id, patience=_patience(request), signal=number)
    return NO_CONTENT


def restart(served: Served, request: Request, name: str) -> Answer:
    """``POST /containers/X/restart``."""
    number = read_signal(request.text("signal"), signal.SIGTERM)
    served.host.restart(served.container(name).id, patience=_patience(request), signal=number)
    return NO_CONTENT


def kill(served: Served, request: Request, name: str) -> Answer:
    """``POST /containers/X/kill``."""
    number = read_signal(request.text("signal"), signal.SIGKILL)
    served.host.kill(served.container(name).id, signal=number)
    return NO_CONTENT


def rename(served: Served, request: Request, name: str) -> Answer:
    """``POST /containers/X/rename``."""
    new = request.text("name").removeprefix("/")
    if not new:
        raise DriverRefusal("Neither old nor new names may be empty", status=400)
    served.host.rename(served.container(name).id, new)
    return NO_CONTENT


def remove(served: Served, request: Request, name: str) -> Answer:
    """``DELETE /containers/X``; ``v`` means volumes, of which there are none."""
    if request.is_set("link"):
        raise DriverRefusal("containers have no links in a lab: they need the bridge driver", status=501)
    served.host.remove(name, force=request.is_set("force"))
    return NO_CONTENT


def resize(served: Served, request: Request, name: str) -> Answer:
    """``POST /containers/X/resize``."""
    container = served.container(name)
    rows, columns = read_size(request)
    if not container.is_running:
        raise DriverRefusal(f"container {container.id} is not running", status=409)
    program = served.programs.program(container)
    if program is not None:
        program.resize(rows, columns)
    return Answer(200)


def wait(served: Served, request: Request, name: str) -> Streamed:
    """``POST /containers/X/wait``: headers at once, the exit code when the condition holds.

    The client starts the container only when it has read the headers.
    """
    condition = request.text("condition") or "not-running"
    if condition not in _CONDITIONS:
        raise DriverRefusal(f'invalid condition: "{condition}"', status=400)
    # A container that is removed will not exit any more either.
    ends = ("destroy",) if condition == "removed" else ("die", "destroy")
    box: Mailbox[int] = Mailbox()
    code: int | None = None
    with served.host.lock:
        container = served.host.engine.find_container(name)

        def hear(event: ContainerEvent) -> None:
            nonlocal code
            if event.id != container.id:
                return
            code = event.exit_code if event.exit_code is not None else code
            if event.action in ends:
                box.post(code if code is not None else container.exit_code or 0)

        stop_hearing = served.host.listen(hear)
        if condition == "not-running" and not container.is_running:
            box.post(container.exit_code or 0)

    def produce(feed: Feed) -> None:
        feed.send_json({"StatusCode": feed.next(box)[0]})

    def close() -> None:
        stop_hearing()
        box.close()

    return Streamed(JSON, produce, close)


def attach(served: Served, request: Request, name: str) -> Hijacked:
    """``POST /containers/X/attach``: before the start as well as later.

    ``logs`` sends first what the program has written so far; without ``stream`` nothing follows.
    """
    container = served.container(name)
    has_tty = container.request.has_tty
    wanted = {STDOUT: request.is_set("stdout"), STDERR: request.is_set("stderr")}
    follows, has_past = request.is_set("stream"), request.is_set("logs")

    wiring = Wiring(
        streams=frozenset(stream for stream, is_on in wanted.items() if is_on),
        has_frames=not has_tty,
        takes_input=follows and request.is_set("stdin") and container.request.is_interactive,
        # StdinOnce: one that was begun in the background keeps its input open for the next client.
        ends_input=not container.request.is_detached,
    )
    ending = contextlib.ExitStack()
    ending.callback(wiring.close)
    if follows:
        # Before the client hears of it: the container that it starts then may end at once.
        ending.callback(served.attached.add(container, wiring, has_past=has_past))
    else:
        if has_past:
            wiring.recall(served.programs.logs(container))
        wiring.end()
    content_type = stream_type(request.version, has_tty=has_tty)
    return Hijacked(content_type, lambda conversation: conversation.follow(wiring), ending.close)


def read_signal(text: str, default: int) -> int:
    """A signal by number or name, with or without ``SIG``; raises :class:`DriverRefusal` (400)."""
    if not text:
        return default
    if text.isascii() and text.isdigit() and 0 < int(text) <= signal.SIGRTMAX:
        return int(text)
    name = text.upper().removeprefix("SIG")
    known = getattr(signal, f"SIG{name}", None)
    if not isinstance(known, signal.Signals):
        raise DriverRefusal(f"invalid signal: {text}", status=400)
    return int(known)


def _patience(request: Request) -> float:
    """``t`` of a query in seconds; negative is for ever."""
    seconds = request.number("t")
    if seconds is None:
        return STOP_PATIENCE
    return float(seconds) if seconds >= 0 else float("inf")
