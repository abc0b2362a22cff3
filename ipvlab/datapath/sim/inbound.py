"""What the stack of a simulated machine does: take packets in, answer, forward, send."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod

from ipvlab.datapath.sim.machine import Machine, SimLink
from ipvlab.datapath.sim.trace import Deed, Notebook
from ipvlab.rules import catalogue_ipvlan, catalogue_linux
from ipvlab.rules.arrivals import Arrival, admit, route_in
from ipvlab.rules.hooks import RECEIVING, SENDING
from ipvlab.rules.neighbours import Answer, ask, take_advertisement, take_arp, take_router, take_solicitation
from ipvlab.rules.packets import ANSWER_KINDS, Arp, Frame, Packet, PacketKind, PacketType, packet_type
from ipvlab.rules.ports import Port
from ipvlab.rules.receive import divert
from ipvlab.rules.routing import Way, WayKind, find_way, find_way_for_endpoint, known_mac
from ipvlab.rules.rule import Rule
from ipvlab.rules.stack import Hook
from ipvlab.spec.values import Address


class Inbound(ABC):
    """The stacks of all machines; what moves frames between them is :class:`World`."""

    notebook: Notebook
    machines: dict[str, Machine]
    forwarded: list[tuple[int, str]]
    waiters: dict[Machine, None]
    #: Duplicate address detection under way: (machine, link, address), and those that met a conflict.
    conflicts: set[tuple[str, str, Address]]

    @abstractmethod
    def transmit(self, machine: Machine, link: SimLink, frame: Frame) -> None:
        """Send a frame by a link."""

    @abstractmethod
    def hear(self, machine: Machine, link: SimLink, payload: Arp | Packet) -> None:
        """Sockets get a packet."""

    @abstractmethod
    def port(self, parent: SimLink) -> Port | None:
        """The ipvlan port of a link."""

    def take(self, machine: Machine, link: SimLink, frame: Frame, is_stray: bool) -> None:
        """A stack is handed a frame by one of its links."""
        if not link.is_up or machine.links.get(link.name) is not link:
            return
        type_ = PacketType.OTHERHOST if is_stray else packet_type(frame, link.mac)
        payload = frame.payload
        if isinstance(payload, Arp):
            self._take_arp(machine, link, frame, payload, type_)
        elif isinstance(payload, Packet):
            self._take_packet(machine, link, frame, payload, type_)
        else:
            self.notebook.note(
                Deed.IGNORES, machine.name, link.name, catalogue_linux.NOBODY_LISTENS, payload, frame
            )

    def _take_arp(self, machine: Machine, link: SimLink, frame: Frame, arp: Arp, type_: PacketType) -> None:
        if type_ is PacketType.OTHERHOST:
            self.notebook.note(Deed.IGNORES, machine.name, link.name, catalogue_linux.OTHER_MAC, arp, frame)
            return
        if link.has_arp:
            self.hear(machine, link, arp)
        answer = take_arp(machine.stack, machine.stack.links[link.name], arp)
        self._follow(machine, link, answer, arp, frame)

    def _follow(
        self, machine: Machine, link: SimLink, answer: Answer, question: Arp | Packet, frame: Frame | None
    ) -> None:
        """Do what an answer says: learn, and reply."""
        if answer.reply is None:
            is_learning = answer.rule is catalogue_linux.NEIGHBOUR_LEARNT
            deed = Deed.TAKES if is_learning else Deed.IGNORES
            self.notebook.note(deed, machine.name, link.name, answer.rule, question, frame)
        if answer.learnt is not None and answer.mac:
            self._learn(machine, link, answer)
        if answer.reply is None:
            return
        self.notebook.note(
            Deed.ANSWERS, machine.name, link.name, answer.rule, answer.reply.payload, answer.reply
        )
        reply = answer.reply
        if not link.has_arp:
            # Without neighbours everything goes to the link's own MAC.
            reply = dataclasses.replace(reply, to=link.mac)
        self.transmit(machine, link, reply)

    def _learn(self, machine: Machine, link: SimLink, answer: Answer) -> None:
        assert answer.learnt is not None
        key = (link.name, answer.learnt)
        if not link.has_arp or not (
            answer.is_creating or key in machine.waiting or key in machine.neighbours
        ):
            return
        machine.neighbours[key] = answer.mac
        for packet in machine.waiting.pop(key, ()):
            self._put_on_link(machine, link, packet, answer.mac)

    def _take_packet(
        self, machine: Machine, link: SimLink, frame: Frame, packet: Packet, type_: PacketType
    ) -> None:
        stack = machine.stack
        view = stack.links[link.name]
        arrival = admit(stack, view, packet, type_)
        port = self.port(link) if arrival is None else None
        owner = divert(port, packet) if port is not None else None
        if owner is not None:
            assert link.port is not None
            self._divert(machine, link, packet, type_, *link.port.endpoints[owner])
            return
        if arrival is None:
            arrival = route_in(stack, view, packet, type_)
        if arrival.is_taken:
            self.notebook.note(Deed.TAKES, machine.name, link.name, arrival.rule, packet, frame)
            self._deliver(machine, link, packet)
        elif arrival.is_forwarded:
            self._forward(machine, link, packet, arrival)
        else:
            self._drop(machine, link, packet, arrival.rule, arrival.stopped_at)

    def _divert(
        self,
        host: Machine,
        parent: SimLink,
        packet: Packet,
        type_: PacketType,
        machine: Machine,
        link: SimLink,
    ) -> None:
        """L3S: the host's IP input delivers to an endpoint's sockets."""
        if host.stack.stops(Hook.INPUT, packet):
            self._drop(host, parent, packet, catalogue_linux.FIREWALL, Hook.INPUT)
            return
        self.notebook.note(
            Deed.HANDS, host.name, parent.name, catalogue_ipvlan.L3S_DIVERT, packet, note=machine.name
        )
        quiet = dataclasses.replace(machine.stack, dropping=frozenset())
        arrival = route_in(quiet, quiet.links[link.name], packet, type_)
        if arrival.is_taken:
            self.notebook.note(Deed.TAKES, machine.name, link.name, arrival.rule, packet)
            self._deliver(machine, link, packet)
        else:
            self._drop(machine, link, packet, arrival.rule)

    def _drop(
        self, machine: Machine, link: SimLink | None, packet: Packet, rule: Rule, hook: Hook | None = None
    ) -> None:
        is_quiet = rule in (catalogue_linux.NOT_JOINED, catalogue_linux.OTHER_MAC)
        deed = Deed.IGNORES if is_quiet else Deed.DROPS
        where = link.name if link is not None else ""
        self.notebook.note(deed, machine.name, where, rule, packet, note=f"at {hook}" if hook else "")

    def _deliver(self, machine: Machine, link: SimLink, packet: Packet) -> None:
        """Sockets and protocols of a machine get a packet."""
        self.hear(machine, link, packet)
        if packet.kind is PacketKind.ECHO:
            is_unicast = packet.destination in machine.stack.local
            # Echoes to broadcast addresses are ignored (icmp_echo_ignore_broadcasts, on by default).
            if is_unicast:
                self._answer_echo(machine, link, packet)
        elif packet.kind is PacketKind.SOLICITATION:
            self._follow(
                machine, link, take_solicitation(machine.stack.links[link.name], packet), packet, None
            )
        elif packet.kind is PacketKind.ADVERTISEMENT:
            answer = take_advertisement(machine.stack.links[link.name], packet)
            is_conflict = answer.rule is catalogue_linux.DAD_CONFLICT or packet.target == link.is_detecting
            if packet.target is not None and is_conflict:
                self.conflicts.add((machine.name, link.name, packet.target))
            self._follow(machine, link, answer, packet, None)
        elif packet.kind is PacketKind.ROUTER_ADVERTISEMENT:
            self._follow(machine, link, take_router(packet), packet, None)

    def _answer_echo(self, machine: Machine, link: SimLink, packet: Packet) -> None:
        reply = Packet(PacketKind.ECHO_REPLY, packet.destination, packet.source, mark=packet.mark)
        by = link.name if packet.source.version == 6 and packet.source.is_link_local else ""
        self.send(machine, reply, by=by, source=packet.destination)

    def _forward(self, machine: Machine, link: SimLink, packet: Packet, arrival: Arrival) -> None:
        way = find_way(machine.stack, packet.destination)
        onward = dataclasses.replace(packet, ttl=packet.ttl - 1)
        if machine.stack.stops(Hook.POSTROUTING, onward):
            self._drop(machine, link, packet, catalogue_linux.FIREWALL, Hook.POSTROUTING)
            return
        if way.kind is not WayKind.UNICAST:
            self._drop(machine, link, packet, way.rule)
            return
        note = f"by {way.link}" + (f" via {way.next_hop}" if way.next_hop != packet.destination else "")
        self.notebook.note(
            Deed.FORWARDS, machine.name, link.name, arrival.rule, onward, note=f"{note}, TTL {onward.ttl}"
        )
        if packet.mark is not None and packet.kind not in ANSWER_KINDS:
            self.forwarded.append((packet.mark, machine.name))
        self._emit(machine, way, onward)

    def send(
        self, machine: Machine, packet: Packet, *, by: str = "", source: Address | None = None
    ) -> Rule | None:
        """Send a packet of a machine's own; the rule that refused it, or None where it went off.

        The source is filled in where ``source`` is None, as the kernel would choose it.
        """
        way = find_way(machine.stack, packet.destination, source=source, by=by)
        if way.kind is WayKind.NONE or way.source is None:
            self._drop(machine, None, packet, way.rule)
            return way.rule
        packet = dataclasses.replace(packet, source=way.source)
        for hook in SENDING:
            if machine.stack.stops(hook, packet):
                self._drop(machine, None, packet, catalogue_linux.FIREWALL, hook)
                return catalogue_linux.FIREWALL
        if way.kind is WayKind.LOCAL:
            self._take_own(machine, packet)
            return None
        self._note_sending(machine, way, packet)
        self._emit(machine, way, packet)
        return None

    def _note_sending(self, machine: Machine, way: Way, packet: Packet) -> None:
        is_by_gateway = way.kind is WayKind.UNICAST and way.next_hop != packet.destination
        note = f"via {way.next_hop}" if is_by_gateway else ""
        self.notebook.note(Deed.SENDS, machine.name, way.link, way.rule, packet, note=note)

    def _take_own(self, machine: Machine, packet: Packet) -> None:
        """A packet that a machine takes in by ``lo``: its PREROUTING and INPUT see it."""
        link = next(iter(machine.links.values()), None)
        for hook in RECEIVING:
            if machine.stack.stops(hook, packet):
                self._drop(machine, None, packet, catalogue_linux.FIREWALL, hook)
                return
        if link is not None:
            holder = machine.stack.local.get(packet.destination)
            self.notebook.note(Deed.TAKES, machine.name, "lo", catalogue_linux.LOCAL, packet)
            self._deliver(machine, machine.links[holder] if holder is not None else link, packet)

    def route_for_endpoint(self, host: Machine, parent: SimLink, packet: Packet) -> None:
        """The host routes a packet of an endpoint in L3 or L3S as a packet of its own."""
        way = find_way_for_endpoint(host.stack, packet.destination, parent.name)
        if way.kind is WayKind.NONE:
            self._drop(host, parent, packet, way.rule)
            return
        for hook in SENDING:
            if host.stack.stops(hook, packet):
                self._drop(host, parent, packet, catalogue_linux.FIREWALL, hook)
                return
        self._note_sending(host, way, packet)
        if way.kind is WayKind.LOCAL:
            self._take_own(host, packet)
        else:
            self._emit(host, way, packet)

    def _emit(self, machine: Machine, way: Way, packet: Packet) -> None:
        """Put a packet on its link, once the next hop's MAC is known."""
        link = machine.links[way.link]
        mac = known_mac(machine.stack, way)
        hop = way.next_hop
        assert hop is not None
        key = (way.link, hop)
        if not link.has_arp and way.kind is WayKind.UNICAST:
            self.notebook.note(
                Deed.BY_THE_WAY, machine.name, way.link, catalogue_linux.NEIGHBOUR_NOARP, packet
            )
        if mac is None:
            mac = machine.neighbours.get(key)
        if mac is not None:
            self._put_on_link(machine, link, packet, mac)
            return
        is_asked = key in machine.waiting
        self.waiters[machine] = None
        machine.waiting.setdefault(key, []).append(packet)
        if is_asked:
            return
        question = ask(machine.stack, machine.stack.links[way.link], hop, packet.source)
        if question is not None:
            self.notebook.note(
                Deed.ASKS, machine.name, way.link, catalogue_linux.NEIGHBOUR_ASKED, question.payload, question
            )
            port = self.port(link)
            if port is not None and hop in port.owners:
                self.notebook.note(
                    Deed.BY_THE_WAY, machine.name, way.link, catalogue_ipvlan.HOST_NOT_DOWN, packet
                )
            self.transmit(machine, link, question)

    def _put_on_link(self, machine: Machine, link: SimLink, packet: Packet, mac: bytes) -> None:
        self.transmit(machine, link, Frame(mac, link.mac, packet))
