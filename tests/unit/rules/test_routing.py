"""Which way a packet leaves, and with which source: of the machine's own, and of its endpoints in L3."""

from __future__ import annotations

import ipaddress

import pytest

from ipvlab.rules import catalogue_ipvlan, catalogue_linux
from ipvlab.rules.routing import WayKind, find_way, find_way_for_endpoint, known_mac
from ipvlab.rules.stack import LinkState, Route, Stack
from ipvlab.spec.values import Address, Interface

MAC, MAC1 = b"\x02\0\0\0\0\xfe", b"\x02\0\0\0\0\xfd"


def address(text: str) -> Address:
    return ipaddress.ip_address(text)


def addresses(*texts: str) -> tuple[Interface, ...]:
    return tuple(ipaddress.ip_interface(text) for text in texts)


def route(to: str, dev: str, via: str | None = None, metric: int = 0) -> Route:
    return Route(ipaddress.ip_network(to), dev, None if via is None else address(via), metric=metric)


HOST = Stack(
    "h1",
    {
        "eth0": LinkState("eth0", MAC, addresses("10.0.0.254/24", "fd00::fe/64", "fe80::fe/64")),
        "eth1": LinkState("eth1", MAC1, addresses("10.9.0.1/24", "fd09::1/64", "fe80::fd/64")),
    },
    (
        route("10.0.0.0/24", "eth0"),
        route("10.9.0.0/24", "eth1"),
        route("10.7.0.0/16", "eth1", "10.9.0.2"),
        route("10.8.0.0/16", "eth0", "10.0.0.1"),
        route("10.8.8.0/24", "eth1", "10.9.0.2"),
        route("fd00::/64", "eth0"),
        route("fd09::/64", "eth1"),
        route("fd07::/64", "eth1", "fd09::2"),
    ),
)


@pytest.mark.parametrize(
    ("destination", "link", "hop", "source"),
    [
        ("10.0.0.1", "eth0", "10.0.0.1", "10.0.0.254"),
        ("10.8.1.1", "eth0", "10.0.0.1", "10.0.0.254"),
        ("10.8.8.1", "eth1", "10.9.0.2", "10.9.0.1"),
        ("fd07::7", "eth1", "fd09::2", "fd09::1"),
        ("fd00::1", "eth0", "fd00::1", "fd00::fe"),
    ],
)
def test_the_longest_prefix_decides_and_the_link_gives_the_source(
    destination: str, link: str, hop: str, source: str
) -> None:
    way = find_way(HOST, address(destination))
    assert (way.kind, way.link) == (WayKind.UNICAST, link)
    assert (str(way.next_hop), str(way.source)) == (hop, source)


@pytest.mark.parametrize("destination", ["203.0.113.5", "2001:db8::5"])
def test_without_a_route_nothing_is_sent(destination: str) -> None:
    way = find_way(HOST, address(destination))
    assert (way.kind, way.rule) == (WayKind.NONE, catalogue_linux.NO_ROUTE)


def test_a_source_that_is_not_the_machines_is_refused() -> None:
    way = find_way(HOST, address("10.0.0.1"), source=address("10.0.0.77"))
    assert way.rule is catalogue_linux.NO_ADDRESS


def test_a_subnets_broadcast_address_and_the_limited_one_are_broadcasts() -> None:
    assert find_way(HOST, address("10.0.0.255")).kind is WayKind.BROADCAST
    assert find_way(HOST, address("255.255.255.255"), by="eth1").kind is WayKind.BROADCAST
    # Another subnet's is an address like any other.
    assert find_way(HOST, address("10.8.1.255")).kind is WayKind.UNICAST


def test_a_link_without_addresses_borrows_a_source_for_its_broadcasts() -> None:
    bare = Stack("r", {"eth0": LinkState("eth0", MAC), "eth1": HOST.links["eth1"]})
    assert str(find_way(bare, address("255.255.255.255"), by="eth0").source) == "10.9.0.1"
    lonely = Stack("r", {"eth0": LinkState("eth0", MAC)})
    assert str(find_way(lonely, address("255.255.255.255"), by="eth0").source) == "0.0.0.0"


def test_a_link_local_destination_takes_a_link_local_source_of_its_link() -> None:
    way = find_way(HOST, address("fe80::99"), by="eth1")
    assert (way.link, str(way.source)) == ("eth1", "fe80::fd")


def test_a_global_address_of_another_link_comes_before_a_narrower_scope() -> None:
    stack = Stack(
        "r",
        {
            "eth0": LinkState("eth0", MAC, addresses("fe80::1/64")),
            "eth1": LinkState("eth1", MAC1, addresses("fd09::1/64", "fe80::2/64")),
        },
        (route("fd00::/64", "eth0"),),
    )
    assert str(find_way(stack, address("fd00::5")).source) == "fd09::1"


@pytest.mark.parametrize(
    ("fact", "destination", "kind", "rule", "hop"),
    [
        ("K-L3-002", "10.8.1.1", WayKind.UNICAST, catalogue_linux.ROUTED, "10.0.0.1"),
        ("K-L3-004", "203.0.113.5", WayKind.UNICAST, catalogue_ipvlan.L3_ON_LINK, "203.0.113.5"),
        ("K-L3-006", "10.7.0.5", WayKind.UNICAST, catalogue_ipvlan.L3_ON_LINK, "10.7.0.5"),
        ("K-L3-006 longer", "10.8.8.1", WayKind.UNICAST, catalogue_linux.ROUTED, "10.0.0.1"),
        ("K-L3-007 parent", "10.0.0.254", WayKind.LOCAL, catalogue_ipvlan.L3_LOCAL, "10.0.0.254"),
        ("K-L3-007 other link", "10.9.0.1", WayKind.UNICAST, catalogue_ipvlan.L3_ON_LINK, "10.9.0.1"),
        ("K-L3-011", "10.0.0.255", WayKind.NONE, catalogue_ipvlan.L3_BROADCAST, "None"),
        ("K-L3-007 ipv6", "fd09::1", WayKind.LOCAL, catalogue_ipvlan.L3_LOCAL, "fd09::1"),
        ("K-L3-005", "2001:db8::5", WayKind.NONE, catalogue_ipvlan.L3_NO_ROUTE6, "None"),
    ],
)
def test_a_packet_of_an_endpoint_is_looked_up_bound_to_its_parent(
    fact: str, destination: str, kind: WayKind, rule: object, hop: str
) -> None:
    way = find_way_for_endpoint(HOST, address(destination), "eth0")
    assert (way.kind, way.rule, str(way.next_hop)) == (kind, rule, hop)
    assert way.link in ("", "eth0") or way.kind is WayKind.LOCAL


def test_an_ipv6_route_by_another_link_is_followed() -> None:
    # K-L3-006
    way = find_way_for_endpoint(HOST, address("fd07::7"), "eth0")
    assert (way.kind, way.link, str(way.next_hop)) == (WayKind.UNICAST, "eth1", "fd09::2")


def test_ipv6_of_endpoints_needs_ipv6_on_the_parent() -> None:
    # K-L3-027
    off = Stack("h", {"eth0": LinkState("eth0", MAC, has_ipv6=False)}, (route("fd00::/64", "eth0"),))
    assert find_way_for_endpoint(off, address("fd00::1"), "eth0").rule is catalogue_linux.NO_IPV6


def test_a_link_without_arp_sends_even_broadcasts_to_its_own_mac_and_only_groups_to_theirs() -> None:
    # K-L3-012; arp_constructor asks for NOARP before it asks for a broadcast.
    link = LinkState("eth0", MAC, addresses("10.5.0.2/24"), has_arp=False)
    stack = Stack("a", {"eth0": link}, (route("10.5.0.0/24", "eth0"),))
    for text in ("10.5.0.3", "10.5.0.255"):
        assert known_mac(stack, find_way(stack, address(text))) == MAC
    group = find_way(stack, address("239.1.2.3"), by="eth0")
    assert known_mac(stack, group) == bytes.fromhex("01005e010203")


def test_a_link_with_arp_must_ask_for_unicast() -> None:
    way = find_way(HOST, address("10.0.0.1"))
    assert known_mac(HOST, way) is None
    assert known_mac(HOST, find_way(HOST, address("10.0.0.255"))) == b"\xff" * 6
