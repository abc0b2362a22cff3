"""Classic BPF filters of packet sockets: only marked frames are copied to us.

A capture of a switch would otherwise take every copy of every ARP request; with
a filter the kernel looks at four bytes and lets the rest be (packet_rcv runs the
filter before it clones).
"""

from __future__ import annotations

import ctypes
import socket
import struct

from ipvlab.probe.marks import MAGIC

SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_WHOLE = 0x40000

Instruction = tuple[int, int, int, int]


def only_at(*offsets: int) -> list[Instruction]:
    """Pass frames that have the magic at one of these offsets, which must ascend.

    A load beyond the end of a frame rejects it, so shorter offsets come first.
    """
    magic = int.from_bytes(MAGIC, "big")
    program: list[Instruction] = []
    for position, offset in enumerate(offsets):
        to_accept = 2 * (len(offsets) - position - 1) + 1
        program += [(_LOAD_WORD, 0, 0, offset), (_JUMP_EQUAL, to_accept, 0, magic)]
    return [*program, (_RETURN, 0, 0, 0), (_RETURN, 0, 0, _WHOLE)]


def nothing() -> list[Instruction]:
    """Pass no frame at all."""
    return [(_RETURN, 0, 0, 0)]


def attach(sock: socket.socket, program: list[Instruction]) -> None:
    """Set or replace a socket's filter."""
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*step) for step in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM.pack(len(program), ctypes.addressof(code)))
