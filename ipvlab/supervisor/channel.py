"""Messages between a lab's supervisor and its clients: one JSON object a line, descriptors beside it.

Clients are short-lived programs, so this module and what it imports stay light.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct
from collections.abc import Mapping, Sequence

from ipvlab.errors import IpvlabError, LabLost

#: The longest line that a supervisor takes, and that a client takes of its supervisor: an answer
#: may be a whole log.
LONGEST_LINE, LONGEST_ANSWER = 1 << 20, 1 << 28
#: The most descriptors that go with one message.
MOST_DESCRIPTORS = 8

Message = Mapping[str, object]

_CREDENTIALS = struct.Struct("=iII")
_SO_PEERPIDFD = 77


class BadMessage(Exception):
    """A line that is no message: too long, not JSON, not an object, or without a key that it needs."""


class Channel:
    """One connection, to be used by one thread at a time."""

    def __init__(self, sock: socket.socket, longest: int = LONGEST_LINE) -> None:
        self.sock = sock
        self._longest = longest
        self._unread = bytearray()

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send one message; raises OSError when the other side is gone."""
        line = json.dumps(message).encode() + b"\n"
        if not descriptors:
            self.sock.sendall(line)
            return
        rights = array.array("i", descriptors)
        sent = self.sock.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        self.sock.sendall(line[sent:])

    def receive(self) -> tuple[dict[str, object], list[int]]:
        """Wait for one message and what descriptors came with it, which are then the caller's.

        Raises EOFError when the other side has ended, and :class:`BadMessage`;
        neither leaves a descriptor open.
        """
        descriptors: list[int] = []
        try:
            return self._receive(descriptors), descriptors
        except BaseException:
            for fd in descriptors:
                os.close(fd)
            raise

    def _receive(self, descriptors: list[int]) -> dict[str, object]:
        room = socket.CMSG_SPACE(MOST_DESCRIPTORS * array.array("i").itemsize)
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            if searched > self._longest:
                raise BadMessage(f"a line is longer than {self._longest} bytes")
            content, ancillary, _, _ = self.sock.recvmsg(1 << 16, room, socket.MSG_CMSG_CLOEXEC)
            for level, kind, rights in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    received = array.array("i")
                    received.frombytes(rights[: len(rights) - len(rights) % received.itemsize])
                    descriptors += received
            if not content:
                raise EOFError("the other side has ended")
            self._unread += content
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadMessage(f"a line is not JSON: {error}") from error
        if not isinstance(message, dict):
            raise BadMessage("a line is no JSON object")
        return message

    def take_unread(self) -> bytes:
        """What came after the last message, for whoever goes on with a stream of another form."""
        rest = bytes(self._unread)
        self._unread.clear()
        return rest

    def close(self) -> None:
        """End the connection."""
        self.sock.close()


def read_text(message: Message, key: str) -> str:
    """A text of a message; raises :class:`BadMessage`."""
    value = message.get(key)
    if not isinstance(value, str):
        raise BadMessage(f"`{key}` is missing, or no text")
    return value


def read_number(message: Message, key: str) -> int:
    """A whole number of a message; raises :class:`BadMessage`."""
    value = message.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadMessage(f"`{key}` is missing, or no whole number")
    return value


def read_words(message: Message, key: str) -> list[str]:
    """A list of texts of a message; raises :class:`BadMessage`."""
    value = message.get(key)
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise BadMessage(f"`{key}` is missing, or no list of texts")
    return [str(word) for word in value]


def read_size(message: Message, key: str) -> tuple[int, int] | None:
    """Rows and columns of a terminal, or None where the client has none; raises :class:`BadMessage`."""
    value = message.get(key)
    if value is None:
        return None
    match value:
        case [int(rows), int(columns)] if 0 <= rows < 1 << 16 and 0 <= columns < 1 << 16:
            return rows, columns
    raise BadMessage(f"`{key}` is not rows and columns")


def describe_error(error: IpvlabError) -> dict[str, object]:
    """An error as a message tells it."""
    return {"code": error.code, "what": error.what, "hint": error.hint}


def rebuild_error(told: object) -> IpvlabError:
    """The error that a message tells, of its own class where this program knows it."""
    if not isinstance(told, dict):
        return LabLost("the supervisor answered with an error of an unknown form")
    code, what, hint = (str(told.get(key, "")) for key in ("code", "what", "hint"))
    kinds = {kind.code: kind for kind in _family(IpvlabError)}
    kind = kinds.get(code, LabLost)
    return kind(what, hint=hint)


def _family(kind: type[IpvlabError]) -> list[type[IpvlabError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _family(child))]


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """The pid and user id of the other side: who listened, or who connected (unix(7): SO_PEERCRED).

    A pid of another, outer pid namespace is 0.
    """
    told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, user, _ = _CREDENTIALS.unpack(told)
    return pid, user


def open_peer(sock: socket.socket) -> int:
    """A pidfd of the other side's process, open until the caller closes it.

    Raises ProcessLookupError when it has ended. Kernels before 6.5 lack
    SO_PEERPIDFD; there the process is the right one if the connection still
    stands once the pidfd is open, since the listener's end would have gone with it.
    """
    try:
        told = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD, 4)
        return int.from_bytes(told, "little" if struct.pack("=H", 1) == b"\1\0" else "big")
    except ProcessLookupError:
        raise
    except OSError:
        pidfd = os.pidfd_open(peer_of(sock)[0])
    poll = select.poll()
    poll.register(sock, 0)
    if poll.poll(0):
        # POLLHUP, which comes unasked.
        os.close(pidfd)
        raise ProcessLookupError("the supervisor has ended")
    return pidfd
