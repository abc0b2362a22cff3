"""A capture as it goes on: a line for each packet on a terminal, or pcapng in a file."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import select
import socket
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from ipvlab.errors import LabLost
from ipvlab.probe.pcapng import INBOUND, OUTBOUND, PcapngWriter
from ipvlab.probe.stamped import LONGEST, Stamped, receive

if TYPE_CHECKING:
    from ipvlab.supervisor.client import LiveCapture


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


def read_packets(packets: socket.socket, lab: socket.socket) -> Iterator[Stamped]:
    """Packets as they come; raises :class:`LabLost` once the lab's end of ``lab`` is closed."""
    buffer = bytearray(LONGEST)
    while True:
        ready, _, _ = select.select([packets, lab], [], [])
        if lab in ready and not lab.recv(1):
            raise LabLost("the lab has ended")
        if packets not in ready:
            continue
        try:
            packet = receive(packets, buffer)
        except OSError:
            # ENETDOWN is reported once when the interface goes down or away.
            continue
        yield packet


@contextlib.contextmanager
def _sink(name: str, file: str | None) -> Iterator[Callable[[Stamped], None]]:
    if file is None:
        yield _printer()
        return
    stream: BinaryIO
    with contextlib.ExitStack() as stack:
        stream = sys.stdout.buffer if file == "-" else stack.enter_context(open(file, "wb"))
        writer = PcapngWriter(stream, "ipvlab")

        def write(packet: Stamped) -> None:
            direction = OUTBOUND if packet.is_outgoing else INBOUND
            writer.add(name, packet.nanoseconds, packet.frame, direction=direction)

        yield write


def _printer() -> Callable[[Stamped], None]:
    """One line for each packet; scapy knows what is in it."""
    for layer in ("inet", "inet6", "dns", "dhcp"):
        # Loading one lets Ethernet frames be read as it.
        importlib.import_module(f"scapy.layers.{layer}")
    from scapy.layers.l2 import Ether

    def show(packet: Stamped) -> None:
        seconds, rest = divmod(packet.nanoseconds, 1_000_000_000)
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()
        way = "out" if packet.is_outgoing else "in "
        summary = Ether(packet.frame).summary()
        sys.stdout.write(f"{moment:%H:%M:%S}.{rest // 1000:06d} {way} {summary}\n")
        sys.stdout.flush()

    return show
