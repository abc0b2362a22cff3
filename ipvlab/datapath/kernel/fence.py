"""The proof that a parent's deferred group frames have been handed on.

``ipvlan`` queues what is for a group, sent by an endpoint or received by an L2
parent, and a worker hands it on later (ipvlan_core.c: ipvlan_multicast_enqueue,
ipvlan_process_multicast). The queue is one for a parent, and first in, first
out: a frame of our own that an endpoint sends to a group, seen leaving, proves
that whatever stood before it has been handed on.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator

from ipvlab.datapath.kernel.ports import ParentPort
from ipvlab.linux.namespaces import Namespace

_ETH_P_ALL, _ETH_P_LOCAL = 3, 0x88B5
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_RCVBUFFORCE = 33
_BUFFER = 1 << 22
_STATISTICS = struct.Struct("=II")
#: A bridge group address that no bridge forwards (IEEE 802.1D), so the fence stays on its segment.
_NEAREST = b"\x01\x80\xc2\x00\x00\x0e"
_EVERYBODY = b"\xff" * 6
_MAGIC = b"ipvlab-fence"
#: How often the CPU is given away before a fence that does not come out counts as lost.
_PATIENCE = 100_000


class Fence:
    """One parent's: a socket of an endpoint that sends, and a tap where its frame must come out."""

    def __init__(self, sender: tuple[Namespace, str], tap: tuple[Namespace, str], group: bytes) -> None:
        """``tap`` is the parent, or another endpoint where the parent has no carrier."""
        self._interface = sender[1]
        self._group = group
        self._count = 0
        self._sender = sender[0].call(_open)
        try:
            self._tap = tap[0].call(_open)
            with contextlib.suppress(OSError):
                self._tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            self._tap.setblocking(False)
            tap[0].call(lambda: self._tap.bind((tap[1], _ETH_P_ALL)))
        except BaseException:
            self.close()
            raise
        #: Frames that passed the tap so far, fences left out.
        self.passed = 0

    def send(self) -> bool:
        """Send a fence and see it come out; False when it does not."""
        self._count += 1
        wanted = _MAGIC + self._count.to_bytes(8, "big")
        frame = self._group + bytes(6) + struct.pack("!H", _ETH_P_LOCAL) + wanted.ljust(46, b"\0")
        try:
            self._sender.sendto(frame, (self._interface, _ETH_P_LOCAL))
        except OSError:
            return False
        for _ in range(_PATIENCE):
            if self._read(wanted):
                return True
            os.sched_yield()
        return False

    def read(self) -> None:
        """Count what has passed."""
        self._read(b"")

    def _read(self, wanted: bytes) -> bool:
        """Read what has passed; whether the wanted fence was among it."""
        is_seen = False
        while True:
            try:
                frame = self._tap.recv(64)
            except BlockingIOError:
                break
            if frame[14 : 14 + len(_MAGIC)] == _MAGIC:
                is_seen |= bool(wanted) and frame[14 : 14 + len(wanted)] == wanted
            else:
                self.passed += 1
        # What the tap could not keep has passed as well.
        _, lost = _STATISTICS.unpack(self._tap.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.passed += lost
        return is_seen

    def close(self) -> None:
        """Close the sockets."""
        self._sender.close()
        if hasattr(self, "_tap"):
            self._tap.close()


def _open() -> socket.socket:
    # Without a protocol: taking a socket out of a hook again waits for an RCU grace period.
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)


class FencePump:
    """The pump of the ``kernel`` datapath: no packet waits for ipvlab, some wait for the kernel's worker."""

    is_idle = True
    defers_work = True

    def __init__(self, fences: Iterable[Fence]) -> None:
        self._fences = tuple(fences)
        for fence in self._fences:
            fence.read()

    def move(self) -> int:
        """Nothing waits for ipvlab."""
        return 0

    def losses(self) -> int:
        """Nothing is lost here: a parent's queue that overflows counts at the parent."""
        return 0

    def flush(self) -> bool:
        """Let the worker hand on what each parent has queued; False when that cannot be seen."""
        return all(fence.send() for fence in self._fences)

    def traffic(self) -> int:
        """How many frames have passed the parents so far, fences left out."""
        for fence in self._fences:
            fence.read()
        return sum(fence.passed for fence in self._fences)


@contextlib.contextmanager
def fences_of(ports: Iterable[ParentPort]) -> Iterator[FencePump]:
    """A pump with a fence for each parent that can have something queued; closed at the end."""
    with contextlib.ExitStack() as stack:
        fences = []
        for port in ports:
            fence = _fence_of(port)
            if fence is not None:
                stack.callback(fence.close)
                fences.append(fence)
        yield FencePump(fences)


def _fence_of(port: ParentPort) -> Fence | None:
    """The fence of a parent; None in l3 and l3s, and where no endpoint can send."""
    able = [(held, link.name) for held, link in port.endpoints.values() if link.is_up and link.has_arp]
    if not able:
        return None
    if port.parent.is_up and port.has_carrier:
        return Fence(able[0], (port.host, port.parent.name), _NEAREST)
    # Up to 6.9 the endpoints of a parent that was set down still hear each other (K-OBJ-023).
    return Fence(able[0], able[1], _EVERYBODY) if len(able) > 1 else None
