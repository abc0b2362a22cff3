"""What a node's kernel knows of its neighbours and routes: asked only after a probe failed.

And the one thing that is done to it: entries that hold no answer (INCOMPLETE,
FAILED) are deleted before a batch. An unanswered question of an earlier probe
would otherwise swallow the next one: the packet waits for the retransmission
timer instead of asking again (__neigh_event_send), and a neighbour that has come
up since would be reported as silent.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator

from ipvlab.spec.values import Address, Family

RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NDA_DST, NDA_LLADDR = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
NUD_INCOMPLETE, NUD_FAILED = 0x01, 0x20
NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_NOARP = 0x02, 0x04, 0x08, 0x10, 0x40
UNANSWERED = NUD_INCOMPLETE | NUD_FAILED
LEARNED = UNANSWERED | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE
#: What the kernel makes again by itself: learned entries, and those of groups and links without ARP.
RENEWABLE = LEARNED | NUD_NOARP

_HEADER = struct.Struct("=IHHII")
_NDMSG = struct.Struct("=BxxxiHBB")
_RTMSG = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_INT = struct.Struct("=i")


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of a node's ARP or neighbour discovery table."""

    index: int
    address: Address
    state: int
    mac: bytes

    @property
    def is_unanswered(self) -> bool:
        """Whether the kernel asked for it and nobody has answered."""
        return bool(self.state & UNANSWERED)


@dataclasses.dataclass(frozen=True, slots=True)
class NextHop:
    """Where a node's kernel sends a packet next; ``errno`` is set where it has no route."""

    address: Address
    index: int = 0
    errno: int = 0


class NeighbourTable:
    """A route netlink socket of one node, for its neighbours and route look-ups."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0
        #: Unanswered entries that were deleted since :meth:`start_over`, for the explanation of failures.
        self._unanswered: dict[Family, list[Neighbour]] = {family: [] for family in Family}
        sock.bind((0, 0))

    @classmethod
    def open(cls) -> NeighbourTable:
        """Open one in the calling thread's namespace."""
        return cls(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))

    def read(self, family: Family) -> list[Neighbour]:
        """The entries of one family, permanent ones left out."""
        request = _NDMSG.pack(_number(family), 0, 0, 0, 0)
        found = []
        for kind, body in self.exchange(RTM_GETNEIGH, NLM_F_DUMP, request):
            if kind != RTM_NEWNEIGH:
                continue
            _family, index, state, _flags, _type = _NDMSG.unpack_from(body)
            holds = attributes(body, _NDMSG.size)
            if state & RENEWABLE and NDA_DST in holds:
                address = ipaddress.ip_address(holds[NDA_DST])
                found.append(Neighbour(index, address, state, holds.get(NDA_LLADDR, b"")))
        return found

    def forget(self, family: Family, states: int) -> int:
        """Delete the entries in one of these states; their number. Unanswered ones are remembered."""
        gone = [entry for entry in self.read(family) if entry.state & states]
        self._unanswered[family] += [entry for entry in gone if entry.is_unanswered]
        for entry in gone:
            packed = entry.address.packed
            request = _NDMSG.pack(_number(family), entry.index, 0, 0, 0)
            request += _ATTRIBUTE.pack(4 + len(packed), NDA_DST) + packed
            # An entry may vanish by itself between the two messages (ENOENT).
            list(self.exchange(RTM_DELNEIGH, NLM_F_ACK, request))
        return len(gone)

    def start_over(self, family: Family) -> None:
        """Delete unanswered entries before a batch, and those that are remembered."""
        self.forget(family, UNANSWERED)
        self._unanswered[family].clear()

    def known(self, family: Family) -> list[Neighbour]:
        """The entries of one family, with those that were deleted unanswered during this batch."""
        return self._unanswered[family] + self.read(family)

    def next_hop(self, address: Address) -> NextHop:
        """Look up the route to an address as for a packet of the node's own."""
        packed = address.packed
        request = _RTMSG.pack(_number(Family.of(address)), len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
        request += _ATTRIBUTE.pack(4 + len(packed), RTA_DST) + packed
        for kind, body in self.exchange(RTM_GETROUTE, 0, request):
            if kind == NLMSG_ERROR:
                return NextHop(address, errno=-_INT.unpack_from(body)[0])
            if kind == RTM_NEWROUTE:
                holds = attributes(body, _RTMSG.size)
                gateway, link = holds.get(RTA_GATEWAY), holds.get(RTA_OIF)
                return NextHop(
                    ipaddress.ip_address(gateway) if gateway is not None else address,
                    _INT.unpack(link)[0] if link is not None else 0,
                )
        return NextHop(address)

    def exchange(self, kind: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Send one route netlink request; the types and bodies of its answers, errors included."""
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(length, kind, NLM_F_REQUEST | flags, self._sequence, 0) + body)
        is_dump = flags & NLM_F_DUMP == NLM_F_DUMP
        while True:
            # The kernel answers inside send(), so the answer is there already.
            answer = self._socket.recv(1 << 17)
            offset = 0
            while offset + _HEADER.size <= len(answer):
                length, answered, _flags, sequence, _port = _HEADER.unpack_from(answer, offset)
                part = answer[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if sequence != self._sequence:
                    continue
                if answered == NLMSG_DONE:
                    return
                yield answered, part
                if answered == NLMSG_ERROR or not is_dump:
                    return

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def explain_errno(errno: int) -> str:
    """An errno in the kernel's own words, lower case as it stands inside a sentence."""
    text = os.strerror(errno)
    return text[:1].lower() + text[1:]


def _number(family: Family) -> int:
    return int(socket.AF_INET if family is Family.IPV4 else socket.AF_INET6)


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """The attributes of a route netlink message from ``offset`` on, by type."""
    found: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found
