"""Captures: what crossed a wire, and which nodes forwarded a packet.

A capture never decides whether a node heard something (it sees frames that no
socket gets); it reports the MAC addresses, tags and TTLs of marked frames. The
kernel strips a VLAN tag on receive and hands it over beside the frame
(PACKET_AUXDATA); a tag left in the bytes is read too.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import functools
import socket
import struct
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.probe import frames
from ipvlab.probe.ears import PACKET_OUTGOING, SO_MEMINFO, enlarge
from ipvlab.probe.filters import attach, nothing, only_at
from ipvlab.probe.marks import Marker, Role

ETH_P_ALL = 3
ETH_P_IP, ETH_P_IPV6, ETH_P_8021Q, ETH_P_8021AD = 0x0800, 0x86DD, 0x8100, 0x88A8
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 0x10
#: linux/sockios.h, linux/ethtool.h
SIOCETHTOOL, ETHTOOL_GLINK = 0x8946, 0x0000000A
IPPROTO_ICMP, IPPROTO_UDP, IPPROTO_ICMPV6 = 1, 17, 58

#: Ethernet 14, IPv4 20 or IPv6 40, ICMP echo or UDP 8; 4 more where a tag is in the bytes.
_MARK_OFFSETS = (42, 46, 62, 66)
_AUXDATA = struct.Struct("=IIIHHHH")
_SNAP = 128


class Sighting(NamedTuple):
    """One marked frame as one tap saw it."""

    number: int
    leg: Literal["request", "reply"]
    source_mac: bytes
    destination_mac: bytes
    vlan: int | None
    is_outgoing: bool
    ttl: int


@dataclasses.dataclass(slots=True, eq=False)
class Tap:
    """A packet socket on one interface, or on all of a namespace's."""

    #: The wire, or for the taps of a path question the node.
    name: str
    namespace: Namespace
    sock: socket.socket
    #: Sends the canary and the fence: a packet socket does not see what it sends itself.
    waker: socket.socket
    #: The interface that the wake-up leaves by.
    interface: str
    has_canary: bool = False
    has_fence: bool = False
    #: The MAC of the interface; None for a tap of a whole namespace.
    own_mac: bytes | None = None
    drops_before: int = 0
    dropped: int = 0
    #: Whether the interface was down, or without carrier, before the batch and after it: nothing can pass.
    is_dead: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether what this tap did not see did not pass."""
        return self.is_dead or (self.has_canary and self.has_fence and not self.dropped)

    @classmethod
    def open(cls, name: str, namespace: Namespace, index: int | None) -> Tap:
        """Open one in the calling thread's namespace, which is ``namespace``."""
        # A socket that is to be bound starts without a protocol: taking it out of the hook that the
        # protocol put it into waits for an RCU grace period (packet_do_bind, 8 ms).
        protocol = 0 if index is not None else socket.htons(ETH_P_ALL)
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
        attach(sock, only_at(*_MARK_OFFSETS))
        sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        enlarge(sock)
        sock.setblocking(False)
        interface = "lo"
        if index is not None:
            try:
                interface = socket.if_indextoname(index)
                sock.bind((interface, ETH_P_ALL))
            except OSError:
                # The interface is gone: the tap stays without a canary and vouches for nothing.
                interface = ""
        waker = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        return cls(name, namespace, sock, waker, interface)

    def begin(self) -> None:
        """Forget what the last batch proved, and note the drops so far."""
        self.has_canary = self.has_fence = False
        self.own_mac = self.sock.getsockname()[4] if self.interface not in ("", "lo") else None
        self.drops_before = self._read_drops()
        self.is_dead = self._is_without_carrier()

    def end(self) -> None:
        """Note how many frames this tap lost during the batch, and whether any could pass."""
        self.is_dead = self.is_dead and self._is_without_carrier()
        self.dropped = (self._read_drops() - self.drops_before) & 0xFFFFFFFF

    def call(self, mark: bytes) -> None:
        """Send a frame that only this tap takes note of; a link that is down lets it be missed."""
        try:
            self.waker.sendto(frames.wake_up(mark), (self.interface, frames.ETH_P_LOCAL))
        except OSError:
            return

    def mute(self) -> None:
        """Take no more frames until :meth:`unmute`."""
        attach(self.sock, nothing())

    def unmute(self) -> None:
        """Take marked frames again."""
        attach(self.sock, only_at(*_MARK_OFFSETS))

    def see(self, marker: Marker, buffer: bytearray, batch: int) -> Iterator[Sighting]:
        """Read the socket empty; canaries and fences are noted, probes are given out."""
        receive = self.sock.recvmsg_into
        while True:
            try:
                length, ancillary, _flags, address = receive([buffer], _SNAP)
            except BlockingIOError:
                return
            except OSError:
                # ENETDOWN is reported once when the interface goes down or away.
                continue
            sighting = self._dissect(marker, buffer, length, batch, address[2] == PACKET_OUTGOING, ancillary)
            if sighting is not None:
                yield sighting

    def _dissect(
        self,
        marker: Marker,
        frame: bytearray,
        length: int,
        batch: int,
        is_outgoing: bool,
        ancillary: list[tuple[int, int, bytes]],
    ) -> Sighting | None:
        vlan = _stripped_tag(ancillary)
        kind, start = int.from_bytes(frame[12:14], "big"), 14
        if kind in (ETH_P_8021Q, ETH_P_8021AD):
            vlan = vlan if vlan is not None else int.from_bytes(frame[14:16], "big") & 0xFFF
            kind, start = int.from_bytes(frame[16:18], "big"), 18
        if kind == ETH_P_IP:
            protocol, ttl, payload = frame[start + 9], frame[start + 8], start + 20
        elif kind == ETH_P_IPV6:
            protocol, ttl, payload = frame[start + 6], frame[start + 7], start + 40
        elif kind == frames.ETH_P_LOCAL:
            found = marker.read(frame, 42, length)
            if found is not None and found[0] == batch:
                self.has_canary |= found[1] == Role.CANARY
                self.has_fence |= found[1] == Role.FENCE
            return None
        else:
            return None
        found = marker.read(frame, payload + 8, length)
        if found is None or found[1] not in (Role.PROBE, Role.REPLY):
            return None
        if not is_outgoing and bytes(frame[6:12]) == self.own_mac:
            # Handed up by an endpoint of this parent (ipvlan_core.c: dev_forward_skb); a bare wire
            # sends nothing back, so it did not come from there.
            return None
        is_reply = found[1] == Role.REPLY or (
            protocol != IPPROTO_UDP and frame[payload] in (frames.ECHO_REPLY, frames.ECHO6_REPLY)
        )
        return Sighting(
            found[0],
            "reply" if is_reply else "request",
            bytes(frame[6:12]),
            bytes(frame[:6]),
            vlan,
            is_outgoing,
            ttl,
        )

    def _is_without_carrier(self) -> bool:
        """Whether the interface is there and cannot carry a frame; what is gone vouches for nothing."""
        if self.interface in ("", "lo"):
            return False
        value = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_GLINK, 0), 8)
        request = struct.pack("=16sQ16x", self.interface.encode(), ctypes.addressof(value))
        try:
            fcntl.ioctl(self.waker, SIOCETHTOOL, request)
        except OSError:
            return False
        return not struct.unpack("=II", value.raw)[1]

    def _read_drops(self) -> int:
        return int.from_bytes(self.sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)[32:36], "little")

    def close(self) -> None:
        """Close the sockets; each takes about 16 ms (packet_release: synchronize_rcu)."""
        self.sock.close()
        self.waker.close()


def open_taps(wanted: Iterable[tuple[str, Namespace, int | None]]) -> list[Tap]:
    """Open a tap for each name, namespace and interface (None: all of them) in one trip."""
    return THREAD.call_each(
        [
            (namespace.fd, functools.partial(Tap.open, name, namespace, index))
            for name, namespace, index in wanted
        ]
    )


def close_together(sockets: Iterable[Tap | socket.socket]) -> None:
    """Close packet sockets side by side, since each one waits for an RCU grace period."""
    doomed = list(sockets)
    if doomed:
        with ThreadPoolExecutor(min(len(doomed), 32)) as threads:
            list(threads.map(lambda sock: sock.close(), doomed))


def _stripped_tag(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, value in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _length, _snap, _mac, _net, tag, _protocol = _AUXDATA.unpack(value[: _AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                return int(tag) & 0xFFF
    return None
