"""A host with one ipvlan port, stated to the programs' maps and to the rules, and what the rules expect.

Where the ``bpf`` datapath differs from Linux on purpose, the place says
``Deviation``; everywhere else the programs do what the rules decide.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence

from ipvlab.datapath.bpf.tables import Tables
from ipvlab.rules.packets import Frame, Packet, PacketType, packet_type
from ipvlab.rules.ports import Decision, Port
from ipvlab.rules.receive import divert, receive
from ipvlab.rules.routing import WayKind, find_way_for_endpoint
from ipvlab.rules.stack import LinkState, Stack
from ipvlab.rules.transmit import transmit
from ipvlab.spec.values import Address, Flag, Interface, Mode
from tests.property.bpf_bench import (
    PORT_MAC,
    SENDER_LINK,
    WIRE_LINK,
    Bench,
    Call,
    Outcome,
    Shot,
    Verdict,
    What,
    differences,
)
from tests.property.frame_bytes import read_frame

#: The port as its endpoints see it, and as the wire sees it: alike but for the links of the bench.
SENDING_PORT, RECEIVING_PORT = 1, 2
HOST = 7
SENDER = "a"
#: Of no link that exists.
PARENT_LINK, TAP_LINK, FIRST_HOST_END = 0x50000000, 0x60000000, 0x40000000
#: BPF_F_INGRESS, and PACKET_HOST as the programs write it.
INGRESS, HOST_TYPE = 1, 0
#: Which packets must cross the host's netfilter, as the programs write it: out and in, by IP version.
OUT, IN = {4: 1, 6: 2}, {4: 4, 6: 8}


class EveryGroup(frozenset[bytes]):
    """The filter of an endpoint that listens to every group.

    Deviation: each endpoint gets all group frames, and its stack sorts them out;
    so the rules are asked about endpoints that hear everything.
    """

    def __contains__(self, _group: object) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class World:
    """A port and its host."""

    mode: Mode
    flag: Flag
    owners: dict[Address, str]
    #: The places of the fan-out; None is one that an endpoint left.
    slots: tuple[str | None, ...]
    #: Addresses of the parent, and of another link of the host.
    parent: tuple[Interface, ...] = ()
    elsewhere: tuple[Interface, ...] = ()
    #: Bits of OUT and IN: where a rule hangs at the host's hooks.
    hooked: int = 0

    def host_end(self, endpoint: str, port: int) -> int:
        """The index by which the programs know an endpoint."""
        if endpoint == SENDER and port == SENDING_PORT:
            return SENDER_LINK
        return FIRST_HOST_END + self.endpoints.index(endpoint)

    @functools.cached_property
    def endpoints(self) -> list[str]:
        """Every endpoint, the sender first."""
        return sorted({SENDER, *self.owners.values(), *filter(None, self.slots)})

    @functools.cached_property
    def port(self) -> Port:
        """The port as the rules know it."""
        filters = {name: EveryGroup() for name in self.slots if name is not None}
        return Port(self.mode, self.flag, PORT_MAC, self.owners, filters)

    @functools.cached_property
    def stack(self) -> Stack:
        """The host's stack as the rules know it."""
        links = {
            "eth0": LinkState("eth0", PORT_MAC, self.parent),
            "eth1": LinkState("eth1", b"\2\0\0\0\0\x99", self.elsewhere),
        }
        return Stack("host", links)

    @property
    def _of_host(self) -> list[Address]:
        """Addresses that are the host's own by whatever link a packet would leave."""
        held = (held.ip for held in (*self.parent, *self.elsewhere))
        return [address for address in held if address.version == 6 and not address.is_link_local]

    def state(self, tables: Tables) -> None:
        """Write all of it to the maps."""
        for number, link in ((SENDING_PORT, SENDER_LINK), (RECEIVING_PORT, WIRE_LINK)):
            parent = PARENT_LINK if number == SENDING_PORT else WIRE_LINK
            hooked = (TAP_LINK, self.hooked)
            tables.set_port(number, parent, HOST, len(self.slots), self.mode, self.flag, PORT_MAC, hooked)
            tables.set_port_of(link, number)
            for place, name in enumerate(self.slots):
                tables.set_slot(number, place, self.host_end(name, number) if name is not None else 0)
            for address, name in self.owners.items():
                tables.set_owner(number, address, self.host_end(name, number))
            for held in self.parent:
                if held.version == 4 or held.ip.is_link_local:
                    tables.set_local(number, held.ip)
        for address in self._of_host:
            tables.set_local(HOST, address)

    def clear(self, tables: Tables) -> None:
        """Take all of it back."""
        for number, link in ((SENDING_PORT, SENDER_LINK), (RECEIVING_PORT, WIRE_LINK)):
            tables.delete_port_of(link)
            tables.delete_port(number)
            for place in range(len(self.slots)):
                tables.set_slot(number, place, 0)
            for address in self.owners:
                tables.delete_owner(number, address)
            for held in self.parent:
                if held.version == 4 or held.ip.is_link_local:
                    tables.delete_local(number, held.ip)
        for address in self._of_host:
            tables.delete_local(HOST, address)

    @contextlib.contextmanager
    def stated(self, tables: Tables) -> Iterator[None]:
        """The maps hold this world, and afterwards nothing."""
        self.state(tables)
        try:
            yield
        finally:
            self.clear(tables)

    def expect_sent(self, frame: Frame) -> Outcome:
        """What ``endpoint_in`` must do with a frame of the sender."""
        decision = transmit(self.port, SENDER, frame)
        if decision.is_dropped:
            return Outcome(Verdict.DROP)
        if decision.is_routed:
            return self._expect_routed(frame)
        if decision.goes_to_parent:
            # dev_forward_skb to the parent: ordinary ingress there.
            return Outcome(Verdict.REDIRECT, (Call(What.TO_LINK, PARENT_LINK, INGRESS),))
        if decision.goes_out:
            copies = self._copies(decision, SENDING_PORT)
            return Outcome(Verdict.REDIRECT, (*copies, Call(What.TO_LINK, PARENT_LINK)))
        [owner] = decision.endpoints
        return self._expect_delivery(owner, frame, SENDING_PORT)

    def expect_received(self, frame: Frame) -> Outcome:
        """What ``parent_in`` must do with a frame from the wire."""
        if self.mode is Mode.L3S:
            return self._expect_received_l3s(frame)
        decision = receive(self.port, frame)
        if decision.goes_to_parent:
            return Outcome(Verdict.PASS, self._copies(decision, RECEIVING_PORT))
        [owner] = decision.endpoints
        return self._expect_delivery(owner, frame, RECEIVING_PORT)

    def expect_returned(self, frame: Frame) -> Outcome:
        """What ``tap_in`` must do with a packet that has passed the host's PREROUTING and INPUT in L3S."""
        assert isinstance(frame.payload, Packet)
        owner = divert(self.port, frame.payload)
        if owner is None:
            return Outcome(Verdict.DROP)
        taken = Call(What.SET_TYPE, HOST_TYPE), Call(What.TO_PEER, self.host_end(owner, RECEIVING_PORT))
        return Outcome(Verdict.REDIRECT, taken)

    def _expect_received_l3s(self, frame: Frame) -> Outcome:
        """The parent's stack gets everything first, and its IP input diverts what is an endpoint's."""
        assert receive(self.port, frame).goes_to_parent
        if isinstance(frame.payload, Packet) and not self.hooked & IN[frame.payload.version]:
            # Deviation: while no rule hangs at the host's hooks, the program does at once what the
            # host's IP input would do after them.
            diverted = divert(self.port, frame.payload)
            is_foreign = packet_type(frame, PORT_MAC) is PacketType.OTHERHOST
            if diverted is not None and not is_foreign:
                return self._expect_delivery(diverted, frame, RECEIVING_PORT)
        return Outcome(Verdict.PASS)

    def _copies(self, decision: Decision, port: int) -> tuple[Call, ...]:
        """The copies for a group, in the order of the fan-out's places."""
        places = [name for name in self.slots if name is not None and name in decision.endpoints]
        return tuple(Call(What.COPY, self.host_end(name, port)) for name in places)

    def _expect_delivery(self, owner: str, frame: Frame, port: int) -> Outcome:
        """One endpoint gets a frame; one with a foreign MAC is for its taps only, and its stack drops it."""
        if packet_type(frame, PORT_MAC) is not PacketType.HOST:
            # By the peer it would count as sent to the endpoint itself (skb_scrub_packet, Linux 6.16).
            return Outcome(Verdict.REDIRECT, (Call(What.TO_LINK, self.host_end(owner, port)),))
        return Outcome(Verdict.REDIRECT, (Call(What.TO_PEER, self.host_end(owner, port)),))

    def _expect_routed(self, frame: Frame) -> Outcome:
        """The host routes a packet of the endpoint: the kernel's own look-up, bound to the parent."""
        packet = frame.payload
        assert isinstance(packet, Packet)
        if self.hooked & OUT[packet.version]:
            # Deviation: ipvlab sends it on as the host's own from user space, by way of the tap.
            return Outcome(Verdict.REDIRECT, (Call(What.TO_LINK, TAP_LINK),))
        if packet.is_sound and self._is_for_host(packet):
            # Deviation: handed to the parent's stack; Linux takes the way by lo.
            return Outcome(Verdict.REDIRECT, (Call(What.TO_LINK, PARENT_LINK, INGRESS),))
        return Outcome(Verdict.REDIRECT, (Call(What.TO_NEIGHBOUR, PARENT_LINK),))

    def _is_for_host(self, packet: Packet) -> bool:
        return find_way_for_endpoint(self.stack, packet.destination, "eth0").kind is WayKind.LOCAL


def disagreements(bench: Bench, world: World, frames: Sequence[bytes]) -> list[str]:
    """Have frames sent by the sender and arrive from the wire; where programs and rules part."""
    shots = [Shot("endpoint_in", frame, SENDER_LINK) for frame in frames]
    shots += [Shot("parent_in", frame, WIRE_LINK) for frame in frames]
    values = [read_frame(frame) for frame in frames]
    expected = [world.expect_sent(value) for value in values]
    expected += [world.expect_received(value) for value in values]
    with world.stated(bench.tables):
        outcomes = bench.run(shots)
    return differences(shots, outcomes, expected)
