"""Broadcast probes between plain namespaces: the exact set of hearers, and who is proved silent."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest

from ipvlab.linux import messages
from ipvlab.probe.questions import BroadcastObservation, BroadcastQuestion
from ipvlab.spec.values import BroadcastKind, Family
from tests.netns.probe_lab import PlainLab

KINDS = [
    ("limited", None, Family.IPV4),
    ("directed", None, Family.IPV4),
    ("arp", None, Family.IPV4),
    ("arp", "10.0.0.77", Family.IPV4),
    ("multicast", "239.1.2.3", Family.IPV4),
    ("multicast", "ff02::1:2:3", Family.IPV6),
    ("mdns", None, Family.IPV4),
    ("mdns", None, Family.IPV6),
    ("nd", None, Family.IPV6),
    ("nd", "fd00::2", Family.IPV6),
    ("ra", None, Family.IPV6),
]


@pytest.fixture
def lab() -> Iterator[PlainLab]:
    """a, b, c and d on one switch, dual stack; x and y on a wire of their own."""
    plain = PlainLab()
    plain.flat(["a", "b", "c", "d"])
    plain.add("x", "y")
    plain.join("other", "x.eth0", "y.eth0")
    plain.give("x.eth0", "10.0.0.8/24", "fd00::8/64")
    plain.give("y.eth0", "10.0.0.9/24", "fd00::9/64")
    yield plain
    plain.close()


def ask(lab: PlainLab, *questions: BroadcastQuestion) -> list[BroadcastObservation]:
    """The observations, all of them of broadcasts."""
    answers = lab.prober.answer(questions)
    assert all(isinstance(answer, BroadcastObservation) for answer in answers)
    return [answer for answer in answers if isinstance(answer, BroadcastObservation)]


def from_a(kind: str, destination: str | None = None, family: Family = Family.IPV4) -> BroadcastQuestion:
    """A broadcast of node a by its eth0."""
    address = ipaddress.ip_address(destination) if destination is not None else None
    return BroadcastQuestion("a", BroadcastKind(kind), "eth0", address, family)


@pytest.mark.parametrize(("kind", "destination", "family"), KINDS)
def test_everyone_on_the_wire_hears_once_and_everyone_else_is_proved_silent(
    lab: PlainLab, kind: str, destination: str | None, family: Family
) -> None:
    [seen] = ask(lab, from_a(kind, destination, family))
    assert seen.heard_by == {"b", "c", "d"}
    assert seen.copies == {"b": 1, "c": 1, "d": 1}
    assert seen.silent == {"x", "y"}
    assert seen.unobserved == frozenset()
    assert seen.reason == ""


def test_all_kinds_in_flight_together_are_told_apart(lab: PlainLab) -> None:
    questions = [from_a(*kind) for kind in KINDS] * 3
    for seen in ask(lab, *questions):
        assert seen.copies == {"b": 1, "c": 1, "d": 1}
        assert seen.silent == {"x", "y"}


def test_a_link_without_arp_hears_no_arp_but_a_limited_broadcast(lab: PlainLab) -> None:
    link = lab.nodes["c"].links["eth0"]
    link.has_arp = False
    request = messages.set_flags(link.index, messages.IFF_NOARP, messages.IFF_NOARP)
    lab.nodes["c"].namespace.netlink.request(request, "no arp")
    arp, limited = ask(lab, from_a("arp"), from_a("limited"))
    assert arp.heard_by == {"b", "d"}
    assert arp.silent == {"c", "x", "y"}
    assert limited.heard_by == {"b", "c", "d"}


def test_an_interface_without_an_address_hears_a_limited_but_no_directed_broadcast(lab: PlainLab) -> None:
    link = lab.nodes["d"].links["eth0"]
    for address in [held for held in link.addresses if held.version == 4]:
        request = messages.change_address(link.index, address, is_new=False)
        lab.nodes["d"].namespace.netlink.request(request, "no address")
        link.addresses.remove(address)
    limited, directed = ask(lab, from_a("limited"), from_a("directed"))
    assert limited.heard_by == {"b", "c", "d"}
    assert directed.heard_by == {"b", "c"}
    assert directed.silent == {"d", "x", "y"}


def test_a_node_with_two_interfaces_on_the_wire_hears_two_copies() -> None:
    plain = PlainLab()
    try:
        plain.add("a", "b", "c")
        plain.join("lan", "a.eth0", "b.eth0", "c.eth0", "c.eth1")
        plain.give("a.eth0", "10.0.0.1/24", "fd00::1/64")
        [limited, mdns] = ask(plain, from_a("limited"), from_a("mdns"))
        assert limited.copies == {"b": 1, "c": 2}
        assert mdns.copies == {"b": 1, "c": 2}
    finally:
        plain.close()


def test_a_node_with_ipv6_off_is_silent_by_the_kernels_own_switch(lab: PlainLab) -> None:
    lab.nodes["c"].namespace.write_sysctls({"ipv6/conf/all/disable_ipv6": "1"})
    ra, limited = ask(lab, from_a("ra", None, Family.IPV6), from_a("limited"))
    assert ra.heard_by == {"b", "d"}
    assert "c" in ra.silent
    assert ra.proof["ipv6_off"] == ["c"]
    assert limited.heard_by == {"b", "c", "d"}


def test_a_broadcast_by_a_link_that_is_down_is_not_sent_and_everyone_is_silent(lab: PlainLab) -> None:
    node = lab.nodes["a"]
    request = messages.set_flags(node.links["eth0"].index, 0, messages.IFF_UP)
    node.namespace.netlink.request(request, "down")
    for seen in ask(lab, from_a("arp"), from_a("limited")):
        assert seen.silent == {"b", "c", "d", "x", "y"}
        assert seen.reason.startswith("not sent: network is ")


def test_a_broadcast_by_an_interface_that_is_not_there_proves_nothing(lab: PlainLab) -> None:
    [seen] = ask(lab, BroadcastQuestion("a", BroadcastKind.LIMITED, "eth7"))
    assert seen.unobserved == {"b", "c", "d", "x", "y"}
    assert seen.reason == "a has no interface eth7"


def test_a_node_may_be_in_more_groups_than_one_socket_can_hold(lab: PlainLab) -> None:
    questions = [from_a("multicast", f"239.0.0.{number}") for number in range(1, 46)]
    for seen in ask(lab, *questions):
        assert seen.heard_by == {"b", "c", "d"}
