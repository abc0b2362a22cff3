"""Packets as pcapng, the format that Wireshark and tcpdump read (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_SECTION, _INTERFACE, _STATISTICS, _PACKET = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_END_OF_OPTIONS, _COMMENT = 0, 1
_USER_APPLICATION = 4
_IF_NAME, _IF_DESCRIPTION, _IF_RESOLUTION = 2, 3, 9
_FLAGS = 2
_DROPPED = 5
#: The length of an option is a 16-bit number.
_LONGEST_OPTION = 0xFFFF
#: Of a packet's flags: how it passed the interface.
INBOUND, OUTBOUND = 1, 2


class PcapngWriter:
    """Writes packets to a binary stream; packets are numbered from 1 in the order of writing."""

    def __init__(
        self, stream: BinaryIO, application: str, *, comment: str = "", is_followed: bool = True
    ) -> None:
        """``comment`` is on the whole file; for one that is followed each packet is flushed as it comes."""
        self._stream = stream
        self._is_followed = is_followed
        self._interfaces: dict[str, int] = {}
        self._packets = 0
        options = _option(_COMMENT, comment.encode()) if comment else b""
        options += _option(_USER_APPLICATION, application.encode())
        self._write(_SECTION, struct.pack("=IHHq", _BYTE_ORDER, 1, 0, -1) + options + _END)
        self._flush()

    def declare(self, interface: str, description: str = "") -> None:
        """Tell of an interface before its first packet, or that it has none."""
        if interface in self._interfaces:
            return
        self._interfaces[interface] = len(self._interfaces)
        options = _option(_IF_NAME, interface.encode())
        options += _option(_IF_DESCRIPTION, description.encode()) if description else b""
        # 9: time stamps count nanoseconds.
        options += _option(_IF_RESOLUTION, b"\x09")
        self._write(_INTERFACE, struct.pack("=HHI", _ETHERNET, 0, 0) + options + _END)

    def add(
        self, interface: str, nanoseconds: int, frame: bytes, *, direction: int = 0, comment: str = ""
    ) -> int:
        """Write one Ethernet frame, whole, as it passed ``interface`` at a time since 1970; its number."""
        self.declare(interface)
        options = _option(_COMMENT, comment.encode()) if comment else b""
        options += _option(_FLAGS, struct.pack("=I", direction)) if direction else b""
        head = struct.pack("=II", self._interfaces[interface], nanoseconds >> 32)
        head += struct.pack("=III", nanoseconds & 0xFFFFFFFF, len(frame), len(frame))
        self._write(_PACKET, head + _padded(frame) + (options + _END if options else b""))
        self._packets += 1
        self._flush()
        return self._packets

    def tell_losses(self, interface: str, nanoseconds: int, lost: int) -> None:
        """Tell how many packets of an interface the capture itself missed."""
        self.declare(interface)
        head = struct.pack("=III", self._interfaces[interface], nanoseconds >> 32, nanoseconds & 0xFFFFFFFF)
        self._write(_STATISTICS, head + _option(_DROPPED, struct.pack("=Q", lost)) + _END)

    def _flush(self) -> None:
        if self._is_followed:
            self._stream.flush()

    def _write(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._stream.write(struct.pack("=II", kind, length) + body + struct.pack("=I", length))


_END = struct.pack("=HH", _END_OF_OPTIONS, 0)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _option(code: int, value: bytes) -> bytes:
    if len(value) > _LONGEST_OPTION:
        # Cut between characters: readers take the text for UTF-8.
        value = value[:_LONGEST_OPTION].decode(errors="ignore").encode()
    return struct.pack("=HH", code, len(value)) + _padded(value)


class WrittenPacket(NamedTuple):
    """One packet of a capture, as :class:`PcapngWriter` wrote it."""

    #: From 1.
    number: int
    interface: str
    #: Since 1970.
    nanoseconds: int
    frame: bytes
    comment: str


def read_packets(content: bytes) -> Iterator[WrittenPacket]:
    """The packets of a capture that this machine's :class:`PcapngWriter` wrote; no reader for other files."""
    names: list[str] = []
    number = offset = 0
    while offset < len(content):
        kind, length = struct.unpack_from("=II", content, offset)
        body = offset + 8
        if kind == _INTERFACE:
            names.append(_read_options(content, body + 8, offset + length).get(_IF_NAME, b"").decode())
        elif kind == _PACKET:
            interface, high, low, held, _ = struct.unpack_from("=IIIII", content, body)
            start = body + 20
            options = _read_options(content, start + held + -held % 4, offset + length)
            number += 1
            yield WrittenPacket(
                number,
                names[interface],
                high << 32 | low,
                content[start : start + held],
                options.get(_COMMENT, b"").decode(),
            )
        offset += length


def _read_options(content: bytes, start: int, end: int) -> dict[int, bytes]:
    options = {}
    while start + 4 <= end - 4:
        code, length = struct.unpack_from("=HH", content, start)
        if code == _END_OF_OPTIONS:
            break
        options[code] = content[start + 4 : start + 4 + length]
        start += 4 + length + -length % 4
    return options
