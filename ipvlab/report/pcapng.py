"""Packets as pcapng, the format that Wireshark and tcpdump read (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from typing import BinaryIO

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_IF_NAME, _IF_RESOLUTION, _USER_APPLICATION, _COMMENT, _FLAGS = 2, 9, 4, 1, 2
#: Of a packet's flags: how it passed the interface.
INBOUND, OUTBOUND = 1, 2


class PcapngWriter:
    """Writes packets to a binary stream as they come; each is flushed, so that a reader can follow."""

    def __init__(self, stream: BinaryIO, application: str) -> None:
        self._stream = stream
        self._interfaces: dict[str, int] = {}
        head = struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1)
        self._write(_SECTION, head + _option(_USER_APPLICATION, application.encode()) + _END)
        stream.flush()

    def add(
        self, interface: str, nanoseconds: int, frame: bytes, *, direction: int = 0, comment: str = ""
    ) -> None:
        """Write one Ethernet frame, whole, as it passed ``interface`` at a time since 1970."""
        number = self._interfaces.get(interface)
        if number is None:
            number = self._interfaces[interface] = len(self._interfaces)
            options = _option(_IF_NAME, interface.encode()) + _option(_IF_RESOLUTION, b"\x09") + _END
            self._write(_INTERFACE, struct.pack("=HHI", _ETHERNET, 0, 0) + options)
        options = _option(_COMMENT, comment.encode()) if comment else b""
        options += _option(_FLAGS, struct.pack("=I", direction)) if direction else b""
        head = struct.pack(
            "=IIIII", number, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, len(frame), len(frame)
        )
        self._write(_PACKET, head + _padded(frame) + (options + _END if options else b""))
        self._stream.flush()

    def _write(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._stream.write(struct.pack("=II", kind, length) + body + struct.pack("=I", length))


_END = b"\0\0\0\0"


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("=HH", code, len(value)) + _padded(value)
