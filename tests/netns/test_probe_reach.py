"""Unicast probes between plain namespaces: what arrives, what does not, and why."""

from __future__ import annotations

import functools
import ipaddress
import os
import socket
from collections.abc import Iterator

import pytest

from ipvlab.errors import NodeNotFound
from ipvlab.lab import firewall
from ipvlab.lab.nodes import WireTap
from ipvlab.linux import messages
from ipvlab.probe import frames
from ipvlab.probe.capture import Tap, close_together
from ipvlab.probe.marks import Marker
from ipvlab.probe.questions import ReachObservation, ReachQuestion
from ipvlab.probe.readiness import pending_addresses
from ipvlab.spec.model import Firewall
from tests.netns.probe_lab import PlainLab


@pytest.fixture
def lab() -> Iterator[PlainLab]:
    """An empty plain lab."""
    plain = PlainLab()
    yield plain
    plain.close()


def ask(lab: PlainLab, *questions: ReachQuestion) -> list[ReachObservation]:
    """The observations, all of them of reach."""
    answers = lab.prober.answer(questions)
    assert all(isinstance(answer, ReachObservation) for answer in answers)
    return [answer for answer in answers if isinstance(answer, ReachObservation)]


def to(source: str, target: str, address: str, wants_path: bool = False) -> ReachQuestion:
    """An ICMP question."""
    return ReachQuestion(source, target, ipaddress.ip_address(address), wants_path=wants_path)


def udp(source: str, target: str, address: str, is_one_way: bool = False) -> ReachQuestion:
    """A UDP question."""
    return ReachQuestion(source, target, ipaddress.ip_address(address), "udp", is_one_way)


def pair(lab: PlainLab) -> None:
    """Nodes a and b on a bare veth, dual stack."""
    lab.add("a", "b")
    lab.join("lan", "a.eth0", "b.eth0")
    lab.give("a.eth0", "10.0.0.1/24", "fd00::1/64")
    lab.give("b.eth0", "10.0.0.2/24", "fd00::2/64")


def line(lab: PlainLab) -> None:
    """a - gw - b: two wires and a router, no routes but the connected ones."""
    lab.add("a", "b")
    lab.router("gw")
    lab.join("w1", "a.eth0", "gw.eth0")
    lab.join("w2", "gw.eth1", "b.eth0")
    lab.give("a.eth0", "10.0.1.1/24", "fd01::1/64")
    lab.give("gw.eth0", "10.0.1.254/24", "fd01::fe/64")
    lab.give("gw.eth1", "10.0.2.254/24", "fd02::fe/64")
    lab.give("b.eth0", "10.0.2.1/24", "fd02::1/64")


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
@pytest.mark.parametrize("proto", ["icmp", "udp"])
def test_a_neighbour_is_reached_with_ttl_64_and_both_macs_seen(
    lab: PlainLab, address: str, proto: str
) -> None:
    pair(lab)
    question = to("a", "b", address) if proto == "icmp" else udp("a", "b", address)
    [seen] = ask(lab, question)
    assert (seen.request, seen.reply, seen.ttl, seen.is_proved, seen.reason) == (True, True, 64, True, "")
    a, b = (lab.nodes[name].links["eth0"].mac.hex(":") for name in "ab")
    legs = {(c.leg, c.source_mac, c.destination_mac, c.vlan, c.wire) for c in seen.crossings}
    assert legs == {("request", a, b, None, "lan"), ("reply", b, a, None, "lan")}
    assert seen.proof["requests"] == seen.proof["replies"] == 1
    assert seen.unheard_wires == frozenset()


def test_a_switch_shows_each_frame_of_a_probe_once(lab: PlainLab) -> None:
    lab.flat(["a", "b", "c"])
    [seen] = ask(lab, to("a", "b", "10.0.0.2"))
    assert [crossing.leg for crossing in seen.crossings] == ["request", "reply"]


@pytest.mark.parametrize(("address", "asked"), [("10.0.0.9", "ARP"), ("fd00::9", "neighbour solicitation")])
def test_silence_of_an_absent_neighbour_is_proved_and_named(lab: PlainLab, address: str, asked: str) -> None:
    pair(lab)
    [seen] = ask(lab, to("a", "b", address))
    assert (seen.request, seen.reply, seen.is_proved) == (False, False, True)
    assert seen.reason == f"no neighbour: nobody answered {asked} for {address} on eth0"
    assert seen.proof["fence_rounds"] > 0
    assert seen.proof["canary"]
    assert seen.proof["fence"]


@pytest.mark.parametrize("address", ["10.9.9.9", "fd09::9"])
def test_a_missing_route_is_a_proved_silence_with_its_reason(lab: PlainLab, address: str) -> None:
    pair(lab)
    for seen in ask(lab, to("a", "b", address), udp("a", "b", address)):
        assert (seen.request, seen.reply, seen.is_proved) == (False, False, True)
        assert seen.reason == f"no route to {address}"


@pytest.mark.parametrize("address", ["10.0.0.7", "fd00::7"])
def test_an_unanswered_question_does_not_swallow_the_next_probe(lab: PlainLab, address: str) -> None:
    pair(lab)
    [before] = ask(lab, to("a", "b", address))
    lab.give("b.eth0", f"{address}/{24 if '.' in address else 64}")
    [after] = ask(lab, to("a", "b", address))
    assert not before.reply
    assert after.reply


@pytest.mark.parametrize(("address", "via", "back"), [
    ("10.0.2.1", "10.0.1.254", "10.0.1.1"),
    ("fd02::1", "fd01::fe", "fd01::1"),
])  # fmt: skip
def test_without_a_way_back_the_request_arrives_and_the_answer_is_lost(
    lab: PlainLab, address: str, via: str, back: str
) -> None:
    line(lab)
    lab.route("a", "default", via)
    echo, datagram, one_way = ask(
        lab, to("a", "b", address), udp("a", "b", address), udp("a", "b", address, is_one_way=True)
    )
    for seen in (echo, datagram):
        assert (seen.request, seen.reply, seen.ttl, seen.is_proved) == (True, False, 63, True)
        assert seen.reason.startswith("the request arrived, the answer was lost (no way back): b: ")
    assert echo.reason.endswith(f"no route to {back}")
    assert (one_way.request, one_way.reply, one_way.ttl, one_way.reason) == (True, False, 63, "")


@pytest.mark.parametrize(("address", "to_b", "to_a"), [
    ("10.0.2.1", "10.0.1.254", "10.0.2.254"),
    ("fd02::1", "fd01::fe", "fd02::fe"),
])  # fmt: skip
def test_a_router_is_named_in_the_path_and_lowers_the_ttl(
    lab: PlainLab, address: str, to_b: str, to_a: str
) -> None:
    line(lab)
    lab.route("a", "default", to_b)
    lab.route("b", "default", to_a)
    far, near = ask(lab, to("a", "b", address, wants_path=True), to("a", "gw", to_b, wants_path=True))
    assert (far.reply, far.ttl, far.path) == (True, 63, ("gw",))
    assert (near.reply, near.ttl, near.path) == (True, 64, ())
    assert {(c.wire, c.leg) for c in far.crossings} == {
        ("w1", "request"), ("w1", "reply"), ("w2", "request"), ("w2", "reply")
    }  # fmt: skip


def test_the_reason_names_the_router_where_the_probe_died(lab: PlainLab) -> None:
    line(lab)
    lab.route("a", "default", "10.0.1.254")
    absent, unroutable = ask(lab, to("a", "b", "10.0.2.9"), to("a", "b", "10.0.7.1"))
    assert absent.reason == "gw: no neighbour: nobody answered ARP for 10.0.2.9 on eth1"
    assert unroutable.reason == "gw: no route to 10.0.7.1"


def test_a_given_source_address_is_the_one_that_is_answered(lab: PlainLab) -> None:
    pair(lab)
    lab.give("a.eth0", "172.16.0.1/24")
    target = ipaddress.ip_address("10.0.0.2")
    known, unknown, foreign = ask(
        lab,
        ReachQuestion("a", "b", target, source_address=ipaddress.ip_address("10.0.0.1")),
        ReachQuestion("a", "b", target, source_address=ipaddress.ip_address("172.16.0.1")),
        ReachQuestion("a", "b", target, source_address=ipaddress.ip_address("9.9.9.9")),
    )
    assert known.reply
    assert (unknown.request, unknown.reply) == (True, False)
    assert unknown.reason.endswith("b: no route to 172.16.0.1")
    assert (foreign.request, foreign.is_proved) == (False, True)
    assert foreign.reason == "a does not hold 9.9.9.9"


def test_an_answer_of_another_node_is_no_round_trip(lab: PlainLab) -> None:
    lab.flat(["a", "b", "c"])
    [alone] = ask(lab, to("a", "c", "10.0.0.2"))
    [watched, _] = ask(lab, to("a", "c", "10.0.0.2"), to("a", "b", "10.0.0.2"))
    for seen in (alone, watched):
        assert (seen.request, seen.reply, seen.is_proved) == (False, False, True)
    assert alone.reason == "another node answered for 10.0.0.2, not c"
    assert watched.reason == "b answered for 10.0.0.2, not c"


def test_the_ends_of_a_tagged_wire_read_the_tag_inline_and_stripped(lab: PlainLab) -> None:
    pair(lab)
    marker = Marker(b"test")
    sender, receiver = (lab.nodes[name] for name in "ab")
    taps = [
        node.namespace.call(functools.partial(Tap.open, "lan", node.namespace, node.links["eth0"].index))
        for node in (sender, receiver)
    ]
    raw = sender.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    echo = frames.echo4(frames.ECHO_REQUEST, marker.write(7))
    header = bytes((0x45, 0, 0, 20 + len(echo), 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2))
    macs = receiver.links["eth0"].mac + sender.links["eth0"].mac
    raw.sendto(macs + b"\x81\x00\x00\x28\x08\x00" + header + echo, ("eth0", 0x8100))
    sightings = [list(tap.see(marker, bytearray(2048), 0)) for tap in taps]
    raw.close()
    close_together(taps)
    assert [[(s.number, s.leg, s.vlan, s.ttl, s.is_outgoing) for s in seen] for seen in sightings] == [
        [(7, "request", 40, 64, True)],
        [(7, "request", 40, 64, False)],
    ]


@pytest.mark.parametrize("address", ["10.0.0.2", "fd00::2"])
@pytest.mark.parametrize("hook", ["prerouting", "input", "output", "postrouting"])
def test_silence_behind_a_firewall_is_proved_since_control_packets_pass(
    lab: PlainLab, hook: str, address: str
) -> None:
    pair(lab)
    assert all(seen.reply for seen in ask(lab, to("a", "b", address), udp("a", "b", address)))
    for name in ("a", "b"):
        firewall.install(lab.nodes[name].namespace, Firewall.model_validate({hook: "drop"}))
    for seen in ask(lab, to("a", "b", address), udp("a", "b", address)):
        assert (seen.request, seen.reply, seen.is_proved) == (False, False, True)
        if hook in ("output", "postrouting"):
            assert seen.reason.startswith("the sender's own kernel refused a packet")
        else:
            assert seen.reason == "sent by eth0, it did not arrive"


def test_a_node_that_comes_again_under_its_name_is_probed_afresh(lab: PlainLab) -> None:
    lab.flat(["a", "b", "c"])
    assert ask(lab, to("a", "b", "10.0.0.2"))[0].reply
    old = lab.nodes.pop("b")
    lab.prober.forget("b")
    lab.add("b")
    assert not ask(lab, to("a", "b", "10.0.0.2"))[0].request
    lab.nodes["b"] = old
    assert ask(lab, to("a", "b", "10.0.0.2"))[0].reply


def test_a_capture_whose_interface_is_gone_vouches_for_nothing(lab: PlainLab) -> None:
    pair(lab)
    lab.taps.append(WireTap("gone", lab.nodes["a"].namespace, 9999))
    [seen] = ask(lab, to("a", "b", "10.0.0.2"))
    assert seen.reply
    assert seen.unheard_wires == {"gone"}


def test_an_unknown_node_is_refused_by_name(lab: PlainLab) -> None:
    lab.add("a")
    with pytest.raises(NodeNotFound, match="nobody"):
        lab.prober.answer([to("a", "nobody", "10.0.0.1")])


def test_probing_gives_the_thread_its_cpus_back(lab: PlainLab) -> None:
    pair(lab)
    before = os.sched_getaffinity(0)
    ask(lab, to("a", "b", "10.0.0.2"))
    assert os.sched_getaffinity(0) == before


def test_a_lab_of_thirty_nodes_on_two_switches_is_exact(lab: PlainLab) -> None:
    left, right = [f"l{n}" for n in range(15)], [f"r{n}" for n in range(15)]
    lab.add(*left, *right)
    lab.join("left", *(f"{name}.eth0" for name in left))
    lab.join("right", *(f"{name}.eth0" for name in right))
    numbers = {name: number for number, name in enumerate(left + right, 1)}
    for name, number in numbers.items():
        lab.give(f"{name}.eth0", f"10.0.0.{number}/24", f"fd00::{number:x}/64")
    questions = [
        to(source, target, template.format(numbers[target]))
        for template in ("10.0.0.{}", "fd00::{:x}")
        for source in numbers
        for target in numbers
        if source != target
    ]
    for seen in ask(lab, *questions):
        assert seen.is_proved
        is_neighbour = seen.question.source[0] == seen.question.target[0]
        assert (seen.request, seen.reply) == (is_neighbour, is_neighbour)
        assert is_neighbour or seen.reason.startswith("no neighbour: ")


def test_an_ipv6_address_that_does_dad_is_waited_for_and_then_reached(lab: PlainLab) -> None:
    lab.add("a", "b")
    lab.nodes["b"].namespace.write_sysctls({"ipv6/conf/default/accept_dad": "1"})
    lab.join("lan", "a.eth0", "b.eth0")
    lab.give("a.eth0", "fd00::1/64")
    address = ipaddress.ip_interface("fd00::2/64")
    link = lab.nodes["b"].links["eth0"]
    link.addresses.append(address)
    request = messages.change_address(link.index, address, does_dad=True)
    lab.nodes["b"].namespace.netlink.request(request, "add an address by hand")
    [seen] = ask(lab, to("a", "b", "fd00::2"))
    assert (seen.request, seen.reply) == (True, True)


def test_a_duplicate_address_is_not_waited_for(lab: PlainLab) -> None:
    pair(lab)
    lab.nodes["b"].namespace.write_sysctls(
        {"ipv6/conf/eth0/accept_dad": "1", "ipv6/conf/eth0/dad_transmits": "1"}
    )
    duplicate = ipaddress.ip_interface("fd00::1/64")
    link = lab.nodes["b"].links["eth0"]
    request = messages.change_address(link.index, duplicate, does_dad=True)
    lab.nodes["b"].namespace.netlink.request(request, "add a duplicate")
    [seen] = ask(lab, to("a", "b", "fd00::2"))
    assert seen.reply
    assert pending_addresses(lab.prober.posts["b"]) == []


def test_an_address_of_a_link_without_carrier_is_not_waited_for(lab: PlainLab) -> None:
    pair(lab)
    far = lab.nodes["b"]
    far.namespace.netlink.request(messages.set_flags(far.links["eth0"].index, 0, messages.IFF_UP), "down")
    [seen] = ask(lab, to("a", "b", "fd00::2"))
    assert not seen.request
    assert pending_addresses(lab.prober.posts["a"]) == []
    assert pending_addresses(lab.prober.posts["b"]) == []
