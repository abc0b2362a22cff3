"""The ip commands on live nodes: the kernel changes, the records follow, the datapath is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from ipvlab.datapath.base import Link
from ipvlab.driver.port import CommandResult
from ipvlab.lab import tables
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import run_command
from ipvlab.linux import messages
from ipvlab.spec.values import Interface
from tests.netns.ip_place import Place, Recorder

NodeMaker = Callable[..., Node]
WireMaker = Callable[[Node, Node], tuple[Link, Link]]
Give = Callable[[Node, Interface], None]


@pytest.fixture
def place(make_node: NodeMaker, make_wire: WireMaker) -> Place:
    node, other = make_node("n1"), make_node("n2")
    make_wire(node, other)
    return Place(node, Recorder(), node, other)


@pytest.fixture
def container(place: Place, make_node: NodeMaker) -> Place:
    """A place inside a container whose endpoint ``eth0`` lies on ``eth0`` of the host ``n1``."""
    inside = make_node("c1", "container")
    message = messages.add_veth(
        "ipv41", 41, b"\x02\0\0\0\0\x31", inside.namespace.fd, "eth0", 42, b"\x02\0\0\0\0\x01", 1500
    )
    place.node.namespace.netlink.request(message, "add an endpoint")
    inside.links["eth0"] = Link("eth0", 42, b"\x02\0\0\0\0\x01", is_up=False, kind="endpoint", below="eth0")
    made = Place(inside, place.datapath, place.node, place.other)
    made.succeed("ip link set eth0 up")
    return made


def test_an_address_added_is_held_and_the_datapath_knows_it(place: Place) -> None:
    place.succeed("ip addr add 192.0.2.1/24 dev eth0")
    assert place.addresses() == ["192.0.2.1/24"]
    assert place.datapath.learned == ["n1 eth0 192.0.2.1/24"]


def test_an_ipv6_address_added_by_hand_does_duplicate_detection(place: Place, give: Give) -> None:
    """It is over when the command returns: usable where nobody has the address, failed where somebody has."""
    place.node.namespace.write_sysctls({"ipv6/neigh/eth0/retrans_time_ms": "10"})
    give(place.other, ipaddress.ip_interface("2001:db8::2/64"))
    place.succeed("ip addr add 2001:db8::1/64 dev eth0")
    place.succeed("ip addr add 2001:db8::2/64 dev eth0")
    views = {str(one.address): one for one in tables.view_addresses(place.node.namespace) if one.index == 11}
    assert not views["2001:db8::1/64"].is_tentative
    assert not views["2001:db8::1/64"].has_failed
    assert views["2001:db8::2/64"].has_failed


def test_an_address_deleted_is_gone_and_the_datapath_forgets_it(place: Place) -> None:
    for address in ("192.0.2.1/24", "2001:db8::1/64"):
        place.succeed(f"ip addr add {address} dev eth0")
        place.succeed(f"ip addr del {address} dev eth0")
    assert place.addresses() == []
    assert place.datapath.forgotten == ["n1 eth0 192.0.2.1/24", "n1 eth0 2001:db8::1/64"]


def test_a_primary_address_takes_its_secondaries_along(place: Place) -> None:
    for address in ("192.0.2.1/24", "192.0.2.2/24", "198.51.100.1/24"):
        place.succeed(f"ip addr add {address} dev eth0")
    place.succeed("ip addr del 192.0.2.1/24 dev eth0")
    assert place.addresses() == ["198.51.100.1/24"]
    assert len(place.datapath.forgotten) == 2


@pytest.mark.parametrize("address", ["192.0.2.1/24", "2001:db8::1/64"])
def test_an_address_added_twice_exists(place: Place, address: str) -> None:
    place.succeed(f"ip addr add {address} dev eth0")
    result = place.do(f"ip addr add {address} dev eth0")
    assert (result.exit_code, result.stderr) == (2, "RTNETLINK answers: File exists\n")
    assert len(place.datapath.learned) == 1


def test_an_address_of_a_sibling_is_refused_in_the_kernels_words_and_not_added(container: Place) -> None:
    container.datapath.taken.add("192.0.2.9")
    result = container.do("ip addr add 192.0.2.9/24 dev eth0")
    assert (result.exit_code, result.stderr) == (2, "Error: Address already assigned to an ipvlan device.\n")
    assert container.addresses() == []


def test_an_address_that_the_kernel_refuses_is_forgotten_again(place: Place) -> None:
    place.node.namespace.write_sysctls({"ipv6/conf/eth0/disable_ipv6": "1"})
    result = place.do("ip addr add 2001:db8::1/64 dev eth0")
    assert result.exit_code == 2
    assert place.addresses() == []
    assert place.datapath.forgotten == place.datapath.learned


def test_the_address_of_a_container_is_told_with_its_hosts_namespace(container: Place) -> None:
    container.succeed("ip addr add 192.0.2.9/24 dev eth0")
    assert container.datapath.learned == ["n1 eth0 192.0.2.9/24"]
    assert container.addresses() == ["192.0.2.9/24"]


def test_a_route_is_added_once_and_deleted_once(place: Place) -> None:
    place.succeed("ip addr add 192.0.2.1/24 dev eth0")
    place.succeed("ip route add 198.51.100.0/24 via 192.0.2.254")
    assert "198.51.100.0/24 via 192.0.2.254 dev eth0" in place.succeed("ip route")
    assert (
        place.do("ip route add 198.51.100.0/24 via 192.0.2.254").stderr == "RTNETLINK answers: File exists\n"
    )
    place.succeed("ip route del 198.51.100.0/24")
    again = place.do("ip route del 198.51.100.0/24")
    assert again == CommandResult(2, stderr="RTNETLINK answers: No such process\n")
    assert "198.51.100.0/24" not in place.succeed("ip route")


def test_ipv6_routes_and_default_routes_go_by_gateway_or_link(place: Place) -> None:
    place.succeed("ip addr add 2001:db8::1/64 dev eth0")
    for line in ("ip route add default dev eth0", "ip -6 route add default via 2001:db8::fe"):
        place.succeed(line)
    assert place.succeed("ip route") == "default dev eth0 scope link \n"
    assert "default via 2001:db8::fe dev eth0" in place.succeed("ip -6 route")
    for line in ("ip route del default", "ip -6 route del default via 2001:db8::fe dev eth0"):
        place.succeed(line)
    assert "default" not in place.succeed("ip route") + place.succeed("ip -6 route")


def test_a_gateway_out_of_reach_is_refused_in_the_kernels_words(place: Place) -> None:
    result = place.do("ip route add 198.51.100.0/24 via 203.0.113.1")
    assert (result.exit_code, result.stderr) == (2, "Error: Nexthop has invalid gateway.\n")


@pytest.mark.parametrize(
    "line",
    [
        "ip link set eth9 up",
        "ip link del eth9",
        "ip link add link eth9 name eth9.5 type vlan id 5",
        "ip addr add 192.0.2.1/24 dev eth9",
        "ip route add 198.51.100.0/24 dev eth9",
        "ip neigh flush dev eth9",
    ],
)
def test_a_device_that_is_not_there_ends_with_1(place: Place, line: str) -> None:
    assert place.do(line) == CommandResult(1, stderr='Cannot find device "eth9"\n')


def test_a_device_that_is_not_there_cannot_be_shown(place: Place) -> None:
    assert place.do("ip addr show eth9") == CommandResult(1, stderr='Device "eth9" does not exist.\n')


def test_a_vlan_is_made_by_the_datapath_down_and_set_up_with_a_link_local_address(place: Place) -> None:
    place.succeed("ip link add link eth0 name foo type vlan id 41")
    link = place.node.links["foo"]
    assert (link.kind, link.below, link.vlan, link.is_up) == ("vlan", "eth0", 41, False)
    place.succeed("ip link set foo up")
    assert place.view("foo").is_up
    assert place.addresses("foo") == ["fe80::ff:fe00:1/64"]


def test_a_vlan_name_that_is_taken_exists(place: Place) -> None:
    result = place.do("ip link add link eth0 name eth0 type vlan id 41")
    assert (result.exit_code, result.stderr) == (2, "RTNETLINK answers: File exists\n")


def test_a_vlan_is_deleted_through_the_datapath_with_those_on_it(place: Place) -> None:
    place.succeed("ip link add link eth0 name eth0.40 type vlan id 40")
    place.succeed("ip link add link eth0.40 name inner type vlan id 5")
    place.succeed("ip link del eth0.40")
    assert place.datapath.removed == ["inner", "eth0.40"]
    assert set(place.node.links) == {"eth0"}


def test_a_network_card_cannot_be_deleted(place: Place) -> None:
    result = place.do("ip link del eth0")
    assert result == CommandResult(2, stderr="RTNETLINK answers: Operation not supported\n")
    assert "eth0" in place.node.links


def test_an_endpoint_is_deleted_through_the_datapath(container: Place) -> None:
    container.succeed("ip link del eth0")
    assert container.datapath.removed == ["n1/eth0 eth0"]
    assert container.node.links == {}


def test_a_link_set_down_loses_its_ipv6_addresses_and_its_routes(place: Place) -> None:
    for address in ("192.0.2.1/24", "2001:db8::1/64"):
        place.succeed(f"ip addr add {address} dev eth0")
    place.succeed("ip link set eth0 down")
    assert not place.view().is_up
    assert place.addresses() == ["192.0.2.1/24"]
    assert place.succeed("ip route") == ""
    assert place.datapath.forgotten == ["n1 eth0 2001:db8::1/64"]


def test_a_link_set_up_again_has_its_link_local_address_again(place: Place, give: Give) -> None:
    give(place.node, ipaddress.ip_interface("fe80::1234/64"))
    place.succeed("ip link set eth0 down")
    assert place.addresses() == []
    place.succeed("ip link set eth0 up")
    assert place.addresses() == ["fe80::1234/64"]
    [held] = [one for one in tables.view_addresses(place.node.namespace) if one.index == 11]
    assert not held.is_tentative


def test_an_endpoint_without_ipv6_gets_none_by_going_down_and_up(container: Place) -> None:
    container.succeed("ip link set eth0 down")
    container.succeed("ip link set eth0 up")
    assert container.addresses() == []


def test_a_vlan_goes_down_and_up_with_the_link_below_it(place: Place) -> None:
    place.succeed("ip link add link eth0 name eth0.40 type vlan id 40")
    place.succeed("ip link set eth0.40 up")
    place.succeed("ip link set eth0 down")
    assert not place.view("eth0.40").is_up
    result = place.do("ip link set eth0.40 up")
    assert result == CommandResult(2, stderr="RTNETLINK answers: Network is down\n")
    place.succeed("ip link set eth0 up")
    assert place.view("eth0.40").is_up


def test_a_vlan_with_a_mac_of_its_own_keeps_it_when_the_link_below_gets_another(place: Place) -> None:
    place.succeed("ip link add link eth0 name eth0.40 type vlan id 40")
    place.succeed("ip link set eth0.40 address 02:00:00:00:00:40")
    place.succeed("ip link set eth0 address 02:00:00:00:00:77")
    assert place.view("eth0").mac.hex(":") == "02:00:00:00:00:77"
    assert place.view("eth0.40").mac.hex(":") == "02:00:00:00:00:40"


def test_a_link_loses_ipv6_below_an_mtu_of_1280_and_has_it_again_above(place: Place) -> None:
    place.succeed("ip addr add fd00::1/64 dev eth0")
    place.succeed("ip link set eth0 mtu 1279")
    assert place.addresses() == []
    result = place.do("ip addr add fd00::2/64 dev eth0")
    assert result == CommandResult(2, stderr="RTNETLINK answers: Invalid argument\n")
    place.succeed("ip link set eth0 mtu 1280")
    assert [text for text in place.addresses() if not text.startswith("fe80")] == []
    place.succeed("ip addr add fd00::2/64 dev eth0")
    assert "fd00::2/64" in place.addresses()


def test_mtu_and_mac_are_set_and_vlans_follow(place: Place) -> None:
    place.succeed("ip link add link eth0 name eth0.40 type vlan id 40")
    place.succeed("ip link set dev eth0 mtu 1400 address 02:00:00:00:00:77")
    for name in ("eth0", "eth0.40"):
        view = place.view(name)
        assert (view.mtu, view.mac.hex(":")) == (1400, "02:00:00:00:00:77")
    result = place.do("ip link set eth0.40 mtu 1500")
    assert result == CommandResult(2, stderr="RTNETLINK answers: Numerical result out of range\n")
    place.succeed("ip link set eth0 mtu 1500")
    assert place.view("eth0.40").mtu == 1400


def test_an_endpoint_has_no_mac_of_its_own_to_set(container: Place) -> None:
    result = container.do("ip link set eth0 address 02:00:00:00:00:77")
    assert result == CommandResult(2, stderr="RTNETLINK answers: Operation not supported\n")
    container.view()


def add_neighbour(node: Node, address: str, state: str) -> None:
    line = f"ip neigh add {address} lladdr 02:00:00:00:00:55 dev eth0 nud {state}"
    assert run_command(node, line.split()).exit_code == 0, "this test needs iproute2"


@pytest.mark.parametrize(
    "line", ["ip neigh flush dev eth0", "ip neigh flush all", "ip -4 neigh flush dev eth0"]
)
def test_neighbours_are_flushed_and_permanent_ones_stay(place: Place, line: str, give: Give) -> None:
    give(place.node, ipaddress.ip_interface("192.0.2.1/24"))
    for address, state in (("192.0.2.2", "reachable"), ("192.0.2.3", "permanent"), ("192.0.2.4", "stale")):
        add_neighbour(place.node, address, state)
    assert len(tables.read_neighbours(place.node.namespace)) == 3
    place.succeed(line)
    assert [str(one.address) for one in tables.read_neighbours(place.node.namespace)] == ["192.0.2.3"]


def test_a_flush_of_one_family_or_device_leaves_the_others(place: Place, give: Give) -> None:
    give(place.node, ipaddress.ip_interface("192.0.2.1/24"))
    add_neighbour(place.node, "192.0.2.2", "stale")
    place.succeed("ip -6 neigh flush dev eth0")
    assert len(tables.read_neighbours(place.node.namespace)) == 1


def test_show_prints_the_nodes_own_links_only(container: Place, place: Place) -> None:
    assert "ipv41" in tables.read_links(place.node.namespace)
    assert "ipv41" not in place.succeed("ip a")
    assert container.succeed("ip addr show eth0").startswith("42: eth0@if41: <BROADCAST,MULTICAST,")
    assert "1: lo: <LOOPBACK,UP,LOWER_UP>" in container.succeed("ip addr show")


def test_an_address_of_lo_is_taken_too(place: Place) -> None:
    place.succeed("ip addr add 203.0.113.1/32 dev lo")
    assert "203.0.113.1/32" in map(str, tables.read_addresses(place.node.namespace)["lo"])
    place.succeed("ip addr del 203.0.113.1/32 dev lo")
    assert place.datapath.forgotten == place.datapath.learned


def test_a_ping_is_not_for_this_room(place: Place) -> None:
    with pytest.raises(ValueError, match="not an ip command"):
        place.do("ping 192.0.2.1")


def test_the_mode_of_an_endpoint_is_set_on_its_parent(container: Place) -> None:
    container.succeed("ip link set eth0 type ipvlan mode l3")
    container.succeed("ip link set eth0 type ipvlan mode l2 vepa")
    assert container.datapath.modes == ["eth0 l3 None", "eth0 l2 vepa"]
