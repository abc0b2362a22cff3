"""The host's conntrack and address translation work for l3s endpoints, and not for l3, as with ipvlan."""

from __future__ import annotations

import socket
import struct

import pytest

from ipvlab.lab.live import LiveLab
from ipvlab.linux import netfilter
from ipvlab.linux.netfilter import HOOKS, attribute, nested, number, text
from ipvlab.spec.values import Mode
from tests.netns.hooked import (
    ADDRESSES,
    DROP,
    FENCE,
    PROBE,
    add_endpoints,
    arrives,
    commit,
    datagram,
    ground_of,
    holds,
    of_udp,
    reaches,
    routed_lab,
    run_batch,
)

OUTSIDE = 7777


def translate(lab: LiveLab, hook: str, *statements: tuple[str, bytes], port: int) -> None:
    """A rule of address translation at a hook of h1, for UDP of IPv4 to a port."""
    of_ipv4 = [netfilter.load_meta(15), netfilter.equals(bytes([netfilter.NFPROTO_IPV4]))]
    priority = {"prerouting": -100, "postrouting": 100}[hook]
    commit(
        lab.nodes["h1"].namespace,
        (netfilter.NEW_TABLE, text(1, "nat")),
        (netfilter.NEW_CHAIN, netfilter.chain("nat", hook, HOOKS[hook], priority, kind="nat")),
        (netfilter.NEW_RULE, netfilter.rule("nat", hook, [*of_ipv4, *of_udp(port), *statements])),
    )
    lab.await_ready()


def asked_and_answered(lab: LiveLab, source: str, address: str, port: int, target: str) -> tuple[str, bool]:
    """Who the receiver takes the sender for, and whether its answer comes back to the sender."""
    # What is no way to answer by is proved by a fence: an answer from the host itself.
    with (
        datagram(lab.nodes[source], 4) as sender,
        datagram(lab.nodes[target], 4, PROBE) as ear,
        datagram(lab.nodes[source], 4, FENCE) as fence,
    ):
        sender.sendto(b"request", (address, port))
        _, (seen, number_seen) = ear.recvfrom(100)
        ear.sendto(b"answer", (seen, number_seen))
        ear.sendto(b"fence", (ADDRESSES[source][4], FENCE))
        fence.recv(100)
        return seen, holds(sender) == 1


@pytest.mark.parametrize("mode", [Mode.L3, Mode.L3S])
def test_masquerade_works_one_way_in_l3_and_both_ways_in_l3s(mode: Mode) -> None:
    """K-L3-022 and K-L3S-006: in l3 the answer is for the host, and stays there."""
    with routed_lab(mode) as lab:
        translate(lab, "postrouting", ("masq", b""), port=PROBE)
        seen, is_answered = asked_and_answered(lab, "a", ADDRESSES["h2"][4], PROBE, "h2")
        assert (seen, is_answered) == (ADDRESSES["h1"][4], mode is Mode.L3S)


def test_destination_nat_to_an_endpoint_works_in_l3s() -> None:
    """K-L3S-007, and the answer is translated back: it comes from whom the request was sent to."""
    with routed_lab(Mode.L3S) as lab:
        translate(lab, "prerouting", *to_endpoint_a(), port=OUTSIDE)
        with datagram(lab.nodes["h2"], 4) as sender, datagram(lab.nodes["a"], 4, PROBE) as ear:
            sender.sendto(b"request", (ADDRESSES["h1"][4], OUTSIDE))
            body, source = ear.recvfrom(100)
            ear.sendto(b"answer", source)
            assert (body, *sender.recvfrom(100)) == (b"request", b"answer", (ADDRESSES["h1"][4], OUTSIDE))


def test_destination_nat_to_an_endpoint_does_not_deliver_in_l3() -> None:
    """K-L3-023; the fence takes the way that is open."""
    with routed_lab(Mode.L3) as lab:
        translate(lab, "prerouting", *to_endpoint_a(), port=OUTSIDE)
        with (
            datagram(lab.nodes["h2"], 4) as sender,
            datagram(lab.nodes["a"], 4, PROBE) as ear,
            datagram(lab.nodes["a"], 4, FENCE) as fence,
        ):
            sender.sendto(b"request", (ADDRESSES["h1"][4], OUTSIDE))
            sender.sendto(b"fence", (ADDRESSES["a"][4], FENCE))
            assert fence.recv(100) == b"fence"
            assert holds(ear) == 0


def to_endpoint_a() -> list[tuple[str, bytes]]:
    """``dnat ip to A:PROBE``."""
    load = [
        ("immediate", number(1, register) + nested(2, attribute(1, value)))
        for register, value in ((1, socket.inet_aton(ADDRESSES["a"][4])), (2, PROBE.to_bytes(2, "big")))
    ]
    # Destination, family IPv4, address from register 1, port from register 2.
    return [*load, ("nat", number(1, 1) + number(2, 2) + number(3, 1) + number(5, 2))]


def accept_what_is_no_new_flow(hook: str) -> list[tuple[int, bytes]]:
    """``ct state new drop`` at a hook, which turns conntrack on."""
    new = struct.pack("=I", 8)
    state = [
        ("ct", number(1, 1) + number(2, 0)),
        ("bitwise", number(1, 1) + number(2, 1) + number(3, 4) + value(4, new) + value(5, bytes(4))),
        ("cmp", number(1, 1) + number(2, 1) + value(3, bytes(4))),
    ]
    return [
        (netfilter.NEW_TABLE, text(1, "ct")),
        (netfilter.NEW_CHAIN, netfilter.chain("ct", "c", HOOKS[hook])),
        (netfilter.NEW_RULE, netfilter.rule("ct", "c", [*state, DROP])),
    ]


def value(kind: int, held: bytes) -> bytes:
    return nested(kind, attribute(1, held))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("hook", "blocked"), [("input", ("h2", "a")), ("output", ("a", "h2"))])
def test_conntrack_of_the_host_knows_the_flows_of_l3s_endpoints(
    hook: str, blocked: tuple[str, str], version: int
) -> None:
    """New flows are dropped one way; answers to those of the other way are known, and pass."""
    with routed_lab(Mode.L3S) as lab:
        # Neighbour solicitations are no flows to conntrack (nf_conntrack_icmpv6: untracked).
        commit(lab.nodes["h1"].namespace, *accept_what_is_no_new_flow(hook))
        for flow in (("a", "h2"), ("h2", "a")):
            assert reaches(lab, *flow, version) is (flow != blocked)


def test_conntrack_may_be_on_before_the_first_l3s_endpoint_is_there() -> None:
    """The last chain of INPUT must be older than conntrack, or no flow from outside is ever confirmed."""
    with ground_of(None) as ground:
        run_batch(ground, accept_what_is_no_new_flow("output"))
        add_endpoints(ground.lab, Mode.L3S)
        assert reaches(ground.lab, "h2", "a", 4)
        assert not reaches(ground.lab, "a", "h2", 4)


@pytest.mark.parametrize("mode", [Mode.L3, Mode.L3S])
def test_a_rule_that_a_program_adds_in_the_host_holds_for_the_next_packet(mode: Mode) -> None:
    requests = [
        (netfilter.NEW_TABLE, text(1, "t")),
        (netfilter.NEW_CHAIN, netfilter.chain("t", "c", HOOKS["postrouting"])),
        (netfilter.NEW_RULE, netfilter.rule("t", "c", [*of_udp(PROBE), DROP])),
    ]
    with ground_of(mode) as ground:
        assert arrives(ground.lab, "a", "h2", 4) == 1
        run_batch(ground, requests)
        assert arrives(ground.lab, "a", "h2", 4) == 0
