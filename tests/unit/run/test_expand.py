"""An expectation becomes one check for each verdict, with the question that settles it."""

from __future__ import annotations

import ipaddress

import pytest

from ipvlab.errors import FamilyMissing, NodeNotFound, ValueInvalid
from ipvlab.probe.questions import BroadcastQuestion, ReachQuestion
from ipvlab.run.expand import Check
from ipvlab.spec.values import Family
from tests.unit.run.town import checks, node

A1 = node("a1", eth0="192.168.1.2/24 2001:db8::2/64")
A2 = node("a2", eth0="192.168.1.3/24 2001:db8::3/64")
V4 = node("v4", eth0="10.0.0.2/24")
V6 = node("v6", eth0="2001:db8:1::2/64")


def pair(check: Check) -> ReachQuestion:
    assert isinstance(check.question, ReachQuestion)
    return check.question


def asked(check: Check) -> BroadcastQuestion:
    assert isinstance(check.question, BroadcastQuestion)
    return check.question


def test_a_pair_is_probed_in_each_family_that_both_have() -> None:
    ids = [check.id for check in checks({"reach": {"from": "a1", "to": "a2"}}, A1, A2)]
    assert ids == ["expect[0]:a1->a2/ipv4", "expect[0]:a1->a2/ipv6"]


def test_a_named_family_is_the_only_one_probed() -> None:
    [check] = checks({"reach": {"from": "a1", "to": "a2", "family": "ipv6"}}, A1, A2)
    assert (check.family, pair(check).address) == (Family.IPV6, ipaddress.ip_address("2001:db8::3"))


def test_lists_are_every_ordered_pair_without_the_node_itself_and_not_reversed() -> None:
    found = checks({"blocked": {"from": ["a1", "a2"], "to": ["a2", "v4"], "family": "ipv4"}}, A1, A2, V4)
    assert [check.id for check in found] == [
        "expect[0]:a1->a2/ipv4",
        "expect[0]:a1->v4/ipv4",
        "expect[0]:a2->v4/ipv4",
    ]


def test_no_common_family_without_a_named_one_is_an_error() -> None:
    with pytest.raises(FamilyMissing, match="no address family in common"):
        checks({"blocked": {"from": "v4", "to": "v6"}}, V4, V6)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_named_family_that_one_side_lacks_has_no_question(family: str) -> None:
    [check] = checks({"blocked": {"from": "v4", "to": "v6", "family": family}}, V4, V6)
    assert check.question is None


def test_the_target_address_lies_in_a_subnet_of_the_source_even_if_it_is_not_the_first() -> None:
    router = node("gw", "router", eth0="10.9.9.1/24", eth1="192.168.1.1/24")
    [check] = checks({"reach": {"from": "a1", "to": "gw"}}, A1, router)
    assert str(pair(check).address) == "192.168.1.1"


def test_the_target_address_is_the_first_where_none_is_in_reach() -> None:
    router = node("gw", "router", eth0="10.9.9.1/24", eth1="10.8.8.1/24")
    [check] = checks({"reach": {"from": "a1", "to": "gw"}}, A1, router)
    assert str(pair(check).address) == "10.9.9.1"


def test_link_local_addresses_are_not_aimed_at_and_make_no_common_family() -> None:
    left, right = (
        node("l", eth0="fe80::1/64 10.0.0.1/24"),
        node("r", eth0="fe80::2/64 10.0.0.2/24"),
    )
    [check] = checks({"reach": {"from": "l", "to": "r"}}, left, right)
    assert check.family is Family.IPV4


def test_from_and_to_take_an_address_of_the_node() -> None:
    two = node("two", eth0="192.168.1.9/24", eth1="192.168.1.10/24")
    [check] = checks({"reach": {"from": "two/192.168.1.10", "to": "a1/192.168.1.2"}}, two, A1)
    question = pair(check)
    assert check.id == "expect[0]:two/192.168.1.10->a1/192.168.1.2/ipv4"
    assert (str(question.source_address), str(question.address)) == ("192.168.1.10", "192.168.1.2")
    assert (question.source, question.target) == ("two", "a1")


def test_addresses_of_two_families_in_one_pair_are_an_error() -> None:
    with pytest.raises(FamilyMissing, match="mixes"):
        checks({"reach": {"from": "a1/192.168.1.2", "to": "a2/2001:db8::3"}}, A1, A2)


def test_reach_is_icmp_and_delivers_is_one_way_udp() -> None:
    [reach] = checks({"reach": {"from": "a1", "to": "a2", "family": "ipv4"}}, A1, A2)
    [delivers] = checks({"delivers": {"from": "a1", "to": "a2", "family": "ipv4"}}, A1, A2)
    assert (pair(reach).proto, pair(reach).is_one_way) == ("icmp", False)
    assert (pair(delivers).proto, pair(delivers).is_one_way) == ("udp", True)


def test_the_path_is_observed_only_where_it_is_written() -> None:
    [plain] = checks({"reach": {"from": "a1", "to": "a2", "family": "ipv4"}}, A1, A2)
    [routed] = checks({"reach": {"from": "a1", "to": "a2", "family": "ipv4", "via": []}}, A1, A2)
    assert not pair(plain).wants_path
    assert pair(routed).wants_path


def test_a_container_is_found_by_bare_name_and_by_host_and_name() -> None:
    web = node("h1/web", eth0="192.168.1.7/24")
    for name in ("web", "h1/web"):
        [check] = checks({"reach": {"from": "a1", "to": name}}, A1, web)
        assert check.target == "h1/web"


def test_a_bare_name_of_containers_on_two_hosts_is_an_error_that_names_both() -> None:
    one, other = node("h1/web", host="h1"), node("h2/web", host="h2")
    with pytest.raises(NodeNotFound) as refusal:
        checks({"links": {"in": "web"}}, one, other)
    assert refusal.value.hint == "write h1/web or h2/web"


def test_an_unknown_node_names_the_nearest() -> None:
    with pytest.raises(NodeNotFound) as refusal:
        checks({"reach": {"from": "a1", "to": "aa2"}}, A1, A2)
    assert refusal.value.hint == "did you mean 'a2'?"


def test_a_limited_broadcast_leaves_by_the_first_interface() -> None:
    two = node("two", eth0="10.0.0.1/24", eth1="192.168.1.1/24")
    question = asked(checks({"broadcast": {"from": "two", "heard_by": []}}, two)[0])
    assert (question.interface, question.destination) == ("eth0", None)


def test_a_broadcast_leaves_by_the_interface_whose_subnet_holds_the_destination() -> None:
    two = node("two", eth0="10.0.0.1/24", eth1="192.168.1.1/24")
    written = {"from": "two", "heard_by": [], "kind": "directed", "destination": "192.168.1.255"}
    assert asked(checks({"broadcast": written}, two)[0]).interface == "eth1"


def test_a_named_interface_overrides_and_must_exist() -> None:
    two = node("two", eth0="10.0.0.1/24", eth1="192.168.1.1/24")
    written = {"from": "two", "heard_by": [], "interface": "eth1"}
    assert asked(checks({"broadcast": written}, two)[0]).interface == "eth1"
    with pytest.raises(ValueInvalid, match="no interface 'eth2'"):
        checks({"broadcast": written | {"interface": "eth2"}}, two)


def test_a_directed_broadcast_goes_to_the_first_ipv4_subnet() -> None:
    two = node("two", eth0="2001:db8::1/64", eth1="192.168.1.1/24")
    question = asked(checks({"broadcast": {"from": "two", "heard_by": [], "kind": "directed"}}, two)[0])
    assert (question.interface, str(question.destination)) == ("eth1", "192.168.1.255")


def test_arp_asks_for_an_address_of_the_subnet_that_nobody_has() -> None:
    last = node("last", eth0="192.168.1.254/24")
    question = asked(checks({"broadcast": {"from": "a1", "heard_by": [], "kind": "arp"}}, A1, last)[0])
    assert str(question.destination) == "192.168.1.253"


def test_nd_asks_for_an_address_of_the_global_subnet_before_the_link_local_one() -> None:
    six = node("six", eth0="fe80::1/64 2001:db8::1/64")
    question = asked(checks({"broadcast": {"from": "six", "heard_by": [], "kind": "nd"}}, six)[0])
    assert question.destination in ipaddress.ip_network("2001:db8::/64")
    assert question.family is Family.IPV6


def test_arp_from_a_node_without_ipv4_is_an_error() -> None:
    with pytest.raises(FamilyMissing, match="no IPv4 subnet"):
        checks({"broadcast": {"from": "v6", "heard_by": [], "kind": "arp"}}, V6)


def test_routes_are_one_check_for_each_written_family_and_addresses_one_for_each_interface() -> None:
    routes = checks({"routes": {"in": "a1", "ipv4": ["default dev eth0"], "ipv6": []}}, A1)
    addresses = checks({"addresses": {"in": "a1", "eth0": [], "eth1": []}}, A1)
    assert [check.id for check in routes] == ["expect[0]:a1/ipv4", "expect[0]:a1/ipv6"]
    assert [check.id for check in addresses] == ["expect[0]:a1/eth0", "expect[0]:a1/eth1"]


def test_ids_in_steps_carry_the_step() -> None:
    [check] = checks({"links": {"in": "a1"}}, A1, id_="steps[0].expect[1]")
    assert check.id == "steps[0].expect[1]:a1"
