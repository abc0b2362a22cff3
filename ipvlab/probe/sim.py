"""The prober of a simulated lab: the same questions and observations as of a live one.

Nothing needs a proof here: when no frame is left, what has not arrived never will.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence

from ipvlab.datapath.sim.machine import Machine
from ipvlab.datapath.sim.trace import Deed, Step
from ipvlab.datapath.sim.world import Crossed, Hearing, World
from ipvlab.errors import NodeNotFound
from ipvlab.probe.questions import (
    BroadcastObservation,
    BroadcastQuestion,
    Crossing,
    Observation,
    Question,
    ReachObservation,
    ReachQuestion,
)
from ipvlab.probe.sim_broadcast import destination_of, join, send_broadcast
from ipvlab.rules.groups import ANY4, ANY6
from ipvlab.rules.packets import ANSWER_KINDS, Arp, Packet, PacketKind
from ipvlab.rules.rule import Rule
from ipvlab.spec.values import Address


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """An observation, and every step that led to it."""

    observation: Observation
    steps: tuple[Step, ...]


@dataclasses.dataclass(slots=True)
class _Flight:
    """One question under way."""

    question: Question
    number: int
    source: Machine
    target: Machine | None = None
    #: For a broadcast: where it goes.
    destination: Address | None = None
    fault: str = ""
    refusal: Rule | None = None
    has_answered: bool = False
    heard: list[Hearing] = dataclasses.field(default_factory=list)
    crossed: list[Crossed] = dataclasses.field(default_factory=list)
    forwarders: list[str] = dataclasses.field(default_factory=list)
    end: Step | None = None


class SimProber:
    """Answers questions about a simulated lab; all of them are in flight together, as on a live one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count(1)

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """The observations, in the order of the questions; raises :class:`NodeNotFound`.

        Questions leave one after the other, each as soon as the one before has
        come to rest; a packet that waits for a neighbour waits to the end.
        """
        world = self._world
        world.notebook.steps.clear()
        world.notebook.is_open = True
        try:
            return self._answer(questions)
        finally:
            world.notebook.is_open = False

    def account(self, question: Question) -> Account:
        """One question's observation with its steps; raises :class:`NodeNotFound`."""
        [observation] = self.answer([question])
        return Account(observation, tuple(self._world.notebook.steps))

    def reach(self, question: ReachQuestion) -> ReachObservation:
        """One unicast probe, without a word of reason: for many thousands of them."""
        [observation] = self._answer([question])
        assert isinstance(observation, ReachObservation)
        return observation

    def _answer(self, questions: Sequence[Question]) -> list[Observation]:
        world = self._world
        world.forget_probes()
        flights = [self._prepare(question) for question in questions]
        by_number = {flight.number: flight for flight in flights}
        for flight in flights:
            self._launch(flight)
            world.settle()
        heard = 0
        while heard < len(world.heard):
            news, heard = world.heard[heard:], len(world.heard)
            for hearing in news:
                if hearing.payload.mark is not None:
                    self._hear(by_number[hearing.payload.mark], hearing)
            world.settle()
        world.give_up()
        self._hand_out(by_number)
        return [self._conclude(flight) for flight in flights]

    def _machine(self, name: str) -> Machine:
        machine = self._world.machines.get(name)
        if machine is None:
            raise NodeNotFound(
                f"no node {name!r} in the lab", hint="nodes: " + ", ".join(self._world.machines)
            )
        return machine

    def _prepare(self, question: Question) -> _Flight:
        flight = _Flight(question, next(self._numbers), self._machine(question.source))
        if isinstance(question, ReachQuestion):
            flight.target = self._machine(question.target)
            return flight
        link = flight.source.links.get(question.interface)
        if link is None:
            flight.fault = f"{question.source} has no interface {question.interface}"
            return flight
        flight.destination = destination_of(self._world, question, link)
        if flight.destination is None:
            flight.fault = f"a {question.kind} broadcast by {question.interface} has no destination"
        else:
            join(self._world, question, flight.destination)
        return flight

    def _launch(self, flight: _Flight) -> None:
        question, source = flight.question, flight.source
        if isinstance(question, BroadcastQuestion):
            if flight.destination is not None:
                link = source.links[question.interface]
                flight.refusal = send_broadcast(
                    self._world, source, link, question, flight.destination, flight.number
                )
            return
        kind = PacketKind.UDP if question.proto == "udp" else PacketKind.ECHO
        by = next(iter(source.links), "") if _is_link_local(question.address) else ""
        unspecified: Address = ANY4 if question.address.version == 4 else ANY6
        packet = Packet(kind, unspecified, question.address, mark=flight.number)
        flight.refusal = self._world.send(source, packet, by=by, source=question.source_address)

    def _hear(self, flight: _Flight, hearing: Hearing) -> None:
        """Take note of what sockets got; a target answers its first datagram, as the live prober does."""
        flight.heard.append(hearing)
        question, request = flight.question, hearing.payload
        if isinstance(question, BroadcastQuestion) or hearing.machine is not flight.target:
            return
        is_datagram = isinstance(request, Packet) and request.kind is PacketKind.UDP
        if not is_datagram or question.is_one_way or flight.has_answered:
            return
        assert isinstance(request, Packet)
        flight.has_answered = True
        answer = Packet(PacketKind.UDP_ANSWER, request.destination, request.source, mark=flight.number)
        by = hearing.link if _is_link_local(request.destination) else ""
        refusal = self._world.send(hearing.machine, answer, by=by, source=request.destination)
        flight.refusal = flight.refusal or refusal

    def _hand_out(self, flights: dict[int, _Flight]) -> None:
        """Give each flight what its own packets left behind."""
        for crossed in self._world.crossed:
            flights[crossed.mark].crossed.append(crossed)
        for mark, name in self._world.forwarded:
            flights[mark].forwarders.append(name)
        for step in self._world.notebook.steps:
            mark_of = getattr(step.payload, "mark", None)
            if step.deed is Deed.DROPS and mark_of is not None:
                flights[mark_of].end = step

    def _conclude(self, flight: _Flight) -> Observation:
        if isinstance(flight.question, BroadcastQuestion):
            return self._conclude_broadcast(flight, flight.question)
        return _conclude_reach(flight, flight.question)

    def _conclude_broadcast(self, flight: _Flight, question: BroadcastQuestion) -> BroadcastObservation:
        others = [name for name in self._world.machines if name != flight.source.name]
        copies = Counter(
            hearing.machine.name for hearing in flight.heard if hearing.machine is not flight.source
        )
        heard = frozenset(copies)
        silent = frozenset(others) - heard if not flight.fault else frozenset()
        refusal = flight.refusal
        return BroadcastObservation(
            question=question,
            heard_by=heard,
            silent=silent,
            unobserved=frozenset(others) - heard - silent,
            copies=dict(copies),
            reason=flight.fault or (f"not sent: {refusal.sentence}" if refusal is not None else ""),
            proof={"probe": flight.number},
        )


def _conclude_reach(flight: _Flight, question: ReachQuestion) -> ReachObservation:
    arrived = [hearing for hearing in flight.heard if _is_request(hearing.payload)]
    requests = [hearing for hearing in arrived if hearing.machine is flight.target]
    replies = [
        hearing
        for hearing in flight.heard
        if hearing.machine is flight.source
        and isinstance(hearing.payload, Packet)
        and hearing.payload.kind in ANSWER_KINDS
    ]
    # An answer without a request at the target is another node's, which has the same address.
    reply = bool(replies) and bool(requests) and not question.is_one_way
    happened = bool(requests) if question.is_one_way else reply
    first = requests[0].payload if requests else None
    return ReachObservation(
        question=question,
        request=bool(requests),
        reply=reply,
        ttl=first.ttl if isinstance(first, Packet) else None,
        crossings=tuple(dict.fromkeys(_crossing(crossed) for crossed in flight.crossed)),
        path=tuple(dict.fromkeys(flight.forwarders)) if question.wants_path else None,
        is_proved=True,
        reason="" if happened else _explain(flight, arrived, has_request=bool(requests)),
        proof={"probe": flight.number, "requests": len(requests), "replies": len(replies)},
    )


def _explain(flight: _Flight, arrived: Sequence[Hearing], *, has_request: bool) -> str:
    """Which leg of a probe died and where, in plain words."""
    leg = "the request arrived, the answer was lost (no way back): " if has_request else ""
    if flight.end is not None:
        note = f" ({flight.end.note})" if flight.end.note else ""
        text = f"{flight.end.who}: {flight.end.rule.sentence}{note}"
    elif flight.refusal is not None:
        text = flight.refusal.sentence
    else:
        text = "it did not arrive"
    strays = sorted({hearing.machine.name for hearing in arrived if hearing.machine is not flight.target})
    if strays and not has_request:
        text += f"; it reached {', '.join(strays)} instead"
    return leg + text


def _is_link_local(address: Address) -> bool:
    return address.version == 6 and address.is_link_local


def _is_request(payload: Arp | Packet) -> bool:
    return isinstance(payload, Packet) and payload.kind in (PacketKind.ECHO, PacketKind.UDP)


def _crossing(crossed: Crossed) -> Crossing:
    frame = crossed.frame
    return Crossing(crossed.wire, frame.sender.hex(":"), frame.to.hex(":"), frame.vlan, crossed.leg)
