"""Nodes in memory for tests of what the run room decides without a machine."""

from __future__ import annotations

import ipaddress

from ipvlab.probe.questions import BroadcastObservation, BroadcastQuestion, ReachObservation, ReachQuestion
from ipvlab.run.directory import Directory
from ipvlab.run.expand import Check, expand
from ipvlab.run.record import RecordedLink, RecordedNode
from ipvlab.spec.model import Expectation
from ipvlab.spec.values import NodeKind


def node(name: str, kind: NodeKind = "container", host: str | None = "h1", **links: str) -> RecordedNode:
    """A node; each link's addresses are one text, parted by blanks."""
    made = RecordedNode(name, kind, host=host if kind == "container" else None)
    for link, addresses in links.items():
        made.links[link] = RecordedLink(
            link, addresses=[ipaddress.ip_interface(text) for text in addresses.split()]
        )
    return made


def directory(*nodes: RecordedNode) -> Directory:
    """The nodes by their names."""
    return Directory({each.name: each for each in nodes})


def checks(written: dict[str, object], *nodes: RecordedNode, id_: str = "expect[0]") -> list[Check]:
    """The checks of one expectation, written as in a scenario file."""
    return expand(Expectation.model_validate(written), id_, directory(*nodes), None)


def reach_seen(
    check: Check,
    *,
    request: bool = True,
    reply: bool = True,
    ttl: int | None = 64,
    path: tuple[str, ...] | None = None,
    is_proved: bool = True,
    reason: str = "",
) -> ReachObservation:
    """What a prober might have observed of a pair."""
    assert isinstance(check.question, ReachQuestion)
    return ReachObservation(check.question, request, reply, ttl, (), path, is_proved, reason, {"probe": 1})


def broadcast_seen(
    check: Check,
    heard_by: str = "",
    silent: str = "",
    unobserved: str = "",
    copies: dict[str, int] | None = None,
) -> BroadcastObservation:
    """What a prober might have observed of a broadcast; names are parted by blanks."""
    assert isinstance(check.question, BroadcastQuestion)
    heard = frozenset(heard_by.split())
    return BroadcastObservation(
        check.question,
        heard,
        frozenset(silent.split()),
        frozenset(unobserved.split()),
        copies or dict.fromkeys(heard, 1),
        "",
        {},
    )
