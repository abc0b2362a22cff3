"""The stream that follows a ``docker run`` or ``attach``: Docker's frames of eight bytes, both ways.

A frame is its kind, three zeros, the length, and the content, as in Docker's
multiplexed stream, of which 1 and 2 are standard output and error.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct(">B3xI")
#: From the supervisor: output of the program, and its exit code as text, which is the last frame.
STDOUT, STDERR, EXIT = 1, 2, 3
#: From the client: input, the end of input, ``rows columns`` of its terminal, a signal's number.
STDIN, END_OF_STDIN, SIZE, SIGNAL = 0, 4, 5, 6
#: The most that a frame from a client may hold.
LONGEST = 1 << 20


def frame(kind: int, content: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(kind, len(content)) + content


class FrameReader:
    """Puts frames together from bytes as they come."""

    def __init__(self) -> None:
        self._unread = bytearray()

    def feed(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """The frames that are whole now; raises ValueError for one that is too long."""
        self._unread += content
        while len(self._unread) >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._unread)
            if length > LONGEST:
                raise ValueError(f"a frame of {length} bytes is too long")
            if len(self._unread) < _HEADER.size + length:
                return
            yield kind, bytes(self._unread[_HEADER.size : _HEADER.size + length])
            del self._unread[: _HEADER.size + length]
