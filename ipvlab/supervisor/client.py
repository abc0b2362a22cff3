"""What commands ask of a lab that is up."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from ipvlab.errors import LabLost, StandingError
from ipvlab.supervisor.channel import (
    BadMessage,
    Message,
    open_peer,
    read_number,
    rebuild_error,
)
from ipvlab.supervisor.entering import Door, run_inside
from ipvlab.supervisor.names import PATIENCE, SHIMS, Contact, connect, find_holder, find_labs


def ask(
    contact: Contact, message: Message, patience: float | None = None
) -> tuple[dict[str, object], list[int]]:
    """Put a request to a supervisor and wait for the answer; descriptors are then the caller's.

    ``patience`` None waits as long as the lab has to. Raises the error that the
    supervisor tells, and :class:`LabLost` when it ends or stays silent.
    """
    channel = contact.channel
    channel.sock.settimeout(patience)
    try:
        channel.send(message)
        answer, descriptors = channel.receive()
    except TimeoutError:
        raise LabLost(
            f"the supervisor of {contact.lab} does not answer", hint=f"end it: ipvlab down {contact.lab}"
        ) from None
    except (OSError, EOFError) as end:
        raise LabLost(f"the lab {contact.lab} has ended") from end
    except BadMessage as bad:
        raise LabLost(f"the supervisor of {contact.lab} answers in another language: {bad}") from bad
    if "error" in answer:
        for fd in descriptors:
            os.close(fd)
        raise rebuild_error(answer["error"])
    return answer, descriptors


@dataclasses.dataclass(frozen=True, slots=True)
class LabReport:
    """What a lab says of itself; ``about`` is None for one whose supervisor does not answer."""

    name: str
    pid: int
    about: Mapping[str, object] | None


def list_labs() -> list[LabReport]:
    """The labs of this user that are up, by name; one that ends meanwhile is left out."""
    reports = []
    for found in find_labs():
        try:
            contact = connect(found.name)
        except StandingError as refusal:
            holder = find_holder(found.inode)
            if isinstance(refusal, LabLost) and holder is not None:
                reports.append(LabReport(found.name, holder, None))
            continue
        try:
            about, _ = ask(contact, {"op": "about"}, PATIENCE)
            reports.append(LabReport(found.name, contact.pid, about))
        except LabLost as lost:
            if isinstance(lost.__cause__, EOFError | OSError):
                continue
            reports.append(LabReport(found.name, contact.pid, None))
        finally:
            contact.channel.close()
    return reports


def end_lab(lab: str) -> int:
    """End a lab and return, once its process is gone, which one that was.

    One that does not end within a few seconds, because it hangs or is stopped, is
    killed. Raises :class:`LabNotFound` where no such lab is up.
    """
    try:
        contact = connect(lab)
    except LabLost:
        return _kill_holder(lab)
    try:
        pidfd = open_peer(contact.channel.sock)
    except ProcessLookupError:
        return contact.pid
    try:
        until = time.monotonic() + PATIENCE
        with contextlib.suppress(LabLost):
            ask(contact, {"op": "down"}, PATIENCE)
        if not _has_ended(pidfd, max(0.0, until - time.monotonic())):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _has_ended(pidfd, None)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
        contact.channel.close()
    return contact.pid


def _kill_holder(lab: str) -> int:
    """Kill a supervisor that is stopped and has more connections waiting than the kernel lets queue."""
    for found in find_labs():
        holder = find_holder(found.inode) if found.name == lab else None
        if holder is None:
            continue
        pidfd = os.pidfd_open(holder)
        try:
            # Looked up again: the pid may have gone to somebody else before the pidfd was open.
            if find_holder(found.inode) == holder:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                _has_ended(pidfd, None)
        finally:
            os.close(pidfd)
        return holder
    raise LabLost(f"the supervisor of {lab} does not answer, and its process cannot be found")


def _has_ended(pidfd: int, patience: float | None) -> bool:
    """Whether a process ends in time (a pidfd can be read from then on: pidfd_open(2))."""
    return bool(select.select([pidfd], [], [], patience)[0])


def open_door(answer: Message, descriptors: Sequence[int]) -> Door:
    """The way into a node that a supervisor's answer brought; raises :class:`LabLost` for another answer."""
    if len(descriptors) != 3:
        for fd in descriptors:
            os.close(fd)
        raise LabLost("the supervisor handed over no way into the node")
    pidfd, root, network = descriptors
    return Door(pidfd, root, network, read_number(answer, "user_namespace"))


def run_in_node(contact: Contact, node: str, argv: Sequence[str] | None) -> int:
    """Run a program, or a shell where ``argv`` is None, in a node on this terminal; its status.

    The lab has taken note of what it changed before this returns; where the lab
    ends first, the program ends with it and a word on it is all. Raises what
    :func:`ask` and :func:`run_inside` raise.
    """
    if contact.is_inside:
        raise LabLost(
            f"a program in a node cannot enter {node}", hint="type it outside of the lab, in another terminal"
        )
    message = {"op": "enter", "node": node, "argv": None if argv is None else list(argv)}
    answer, descriptors = ask(contact, message)
    if "exit_code" in answer:
        return show_result(answer)
    door = open_door(answer, descriptors)
    environment = dict(os.environ)
    if answer.get("has_shims"):
        environment["PATH"] = f"{SHIMS}:{environment.get('PATH', os.defpath)}"
    if argv is None:
        argv = dress_shell(environment, contact.lab, node)
    try:
        status = run_inside(door, argv, environment)
    finally:
        door.close()
    try:
        ask(contact, {"op": "left", "node": node})
    except LabLost as lost:
        sys.stderr.write(f"{lost}\n")
    return status


def dress_shell(environment: dict[str, str], lab: str, node: str) -> list[str]:
    """The command line of a shell whose prompt names the node; its environment is changed in place."""
    shell = shutil.which("bash") or "/bin/sh"
    is_bash = shell.endswith("bash")
    environment["PS1"] = f"[{lab}] {node}:\\w\\$ " if is_bash else f"[{lab}] {node}# "
    environment["IPVLAB_NODE"] = node
    # A command of the user's that would set the prompt again.
    environment.pop("PROMPT_COMMAND", None)
    interactive = ["-i"] if os.isatty(0) else []
    return [shell, "--norc", *interactive] if is_bash else [shell, *interactive]


@contextlib.contextmanager
def open_capture(lab: str | None, node: str, interface: str) -> Iterator[LiveCapture]:
    """A capture on an interface of a node; raises what :func:`ask` raises."""
    contact = connect(lab)
    with contextlib.closing(contact.channel):
        _, descriptors = ask(contact, {"op": "capture", "node": node, "interface": interface})
        if len(descriptors) != 1:
            raise LabLost("the supervisor handed over no socket")
        with socket.socket(fileno=descriptors[0]) as sock:
            yield LiveCapture(f"{node}:{interface}", sock, contact.channel.sock)


@dataclasses.dataclass(frozen=True, slots=True)
class LiveCapture:
    """A packet socket in a node, and the connection that ends with its lab."""

    name: str
    packets: socket.socket
    lab: socket.socket


def describe_lab(lab: str, why: str) -> list[str]:
    """What to know of a lab that has just come up."""
    contact = connect(lab)
    with contextlib.closing(contact.channel):
        about, _ = ask(contact, {"op": "about"}, PATIENCE)
    nodes = about.get("nodes")
    count = len(nodes) if isinstance(nodes, list) else 0
    lines = [f"{lab} is up: {count} nodes, process {contact.pid}", f"  {why}"]
    if about.get("datapath") == "sim":
        lines.append("  its nodes are simulated: no shell, no capture, no Engine API; exec knows ip and ping")
    return [*lines, f"  ipvlab shell --lab {lab} NODE, ipvlab ps; ipvlab down {lab} ends it"]


def exec_in_node(lab: str | None, node: str, argv: Sequence[str]) -> int:
    """Run a program in a node of a lab, or of the only one that is up; its status."""
    contact = connect(lab)
    with contextlib.closing(contact.channel):
        return run_in_node(contact, node, argv)


def open_shell(lab: str | None, node: str) -> int:
    """Open a shell in a node, with the lab's own ``ip`` and ``docker`` first on its PATH; its status."""
    contact = connect(lab)
    with contextlib.closing(contact.channel):
        return run_in_node(contact, node, None)


def show_result(answer: dict[str, object]) -> int:
    """Print what a command printed in the lab, and give its status."""
    for stream, key in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
        text = answer.get(key)
        if isinstance(text, str):
            stream.write(text)
            stream.flush()
    code = answer.get("exit_code")
    return code if isinstance(code, int) else 125
