"""One batch of probes from the first canary to the last fence, on one CPU."""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Sequence

from ipvlab.probe.asked import Asked, AskedBroadcast, AskedReach, Evidence
from ipvlab.probe.broadcast import send_broadcast
from ipvlab.probe.capture import Tap
from ipvlab.probe.ears import Ear, Heard, is_ipv6_off
from ipvlab.probe.lane import PATIENCE, Lane
from ipvlab.probe.marks import Marker, Role
from ipvlab.probe.neighbours import NeighbourTable
from ipvlab.probe.posts import Posts
from ipvlab.probe.queues import await_queues
from ipvlab.probe.reach import hear_reach, see_crossing, see_hop, send_reach
from ipvlab.probe.tables import NeighbourRoom
from ipvlab.spec.values import Family

#: Queueings that one flooded packet can cause at each node at the same moment.
_COPIES_PER_NODE = 4
_NO_LOOPBACK = (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EACCES)


class Batch:
    """Sends what is asked and hears what comes of it; runs once."""

    def __init__(
        self,
        number: int,
        asked: Sequence[Asked],
        posts: Posts,
        marker: Marker,
        wires: Sequence[Tap],
        path_taps: Sequence[Tap],
    ) -> None:
        self._number = number
        self._asked = asked
        self._posts = posts
        self._marker = marker
        self._wires = frozenset(wires)
        self._path_taps = frozenset(path_taps)
        self._taps = [*wires, *path_taps]
        self._by_number = {one.number: one for one in asked}
        ears: list[Ear] = []
        for one in asked:
            ears += (one.source, one.target) if isinstance(one, AskedReach) else one.ears.values()
        self._ears = list(dict.fromkeys(ears))
        self._listeners: list[Ear | Tap] = [*self._ears, *self._taps]
        self._buffer = bytearray(2048)

    def run(self, lane: Lane, room: NeighbourRoom) -> Evidence:
        """Canary, probes, barrier, fence; called with the thread on the lane's CPU."""
        posts = list(self._posts)
        evidence = Evidence(self._number)
        self._read()
        for listener in self._listeners:
            listener.begin()
        backlog_drops, losses = lane.drops(), room.losses()
        families = {Family.of(one.question.address) for one in self._asked if isinstance(one, AskedReach)}
        for family in families:
            for post in posts:
                post.neighbours.start_over(family)
        self._call_all(Role.CANARY, lane)
        self._send_all(lane, room)
        pulses = [post.pulse for post in posts if post.pulse is not None]

        def drain() -> bool:
            evidence.fence_rounds = lane.drain(pulses, len(posts))
            return self._read()

        # An answer that we send ourselves starts a new chain; each question has one at most.
        while drain():
            pass
        evidence.held_back = await_queues(posts, drain)
        self._call_all(Role.FENCE, lane)
        evidence.backlog_drops = lane.drops() - backlog_drops
        evidence.table_drops = room.losses() - losses
        for ear in self._ears:
            ear.drops_after = ear.read_drops()
        for tap in self._taps:
            tap.end()
        return evidence

    def _send_all(self, lane: Lane, room: NeighbourRoom) -> None:
        tables = [post.neighbours for post in self._posts]
        # A flood reaches every node; no slice may overrun the backlog even if nothing drains meanwhile.
        slice_size = max(1, lane.backlog_limit // (_COPIES_PER_NODE * max(1, len(tables))))
        sent = dict.fromkeys(Family, 0)
        busy: set[NeighbourTable] = set()
        for position, one in enumerate(self._asked, 1):
            if isinstance(one, AskedBroadcast):
                send_broadcast(one, self._marker)
            else:
                family = Family.of(one.question.address)
                sent[family] += 1
                busy.add(self._posts[one.question.source].neighbours)
                if sent[family] % room.interval(family) == 0:
                    lane.settle()
                    if room.make(family, busy, tables):
                        busy.clear()
                send_reach(one, self._marker)
            if position % slice_size == 0:
                lane.settle()
                self._read()

    def _call_all(self, role: Role, lane: Lane) -> None:
        """Call every listener over its control path, and read until each has heard it or cannot."""
        mark = self._marker.write(self._number, role)
        for tap in self._taps:
            tap.call(mark)
        for ear in self._ears:
            refusal = ear.call(mark)
            if refusal is not None and ear.kind.is_ipv6 and refusal.errno in _NO_LOOPBACK:
                ear.is_switched_off = ear.node.namespace.call(functools.partial(is_ipv6_off, ear.node))
        for _ in range(PATIENCE):
            is_empty = lane.settle()
            self._read()
            # With the backlog proved empty, what has not arrived over lo never will.
            if is_empty or not self._awaits(role):
                return
            os.sched_yield()

    def _awaits(self, role: Role) -> bool:
        is_canary = role is Role.CANARY
        return not all(one.has_canary if is_canary else one.has_fence for one in self._listeners)

    def _read(self) -> bool:
        """Read every listener that has something; True when answers were sent meanwhile."""
        has_answered = False
        while True:
            ready = list(self._posts.ready())
            if not ready:
                return has_answered
            for listener in ready:
                if isinstance(listener, Tap):
                    self._watch(listener)
                    continue
                for heard in listener.hear(self._marker, self._buffer):
                    has_answered |= self._take(listener, heard)

    def _take(self, ear: Ear, heard: Heard) -> bool:
        if heard.role in (Role.CANARY, Role.FENCE):
            if heard.number == self._number:
                ear.has_canary |= heard.role == Role.CANARY
                ear.has_fence |= heard.role == Role.FENCE
            return False
        one = self._by_number.get(heard.number)
        if isinstance(one, AskedReach):
            return hear_reach(one, ear, heard, self._marker)
        if one is not None and one.ears.get(ear.node.name) is ear and ear.node is not one.sender:
            one.copies[ear.node.name] += 1
        return False

    def _watch(self, tap: Tap) -> None:
        for seen in tap.see(self._marker, self._buffer, self._number):
            one = self._by_number.get(seen.number)
            if isinstance(one, AskedReach):
                if tap in self._wires:
                    see_crossing(one, tap, seen)
                elif tap in self._path_taps:
                    see_hop(one, tap, seen)
