"""A recorder of a live lab: one packet socket in each namespace, which sees all of its interfaces.

It is there for people and proofs to look at; nothing is decided by it. Of ``lo``
it takes the canaries and fences only, which the barrier's beats would drown.
What a datapath keeps for itself (the near ends of its endpoints) is left out.
"""

from __future__ import annotations

import dataclasses
import functools
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ipvlab.errors import KernelRefusal
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.probe.capture import ETH_P_ALL, close_together
from ipvlab.probe.ears import SO_RCVBUFFORCE
from ipvlab.probe.filters import Instruction, attach, only_at
from ipvlab.probe.frames import ARP_MARK_OFFSET
from ipvlab.probe.marks import Marker
from ipvlab.probe.recorded import Recorded, link_place, wire_place
from ipvlab.probe.stamped import LONGEST, SOL_PACKET, Stamped, ask_for_stamps, await_stamps, receive

#: Room for what comes while a batch runs; the kernel takes memory only for what is there.
_ROOM = 64 << 20
_PACKET_STATISTICS = 6
_LOOPBACK, _LOOPBACK_INDEX = "lo", 1
#: Ethernet and IPv4 or IPv6 and eight bytes more, where canaries and fences have their mark.
_MARK_OFFSETS = (ARP_MARK_OFFSET, 62)
#: linux/filter.h: SKF_AD_OFF + SKF_AD_IFINDEX.
_INTERFACE_INDEX = -0x1000 + 8
_PORT = "port"


@dataclasses.dataclass(slots=True, eq=False)
class _Post:
    """The socket of one namespace: a node's, or a switch's."""

    sock: socket.socket
    #: The node, or of a switch its wire.
    whose: Node | WireTap

    @property
    def name(self) -> str:
        """The node's, or the wire's place."""
        return self.whose.name if isinstance(self.whose, Node) else wire_place(self.whose.wire)


class LiveRecorder:
    """Records everything that passes in a lab from now on."""

    def __init__(
        self, nodes: Mapping[str, Node], taps: Callable[[], Sequence[WireTap]], marker: Marker
    ) -> None:
        """``nodes`` and what ``taps`` gives may change; ``marker`` is that of the lab's prober."""
        self._nodes = nodes
        self._taps = taps
        self._marker = marker
        self._posts: dict[Namespace, _Post] = {}
        #: Where the near end of a bare pair is: namespace and index.
        self._pairs: dict[tuple[Namespace, int | None], str] = {}
        self._frames: list[Recorded] = []
        self._places: dict[str, str] = {}
        self._losses: Counter[str] = Counter()
        self._buffer = bytearray(LONGEST)
        self._is_stamped = False

    @property
    def marker(self) -> Marker:
        """Reads the marks of the lab's probes."""
        return self._marker

    @property
    def places(self) -> Mapping[str, str]:
        """Every place so far with what it is, wires first."""
        return dict(sorted(self._places.items(), key=lambda item: not item[1].startswith("wire")))

    @property
    def losses(self) -> Mapping[str, int]:
        """How many frames found no room, by node or wire."""
        return self._losses

    def now(self) -> int:
        """Nanoseconds since 1970, by the clock that the kernel stamps packets with."""
        return time.time_ns()

    def look(self) -> None:
        """Open a socket in every namespace that has none; read the others empty.

        Raises :class:`KernelRefusal` when the kernel refuses a socket.
        """
        taps = list(self._taps())
        self._open(taps)
        self._pairs = {(tap.namespace, tap.index): wire_place(tap.wire) for tap in taps}
        for tap in taps:
            self._places.setdefault(wire_place(tap.wire), f"wire {tap.wire}")
        for node in self._nodes.values():
            for link in node.links.values():
                about = link.kind if link.kind != "wire" else f"on wire {link.wire}"
                self._places.setdefault(link_place(node.name, link.name), f"{node.kind}, {about}")
        for post in self._posts.values():
            self._read(post)

    def _open(self, taps: Sequence[WireTap]) -> None:
        wanted: dict[Namespace, Node | WireTap] = {tap.namespace: tap for tap in taps if tap.index is None}
        wanted |= {node.namespace: node for node in self._nodes.values()}
        missing = {key: whose for key, whose in wanted.items() if key not in self._posts}
        if not missing:
            return
        visits = [(key.fd, functools.partial(self._open_here, whose)) for key, whose in missing.items()]
        try:
            opened = THREAD.call_each(visits)
        except OSError as error:
            what = f"opening a socket to capture with: {error.strerror}"
            raise KernelRefusal(what, errno=error.errno or 0) from error
        self._posts.update(zip(missing, opened, strict=True))

    def _open_here(self, whose: Node | WireTap) -> _Post:
        # Python can bind a packet socket to one interface only; born with a protocol it has all of them.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        try:
            attach(sock, _all_but_beats())
            ask_for_stamps(sock)
            try:
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _ROOM)
            except PermissionError:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
            sock.setblocking(False)
            if not self._is_stamped:
                self._is_stamped = await_stamps()
        except BaseException:
            sock.close()
            raise
        return _Post(sock, whose)

    def _read(self, post: _Post) -> None:
        # What has come into the switch: a port that sends it on unchanged adds nothing.
        seen: set[bytes] = set()
        while True:
            try:
                stamped = receive(post.sock, self._buffer)
            except BlockingIOError:
                break
            except OSError:
                # ENETDOWN is reported once when an interface goes down or away.
                continue
            if isinstance(post.whose, Node):
                self._take(post.whose, stamped)
            else:
                self._take_switched(post.name, stamped, seen)
        _packets, drops = struct.unpack("=II", post.sock.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 8))
        if drops:
            self._losses[post.name] += drops

    def _take(self, node: Node, stamped: Stamped) -> None:
        name = stamped.interface
        if name == _LOOPBACK:
            self._take_loopback(stamped, link_place(node.name, name), f"{node.kind}, loopback")
        link = node.links.get(name)
        if link is None:
            return
        self._add(stamped, link_place(node.name, name), node.kind, stamped.is_outgoing)
        wire = self._pairs.get((node.namespace, link.index))
        if wire is not None and (stamped.is_outgoing or stamped.frame[6:12] != link.mac):
            # What has our own MAC and comes in was handed up by an endpoint (ipvlan_core.c:
            # dev_forward_skb), and was not on the wire.
            self._add(stamped, wire, wire, None)

    def _take_switched(self, wire: str, stamped: Stamped, seen: set[bytes]) -> None:
        if stamped.interface == _LOOPBACK:
            self._take_loopback(stamped, wire, wire)
        elif stamped.interface.startswith(_PORT):
            if stamped.frame not in seen:
                self._add(stamped, wire, wire, None)
            seen.add(stamped.frame)

    def _take_loopback(self, stamped: Stamped, place: str, about: str) -> None:
        """Canaries and fences, once: they are seen on their way out of ``lo`` and on their way in."""
        if not stamped.is_outgoing and self._marker.identity in stamped.frame:
            self._add(stamped, place, about, None if place == about else False)

    def _add(self, stamped: Stamped, place: str, about: str, is_outgoing: bool | None) -> None:
        self._places.setdefault(place, about)
        self._frames.append(Recorded(stamped.nanoseconds, place, stamped.frame, is_outgoing))

    def forget(self, is_there: Iterable[object]) -> None:
        """Let go of the namespaces of nodes that are gone, once what they saw is read."""
        kept = {id(node) for node in is_there}
        gone = [
            key
            for key, post in self._posts.items()
            if isinstance(post.whose, Node) and id(post.whose) not in kept
        ]
        posts = [self._posts.pop(key) for key in gone]
        for post in posts:
            self._read(post)
        close_together(post.sock for post in posts)

    def frames(self) -> list[Recorded]:
        """Everything so far, in order of time."""
        return sorted(self._frames, key=_moment)

    def close(self) -> None:
        """Close the sockets, which would keep the namespaces alive."""
        posts = list(self._posts.values())
        self._posts.clear()
        close_together(post.sock for post in posts)


def _moment(each: Recorded) -> tuple[int, int]:
    """When a frame passed; one that keeps its time on its way goes out, crosses, and comes in."""
    return each.nanoseconds, {True: 0, None: 1, False: 2}[each.is_outgoing]


def _all_but_beats() -> list[Instruction]:
    """A filter that passes everything on links, and on ``lo`` what has a mark."""
    load_index = (0x20, 0, 0, _INTERFACE_INDEX & 0xFFFFFFFF)
    marked = only_at(*_MARK_OFFSETS)
    # The last instruction of `only_at` accepts.
    return [load_index, (0x15, 0, len(marked) - 1, _LOOPBACK_INDEX), *marked]
