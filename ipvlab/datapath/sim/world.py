"""A simulated lab in motion: one queue of frames, and what machines do with them."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import Literal

from ipvlab.datapath.sim.inbound import Inbound
from ipvlab.datapath.sim.machine import Machine, PortState, Revision, SimLink, SimWire, endpoint_name
from ipvlab.datapath.sim.trace import Deed, Notebook
from ipvlab.errors import LabError
from ipvlab.rules import catalogue_linux, switching
from ipvlab.rules.groups import group_mac
from ipvlab.rules.packets import ANSWER_KINDS, Arp, Frame, Packet
from ipvlab.rules.ports import Decision, Port
from ipvlab.rules.receive import receive
from ipvlab.rules.transmit import transmit
from ipvlab.rules.vlans import take_tagged
from ipvlab.spec.values import Address

#: More frames than any question can set off: TTLs bound every loop long before.
MOST_FRAMES = 5_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Crossed:
    """A frame of a probe on a wire."""

    wire: str
    frame: Frame
    leg: Literal["request", "reply"]
    mark: int


@dataclasses.dataclass(frozen=True, slots=True)
class Hearing:
    """A packet of a probe that the sockets of a machine got."""

    machine: Machine
    payload: Arp | Packet
    link: str


class World(Inbound):
    """All machines and wires of a lab; :meth:`run` moves frames until none is left."""

    def __init__(self) -> None:
        self.revision = Revision()
        self.machines: dict[str, Machine] = {}
        self.wires: dict[str, SimWire] = {}
        self.notebook = Notebook()
        self.crossed: list[Crossed] = []
        self.heard: list[Hearing] = []
        #: The mark of a probe's request and a node that sent it on, in order.
        self.forwarded: list[tuple[int, str]] = []
        #: Machines with packets that wait for a neighbour, in the order in which they began to.
        self.waiters: dict[Machine, None] = {}
        self.conflicts: set[tuple[str, str, Address]] = set()
        #: Machines that group frames are copied to; None is everybody. Bystanders that hold no
        #: address in question change nothing about unicast, so a prediction may leave them out.
        self.audience: frozenset[str] | None = None
        self._queue: deque[tuple[Machine, SimLink, Frame, bool, bool]] = deque()

    def changed(self) -> None:
        """Say that links, addresses, routes or modes have changed."""
        self.revision.number += 1

    def run(self) -> None:
        """Move frames until all is quiet, then let packets without a neighbour die."""
        self.settle()
        self.give_up()

    def settle(self) -> None:
        """Move frames until all is quiet; what waits for a neighbour goes on waiting."""
        moved = 0
        while self._queue:
            machine, link, frame, is_inside, is_stray = self._queue.popleft()
            if is_inside:
                self.take(machine, link, frame, is_stray)
            else:
                self._receive(machine, link, frame)
            moved += 1
            if moved > MOST_FRAMES:
                raise LabError(f"more than {MOST_FRAMES} frames are under way: the lab loops")

    def give_up(self) -> None:
        """Let packets die that nobody told the next hop's MAC for."""
        waiters, self.waiters = self.waiters, {}
        for machine in waiters:
            for (link, hop), packets in machine.waiting.items():
                for packet in packets:
                    asked = "ARP" if hop.version == 4 else "neighbour solicitation"
                    note = f"nobody answered {asked} for {hop} on {link}"
                    self.notebook.note(
                        Deed.DROPS, machine.name, link, catalogue_linux.NO_NEIGHBOUR, packet, note=note
                    )
            machine.waiting.clear()

    def has_carrier(self, machine: Machine, link: SimLink) -> bool:
        """Whether a link is up and what it rides on is too."""
        if not link.is_up:
            return False
        if link.kind == "wire":
            if link.plug is None:
                return False
            wire, end = link.plug
            return wire.ports is not None or all(
                other.is_up for number, (_, other) in enumerate(wire.ends) if number != end
            )
        if link.kind == "endpoint":
            host = self.machines[machine.host or ""]
            parent = host.links.get(link.below or "")
            return parent is not None and self.has_carrier(host, parent)
        if link.kind == "vlan":
            base = machine.links.get(link.below or "")
            return base is not None and self.has_carrier(machine, base)
        return True

    def port(self, parent: SimLink) -> Port | None:
        """The ipvlan port of a link as the rules look at it, or None where it carries no endpoints."""
        state = parent.port
        if state is None or not state.endpoints:
            return None
        if state.derived is None or state.derived_at != self.revision.number:
            state.derived = _derive(state, parent)
            state.derived_at = self.revision.number
        return state.derived

    def transmit(self, machine: Machine, link: SimLink, frame: Frame) -> None:
        """Send a frame by a link."""
        if not self.has_carrier(machine, link):
            self.notebook.note(
                Deed.DROPS, machine.name, link.name, catalogue_linux.LINK_DOWN, frame.payload, frame
            )
        elif link.kind == "endpoint":
            self._transmit_by_endpoint(machine, link, frame)
        elif link.kind == "vlan":
            tagged = frame.push(link.vlan or 0)
            self.notebook.note(
                Deed.SENDS, machine.name, link.name, catalogue_linux.VLAN_OUT, frame.payload, tagged
            )
            self.transmit(machine, machine.links[link.below or ""], tagged)
        elif link.kind == "wire" and link.plug is not None:
            self._cross(*link.plug, frame)
        else:
            self.notebook.note(
                Deed.DROPS, machine.name, link.name, catalogue_linux.ISOLATED, frame.payload, frame
            )

    def _transmit_by_endpoint(self, machine: Machine, link: SimLink, frame: Frame) -> None:
        host = self.machines[machine.host or ""]
        parent = host.links[link.below or ""]
        port = self.port(parent)
        if port is None:
            return
        decision = transmit(port, endpoint_name(machine, link), frame)
        self._carry_out(decision, host, parent, frame, is_stray=False, giver=machine.name, by=link.name)
        if decision.goes_out:
            self.transmit(host, parent, frame)
        if decision.is_routed and isinstance(frame.payload, Packet):
            self.route_for_endpoint(host, parent, frame.payload)

    def _carry_out(
        self,
        decision: Decision,
        host: Machine,
        parent: SimLink,
        frame: Frame,
        *,
        is_stray: bool,
        giver: str,
        by: str,
    ) -> None:
        """Hand a frame to endpoints and to the parent's stack, as a port decided."""
        assert parent.port is not None
        endpoints = [parent.port.endpoints[name] for name in decision.endpoints]
        if self.audience is not None and frame.is_group:
            endpoints = [pair for pair in endpoints if pair[0].name in self.audience]
        if self.notebook.is_open:
            takers = [machine.name for machine, _ in endpoints]
            takers += [f"the stack of {host.name}"] * decision.goes_to_parent
            takers += [f"{parent.name} of {host.name}, outwards"] * decision.goes_out
            takers += [f"the routing of {host.name}"] * decision.is_routed
            deed = Deed.DROPS if decision.is_dropped else Deed.HANDS
            note = ", ".join(takers)
            self.notebook.note(deed, giver, by, decision.rule, frame.payload, frame, note)
        for machine, link in endpoints:
            self._queue.append((machine, link, frame, True, is_stray))
        if decision.goes_to_parent:
            self._queue.append((host, parent, frame, True, is_stray))

    def _cross(self, wire: SimWire, end: int, frame: Frame) -> None:
        """Send a frame into a wire at one of its ends."""
        machine, link = wire.ends[end]
        self._note_crossing(wire, frame)
        if wire.ports is None:
            self.notebook.note(
                Deed.CROSSES,
                wire.name,
                f"{machine.name}:{link.name}",
                catalogue_linux.WIRE,
                frame.payload,
                frame,
            )
            for number, (other, other_link) in enumerate(wire.ends):
                if number != end:
                    self._queue.append((other, other_link, frame, False, False))
            return
        forwarding = switching.forward(wire.ports, end, frame, wire.table)
        if forwarding.vlan is not None:
            wire.table[forwarding.vlan, frame.sender] = end
        if self.notebook.is_open:
            deed = Deed.CROSSES if forwarding.copies else Deed.DROPS
            to = ", ".join(wire.ends[number][0].name for number, _ in forwarding.copies)
            not_to = ", ".join(wire.ends[number][0].name for number in forwarding.refused)
            note = (f"to {to}" if to else "") + (f"; not let through to {not_to}" if not_to else "")
            self.notebook.note(
                deed, wire.name, f"{machine.name}:{link.name}", forwarding.rule, frame.payload, frame, note
            )
        for number, copy in forwarding.copies:
            self._note_crossing(wire, copy)
            other, other_link = wire.ends[number]
            self._queue.append((other, other_link, copy, False, False))

    def _note_crossing(self, wire: SimWire, frame: Frame) -> None:
        payload = frame.payload
        if isinstance(payload, Packet) and payload.mark is not None:
            leg: Literal["request", "reply"] = "reply" if payload.kind in ANSWER_KINDS else "request"
            self.crossed.append(Crossed(wire.name, frame, leg, payload.mark))

    def _receive(self, machine: Machine, link: SimLink, frame: Frame) -> None:
        """A frame comes in by a link, from outside."""
        if not link.is_up:
            self.notebook.note(
                Deed.DROPS, machine.name, link.name, catalogue_linux.LINK_DOWN, frame.payload, frame
            )
            return
        is_stray = False
        if frame.tags:
            taker = take_tagged(frame, machine.above(link))
            frame, is_stray = taker.frame, taker.is_stray
            if taker.rule is not None:
                deed = Deed.DROPS if taker.is_stray else Deed.HANDS
                self.notebook.note(
                    deed, machine.name, link.name, taker.rule, frame.payload, frame, taker.sub_interface or ""
                )
            if taker.sub_interface is not None:
                self._receive(machine, machine.links[taker.sub_interface], frame)
                return
        port = self.port(link)
        if port is None:
            self.take(machine, link, frame, is_stray)
            return
        decision = receive(port, frame)
        self._carry_out(decision, machine, link, frame, is_stray=is_stray, giver=machine.name, by=link.name)

    def hear(self, machine: Machine, link: SimLink, payload: Arp | Packet) -> None:
        """Sockets of a machine get a packet; only probes are taken down."""
        if payload.mark is not None:
            self.heard.append(Hearing(machine, payload, link.name))

    def forget_probes(self) -> None:
        """Forget what probes left behind."""
        self.heard.clear()
        self.crossed.clear()
        self.forwarded.clear()

    def forget_neighbours(self) -> None:
        """Let every machine forget what it knows of its neighbours, and switches what they learnt."""
        for machine in self.machines.values():
            machine.neighbours.clear()
        for wire in self.wires.values():
            wire.table.clear()


def _derive(state: PortState, parent: SimLink) -> Port:
    owners: dict[Address, str] = {}
    filters: dict[str, frozenset[bytes]] = {}
    for name, (machine, link) in state.endpoints.items():
        if not link.is_up:
            continue
        view = machine.stack.links[link.name]
        filters[name] = frozenset(group_mac(group) for group in view.groups)
        for held in view.addresses:
            owners.setdefault(held.ip, name)
    return Port(state.mode, state.flag, parent.mac, owners, filters)
