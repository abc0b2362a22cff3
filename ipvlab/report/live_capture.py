"""A capture as it goes on: a line for each packet on a terminal, or pcapng in a file."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ipvlab.errors import LabLost
from ipvlab.report.pcapng import INBOUND, OUTBOUND, PcapngWriter

if TYPE_CHECKING:
    from ipvlab.supervisor.client import LiveCapture

_SOL_PACKET, _PACKET_AUXDATA, _SO_TIMESTAMPNS = 263, 8, 35
_TP_STATUS_VLAN_VALID, _TP_STATUS_VLAN_TPID_VALID = 0x10, 0x40
_AUXDATA = struct.Struct("=IIIHHHH")
_TIMESPEC = struct.Struct("=qq")
_PACKET_OUTGOING = 4
_LONGEST = 1 << 18


class Packet(NamedTuple):
    """One frame as it passed: when, in nanoseconds since 1970, and which way."""

    nanoseconds: int
    frame: bytes
    is_outgoing: bool


def capture_to(capture: LiveCapture, file: str | None, count: int | None) -> int:
    """Show packets, or write them to ``file`` (``-`` is standard output), until Ctrl-C or the count.

    Returns the exit code. Raises :class:`LabLost` when the lab ends first, and
    OSError where the file cannot be written.
    """
    seen = 0
    with _sink(capture.name, file) as show, contextlib.suppress(KeyboardInterrupt):
        sys.stderr.write(f"capturing {capture.name}, Ctrl-C ends it\n")
        for packet in read_packets(capture.packets, capture.lab):
            show(packet)
            seen += 1
            if seen == count:
                break
    sys.stderr.write(f"{seen} packet{'' if seen == 1 else 's'}\n")
    return 0


def read_packets(packets: socket.socket, lab: socket.socket) -> Iterator[Packet]:
    """Packets as they come; raises :class:`LabLost` once the lab's end of ``lab`` is closed."""
    room = socket.CMSG_SPACE(_AUXDATA.size) + socket.CMSG_SPACE(_TIMESPEC.size)
    while True:
        ready, _, _ = select.select([packets, lab], [], [])
        if lab in ready and not lab.recv(1):
            raise LabLost("the lab has ended")
        if packets not in ready:
            continue
        try:
            frame, ancillary, _, address = packets.recvmsg(_LONGEST, room)
        except OSError:
            # ENETDOWN is reported once when the interface goes down or away.
            continue
        yield _dissect(frame, ancillary, is_outgoing=address[2] == _PACKET_OUTGOING)


def _dissect(frame: bytes, ancillary: list[tuple[int, int, bytes]], *, is_outgoing: bool) -> Packet:
    """A packet with the tag that the kernel took out back in its place (packet(7): PACKET_AUXDATA)."""
    nanoseconds = 0
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, rest = _TIMESPEC.unpack(value[: _TIMESPEC.size])
            nanoseconds = seconds * 1_000_000_000 + rest
        elif (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, _, _, tag, protocol = _AUXDATA.unpack(value[: _AUXDATA.size])
            if status & _TP_STATUS_VLAN_VALID:
                kind_of_tag = protocol if status & _TP_STATUS_VLAN_TPID_VALID else 0x8100
                frame = frame[:12] + struct.pack("!HH", kind_of_tag, tag) + frame[12:]
    return Packet(nanoseconds, frame, is_outgoing)


@contextlib.contextmanager
def _sink(name: str, file: str | None) -> Iterator[Callable[[Packet], None]]:
    if file is None:
        yield _printer()
        return
    stream: BinaryIO
    with contextlib.ExitStack() as stack:
        stream = sys.stdout.buffer if file == "-" else stack.enter_context(open(file, "wb"))
        writer = PcapngWriter(stream, "ipvlab")

        def write(packet: Packet) -> None:
            direction = OUTBOUND if packet.is_outgoing else INBOUND
            writer.add(name, packet.nanoseconds, packet.frame, direction=direction)

        yield write


def _printer() -> Callable[[Packet], None]:
    """One line for each packet; scapy knows what is in it."""
    for layer in ("inet", "inet6", "dns", "dhcp"):
        # Loading one lets Ethernet frames be read as it.
        importlib.import_module(f"scapy.layers.{layer}")
    from scapy.layers.l2 import Ether

    def show(packet: Packet) -> None:
        seconds, rest = divmod(packet.nanoseconds, 1_000_000_000)
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()
        way = "out" if packet.is_outgoing else "in "
        summary = Ether(packet.frame).summary()
        sys.stdout.write(f"{moment:%H:%M:%S}.{rest // 1000:06d} {way} {summary}\n")
        sys.stdout.flush()

    return show
