"""Announcing the addresses of starting endpoints to their live neighbours.

ARP is left to the kernel. A look-up of an endpoint's own address sends what
Docker's engine sends, a broadcast question for the address from the address
(net/ipv4/arp.c: arp_solicit), and the entry that it leaves is deleted in the same
breath. A packet socket would do as well, but closing one waits for an RCU grace
period, 16 ms. Source of the rest: moby ``daemon/libnetwork/internal/l2disco``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ipaddress
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence

from ipvlab.driver.port import Announcement
from ipvlab.errors import NotReady
from ipvlab.lab.announcing import Course, Holders
from ipvlab.lab.links import Pending, await_links
from ipvlab.linux.link_state import LinkState
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.groups import ALL_NODES
from ipvlab.spec.values import Address

_RTM_NEWNEIGH, _RTM_DELNEIGH = 28, 29
_NLM_F_REQUEST, _NLM_F_CREATE = 0x1, 0x400
_NTF_USE, _NDA_DST = 0x01, 1
_NEIGHBOUR = struct.Struct("=IHHIIBxxxiHBBHH4s")
#: Type 136, override (RFC 4861 section 4.4), the target and its link-layer address.
_ADVERTISEMENT = struct.Struct("!BBHB3x16sBB6s")
_PKTINFO6 = struct.Struct("=16sI")
#: What a raw socket does not want to hear, a bit for each type.
_ICMP6_FILTER, _NOTHING = 1, b"\xff" * 32
#: Seconds until an announcement is tried again that a command or a probe was in the way of.
_BUSY = 0.01
#: Seconds between two announcements that are due together, for whoever waits for the lab.
_PAUSE = 0.001


@dataclasses.dataclass(slots=True, eq=False)
class Speaker:
    """An endpoint that announces itself, and its sockets."""

    #: The link's index in the container.
    index: int
    mac: bytes
    addresses: tuple[Address, ...]
    route: socket.socket
    icmp: socket.socket | None
    is_there: Callable[[], bool]

    @classmethod
    def open(
        cls,
        container: Namespace,
        index: int,
        mac: bytes,
        addresses: tuple[Address, ...],
        is_there: Callable[[], bool],
    ) -> Speaker:
        """Open the sockets in the container's namespace, in one trip."""
        has_ipv6 = any(address.version == 6 for address in addresses)
        route, icmp = container.call(functools.partial(_open_sockets, has_ipv6=has_ipv6))
        return cls(index, mac, addresses, route, icmp, is_there)

    def speak(self) -> None:
        """Send one message for each address; what the kernel refuses is not sent."""
        for address in self.addresses:
            with contextlib.suppress(OSError):
                if isinstance(address, ipaddress.IPv4Address):
                    self.route.send(_look_up(self.index, address))
                elif self.icmp is not None:
                    packet = _ADVERTISEMENT.pack(136, 0, 0, 0x20, address.packed, 2, 1, self.mac)
                    ancillary = [
                        (
                            socket.IPPROTO_IPV6,
                            socket.IPV6_PKTINFO,
                            _PKTINFO6.pack(address.packed, self.index),
                        ),
                        (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT, struct.pack("=i", 255)),
                    ]
                    self.icmp.sendmsg([packet], ancillary, 0, (str(ALL_NODES), 0))

    def close(self) -> None:
        """Let go of the container's namespace."""
        self.route.close()
        if self.icmp is not None:
            self.icmp.close()


class Announcer:
    """What is announced in one lab: first messages at once, the others on one thread.

    ``lock`` is the lab's: while anybody holds it, a command or a round of
    probes, the thread sends nothing, and it never waits for it.
    """

    def __init__(self, lock: threading.RLock, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = lock
        self._clock = clock
        self._holders = Holders()
        #: What is still to be sent, and for whom.
        self.courses: dict[Speaker, Course] = {}
        self._guard = threading.Lock()
        self._news = threading.Event()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether its thread runs; it does not before the first announcement that is repeated."""
        return self._thread is not None and self._thread.is_alive()

    def announce(
        self,
        announcement: Announcement,
        container: Namespace,
        index: int,
        mac: bytes,
        parents: Sequence[Pending],
        is_there: Callable[[], bool],
    ) -> None:
        """Announce an endpoint: the first message at once, and nothing any more when ``is_there`` denies it.

        ``parents`` are the links that its frames leave by: where one is on its way
        up it is waited for, and nobody is told where one has no carrier.
        """
        addresses = self._holders.choose(announcement, mac)
        if not addresses or not _can_leave(parents):
            return
        try:
            speaker = Speaker.open(container, index, mac, addresses, is_there)
        except OSError:
            # The engine only writes to its log that it could not prepare its messages.
            return
        speaker.speak()
        course = Course.begin(announcement, self._clock())
        if course is None:
            speaker.close()
            return
        with self._guard:
            self.courses[speaker] = course
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="announcements", daemon=True)
                self._thread.start()
        self._news.set()

    def forget_gone(self) -> None:
        """Let go of endpoints that are no longer there, and of their namespaces."""
        with self._guard:
            for speaker in [each for each in self.courses if not each.is_there()]:
                self._drop(speaker)

    def send_due(self, now: float) -> bool:
        """Send one message of the endpoint whose turn it is; whether there was one."""
        with self._guard:
            speaker = min(self.courses, key=lambda each: self.courses[each].due, default=None)
            if speaker is None or not self.courses[speaker].is_due(now):
                return False
            course = self.courses[speaker].advance(now) if speaker.is_there() else None
            if speaker.is_there():
                speaker.speak()
            if course is None:
                self._drop(speaker)
            else:
                self.courses[speaker] = course
            return True

    def _drop(self, speaker: Speaker) -> None:
        del self.courses[speaker]
        speaker.close()

    def _serve(self) -> None:
        while not self._end.is_set():
            with self._guard:
                due = min((course.due for course in self.courses.values()), default=None)
            self._news.wait(None if due is None else max(0.0, due - self._clock()))
            self._news.clear()
            while not self._end.is_set() and self._take_turn():
                pass

    def _take_turn(self) -> bool:
        """Send what is due, one message; whether to look again."""
        if not self._lock.acquire(blocking=False):
            return not self._news.wait(_BUSY)
        try:
            has_sent = self.send_due(self._clock())
        finally:
            self._lock.release()
        if has_sent:
            self._news.wait(_PAUSE)
        return has_sent

    def close(self) -> None:
        """Send nothing any more, end the thread and close the sockets; safe to call twice."""
        self._end.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
        with self._guard:
            for speaker in list(self.courses):
                self._drop(speaker)


def _can_leave(parents: Sequence[Pending]) -> bool:
    """Whether frames leave by links, once those that are on their way up have come up."""
    for link in parents:
        state = LinkState.read(link.namespace, link.index)
        if state is None or not state.is_up or not state.has_carrier:
            return False
    try:
        await_links(parents)
    except NotReady:
        return False
    return True


def _open_sockets(*, has_ipv6: bool) -> tuple[socket.socket, socket.socket | None]:
    route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    if not has_ipv6:
        return route, None
    try:
        icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    except BaseException:
        route.close()
        raise
    icmp.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _NOTHING)
    return route, icmp


def _look_up(index: int, address: ipaddress.IPv4Address) -> bytes:
    """Have the kernel ask for an address, and forget that it did."""
    return b"".join(
        _NEIGHBOUR.pack(
            _NEIGHBOUR.size, kind, flags, 0, 0, socket.AF_INET, index, 0, use, 0, 8, _NDA_DST, address.packed
        )
        for kind, flags, use in (
            (_RTM_NEWNEIGH, _NLM_F_REQUEST | _NLM_F_CREATE, _NTF_USE),
            (_RTM_DELNEIGH, _NLM_F_REQUEST, 0),
        )
    )
