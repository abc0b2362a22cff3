"""Frames that a queueing discipline holds back: no silence is proved while one may still come.

A link of a lab has no queue. A program that ran in a node may have given one
(``tc qdisc add dev eth0 root tbf …``), and a frame that waits there is neither in
the backlog that the barrier empties nor lost. Only nodes in which a program has
run are looked at: listing queues takes the lock that every change of a link takes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from ipvlab.probe.neighbours import NLM_F_DUMP, attributes
from ipvlab.probe.posts import Post

RTM_NEWQDISC, RTM_GETQDISC = 36, 38
TCA_KIND, TCA_STATS = 1, 3
#: They hand every frame on at once.
IMMEDIATE = frozenset({"noqueue", "clsact", "ingress"})

_TCMSG = struct.Struct("=BxxxiIII")
#: struct tc_stats: bytes, packets, drops, overlimits, bps, pps, qlen.
_STATS = struct.Struct("=QIIIIII")


def find_held(posts: Iterable[Post]) -> tuple[int, str]:
    """How many queues may hold frames back, and, where one does, which, in words."""
    queues, words = 0, ""
    for post in posts:
        if post.node.sandbox is None:
            continue
        request = _TCMSG.pack(0, 0, 0, 0, 0)
        for kind, body in post.neighbours.exchange(RTM_GETQDISC, NLM_F_DUMP, request):
            if kind != RTM_NEWQDISC:
                continue
            holds = attributes(body, _TCMSG.size)
            discipline = holds.get(TCA_KIND, b"").rstrip(b"\0").decode()
            if discipline in IMMEDIATE:
                continue
            queues += 1
            waiting = _STATS.unpack_from(holds[TCA_STATS])[6] if TCA_STATS in holds else 0
            if waiting:
                (_, index, _, _, _) = _TCMSG.unpack_from(body)
                names = [link.name for link in post.node.links.values() if link.index == index]
                place = f"{post.node.name}:{names[0] if names else index}"
                words = f"{waiting} frames wait in a queue of {place} ({discipline})"
    return queues, words


def await_queues(posts: Iterable[Post], go_on: Callable[[], bool]) -> str:
    """Let frames that have left a queue end their way; in words where one is held back.

    ``go_on`` runs the barrier, and is true when answers were sent meanwhile. A
    frame waits at most once in each queue, so after as many quiet barriers with
    every queue empty none is under way.
    """
    places = list(posts)
    quiet = 0
    while True:
        queues, words = find_held(places)
        if words or quiet >= queues:
            return words
        quiet = 0 if go_on() else quiet + 1
