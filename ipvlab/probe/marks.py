"""The mark that every packet of a lab carries, by which its own traffic is told from all other.

Fourteen bytes: eight of identity (four fixed, four random for each prober), the
number of the question, and the role of the packet. Fourteen is what is left of
a 16-byte neighbour discovery option, and fits into the padding of an ARP frame.
"""

from __future__ import annotations

import struct
from enum import IntEnum

MAGIC = b"ivLb"
_MARK = struct.Struct("!8sIBx")
MARK_SIZE = _MARK.size


class Role(IntEnum):
    """What a marked packet is for."""

    PROBE = 0
    #: The answer of a UDP listener; an ICMP answer repeats the request's bytes.
    REPLY = 1
    #: Sent to a listener before the probes: it hears at all.
    CANARY = 2
    #: Sent to a listener after the probes: what it has not heard by now never came.
    FENCE = 3


class Marker:
    """Writes and reads the marks of one prober."""

    def __init__(self, nonce: bytes) -> None:
        if len(nonce) != 4:
            raise ValueError("a nonce has four bytes")
        self.identity = MAGIC + nonce

    def write(self, number: int, role: Role = Role.PROBE) -> bytes:
        """The mark of question ``number`` (or, for canaries and fences, of batch ``number``)."""
        return _MARK.pack(self.identity, number, role)

    def read(self, packet: bytes | bytearray, offset: int, length: int) -> tuple[int, int] | None:
        """Number and role of the mark at ``offset``, or None where this prober's mark is not."""
        if length < offset + MARK_SIZE:
            return None
        identity, number, role = _MARK.unpack_from(packet, offset)
        return (number, role) if identity == self.identity else None
