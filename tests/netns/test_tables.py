"""Links, addresses, routes and neighbours as read from the kernel, and their texts beside iproute2's own."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import pytest

from ipvlab.datapath.base import Link
from ipvlab.lab import tables
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import run_command
from ipvlab.linux import messages
from ipvlab.spec.routes import RouteText, parse_route
from ipvlab.spec.values import Interface

NodeMaker = Callable[..., Node]
WireMaker = Callable[[Node, Node], tuple[Link, Link]]
Give = Callable[[Node, Interface], None]

ADDRESSES = ["192.0.2.1/24", "192.0.2.7/24", "203.0.113.9/32", "2001:db8::1/64", "fe80::7/64"]


@pytest.fixture
def node(make_node: NodeMaker, make_wire: WireMaker, give: Give) -> Node:
    one = make_node("n1")
    make_wire(one, make_node("n2"))
    for address in ADDRESSES:
        give(one, ipaddress.ip_interface(address))
    for version, to, via, index in (
        (4, None, None, 11),
        (4, "198.51.100.0/24", "192.0.2.254", None),
        (4, "198.51.100.7/32", "192.0.2.253", 11),
        (6, None, "2001:db8::fe", None),
        (6, "2001:db8:5::/48", None, 11),
        (6, "ff05::/16", None, 11),
    ):
        message = messages.change_route(
            version,
            None if to is None else ipaddress.ip_network(to),
            None if via is None else ipaddress.ip_address(via),
            index,
        )
        one.namespace.netlink.request(message, "add a route")
    return one


def test_routes_are_those_of_the_main_table(node: Node) -> None:
    assert tables.read_routes(node.namespace, 4) == [
        parse_route("default dev eth0 proto boot scope link", 4),
        parse_route("192.0.2.0/24 dev eth0 src 192.0.2.1 proto kernel scope link"),
        parse_route("198.51.100.0/24 via 192.0.2.254 dev eth0 proto boot scope global"),
        parse_route("198.51.100.7/32 via 192.0.2.253 dev eth0 proto boot scope global"),
    ]


def test_ipv6_routes_leave_out_link_local_and_multicast(node: Node) -> None:
    expected = {
        RouteText("default", ipaddress.ip_address("2001:db8::fe"), "eth0", version=6),
        RouteText(ipaddress.ip_network("2001:db8::/64"), dev="eth0", proto="kernel", metric=256, version=6),
        RouteText(ipaddress.ip_network("2001:db8:5::/48"), dev="eth0", pref="medium", version=6),
    }
    found = tables.read_routes(node.namespace, 6)
    assert len(found) == len(expected)
    assert all(any(route.matches(other) for other in found) for route in expected)
    whole = [str(route.to) for route in tables.view_routes(node.namespace, 6)]
    assert {"fe80::/64", "ff05::/16"} <= set(whole)


def test_a_node_without_links_has_no_routes(make_node: NodeMaker) -> None:
    namespace = make_node("alone").namespace
    assert tables.read_routes(namespace, 4) == []
    assert tables.read_routes(namespace, 6) == []


def test_addresses_are_listed_by_link_and_links_without_any_are_there(node: Node) -> None:
    found = tables.read_addresses(node.namespace)
    assert {str(address) for address in found["eth0"]} == set(ADDRESSES)
    assert [str(address) for address in found["lo"]] == ["127.0.0.1/8", "::1/128"]


def test_a_link_without_addresses_is_listed_with_none(make_node: NodeMaker, make_wire: WireMaker) -> None:
    one, two = make_node("n1"), make_node("n2")
    make_wire(one, two)
    assert tables.read_addresses(two.namespace)["eth0"] == []


def test_links_are_listed_by_name(node: Node) -> None:
    assert tables.read_links(node.namespace) == ["lo", "eth0"]


def test_a_thousand_addresses_are_all_read(node: Node) -> None:
    link = node.links["eth0"]
    for number in range(1000):
        address = ipaddress.ip_interface((f"10.1.{number // 250}.{number % 250 + 1}", 16))
        node.namespace.netlink.request(messages.change_address(link.index, address), "add an address")
    assert len(tables.read_addresses(node.namespace)["eth0"]) == 1000 + len(ADDRESSES)


def test_neighbours_show_address_mac_and_state(
    make_node: NodeMaker, make_wire: WireMaker, give: Give
) -> None:
    one, two = make_node("n1"), make_node("n2")
    make_wire(one, two)
    give(one, ipaddress.ip_interface("192.0.2.1/24"))
    give(two, ipaddress.ip_interface("192.0.2.2/24"))
    with (
        two.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        one.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock,
    ):
        listener.bind(("192.0.2.2", 4711))
        listener.listen()
        sock.connect(("192.0.2.2", 4711))
    [neighbour] = tables.read_neighbours(one.namespace)
    assert (str(neighbour.address), neighbour.dev, neighbour.mac) == (
        "192.0.2.2",
        "eth0",
        two.links["eth0"].mac,
    )
    assert neighbour.state in {"REACHABLE", "DELAY", "STALE"}


@pytest.mark.parametrize("version", [4, 6])
def test_routes_print_as_ip_route_prints_them(node: Node, version: int) -> None:
    printed = run_command(node, ["ip", f"-{version}", "route"])
    assert printed.exit_code == 0, "this test needs iproute2"
    text = tables.format_routes(tables.view_routes(node.namespace, 4 if version == 4 else 6))
    assert stripped(text) == stripped(printed.stdout)


def test_addresses_print_as_ip_addr_prints_them(node: Node) -> None:
    printed = run_command(node, ["ip", "addr"])
    assert printed.exit_code == 0, "this test needs iproute2"
    text = tables.format_addresses(tables.view_links(node.namespace), tables.view_addresses(node.namespace))
    assert stripped(text) == stripped(printed.stdout)


@pytest.mark.parametrize("version", [4, 6])
def test_one_family_prints_its_addresses_only(node: Node, version: int) -> None:
    links, addresses = tables.view_links(node.namespace), tables.view_addresses(node.namespace)
    text = tables.format_addresses(links, addresses, version)
    shown = {line.split()[1] for line in text.splitlines() if "inet" in line.split()[0]}
    assert shown == {str(a.address) for a in addresses if a.address.version == version}


def stripped(text: str) -> list[str]:
    """Lines without the trailing blanks, which differ between versions of iproute2."""
    return [line.rstrip() for line in text.splitlines()]


def test_a_container_of_l3_shows_its_default_route_without_gateway(node: Node) -> None:
    text = tables.format_routes(tables.read_routes(node.namespace, 4))
    assert text.startswith("default dev eth0 scope link \n192.0.2.0/24 dev eth0 proto kernel scope link src ")
