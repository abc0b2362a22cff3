"""Questions under way: what was sent for each, and what has been heard of it so far."""

from __future__ import annotations

import dataclasses
from collections import Counter

from ipvlab.lab.nodes import Node
from ipvlab.probe.ears import Ear
from ipvlab.probe.layers import EarKind
from ipvlab.probe.questions import BroadcastQuestion, Crossing, ReachQuestion
from ipvlab.spec.values import Address


@dataclasses.dataclass(slots=True, eq=False)
class AskedReach:
    """One unicast probe under way."""

    question: ReachQuestion
    number: int
    source: Ear
    target: Ear
    refusal: OSError | None = None
    answer_refusal: OSError | None = None
    requests: int = 0
    replies: int = 0
    ttl: int | None = None
    #: The address that the request came from, as the target saw it.
    sender: bytes | str | None = None
    #: Nodes that a packet of this probe reached without being meant for them.
    strays: set[str] = dataclasses.field(default_factory=set)
    crossings: list[Crossing] = dataclasses.field(default_factory=list)
    #: Node -> TTLs of the request as it came in, and as it went out.
    came_in: dict[str, set[int]] = dataclasses.field(default_factory=dict)
    went_out: dict[str, set[int]] = dataclasses.field(default_factory=dict)

    def path(self) -> tuple[str, ...]:
        """The nodes that forwarded the request, in the order in which its TTL fell."""
        sent_on = {
            name: max(ttl for ttl in ttls if ttl + 1 in self.came_in[name])
            for name, ttls in self.went_out.items()
            if any(ttl + 1 in self.came_in.get(name, ()) for ttl in ttls)
        }
        return tuple(sorted(sent_on, key=lambda name: -sent_on[name]))


@dataclasses.dataclass(slots=True, eq=False)
class AskedBroadcast:
    """One broadcast under way."""

    question: BroadcastQuestion
    number: int
    sender: Node
    kind: EarKind
    #: One ear for each node, the sender's included.
    ears: dict[str, Ear]
    destination: Address | None
    refusal: OSError | None = None
    #: Why it could not even be tried.
    fault: str = ""
    copies: Counter[str] = dataclasses.field(default_factory=Counter)


Asked = AskedReach | AskedBroadcast


@dataclasses.dataclass(slots=True)
class Evidence:
    """What holds for a whole batch of probes, and decides whether its silences count."""

    batch: int
    #: An address that should be usable and is not, in words.
    unready: str = ""
    #: Barrier rounds after the probes; 0 when the packets were not proved to be at rest.
    fence_rounds: int = 0
    #: Frames that a link's queue holds back, in words.
    held_back: str = ""
    #: Packets that the CPU's backlog refused, or a detour.
    backlog_drops: int = 0
    #: Packets lost because a neighbour table or waiting list of the kernel was full.
    table_drops: int = 0

    @property
    def is_calm(self) -> bool:
        """Whether everything set in motion came to rest and nothing was lost on the way."""
        return not self.fault()

    def fault(self) -> str:
        """Why the batch proves no silence; empty when it does."""
        if self.unready:
            return self.unready
        if not self.fence_rounds:
            return "the packets were not proved to be at rest: the barrier did not come through"
        if self.held_back:
            return self.held_back
        if self.backlog_drops:
            return f"{self.backlog_drops} packets were lost for want of room (net.core.netdev_max_backlog)"
        if self.table_drops:
            return f"a neighbour table was full {self.table_drops} times (neigh.default.gc_thresh3)"
        return ""
