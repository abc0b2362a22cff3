"""A connection that has left HTTP: a program's output to the client, the client's input to the program.

Docker's framing: with a terminal raw bytes both ways; without, output comes in
frames with a header of eight bytes (stream, three zeros, length), input is raw.
The client ends its half to end the program's standard input.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Literal

from ipvlab.driver.workloads import LogEntry
from ipvlab.engine_api.feed import ClientGone
from ipvlab.engine_api.mailbox import Mailbox
from ipvlab.engine_api.messages import MULTIPLEXED_STREAM, RAW_STREAM, ApiVersion
from ipvlab.engine_api.programs import RunningProgram
from ipvlab.engine_api.versions import NAMES_MULTIPLEXED

STDOUT, STDERR = 1, 2
_FRAME = struct.Struct(">BxxxI")
_PIECE = 64 * 1024
_OUTWARD_PIECE = 256 * 1024
#: Input that is held for a program that does not take it; the client waits with the rest.
_INWARD_LIMIT = 1024 * 1024
#: Output that the client has not taken: the program waits above the one and goes on below the other.
_UNSENT_HIGH, _UNSENT_LOW = 4 * 1024 * 1024, 1024 * 1024

_Item = bytes | RunningProgram | Literal["end", "room"]


def frame(stream: int, content: bytes) -> bytes:
    """Output as the client reads it where there is no terminal."""
    return _FRAME.pack(stream, len(content)) + content


def stream_type(version: ApiVersion, *, has_tty: bool) -> str:
    """The content type of a program's output: without a terminal it has one of its own since API 1.42."""
    return RAW_STREAM if has_tty or version < NAMES_MULTIPLEXED else MULTIPLEXED_STREAM


class Wiring:
    """What one client hears of one program: which streams, framed or raw; and what it may say.

    The program may come later than the client (``attach`` comes before ``start``).
    A client that reads slowly makes the program wait, as with the engine.
    """

    def __init__(
        self, *, streams: frozenset[int], has_frames: bool, takes_input: bool, ends_input: bool = True
    ) -> None:
        """``has_frames`` False is for a program on a terminal, whose input a client never ends.

        ``ends_input`` says whether a client does so otherwise (``StdinOnce``).
        """
        self.streams = streams
        self.has_frames = has_frames
        self.takes_input = takes_input
        self.ends_input = takes_input and ends_input and has_frames
        self._mailbox: Mailbox[_Item] = Mailbox()
        self._lock = threading.Lock()
        self._program: RunningProgram | None = None
        self._stop: Callable[[], None] | None = None
        self._unsent = 0
        self._is_holding = False
        self._is_closed = False

    def plug(self, program: RunningProgram, *, replays_log: bool = False) -> None:
        """Connect the program; from any thread, once."""
        with self._lock:
            if self._is_closed or self._program is not None:
                return
            self._program = program
        self._mailbox.post(program)
        stop = program.listen(
            self._hear, self._hear_end, replays_log=replays_log, on_room=lambda: self._mailbox.nudge("room")
        )
        with self._lock:
            self._stop = stop
        if self._has_closed():
            stop()

    def _has_closed(self) -> bool:
        with self._lock:
            return self._is_closed

    def say(self, text: str) -> None:
        """Send a text of the engine's own, as if the program had written it to standard error."""
        self._hear(next(iter(self.streams), STDOUT) if not self.has_frames else STDERR, text.encode())

    def recall(self, entries: Iterable[LogEntry]) -> None:
        """Send what was written before."""
        for entry in entries:
            self._hear(entry.stream, entry.content)

    def end(self) -> None:
        """Nothing more will come."""
        self._mailbox.post("end")

    def close(self) -> None:
        """Hear no more of the program, which goes on."""
        with self._lock:
            self._is_closed = True
            stop = self._stop
            is_holding, self._is_holding = self._is_holding, False
        if stop is not None:
            stop()
        if is_holding and self._program is not None:
            self._program.release()
        self._mailbox.close()

    def fileno(self) -> int:
        """Readable while there is something to take."""
        return self._mailbox.fileno()

    def take(self) -> list[_Item]:
        """What has come since the last time."""
        return self._mailbox.take_all()

    def note_sent(self, count: int) -> None:
        """Take note of bytes that the client has taken; a program that was made to wait may go on."""
        with self._lock:
            self._unsent -= count
            if not self._is_holding or self._unsent > _UNSENT_LOW:
                return
            self._is_holding = False
            program = self._program
        if program is not None:
            program.release()

    def _hear(self, stream: int, content: bytes) -> None:
        if not content or stream not in self.streams:
            return
        piece = frame(stream, content) if self.has_frames else content
        self._mailbox.post(piece)
        with self._lock:
            self._unsent += len(piece)
            if self._is_holding or self._is_closed or self._unsent <= _UNSENT_HIGH or self._program is None:
                return
            self._is_holding = True
            program = self._program
        program.hold()

    def _hear_end(self, _exit_code: int) -> None:
        self.end()


class Conversation:
    """The client's side of a hijacked connection."""

    def __init__(self, sock: socket.socket, early: bytes, *, has_ended: bool = False) -> None:
        """``early`` is what the client has sent behind its request; ``has_ended``: nothing more follows."""
        self._sock = sock
        self._inward = bytearray(early)
        self._has_input = not has_ended
        self._outward = bytearray()
        self._program: RunningProgram | None = None
        self._is_over = False

    def follow(self, wiring: Wiring) -> None:
        """Carry bytes both ways until the program's end, or until the client is gone.

        Raises :class:`ClientGone` for the latter; the program goes on.
        """
        if not wiring.takes_input:
            self._inward.clear()
        while not (self._is_over and not self._outward):
            self._turn(wiring)

    def _turn(self, wiring: Wiring) -> None:
        poll = select.poll()
        # POLLHUP comes unasked, and only when both halves of the connection are ended.
        poll.register(
            self._sock,
            (select.POLLIN if self._may_read() else 0) | (select.POLLOUT if self._outward else 0),
        )
        if not self._is_over:
            poll.register(wiring, select.POLLIN)
        ready = dict(poll.poll())
        at_client = ready.get(self._sock.fileno(), 0)
        if at_client & select.POLLIN:
            self._read(wiring)
        elif at_client & (select.POLLHUP | select.POLLERR):
            raise ClientGone
        if wiring.fileno() in ready:
            self._take(wiring)
        if self._outward:
            self._send(wiring)

    def _may_read(self) -> bool:
        """Whether there is room for input; a client that sends faster than the program reads has to wait."""
        held = len(self._inward) + (self._program.waiting if self._program is not None else 0)
        return self._has_input and held < _INWARD_LIMIT

    def _take(self, wiring: Wiring) -> None:
        for item in wiring.take():
            if isinstance(item, bytes):
                self._outward += item
            elif item == "end":
                self._is_over = True
            elif item != "room":
                self._program = item
                self._pass_inward(wiring)

    def _read(self, wiring: Wiring) -> None:
        try:
            piece = self._sock.recv(_PIECE)
        except OSError as error:
            raise ClientGone from error
        if not piece:
            self._has_input = False
        elif wiring.takes_input:
            self._inward += piece
        self._pass_inward(wiring)

    def _pass_inward(self, wiring: Wiring) -> None:
        if self._program is None:
            return
        if self._inward:
            self._program.write(bytes(self._inward))
            self._inward.clear()
        if not self._has_input and wiring.ends_input:
            self._program.close_stdin()

    def _send(self, wiring: Wiring) -> None:
        try:
            sent = self._sock.send(self._outward[:_OUTWARD_PIECE], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise ClientGone from error
        del self._outward[:sent]
        wiring.note_sent(sent)
