"""Packet sockets whose frames come whole: with their time, and with the tag that the kernel takes out."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import NamedTuple

from ipvlab.probe.ears import PACKET_OUTGOING

SOL_PACKET, PACKET_AUXDATA = 263, 8
#: asm-generic/socket.h: SO_TIMESTAMPNS with 64-bit seconds on 64-bit machines.
SO_TIMESTAMPNS = 35
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40
#: Longer than any frame, those of offloads included (GSO_MAX_SIZE is 8 times 64 KiB less one page).
LONGEST = 1 << 19
_DOT1Q = 0x8100
_AUXDATA = struct.Struct("=IIIHHHH")
_TIMESPEC = struct.Struct("=qq")
_ROOM = socket.CMSG_SPACE(_AUXDATA.size) + socket.CMSG_SPACE(_TIMESPEC.size)
_BILLION = 1_000_000_000
#: How many datagrams may go by before the kernel stamps packets.
_PATIENCE = 10_000


class Stamped(NamedTuple):
    """One frame as an interface saw it."""

    #: Since 1970.
    nanoseconds: int
    frame: bytes
    #: The name that the interface has now; empty where it is gone.
    interface: str
    is_outgoing: bool


def ask_for_stamps(sock: socket.socket) -> None:
    """Have a packet socket tell, beside each frame, its time and the tag that is no longer in it."""
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def receive(sock: socket.socket, buffer: bytearray) -> Stamped:
    """The next frame; raises OSError as the socket does (BlockingIOError, ENETDOWN once)."""
    length, ancillary, _flags, address = sock.recvmsg_into([buffer], _ROOM)
    nanoseconds, tag = 0, b""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, rest = _TIMESPEC.unpack(value[: _TIMESPEC.size])
            nanoseconds = seconds * _BILLION + rest
        elif (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, stripped, protocol = _AUXDATA.unpack(value[: _AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                outer = protocol if status & TP_STATUS_VLAN_TPID_VALID else _DOT1Q
                tag = struct.pack("!HH", outer, stripped)
    frame = bytes(memoryview(buffer)[:12]) + tag + bytes(memoryview(buffer)[12:length])
    return Stamped(nanoseconds, frame, address[0], address[2] == PACKET_OUTGOING)


def await_stamps() -> bool:
    """Return once packets of the calling thread's namespace are stamped as they come.

    The kernel turns stamping on some time after the first socket has asked for it
    (net_enable_timestamp: a work queue), and gives what came before the time at
    which it is read. A datagram over ``lo`` that is older than the reading of it
    shows that stamping is on. False where none does, or ``lo`` is down; times then
    order only the packets of one socket.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            sock.bind(("127.0.0.1", 0))
            sock.connect(sock.getsockname())
            for _ in range(_PATIENCE):
                sock.send(b"")
                before_reading = time.time_ns()
                _, ancillary, _, _ = sock.recvmsg(1, _ROOM)
                seconds, rest = _TIMESPEC.unpack(ancillary[0][2][: _TIMESPEC.size])
                if seconds * _BILLION + rest <= before_reading:
                    return True
                os.sched_yield()
        except OSError:
            return False
    return False
