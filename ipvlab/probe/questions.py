"""What can be asked of a live lab, and what is observed: plain values, no sockets.

``run/`` turns expectations into questions and compares observations with what
was expected; ``probe/`` answers questions and expects nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from ipvlab.spec.values import Address, BroadcastKind, Family


@dataclasses.dataclass(frozen=True, slots=True)
class ReachQuestion:
    """Does a packet from one node get to another, and (unless one-way) its answer back?"""

    source: str
    target: str
    #: The address to send to; one of the target's.
    address: Address
    proto: Literal["icmp", "udp"] = "icmp"
    #: True for ``delivers`` and ``undelivered``: a datagram, and no answer is asked for.
    is_one_way: bool = False
    #: The address to send from, or None for the kernel's choice.
    source_address: Address | None = None
    #: Whether the forwarding nodes must be observed (costs a tap per node).
    wants_path: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Crossing:
    """One frame of a probe as a capture of a wire saw it."""

    wire: str
    source_mac: str
    destination_mac: str
    #: The VLAN id of the frame, or None when it is untagged.
    vlan: int | None
    #: ``request`` or ``reply``.
    leg: Literal["request", "reply"]


@dataclasses.dataclass(frozen=True, slots=True)
class ReachObservation:
    """What became of one probe; ``is_proved`` is False when the proof itself broke."""

    question: ReachQuestion
    #: The request arrived at a socket of the target.
    request: bool
    #: The answer arrived at a socket of the source (always False for one-way questions).
    reply: bool
    #: TTL or hop limit of the request as the target's socket read it.
    ttl: int | None
    crossings: tuple[Crossing, ...]
    #: Forwarding nodes in order (only when the question wants the path).
    path: tuple[str, ...] | None
    is_proved: bool
    #: Why it ended as it did, in plain words: no route, no neighbour, no way back …
    reason: str
    #: Counts and ids of the packets that prove it: fence, canaries, drops.
    proof: dict[str, Any]
    #: Wires whose capture cannot vouch that nothing else crossed them.
    unheard_wires: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class BroadcastQuestion:
    """Who hears a broadcast that one node sends by one interface?"""

    source: str
    kind: BroadcastKind
    #: The interface to send by, and for directed and multicast the destination.
    interface: str
    destination: Address | None = None
    family: Family = Family.IPV4


@dataclasses.dataclass(frozen=True, slots=True)
class BroadcastObservation:
    """Who heard it (the sender left out), who was silent by proof, who could not be observed."""

    question: BroadcastQuestion
    heard_by: frozenset[str]
    silent: frozenset[str]
    unobserved: frozenset[str]
    #: node -> how many copies reached its protocol layer, for nodes that heard it.
    copies: dict[str, int]
    reason: str
    proof: dict[str, Any]


Question = ReachQuestion | BroadcastQuestion
Observation = ReachObservation | BroadcastObservation
