"""``ipvlab docker``: a command for a host's Docker, and a program's output for as long as it goes on."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import termios
import tty
from collections.abc import Iterator, Sequence

from ipvlab.errors import LabLost
from ipvlab.supervisor.channel import Message, read_text, read_words
from ipvlab.supervisor.client import ask, open_door, show_result
from ipvlab.supervisor.entering import run_inside
from ipvlab.supervisor.frames import (
    END_OF_STDIN,
    EXIT,
    SIGNAL,
    SIZE,
    STDERR,
    STDIN,
    STDOUT,
    FrameReader,
    frame,
)
from ipvlab.supervisor.names import Contact, connect

_PIECE = 1 << 16
#: Signals that are the program's: the client passes them on and stays.
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


def run_docker(lab: str | None, host: str, arguments: Sequence[str]) -> int:
    """Give a host a Docker command and return its status; what its program prints is printed as it comes.

    Raises what :func:`ask` raises.
    """
    contact = connect(lab)
    with contextlib.closing(contact.channel):
        message = {
            "op": "docker",
            "host": host,
            "argv": list(arguments),
            "has_terminal": os.isatty(0),
            "can_enter": not contact.is_inside,
            "size": _size(),
        }
        answer, descriptors = ask(contact, message)
        if "program" in answer:
            return _run_here(contact, answer, descriptors)
        if "stream" in answer:
            is_raw = bool(answer.get("has_tty")) and os.isatty(0)
            stream = _Stream(
                contact,
                takes_input=bool(answer.get("takes_input")),
                is_raw=is_raw,
                is_log=bool(answer.get("is_log")),
            )
            return stream.follow()
        return show_result(answer)


def _size() -> list[int] | None:
    """Rows and columns of the terminal."""
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return None
    return [size.lines, size.columns]


def _run_here(contact: Contact, answer: Message, descriptors: Sequence[int]) -> int:
    """An ``exec -it``: the program is started on this very terminal."""
    door = open_door(answer, descriptors)
    told = answer.get("environment")
    environment = {str(key): str(value) for key, value in told.items()} if isinstance(told, dict) else {}
    try:
        status = run_inside(door, read_words(answer, "program"), environment, read_text(answer, "workdir"))
    finally:
        door.close()
    with contextlib.suppress(LabLost):
        ask(contact, {"op": "left", "node": read_text(answer, "node")})
    return status


class _Stream:
    """Follows one program to its end."""

    def __init__(self, contact: Contact, *, takes_input: bool, is_raw: bool, is_log: bool) -> None:
        """``is_log`` is for one whose program does not hear of signals to the client."""
        self._contact = contact
        self._sock = contact.channel.sock
        self._takes_input = takes_input
        self._is_raw = is_raw
        self._is_log = is_log
        self._reader = FrameReader()

    def follow(self) -> int:
        """The program's status; raises :class:`LabLost` when the lab ends first."""
        self._sock.settimeout(None)
        with _signals() as heard, _raw_terminal() if self._is_raw else contextlib.nullcontext():
            early = self._contact.channel.take_unread()
            status = self._show(early)
            while status is None:
                status = self._turn(heard)
        return status

    def _turn(self, heard: socket.socket) -> int | None:
        wanted: list[socket.socket | int] = [self._sock, heard]
        if self._takes_input:
            wanted.append(0)
        ready, _, _ = select.select(wanted, [], [])
        try:
            if heard in ready:
                for number in heard.recv(_PIECE):
                    if self._is_log and number in _PASSED_ON:
                        return 128 + number
                    self._pass_on(number)
            if 0 in ready:
                self._send_input()
        except BrokenPipeError:
            # The program has ended; what it wrote last and its status are still to be read.
            self._takes_input = False
        if self._sock not in ready:
            return None
        content = self._sock.recv(_PIECE)
        if not content:
            raise LabLost(f"the lab {self._contact.lab} has ended")
        return self._show(content)

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGWINCH:
            size = _size()
            if self._is_raw and size is not None:
                self._sock.sendall(frame(SIZE, f"{size[0]} {size[1]}".encode()))
        else:
            self._sock.sendall(frame(SIGNAL, str(number).encode()))

    def _send_input(self) -> None:
        try:
            content = os.read(0, _PIECE)
        except OSError:
            content = b""
        if content:
            self._sock.sendall(frame(STDIN, content))
        else:
            self._takes_input = False
            self._sock.sendall(frame(END_OF_STDIN))

    def _show(self, content: bytes) -> int | None:
        for kind, part in self._reader.feed(content):
            if kind == EXIT:
                return int(part)
            if kind in (STDOUT, STDERR):
                _write_all(kind, part)
        return None


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket on which the numbers of signals arrive that would end the client."""
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    numbers = (*_PASSED_ON, signal.SIGWINCH)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    old = signal.set_wakeup_fd(mouth.fileno())
    try:
        yield ear
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        ear.close()
        mouth.close()


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """A terminal that hands over every key as it is."""
    sys.stdout.flush()
    before = termios.tcgetattr(0)
    # What was typed ahead is the program's.
    tty.setraw(0, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
