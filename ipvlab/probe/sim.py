"""The prober of a simulated lab: the same questions and observations as of a live one.

Nothing needs a proof here: when no frame is left, what has not arrived never will.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
from collections import Counter
from collections.abc import Sequence

from ipvlab.datapath.sim.machine import Machine, SimLink
from ipvlab.datapath.sim.trace import Deed, Step
from ipvlab.datapath.sim.world import Crossed, World
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
from ipvlab.rules import catalogue_linux
from ipvlab.rules.groups import ALL_NODES, ANY4, ANY6, LIMITED_BROADCAST, solicited_node
from ipvlab.rules.packets import (
    ANSWER_KINDS,
    BROADCAST_MAC,
    Arp,
    ArpKind,
    Frame,
    Packet,
    PacketKind,
)
from ipvlab.rules.rule import Rule
from ipvlab.spec.values import Address, BroadcastKind

MDNS4, MDNS6 = ipaddress.IPv4Address("224.0.0.251"), ipaddress.IPv6Address("ff02::fb")


@dataclasses.dataclass(frozen=True, slots=True)
class Account:
    """An observation, and every step that led to it."""

    observation: Observation
    steps: tuple[Step, ...]


class SimProber:
    """Answers questions about a simulated lab, one after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = itertools.count(1)

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """The observations, in the order of the questions; raises :class:`NodeNotFound`."""
        return [self.account(question).observation for question in questions]

    def account(self, question: Question) -> Account:
        """One question's observation with its steps; raises :class:`NodeNotFound`."""
        world = self._world
        world.notebook.steps = []
        world.notebook.is_open = True
        try:
            if isinstance(question, ReachQuestion):
                observation: Observation = self.reach(question)
            else:
                observation = self._broadcast(question)
        finally:
            world.notebook.is_open = False
        return Account(observation, tuple(world.notebook.steps))

    def _machine(self, name: str) -> Machine:
        machine = self._world.machines.get(name)
        if machine is None:
            raise NodeNotFound(
                f"no node {name!r} in the lab", hint="nodes: " + ", ".join(self._world.machines)
            )
        return machine

    def _begin(self) -> int:
        world = self._world
        world.heard.clear()
        world.crossed.clear()
        world.forwarded.clear()
        world.unanswered.clear()
        return next(self._numbers)

    def reach(self, question: ReachQuestion) -> ReachObservation:
        """Send one unicast probe and see what becomes of it."""
        world, number = self._world, self._begin()
        source, target = self._machine(question.source), self._machine(question.target)
        refusal = self._send_request(source, question, number)
        world.run()
        arrived = [hearing for hearing in world.heard if _is_request(hearing.payload)]
        requests = [hearing for hearing in arrived if hearing.machine is target]
        answer_refusal = None
        if requests and question.proto == "udp" and not question.is_one_way:
            request = requests[0].payload
            assert isinstance(request, Packet)
            answer = Packet(PacketKind.UDP_ANSWER, request.destination, request.source, mark=number)
            by = requests[0].link if _is_link_local(request.destination) else ""
            answer_refusal = world.send(target, answer, by=by, source=request.destination)
            world.run()
        replies = [
            hearing
            for hearing in world.heard
            if hearing.machine is source
            and isinstance(hearing.payload, Packet)
            and hearing.payload.kind in ANSWER_KINDS
        ]
        strays = sorted({hearing.machine.name for hearing in arrived} - {target.name})
        # An answer without a request at the target is another node's, which has the same address.
        reply = bool(replies) and bool(requests) and not question.is_one_way
        happened = bool(requests) if question.is_one_way else reply
        first = requests[0].payload if requests else None
        path = tuple(dict.fromkeys(world.forwarded))
        return ReachObservation(
            question=question,
            request=bool(requests),
            reply=reply,
            ttl=first.ttl if isinstance(first, Packet) else None,
            crossings=tuple(dict.fromkeys(_crossing(crossed) for crossed in world.crossed)),
            path=path if question.wants_path else None,
            is_proved=True,
            reason="" if happened else self._explain(refusal or answer_refusal, bool(requests), strays),
            proof={"probe": number, "requests": len(requests), "replies": len(replies)},
        )

    def _send_request(self, source: Machine, question: ReachQuestion, number: int) -> Rule | None:
        kind = PacketKind.UDP if question.proto == "udp" else PacketKind.ECHO
        by = next(iter(source.links), "") if _is_link_local(question.address) else ""
        unspecified: Address = ANY4 if question.address.version == 4 else ANY6
        packet = Packet(kind, unspecified, question.address, mark=number)
        return self._world.send(source, packet, by=by, source=question.source_address)

    def _explain(self, refusal: Rule | None, has_request: bool, strays: Sequence[str]) -> str:
        """Which leg of a probe died and where, in plain words."""
        leg = "the request arrived, the answer was lost (no way back): " if has_request else ""
        end = next((step for step in reversed(self._world.notebook.steps) if step.deed is Deed.DROPS), None)
        if self._world.unanswered:
            name, link, hop = self._world.unanswered[-1]
            asked = "ARP" if hop.version == 4 else "neighbour solicitation"
            text = f"{name}: no neighbour: nobody answered {asked} for {hop} on {link}"
        elif end is not None:
            text = f"{end.who}: {end.rule.sentence}"
        elif refusal is not None:
            text = refusal.sentence
        else:
            text = "it did not arrive"
        if strays and not has_request:
            text += f"; it reached {', '.join(strays)} instead"
        return leg + text

    def _broadcast(self, question: BroadcastQuestion) -> BroadcastObservation:
        """Send one broadcast and see whose sockets get it."""
        world, number = self._world, self._begin()
        sender = self._machine(question.source)
        link = sender.links.get(question.interface)
        fault, refusal = "", None
        if link is None:
            fault = f"{question.source} has no interface {question.interface}"
        else:
            destination = self._destination(question, link)
            if destination is None:
                fault = f"a {question.kind} broadcast by {question.interface} has no destination"
            else:
                self._join(question, destination)
                refusal = self._send_broadcast(sender, link, question, destination, number)
                world.run()
        others = [name for name in world.machines if name != sender.name]
        copies = Counter(
            hearing.machine.name
            for hearing in world.heard
            if hearing.payload.mark == number and hearing.machine is not sender
        )
        heard = frozenset(copies)
        silent = frozenset(name for name in others if name not in heard) if not fault else frozenset()
        reason = fault or (f"not sent: {refusal.sentence}" if refusal is not None else "")
        return BroadcastObservation(
            question=question,
            heard_by=heard,
            silent=silent,
            unobserved=frozenset(others) - heard - silent,
            copies=dict(copies),
            reason=reason,
            proof={"probe": number},
        )

    def _destination(self, question: BroadcastQuestion, link: SimLink) -> Address | None:
        """The destination, or for ARP and ND the address asked for; None where there is none."""
        if question.destination is not None:
            return question.destination
        if question.kind is BroadcastKind.LIMITED:
            return LIMITED_BROADCAST
        if question.kind is BroadcastKind.RA:
            return ALL_NODES
        if question.kind is BroadcastKind.MDNS:
            return MDNS4 if question.family == "ipv4" else MDNS6
        version = 6 if question.kind is BroadcastKind.ND else 4
        subnet = next((held.network for held in link.addresses if held.version == version), None)
        if question.kind is BroadcastKind.MULTICAST or subnet is None:
            return None
        if question.kind is BroadcastKind.DIRECTED:
            return subnet.broadcast_address
        taken = {
            held.ip
            for machine in self._world.machines.values()
            for each in machine.links.values()
            for held in each.addresses
        }
        last = int(subnet.broadcast_address) - (1 if version == 4 else 0)
        kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        free = (kind(number) for number in range(last, int(subnet.network_address), -1))
        return next((address for address in free if address not in taken), None)

    def _join(self, question: BroadcastQuestion, destination: Address) -> None:
        """Every node joins the group on each of its links, as the live prober lets it."""
        group: Address | None = destination if destination.is_multicast else None
        if isinstance(destination, ipaddress.IPv6Address) and question.kind is BroadcastKind.ND:
            group = solicited_node(destination)
        if group is None or group == ALL_NODES:
            return
        for machine in self._world.machines.values():
            for link in machine.links.values():
                if group.version == 4 or link.has_ipv6:
                    link.joined.add(group)
        self._world.changed()

    def _send_broadcast(
        self,
        sender: Machine,
        link: SimLink,
        question: BroadcastQuestion,
        destination: Address,
        number: int,
    ) -> Rule | None:
        world = self._world
        if isinstance(destination, ipaddress.IPv4Address) and question.kind is BroadcastKind.ARP:
            if not link.is_up:
                return catalogue_linux.LINK_DOWN
            own = next((held.ip for held in link.addresses if held.version == 4), ANY4)
            arp = Arp(ArpKind.REQUEST, link.mac, own, destination, number)
            world.notebook.note(
                Deed.ASKS,
                sender.name,
                link.name,
                catalogue_linux.NEIGHBOUR_ASKED,
                arp,
                Frame(BROADCAST_MAC, link.mac, arp),
            )
            world.transmit(sender, link, Frame(BROADCAST_MAC, link.mac, arp))
            return None
        if not link.is_up:
            return catalogue_linux.LINK_DOWN
        if isinstance(destination, ipaddress.IPv6Address) and question.kind is BroadcastKind.ND:
            packet = Packet(
                PacketKind.SOLICITATION, ANY6, solicited_node(destination), 255, destination, link.mac, number
            )
        elif question.kind is BroadcastKind.RA:
            packet = Packet(PacketKind.ROUTER_ADVERTISEMENT, ANY6, destination, 255, mark=number)
        else:
            ttl = 255 if question.kind is BroadcastKind.MDNS else (1 if destination.is_multicast else 64)
            unspecified: Address = ANY4 if destination.version == 4 else ANY6
            packet = Packet(PacketKind.UDP, unspecified, destination, ttl, mark=number)
        return world.send(sender, packet, by=link.name)


def _is_link_local(address: Address) -> bool:
    return address.version == 6 and address.is_link_local


def _is_request(payload: Arp | Packet) -> bool:
    return isinstance(payload, Packet) and payload.kind in (PacketKind.ECHO, PacketKind.UDP)


def _crossing(crossed: Crossed) -> Crossing:
    frame = crossed.frame
    return Crossing(crossed.wire, frame.sender.hex(":"), frame.to.hex(":"), frame.vlan, crossed.leg)
