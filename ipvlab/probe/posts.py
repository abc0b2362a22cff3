"""The listening posts: what the prober keeps open in each node's namespace.

Everything is opened at the first question that needs it, for all nodes in one
trip of the namespace thread, and stays open for the lab's life.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import select
import socket
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ipvlab.errors import KernelRefusal
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.linux.namespaces import THREAD
from ipvlab.probe.capture import Tap, close_together, open_taps
from ipvlab.probe.ears import Ear, open_ear
from ipvlab.probe.lane import Pulse
from ipvlab.probe.layers import EarKind
from ipvlab.probe.neighbours import NeighbourTable
from ipvlab.spec.values import Address

_MREQN = struct.Struct("=4s4si")
_MREQ6 = struct.Struct("=16si")


@dataclasses.dataclass(slots=True, eq=False)
class Post:
    """The open sockets of one node."""

    node: Node
    neighbours: NeighbourTable
    #: None where ``lo`` is down.
    pulse: Pulse | None
    ears: dict[EarKind, Ear] = dataclasses.field(default_factory=dict)
    #: Hold the node's group memberships; the ears take every group that the node is in (IP_MULTICAST_ALL).
    members: list[socket.socket] = dataclasses.field(default_factory=list)
    joined: set[tuple[int, Address]] = dataclasses.field(default_factory=set)
    path_tap: Tap | None = None


class Posts:
    """All listening posts of one prober, and the one event loop that they are read by."""

    def __init__(self) -> None:
        self._posts: dict[str, Post] = {}
        self._taps: dict[WireTap, Tap] = {}
        self._sources: dict[int, Ear | Tap] = {}
        self._loop = select.epoll()

    def __getitem__(self, name: str) -> Post:
        return self._posts[name]

    def __iter__(self) -> Iterator[Post]:
        return iter(self._posts.values())

    def open(self, nodes: Iterable[Node], kinds: Mapping[str, Collection[EarKind]]) -> None:
        """Open what is missing: a post for each node, and the ears that ``kinds`` names for it.

        Raises :class:`KernelRefusal` when the kernel refuses a socket.
        """
        visits: list[tuple[int, Callable[[], None]]] = []
        for node in nodes:
            post = self._posts.get(node.name)
            if post is not None and post.node is not node:
                self.forget(node.name)
                post = None
            missing = [kind for kind in kinds.get(node.name, ()) if post is None or kind not in post.ears]
            if post is None or missing:
                visits.append((node.namespace.fd, functools.partial(self._open, node, missing)))
        if not visits:
            return
        try:
            THREAD.call_each(visits)
        except OSError as error:
            what = f"opening a listening socket: {error.strerror}"
            raise KernelRefusal(what, errno=error.errno or 0) from error

    def _open(self, node: Node, kinds: Iterable[EarKind]) -> None:
        post = self._posts.get(node.name)
        if post is None:
            try:
                pulse = Pulse.open()
            except OSError:
                pulse = None
            post = self._posts[node.name] = Post(node, NeighbourTable.open(), pulse)
        for kind in kinds:
            ear = post.ears[kind] = open_ear(node, kind)
            self._listen(ear)

    def open_taps(self, wanted: Iterable[WireTap]) -> list[Tap]:
        """The capture of each wire, opened where it is missing."""
        taps = list(wanted)
        missing = [tap for tap in taps if tap not in self._taps]
        opened = open_taps((tap.wire, tap.namespace, tap.index) for tap in missing) if missing else []
        for tap, capture in zip(missing, opened, strict=True):
            self._taps[tap] = capture
            self._listen(capture)
        return [self._taps[tap] for tap in taps]

    def open_path_taps(self, names: Iterable[str]) -> list[Tap]:
        """The tap on all interfaces of each of these nodes, taking frames from now on."""
        posts = [self._posts[name] for name in names]
        missing = [post for post in posts if post.path_tap is None]
        opened = open_taps((post.node.name, post.node.namespace, None) for post in missing) if missing else []
        for post, tap in zip(missing, opened, strict=True):
            post.path_tap = tap
            self._listen(tap)
        taps = [post.path_tap for post in posts if post.path_tap is not None]
        for tap in taps:
            tap.unmute()
        return taps

    def join(self, group: Address) -> None:
        """Let every node join a group on every interface that it has; once is enough."""
        for post in self._posts.values():
            for link in post.node.links.values():
                if (link.index, group) not in post.joined:
                    self._join(post, link.index, group)
                    post.joined.add((link.index, group))

    def _join(self, post: Post, index: int, group: Address) -> None:
        family = socket.AF_INET if group.version == 4 else socket.AF_INET6
        for sock in post.members:
            if sock.family == family and _add_membership(sock, index, group) != errno.ENOBUFS:
                return
        # igmp_max_memberships (20) holds for each socket, so another one carries on.
        post.members.append(post.node.namespace.socket(family, socket.SOCK_DGRAM))
        _add_membership(post.members[-1], index, group)

    def ready(self) -> Iterator[Ear | Tap]:
        """The listeners that have something to read at this moment; never waits."""
        for fd, _events in self._loop.poll(0, max(1, len(self._sources))):
            yield self._sources[fd]

    def _listen(self, source: Ear | Tap) -> None:
        self._sources[source.sock.fileno()] = source
        self._loop.register(source.sock.fileno(), select.EPOLLIN)

    def _unlisten(self, source: Ear | Tap) -> None:
        if self._sources.pop(source.sock.fileno(), None) is not None:
            self._loop.unregister(source.sock.fileno())

    def forget(self, name: str) -> None:
        """Close everything of one node, so that nothing holds its namespace."""
        post = self._posts.pop(name, None)
        if post is not None:
            close_together(self._release(post))

    def forget_taps(self, kept: Collection[WireTap]) -> None:
        """Close the captures of wires that are no longer there."""
        gone = [tap for tap in self._taps if tap not in kept]
        captures = [self._taps.pop(tap) for tap in gone]
        for capture in captures:
            self._unlisten(capture)
        close_together(captures)

    def _release(self, post: Post) -> list[Tap | socket.socket]:
        """Close what closes at once; return the packet sockets, which take their time."""
        slow: list[Tap | socket.socket] = []
        for ear in post.ears.values():
            self._unlisten(ear)
            if ear.kind is EarKind.ARP:
                slow.append(ear.sock)
            else:
                ear.sock.close()
        if post.path_tap is not None:
            self._unlisten(post.path_tap)
            slow.append(post.path_tap)
        for sock in post.members:
            sock.close()
        post.neighbours.close()
        if post.pulse is not None:
            post.pulse.close()
        return slow

    def close(self) -> None:
        """Close everything."""
        slow: list[Tap | socket.socket] = []
        for post in self._posts.values():
            slow += self._release(post)
        self._posts.clear()
        for tap in self._taps.values():
            self._unlisten(tap)
            slow.append(tap)
        self._taps.clear()
        close_together(slow)
        self._loop.close()


def _add_membership(sock: socket.socket, index: int, group: Address) -> int:
    """Join on one interface; the errno, 0 when joined (an interface without that family refuses)."""
    try:
        if group.version == 4:
            request = _MREQN.pack(group.packed, bytes(4), index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        else:
            request = _MREQ6.pack(group.packed, index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    except OSError as error:
        return error.errno or 0
    return 0
