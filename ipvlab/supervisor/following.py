"""The supervisor's side of a stream: output of a program to a client, input and signals to the program."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from ipvlab.supervisor.docker_lines import Going
from ipvlab.supervisor.entering import OWN_FAILURE
from ipvlab.supervisor.frames import END_OF_STDIN, EXIT, SIGNAL, SIZE, STDIN, FrameReader, frame

if TYPE_CHECKING:
    from ipvlab.engine_api.programs import RunningProgram

_PIECE = 1 << 16
#: Input that is held for a program that does not take it; the client waits with the rest.
_INPUT_MOST = 1 << 20


class Stream:
    """One client that follows one program."""

    def __init__(
        self, sock: socket.socket, early: bytes, going: Going, size: tuple[int, int] | None = None
    ) -> None:
        """``early`` is what the client has sent behind its request, ``size`` that of its terminal."""
        self._sock = sock
        self._going = going
        self._reader = FrameReader()
        self._early = early
        self._unsent = bytearray()
        self._program: RunningProgram | None = None
        #: What the client sent before the program was there.
        self._waiting: list[tuple[int, bytes]] = []
        if size is not None and going.has_tty:
            self._waiting.append((SIZE, f"{size[0]} {size[1]}".encode()))
        self._has_ended = False

    def carry(self) -> None:
        """Return when the program has ended and its client knows; raises EOFError when the client goes first.

        ValueError is for a client that sends what is no frame. The program goes on then.
        """
        try:
            for kind, content in self._reader.feed(self._early):
                self._obey(kind, content)
            while not self._has_ended or self._unsent:
                self._turn()
        finally:
            self._going.forget()
            self._going.wiring.close()

    def _turn(self) -> None:
        poll = select.poll()
        poll.register(
            self._sock,
            (select.POLLIN if self._may_read() else 0) | (select.POLLOUT if self._unsent else 0),
        )
        if not self._has_ended:
            poll.register(self._going.wiring, select.POLLIN)
        ready = dict(poll.poll())
        at_client = ready.get(self._sock.fileno(), 0)
        if at_client & select.POLLIN:
            content = self._sock.recv(_PIECE)
            if not content:
                raise EOFError("the client has ended")
            for kind, part in self._reader.feed(content):
                self._obey(kind, part)
        elif at_client & (select.POLLHUP | select.POLLERR):
            raise EOFError("the client has ended")
        if not self._has_ended and self._going.wiring.fileno() in ready:
            self._take()
        if self._unsent:
            self._send()

    def _may_read(self) -> bool:
        return self._program is None or self._program.waiting < _INPUT_MOST

    def _take(self) -> None:
        for item in self._going.wiring.take():
            if isinstance(item, bytes):
                self._unsent += item
            elif item == "end":
                self._unsent += frame(EXIT, str(self._status()).encode())
                self._has_ended = True
            elif item != "room":
                self._program = item
                waiting, self._waiting = self._waiting, []
                for kind, content in waiting:
                    self._obey(kind, content)

    def _status(self) -> int:
        if not self._going.has_status:
            return 0
        code = self._program.exit_code if self._program is not None else None
        return OWN_FAILURE if code is None else code

    def _obey(self, kind: int, content: bytes) -> None:
        if self._program is None:
            self._waiting.append((kind, content))
            return
        if kind == STDIN and self._going.takes_input:
            self._program.write(content)
        elif kind == END_OF_STDIN and self._going.takes_input:
            self._program.close_stdin()
        elif kind == SIZE:
            rows, columns = (min(int(word), 0xFFFF) for word in content.split())
            self._program.resize(rows, columns)
        elif kind == SIGNAL:
            self._going.pass_signal(int(content))

    def _send(self) -> None:
        try:
            sent = self._sock.send(self._unsent[: 4 * _PIECE], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        del self._unsent[:sent]
        self._going.wiring.note_sent(sent)
