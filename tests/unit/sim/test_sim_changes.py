"""Changes at run time on the simulated lab: links, addresses, routes, modes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.lab.sim_tables import read_routes
from tests.unit.sim.town import Town, pair


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """Two endpoints in L2 and a machine on the wire."""
    return Town(pair("l2"), tmp_path)


def test_a_link_that_is_down_carries_nothing_and_comes_back(town: Town) -> None:
    # K-OBJ-023, K-OBJ-024: as from Linux 6.10 on, endpoints lose their carrier with the parent.
    assert town.type("h1", "ip link set eth0 down").exit_code == 0
    assert not town.reaches("a", "x")
    assert not town.reaches("a", "b")
    assert town.type("h1", "ip link set eth0 up").exit_code == 0
    assert town.reaches("a", "x")
    assert town.reaches("a", "b")


def test_without_the_peer_of_its_wire_a_parent_has_no_carrier(town: Town) -> None:
    # K-OBJ-022
    town.type("x", "ip link set eth0 down")
    assert not town.reaches("a", "b")


def test_a_down_endpoints_address_is_the_parents_stacks_matter(town: Town) -> None:
    # K-ADR-009, K-ADR-010
    town.type("a", "ip link set eth0 down")
    assert not town.delivers("x", "a")
    town.type("a", "ip link set eth0 up")
    assert town.delivers("x", "a")


@pytest.mark.parametrize("address", ["10.0.0.12/24", "fd00:0::12/64"])
def test_an_address_of_a_sibling_is_refused(town: Town, address: str) -> None:
    # K-ADR-001, K-ADR-002
    result = town.type("a", f"ip addr add {address} dev eth0")
    assert (result.exit_code, "already assigned to an ipvlan device" in result.stderr) == (2, True)


def test_an_address_twice_on_one_link_exists(town: Town) -> None:
    # K-ADR-004
    assert "File exists" in town.type("a", "ip addr add 10.0.0.11/24 dev eth0").stderr
    assert "already assigned" in town.type("a", "ip addr add 10.0.0.11/16 dev eth0").stderr


def test_the_parents_address_may_be_an_endpoints_and_then_the_wire_reaches_the_endpoint(town: Town) -> None:
    # K-ADR-005, K-ADR-006
    assert town.type("a", "ip addr add 10.0.0.254/24 dev eth0").exit_code == 0
    assert not town.delivers("x", "h1")


def test_a_secondary_address_is_matched_and_goes_with_its_primary(town: Town) -> None:
    # K-ADR-011, K-ADR-012
    town.type("a", "ip addr add 10.0.0.21/24 dev eth0")
    assert [str(held) for held in town.ground.nodes["a"].links["eth0"].addresses][-1] == "10.0.0.21/24"
    town.type("a", "ip addr del 10.0.0.11/24 dev eth0")
    assert [held for held in town.ground.nodes["a"].links["eth0"].addresses if held.version == 4] == []


def test_duplicate_addresses_are_found_on_the_wire_and_among_siblings_of_another_parent(town: Town) -> None:
    # K-L2-012: x defends its address; the parent's is not asked.
    town.type("a", "ip addr add fd00:0::1/64 dev eth0")
    town.type("a", "ip addr add fd00:0::254/64 dev eth0")
    held = [str(each.ip) for each in town.ground.nodes["a"].links["eth0"].addresses]
    assert "fd00::1" not in held
    assert "fd00::254" in held


def test_a_mode_is_the_parents_and_changes_for_all_endpoints(town: Town) -> None:
    # K-MODE-001, K-MODE-005, K-MODE-006
    assert town.broadcast("x") == {"a", "b", "h1"}
    town.type("a", "ip link set eth0 type ipvlan mode l3")
    assert not any(town.ground.nodes[name].links["eth0"].has_arp for name in "ab")
    assert town.broadcast("x") == {"h1"}
    town.type("b", "ip link set eth0 type ipvlan mode l2")
    assert town.broadcast("x") == {"a", "b", "h1"}
    assert town.reaches("x", "a")


def test_a_mode_without_a_flag_is_bridge_again(tmp_path: Path) -> None:
    # K-MODE-003
    town = Town(pair("l2", "private"), tmp_path)
    assert not town.reaches("a", "b")
    town.type("a", "ip link set eth0 type ipvlan mode l2")
    assert town.reaches("a", "b")
    town.type("a", "ip link set eth0 type ipvlan mode l2 vepa")
    assert not town.reaches("a", "b")


def test_the_parents_mac_is_its_endpoints(town: Town) -> None:
    # K-OBJ-004, K-OBJ-005
    town.type("h1", "ip link set eth0 address 02:00:00:00:00:99")
    assert town.ground.nodes["a"].links["eth0"].mac == bytes.fromhex("020000000099")
    assert "not supported" in town.type("a", "ip link set eth0 address 02:00:00:00:00:98").stderr.lower()


def test_a_sub_interface_goes_down_with_its_link_and_up_with_it(town: Town) -> None:
    town.type("h1", "ip link add link eth0 name foo type vlan id 7")
    assert not town.ground.nodes["h1"].links["foo"].is_up
    assert town.type("h1", "ip link set foo up").exit_code == 0
    town.type("h1", "ip link set eth0 down")
    assert not town.ground.nodes["h1"].links["foo"].is_up
    assert "Network is down" in town.type("h1", "ip link set foo up").stderr
    town.type("h1", "ip link set eth0 up")
    assert town.ground.nodes["h1"].links["foo"].is_up


def test_routes_are_added_once_and_deleted_when_they_are_there(town: Town) -> None:
    assert town.type("x", "ip route add 10.9.0.0/24 via 10.0.0.254").exit_code == 0
    assert "File exists" in town.type("x", "ip route add 10.9.0.0/24 via 10.0.0.11").stderr
    assert "invalid gateway" in town.type("x", "ip route add 10.8.0.0/24 via 10.77.0.1").stderr
    assert town.type("x", "ip route del 10.9.0.0/24").exit_code == 0
    assert "No such process" in town.type("x", "ip route del 10.9.0.0/24").stderr
    assert [str(route.to) for route in read_routes(town.ground.lab.nodes["x"], 4)] == ["10.0.0.0/24"]


def test_the_last_address_of_a_link_takes_its_routes_along(town: Town) -> None:
    town.type("x", "ip route add 10.9.0.0/24 via 10.0.0.254")
    town.type("x", "ip addr del 10.0.0.1/24 dev eth0")
    assert read_routes(town.ground.lab.nodes["x"], 4) == []
    assert read_routes(town.ground.lab.nodes["x"], 6) != []


def test_the_machines_own_address_is_taken_as_an_ipv4_gateway_and_refused_as_an_ipv6_one(town: Town) -> None:
    assert town.type("x", "ip route add 10.9.0.0/24 via 10.0.0.1").exit_code == 0
    refused = town.type("x", "ip route add fd00:9::/64 via fd00::1")
    assert (refused.exit_code, "local address" in refused.stderr) == (2, True)


def test_deleting_a_parent_deletes_its_endpoints_in_every_container(tmp_path: Path) -> None:
    # K-OBJ-025
    scenario = pair("l2")
    scenario["hosts"]["h1"]["networks"]["n"]["driver_opts"]["parent"] = "eth0.7"  # type: ignore[index]  # plain JSON
    town = Town(scenario, tmp_path)
    assert town.reaches("a", "b")
    assert town.type("h1", "ip link del eth0.7").exit_code == 0
    assert not town.ground.nodes["a"].links
    assert not town.ground.nodes["b"].links


@pytest.mark.parametrize("line", ["ip link set foo up", "ip addr add 10.1.1.1/24 dev foo", "ip link del foo"])
def test_a_device_that_is_not_there_is_exit_code_1(town: Town, line: str) -> None:
    result = town.type("x", line)
    assert (result.exit_code, result.stderr) == (1, 'Cannot find device "foo"\n')
