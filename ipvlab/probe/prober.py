"""The prober: all questions of a step are in flight together, and one loop hears the answers.

A silence is proved in three parts, none of which is a timeout:

* a *canary* before the probes shows that the listening socket hears at all;
* the *barrier* (:mod:`ipvlab.probe.lane`) shows that everything the probes set
  off has happened;
* a *fence* after it, into the very socket that would have heard the probe, shows
  that the socket has been read past the place where the probe would be.

A listener whose canary or fence is missing, or that lost packets, is unobserved.
A batch in which the kernel dropped packets for want of room proves no silence
at all. What did arrive stands in any case.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from ipvlab.datapath.base import IdlePump, Pump
from ipvlab.errors import NodeNotFound
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.probe.asked import Asked, AskedBroadcast, AskedReach
from ipvlab.probe.batch import Batch
from ipvlab.probe.broadcast import conclude_broadcast, destination_of, group_of
from ipvlab.probe.explain import Explainer
from ipvlab.probe.lane import Lane
from ipvlab.probe.layers import EarKind
from ipvlab.probe.marks import Marker
from ipvlab.probe.posts import Posts
from ipvlab.probe.questions import Observation, Question, ReachQuestion
from ipvlab.probe.reach import conclude_reach
from ipvlab.probe.readiness import await_addresses
from ipvlab.probe.tables import NeighbourRoom


class Prober:
    """Answers questions about a live lab; ``nodes`` and ``taps`` may change between calls."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        taps: Sequence[WireTap],
        hold_pump: Callable[[], AbstractContextManager[Pump]] | None = None,
    ) -> None:
        """``hold_pump`` is the datapath's: while probes run, the lane moves what waits for ipvlab."""
        self._hold_pump = hold_pump or (lambda: contextlib.nullcontext(IdlePump()))
        self._nodes = nodes
        self._taps = taps
        self._marker = Marker(os.urandom(4))
        self._numbers = itertools.count(1)
        self._lane = Lane()
        self._room = NeighbourRoom(self._lane)
        self.posts = Posts()
        #: The number of the last batch, which its canaries and fences carry.
        self.batch = 0

    @property
    def marker(self) -> Marker:
        """Reads and writes the marks of this prober."""
        return self._marker

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """Ask all questions at once; the observations, in the order of the questions.

        Raises :class:`NodeNotFound` for a question about a node that the lab does
        not have and :class:`KernelRefusal` when a socket cannot be opened. What
        the network refuses is an observation.
        """
        if not questions:
            return []
        self._open(questions)
        asked = [self._prepare(question) for question in questions]
        reaches = [one for one in asked if isinstance(one, AskedReach)]
        wires = self.posts.open_taps(self._taps) if reaches else []
        wants_path = any(one.question.wants_path for one in reaches)
        routers = [name for name, node in self._nodes.items() if node.kind != "container"]
        path_taps = self.posts.open_path_taps(routers) if wants_path else []
        unready = await_addresses(self.posts) if any(_is_ipv6(one) for one in questions) else ""
        self.batch = next(self._numbers)
        batch = Batch(self.batch, asked, self.posts, self._marker, wires, path_taps)
        with self._hold_pump() as pump, self._lane.pinned(pump):
            evidence = batch.run(self._lane, self._room)
        evidence.unready = unready
        for tap in path_taps:
            tap.mute()
        explainer = Explainer(self._nodes, self.posts)
        unheard = frozenset(tap.name for tap in wires if not (tap.is_sound and evidence.is_calm))
        is_path_sound = evidence.is_calm and all(tap.is_sound for tap in path_taps)
        return [
            conclude_reach(one, evidence, explainer, unheard, is_path_sound)
            if isinstance(one, AskedReach)
            else conclude_broadcast(one, evidence, self._nodes)
            for one in asked
        ]

    def forget(self, node_name: str) -> None:
        """Drop the sockets of a node, which otherwise hold its namespace."""
        self.posts.forget(node_name)

    def close(self) -> None:
        """Drop every socket."""
        self.posts.close()
        self._room.close()
        self._lane.close()

    def _open(self, questions: Sequence[Question]) -> None:
        kinds: dict[str, set[EarKind]] = defaultdict(set)
        for question in questions:
            if isinstance(question, ReachQuestion):
                for name in (question.source, question.target):
                    self._require(name)
                    kinds[name].add(EarKind.of_reach(question.proto, question.address))
            else:
                self._require(question.source)
                for name in self._nodes:
                    kinds[name].add(EarKind.of_broadcast(question.kind, question.family))
        for post in list(self.posts):
            if self._nodes.get(post.node.name) is not post.node:
                self.posts.forget(post.node.name)
        self.posts.forget_taps(self._taps)
        self.posts.open(self._nodes.values(), kinds)

    def _require(self, name: str) -> None:
        if name not in self._nodes:
            raise NodeNotFound(f"no node {name!r} in the lab", hint="nodes: " + ", ".join(self._nodes))

    def _prepare(self, question: Question) -> Asked:
        number = next(self._numbers)
        if isinstance(question, ReachQuestion):
            kind = EarKind.of_reach(question.proto, question.address)
            source, target = self.posts[question.source], self.posts[question.target]
            return AskedReach(question, number, source.ears[kind], target.ears[kind])
        kind = EarKind.of_broadcast(question.kind, question.family)
        ears = {name: self.posts[name].ears[kind] for name in self._nodes}
        sender = self._nodes[question.source]
        link = sender.links.get(question.interface)
        destination = destination_of(question, link, self._nodes.values()) if link is not None else None
        group = group_of(question, destination) if destination is not None else None
        if group is not None:
            self.posts.join(group)
        return AskedBroadcast(question, number, sender, kind, ears, destination)


def _is_ipv6(question: Question) -> bool:
    if isinstance(question, ReachQuestion):
        return question.address.version == 6
    return EarKind.of_broadcast(question.kind, question.family).is_ipv6
