"""What a stack takes in, forwards, answers and drops, and whose hooks see it."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from ipvlab.rules import catalogue_linux as rules
from ipvlab.rules.arrivals import admit, route_in
from ipvlab.rules.hooks import Flow, endpoint_hooks, host_hooks
from ipvlab.rules.neighbours import (
    ask,
    detect_duplicate,
    take_advertisement,
    take_arp,
    take_solicitation,
)
from ipvlab.rules.packets import Arp, ArpKind, Packet, PacketKind, PacketType
from ipvlab.rules.rule import Rule
from ipvlab.rules.stack import Hook, LinkState, Route, Stack
from ipvlab.spec.values import Address, Mode

MAC, OTHER = b"\x02\0\0\0\0\xfe", b"\x02\0\0\0\0\x01"


def address(text: str) -> Address:
    return ipaddress.ip_address(text)


LINK = LinkState(
    "eth0",
    MAC,
    tuple(map(ipaddress.ip_interface, ("10.0.0.254/24", "fd00::fe/64", "fe80::fe/64"))),
    joined=frozenset({address("239.1.1.1")}),
)
LINK1 = LinkState("eth1", MAC, (ipaddress.ip_interface("10.9.0.1/24"), ipaddress.ip_interface("fd09::1/64")))
HOST = Stack(
    "h1",
    {"eth0": LINK, "eth1": LINK1},
    (Route(ipaddress.ip_network("10.0.0.0/24"), "eth0"), Route(ipaddress.ip_network("fd00::/64"), "eth0")),
)
ROUTER = dataclasses.replace(HOST, forwards=True)


def packet(source: str, destination: str, kind: PacketKind = PacketKind.UDP, ttl: int = 64) -> Packet:
    return Packet(kind, address(source), address(destination), ttl)


def arrive(stack: Stack, sent: Packet, type_: PacketType = PacketType.HOST) -> Rule | str:
    """The rule that a packet died by, or what became of it."""
    arrival = admit(stack, LINK, sent, type_) or route_in(stack, LINK, sent, type_)
    if arrival.is_taken:
        return "taken"
    return "forwarded" if arrival.is_forwarded else arrival.rule


@pytest.mark.parametrize(
    ("source", "destination", "outcome"),
    [
        ("10.0.0.1", "10.0.0.254", "taken"),
        ("10.0.0.1", "10.9.0.1", "taken"),
        ("fd00::1", "fd09::1", "taken"),
        ("10.0.0.1", "10.0.0.255", "taken"),
        ("10.0.0.1", "10.9.0.255", "taken"),
        ("10.0.0.1", "255.255.255.255", "taken"),
        ("0.0.0.0", "255.255.255.255", "taken"),
        ("10.0.0.1", "239.1.1.1", "taken"),
        ("10.0.0.1", "239.9.9.9", rules.NOT_JOINED),
        ("fe80::1", "ff02::1", "taken"),
        ("fe80::1", "fe80::fe", "taken"),
        ("fe80::1", "fe80::77", rules.NOT_FORWARDABLE),
        ("0.0.0.0", "10.0.0.255", rules.MARTIAN),
        ("10.0.0.254", "10.0.0.255", rules.MARTIAN),
        ("10.0.0.254", "255.255.255.255", rules.MARTIAN),
        ("10.9.0.1", "10.0.0.254", rules.MARTIAN),
        ("10.0.0.1", "10.0.0.99", rules.NO_FORWARDING),
        ("fd00::1", "fd00::99", rules.NO_FORWARDING),
    ],
)
def test_a_host_takes_in_what_is_for_it(source: str, destination: str, outcome: Rule | str) -> None:
    assert arrive(HOST, packet(source, destination)) == outcome


@pytest.mark.parametrize("destination", ["10.0.0.254", "255.255.255.255", "fd00::fe", "ff02::1"])
def test_a_frame_for_somebody_else_is_not_taken_whatever_its_address(destination: str) -> None:
    # K-L2R-003
    source = "10.0.0.1" if "." in destination else "fd00::1"
    assert arrive(HOST, packet(source, destination), PacketType.OTHERHOST) == rules.OTHER_MAC


def test_a_unicast_address_in_a_broadcast_frame_is_taken_by_its_owner_only() -> None:
    # K-L2R-006
    assert arrive(HOST, packet("10.0.0.1", "10.0.0.254"), PacketType.BROADCAST) == "taken"
    assert arrive(ROUTER, packet("10.0.0.1", "10.0.0.99"), PacketType.BROADCAST) == rules.NOT_FORWARDABLE


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (packet("10.9.0.5", "10.0.0.99"), "forwarded"),
        (packet("10.9.0.5", "10.0.0.99", ttl=1), rules.TTL_SPENT),
        (packet("10.9.0.5", "203.0.113.5"), rules.NO_ROUTE),
        (packet("fd09::5", "fd00::99"), "forwarded"),
        (packet("fe80::5", "fd00::99"), rules.NOT_FORWARDABLE),
        (packet("fd09::5", "fd00::99", ttl=1), rules.TTL_SPENT),
    ],
)
def test_a_router_forwards_unicast_while_the_ttl_lasts(sent: Packet, outcome: Rule | str) -> None:
    assert arrive(ROUTER, sent) == outcome


@pytest.mark.parametrize("kind", list(PacketKind))
@pytest.mark.parametrize("hook", [Hook.PREROUTING, Hook.INPUT])
def test_a_firewall_drops_echo_and_udp_and_lets_the_rest_pass(kind: PacketKind, hook: Hook) -> None:
    stack = dataclasses.replace(HOST, dropping=frozenset({hook}))
    outcome = arrive(stack, packet("fd00::1", "fd00::fe", kind))
    is_dropped = kind in (PacketKind.ECHO, PacketKind.ECHO_REPLY, PacketKind.UDP, PacketKind.UDP_ANSWER)
    assert outcome == (rules.FIREWALL if is_dropped else "taken")


def test_a_forward_hook_does_not_see_what_is_for_the_machine_itself() -> None:
    stack = dataclasses.replace(ROUTER, dropping=frozenset({Hook.FORWARD}))
    assert arrive(stack, packet("10.0.0.1", "10.0.0.254")) == "taken"
    assert arrive(stack, packet("10.9.0.5", "10.0.0.99")) == rules.FIREWALL


def test_without_ipv6_a_link_takes_no_ipv6_packet() -> None:
    off = dataclasses.replace(LINK, has_ipv6=False)
    arrival = admit(HOST, off, packet("fd00::1", "fd00::fe"), PacketType.HOST)
    assert arrival is not None
    assert arrival.rule is rules.NO_IPV6


@pytest.mark.parametrize(
    ("target", "sender", "rule"),
    [
        ("10.0.0.254", "10.0.0.1", rules.ARP_ANSWERED),
        ("10.9.0.1", "10.0.0.1", rules.ARP_ANSWERED),
        ("10.0.0.254", "0.0.0.0", rules.ARP_ANSWERED),
        ("10.0.0.99", "10.0.0.1", rules.ARP_IGNORED),
        ("10.0.0.254", "10.0.0.254", rules.MARTIAN),
    ],
)
def test_arp_is_answered_for_every_address_of_the_machine(target: str, sender: str, rule: Rule) -> None:
    # K-L2R-007, K-L2R-009
    arp = Arp(ArpKind.REQUEST, OTHER, address(sender), address(target))
    answer = take_arp(HOST, LINK, arp)
    assert answer.rule is rule
    assert (answer.reply is not None) is (rule is rules.ARP_ANSWERED)
    if answer.reply is not None:
        assert (answer.reply.to, answer.reply.sender) == (OTHER, MAC)


def test_a_question_that_came_back_is_not_answered_and_still_tells_its_mac() -> None:
    # A hairpin port sends a machine its own request: arp_process updates the entry that is waiting.
    own = address("10.0.0.254")
    answer = take_arp(HOST, LINK, Arp(ArpKind.REQUEST, MAC, own, own))
    assert (answer.rule, answer.reply, answer.is_creating) == (rules.MARTIAN, None, False)
    assert (answer.learnt, answer.mac) == (own, MAC)


def test_a_link_without_arp_neither_answers_nor_learns() -> None:
    # K-L3-013
    arp = Arp(ArpKind.REQUEST, OTHER, address("10.0.0.1"), address("10.0.0.254"))
    answer = take_arp(HOST, dataclasses.replace(LINK, has_arp=False), arp)
    assert (answer.rule, answer.reply, answer.learnt) == (rules.ARP_OFF, None, None)


def solicitation(source: str, target: str, destination: str) -> Packet:
    return Packet(PacketKind.SOLICITATION, address(source), address(destination), 255, address(target), OTHER)


def test_a_solicitation_is_answered_for_addresses_of_that_link_only() -> None:
    # K-L2R-010
    answer = take_solicitation(LINK, solicitation("fd00::1", "fd00::fe", "ff02::1:ff00:fe"))
    assert answer.reply is not None
    assert (answer.reply.to, str(answer.learnt)) == (OTHER, "fd00::1")
    assert take_solicitation(LINK, solicitation("fd00::1", "fd09::1", "ff02::1:ff00:1")).reply is None


def test_dad_is_defended_to_all_nodes() -> None:
    # K-L2R-010, K-L2-012
    answer = take_solicitation(LINK, solicitation("::", "fd00::fe", "ff02::1:ff00:fe"))
    assert answer.reply is not None
    assert answer.reply.to == bytes.fromhex("333300000001")
    assert answer.learnt is None


def test_an_advertisement_for_an_own_address_is_a_conflict_and_another_is_learnt() -> None:
    def told(target: str) -> Packet:
        return Packet(
            PacketKind.ADVERTISEMENT, address(target), address("ff02::1"), 255, address(target), OTHER
        )

    assert take_advertisement(LINK, told("fd00::fe")).rule is rules.DAD_CONFLICT
    assert str(take_advertisement(LINK, told("fd00::77")).learnt) == "fd00::77"


def test_a_host_asks_with_its_own_address_even_for_its_endpoints() -> None:
    # K-L3-003
    question = ask(HOST, LINK, address("10.0.0.1"), address("10.5.0.11"))
    assert question is not None
    assert isinstance(question.payload, Arp)
    assert str(question.payload.sender) == "10.0.0.254"
    bare = LinkState("eth0", MAC)
    nameless = ask(Stack("h", {"eth0": bare}), bare, address("10.0.0.1"), address("10.5.0.11"))
    assert nameless is not None
    assert isinstance(nameless.payload, Arp)
    assert str(nameless.payload.sender) == "0.0.0.0"


def test_an_endpoint_without_arp_does_no_dad() -> None:
    # K-L3-018
    target = ipaddress.IPv6Address("fd00::11")
    assert detect_duplicate(LINK, target) is not None
    assert detect_duplicate(dataclasses.replace(LINK, has_arp=False), target) is None


OUT, IN = (Hook.OUTPUT, Hook.POSTROUTING), (Hook.PREROUTING, Hook.INPUT)


@pytest.mark.parametrize(
    ("flow", "mode", "endpoint", "host"),
    [
        (Flow.OUT, Mode.L2, OUT, ()),
        (Flow.OUT, Mode.L3, OUT, OUT),
        (Flow.OUT, Mode.L3S, OUT, OUT),
        (Flow.IN, Mode.L2, IN, ()),
        (Flow.IN, Mode.L3, IN, ()),
        (Flow.IN, Mode.L3S, (), IN),
        (Flow.SIBLING, Mode.L2, IN, ()),
        (Flow.SIBLING, Mode.L3, IN, ()),
        (Flow.SIBLING, Mode.L3S, IN, ()),
        (Flow.UP, Mode.L2, OUT, IN),
        (Flow.UP, Mode.L3, OUT, OUT + IN),
        (Flow.UP, Mode.L3S, OUT, OUT + IN),
    ],
)
def test_hooks_are_those_of_the_table(
    flow: Flow, mode: Mode, endpoint: tuple[Hook, ...], host: tuple[Hook, ...]
) -> None:
    # K-L2-018, K-L3-028, K-L3S-002, K-L3S-003
    assert endpoint_hooks(flow, mode) == endpoint
    assert host_hooks(flow, mode) == host
