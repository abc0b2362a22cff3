"""The sockets that count as hearing: one for each protocol layer and node.

They are opened once in their node's namespace and used from the probing thread
from then on; the namespace is not entered again. A socket is bound to no
interface, so it hears on all of its node's, those without an address included.
"""

from __future__ import annotations

import dataclasses
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ipvlab.lab.nodes import Node
from ipvlab.probe import frames
from ipvlab.probe.ancillary import (
    ANCILLARY_SIZE,
    CONTROL,
    IP_PKTINFO,
    IP_RECVTTL,
    Ancillary,
    hop_limit,
    own_side,
)
from ipvlab.probe.filters import attach, only_at
from ipvlab.probe.layers import EarKind
from ipvlab.probe.marks import Marker, Role

SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
SOL_RAW, ICMP_FILTER = 255, 1
ICMPV6_FILTER = 1
RECEIVE_BUFFER = 8 << 20
PACKET_LOOPBACK, PACKET_OTHERHOST, PACKET_OUTGOING = 5, 3, 4

_MEMINFO = struct.Struct("=9I")


class Heard(NamedTuple):
    """One marked packet that an ear took."""

    number: int
    role: int
    #: An ICMP echo reply or a UDP answer.
    is_answer: bool
    ttl: int | None
    #: The address that it came from, packed or written; None for ARP.
    sender: bytes | str | None
    #: Where a UDP answer goes: the sender, and the ancillary item that fixes our own side.
    origin: tuple[tuple[str, int] | tuple[str, int, int, int], Ancillary] | None


@dataclasses.dataclass(slots=True, eq=False)
class Ear:
    """One listening socket of one node, and what this batch proved of it."""

    node: Node
    kind: EarKind
    sock: socket.socket
    has_canary: bool = False
    has_fence: bool = False
    #: The kernel itself says that this layer is switched off here, so it cannot hear.
    is_switched_off: bool = False
    drops_before: int = 0
    drops_after: int = 0

    def begin(self) -> None:
        """Forget what the last batch proved, and note the drops so far."""
        self.has_canary = self.has_fence = self.is_switched_off = False
        self.drops_before = self.drops_after = self.read_drops()

    @property
    def dropped(self) -> int:
        """Packets that the socket lost during this batch."""
        return (self.drops_after - self.drops_before) & 0xFFFFFFFF

    @property
    def is_sound(self) -> bool:
        """Whether what this ear did not hear did not come."""
        if self.is_switched_off:
            return True
        return self.has_canary and self.has_fence and not self.dropped

    def read_drops(self) -> int:
        """The socket's own count of lost packets (SK_MEMINFO_DROPS)."""
        counters: tuple[int, ...] = _MEMINFO.unpack(
            self.sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
        )
        return counters[8]

    def call(self, mark: bytes) -> OSError | None:
        """Send a marked packet over ``lo`` into this very socket; the error if it cannot be sent."""
        loopback = "::1" if self.kind.is_ipv6 else "127.0.0.1"
        try:
            if self.kind is EarKind.ARP:
                self.sock.sendto(frames.arp_to_self(mark), ("lo", frames.ETH_P_ARP))
            elif self.kind is EarKind.ICMP4:
                self._send_marked(frames.echo4(frames.ECHO_REPLY, mark), (loopback, 0))
            elif self.kind is EarKind.ICMP6:
                self._send_marked(frames.echo6(frames.ECHO6_REPLY, mark), (loopback, 0))
            else:
                self._send_marked(mark, (loopback, self.kind.port))
        except OSError as error:
            return error
        return None

    def _send_marked(self, packet: bytes, address: tuple[str, int]) -> None:
        # A firewall of the node drops what probes look like, but not this.
        self.sock.sendmsg([packet], CONTROL, 0, address)

    def hear(self, marker: Marker, buffer: bytearray) -> Iterator[Heard]:
        """Read the socket empty; of what it holds, the packets that carry this prober's mark."""
        if self.kind is EarKind.ICMP4:
            return self._hear_icmp4(marker, buffer)
        if self.kind is EarKind.ICMP6:
            return self._hear_icmp6(marker, buffer)
        if self.kind is EarKind.ARP:
            return self._hear_arp(marker, buffer)
        return self._hear_udp(marker, buffer)

    def _hear_icmp4(self, marker: Marker, buffer: bytearray) -> Iterator[Heard]:
        receive, read = self.sock.recv_into, marker.read
        while True:
            try:
                length = receive(buffer)
            except BlockingIOError:
                return
            start = (buffer[0] & 15) * 4
            found = read(buffer, start + 8, length)
            if found is not None:
                yield Heard(*found, buffer[start] == frames.ECHO_REPLY, buffer[8], bytes(buffer[12:16]), None)

    def _hear_icmp6(self, marker: Marker, buffer: bytearray) -> Iterator[Heard]:
        receive = self.sock.recvmsg_into
        while True:
            try:
                length, ancillary, _flags, sender = receive([buffer], ANCILLARY_SIZE)
            except BlockingIOError:
                return
            kind = buffer[0]
            found = marker.read(buffer, frames.MARK_OFFSETS.get(kind, length), length)
            if found is not None:
                yield Heard(*found, kind == frames.ECHO6_REPLY, hop_limit(ancillary), sender[0], None)

    def _hear_udp(self, marker: Marker, buffer: bytearray) -> Iterator[Heard]:
        receive = self.sock.recvmsg_into
        while True:
            try:
                length, ancillary, _flags, sender = receive([buffer], ANCILLARY_SIZE)
            except BlockingIOError:
                return
            found = marker.read(buffer, 0, length)
            if found is not None:
                origin = (sender, own_side(ancillary))
                yield Heard(*found, found[1] == Role.REPLY, hop_limit(ancillary), sender[0], origin)

    def _hear_arp(self, marker: Marker, buffer: bytearray) -> Iterator[Heard]:
        while True:
            try:
                length, address = self.sock.recvfrom_into(buffer)
            except BlockingIOError:
                return
            found = marker.read(buffer, frames.ARP_MARK_OFFSET, length)
            if found is None:
                continue
            interface, packet_type = address[0], address[2]
            # arp_rcv takes nothing that was for others or looped back, and nothing on a link without ARP.
            if packet_type in (PACKET_OTHERHOST, PACKET_LOOPBACK, PACKET_OUTGOING):
                continue
            link = self.node.links.get(interface)
            if interface == "lo" or (link is not None and link.has_arp):
                yield Heard(*found, False, None, None, None)


def open_ear(node: Node, kind: EarKind) -> Ear:
    """Open an ear in the calling thread's namespace, which is the node's; OSError as the kernel has it."""
    if kind is EarKind.ARP:
        sock = _open_arp()
    elif kind is EarKind.ICMP4:
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        passed = 1 << frames.ECHO_REPLY | 1 << frames.ECHO_REQUEST
        sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", ~passed & 0xFFFFFFFF))
        _set_ipv4_options(sock)
    elif kind is EarKind.ICMP6:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, _icmp6_filter())
        _set_ipv6_options(sock)
    else:
        sock = socket.socket(socket.AF_INET6 if kind.is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if kind.is_ipv6:
            _set_ipv6_options(sock)
        else:
            _set_ipv4_options(sock)
        sock.bind(("", kind.port))
    sock.setblocking(False)
    enlarge(sock)
    return Ear(node, kind, sock)


def enlarge(sock: socket.socket) -> None:
    """Give a socket room for a whole batch; without CAP_NET_ADMIN as much as rmem_max allows."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _open_arp() -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(frames.ETH_P_ARP))
    # Only marked frames: the address resolution of a large lab would fill the queue.
    attach(sock, only_at(frames.ARP_MARK_OFFSET))
    return sock


def _set_ipv4_options(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)


def _set_ipv6_options(sock: socket.socket) -> None:
    if sock.type == socket.SOCK_DGRAM:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)


def _icmp6_filter() -> bytes:
    blocked = [0xFFFFFFFF] * 8
    for kind in frames.MARK_OFFSETS:
        if kind >= frames.ECHO6_REQUEST:
            blocked[kind >> 5] &= ~(1 << (kind & 31))
    return struct.pack("=8I", *blocked)


def is_ipv6_off(node: Node) -> bool:
    """Whether IPv6 is disabled on ``lo`` and on every link of a node, by the kernel's own switches.

    Called inside the node's namespace. A link without the switch has no IPv6 either
    (addrconf takes no device with an MTU below 1280).
    """
    for name in ("lo", *node.links):
        try:
            with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", encoding="ascii") as file:
                if file.read().strip() != "1":
                    return False
        except FileNotFoundError:
            continue
    return True
