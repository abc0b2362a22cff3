"""Whole labs in process: who reaches whom, and who hears, as on real ipvlan."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.rules.hooks import Flow, host_hooks
from ipvlab.rules.stack import Hook
from ipvlab.spec.values import Flag, Mode
from tests.unit.sim.town import Town, pair

ROUTED = [Mode.L3, Mode.L3S]
BOTH = pytest.mark.parametrize("version", [4, 6])
HAIRPIN = {"port": {"hairpin": True}}


@BOTH
@pytest.mark.parametrize("mode", list(Mode))
def test_siblings_and_machines_on_the_wire_reach_each_other(mode: Mode, version: int, tmp_path: Path) -> None:
    # K-L2-001, K-L3-001, K-L3-020: TTLs stay.
    town = Town(pair(mode, net=0 if mode is Mode.L2 else 5), tmp_path)
    for source, target in (("a", "b"), ("a", "x"), ("x", "a")):
        seen = town.ask(source, target, version)
        assert (seen.reply, seen.ttl, seen.path) == (True, 64, ())


@BOTH
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("flag", list(Flag))
def test_a_host_and_its_endpoints_do_not_reach_each_other(
    mode: Mode, flag: Flag, version: int, tmp_path: Path
) -> None:
    # K-HOST-001
    town = Town(pair(mode, flag, net=0 if mode is Mode.L2 else 5), tmp_path)
    assert not town.reaches("a", "h1", version)
    assert not town.reaches("h1", "a", version)


@BOTH
def test_in_l3_the_request_to_the_host_arrives_and_in_l2_it_does_not(version: int, tmp_path: Path) -> None:
    # K-HOST-003
    assert Town(pair("l3", net=5), tmp_path).delivers("a", "h1", version)
    assert not Town(pair("l2"), tmp_path).delivers("a", "h1", version)


@BOTH
@pytest.mark.parametrize("flag", list(Flag))
def test_a_hairpin_port_lets_an_l2_host_and_its_endpoints_meet(
    flag: Flag, version: int, tmp_path: Path
) -> None:
    # K-HOST-005
    town = Town(pair("l2", flag, h1=HAIRPIN), tmp_path)
    assert town.reaches("a", "h1", version)
    assert town.reaches("h1", "a", version)


@BOTH
@pytest.mark.parametrize("mode", list(Mode))
def test_private_keeps_siblings_apart_and_lets_the_wire_be(mode: Mode, version: int, tmp_path: Path) -> None:
    # K-PRV-001, K-PRV-004, K-PRV-005
    town = Town(pair(mode, "private", net=0 if mode is Mode.L2 else 5), tmp_path)
    assert not town.delivers("a", "b", version)
    assert town.reaches("a", "x", version)
    assert town.reaches("x", "b", version)


@BOTH
def test_a_hairpin_port_does_not_help_private(version: int, tmp_path: Path) -> None:
    # K-PRV-007
    assert not Town(pair("l2", "private", h1=HAIRPIN), tmp_path).reaches("a", "b", version)


@BOTH
def test_vepa_needs_a_hairpin_port_between_siblings(version: int, tmp_path: Path) -> None:
    # K-VEPA-003
    assert not Town(pair("l2", "vepa"), tmp_path).reaches("a", "b", version)
    assert Town(pair("l2", "vepa", h1=HAIRPIN), tmp_path).reaches("a", "b", version)


def test_vepa_in_l3_goes_through_a_router_and_costs_a_ttl(tmp_path: Path) -> None:
    # K-VEPA-005
    scenario = pair("l3", "vepa", net=5, h1={"routes": [{"to": "10.5.0.0/24", "via": "10.0.0.1"}]})
    scenario["routers"]["x"]["forwarding"] = True  # type: ignore[index]  # plain JSON
    seen = Town(scenario, tmp_path).ask("a", "b")
    assert (seen.reply, seen.ttl, seen.path) == (True, 63, ("x",))
    assert not Town(pair("l3", "vepa", net=5), tmp_path).delivers("a", "b")


@pytest.mark.parametrize("flag", list(Flag))
@pytest.mark.parametrize(
    ("kind", "destination"),
    [
        ("limited", None),
        ("directed", None),
        ("arp", None),
        ("multicast", "239.1.2.3"),
        ("multicast", "ff15::4242"),
        ("mdns", None),
        ("nd", None),
        ("ra", None),
    ],
)
def test_a_broadcast_in_l2_reaches_siblings_and_the_wire_and_not_the_own_host(
    flag: Flag, kind: str, destination: str | None, tmp_path: Path
) -> None:
    # K-L2-007, K-L2-010, K-PRV-003, K-VEPA-002, K-L2R-004, K-L2R-020
    town = Town(pair("l2", flag), tmp_path)
    assert town.broadcast("a", kind, destination) == {"b", "x"}
    assert town.broadcast("x", kind, destination) == {"a", "b", "h1"}
    assert town.broadcast("h1", kind, destination) == {"x"}


@pytest.mark.parametrize("mode", ROUTED)
@pytest.mark.parametrize(
    ("kind", "destination"),
    [("limited", None), ("directed", None), ("arp", None), ("multicast", "239.1.2.3"), ("nd", None)],
)
def test_in_l3_no_broadcast_leaves_an_endpoint_and_none_comes_in(
    mode: Mode, kind: str, destination: str | None, tmp_path: Path
) -> None:
    # K-L3-010, K-L3-014, K-L3S-010
    town = Town(pair(mode, net=5), tmp_path)
    assert town.broadcast("a", kind, destination) == set()
    assert town.broadcast("x", kind, destination) == {"h1"}


def test_a_reflected_broadcast_reaches_the_own_host_and_no_sibling_twice(tmp_path: Path) -> None:
    # K-L2R-014; the town asserts that nobody hears it twice.
    assert Town(pair("l2", h1=HAIRPIN), tmp_path).broadcast("a") == {"b", "x", "h1"}


@BOTH
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("hook", list(Hook))
def test_the_hosts_hooks_see_what_the_table_says(
    mode: Mode, hook: Hook, version: int, tmp_path: Path
) -> None:
    # K-L2-018, K-L3-028, K-L3S-002, K-L3S-003
    net = 0 if mode is Mode.L2 else 5
    town = Town(pair(mode, net=net, h1={"firewall": {str(hook): "drop"}}), tmp_path)
    for source, target, flow in (("x", "a", Flow.IN), ("a", "x", Flow.OUT), ("a", "b", Flow.SIBLING)):
        assert town.delivers(source, target, version) is (hook not in host_hooks(flow, mode)), flow
    if mode is not Mode.L2:
        assert town.delivers("a", "h1", version) is (hook not in host_hooks(Flow.UP, mode))


def test_an_l3_endpoint_needs_no_forwarding_and_a_remote_needs_a_route(tmp_path: Path) -> None:
    # K-L3-020, K-L3S-011
    scenario = pair("l3", net=5)
    scenario["routers"]["x"]["routes"] = []  # type: ignore[index]  # plain JSON
    town = Town(scenario, tmp_path)
    assert town.delivers("a", "x")
    assert not town.reaches("a", "x")
    assert not town.delivers("x", "a")


def test_the_wire_sees_the_parents_mac_and_nothing_of_siblings(tmp_path: Path) -> None:
    # K-L2-001, K-L2-002
    town = Town(pair("l2"), tmp_path)
    assert town.ask("a", "b").crossings == ()
    mac = town.ground.nodes["h1"].links["eth0"].mac.hex(":")
    requests = [crossing for crossing in town.ask("a", "x").crossings if crossing.leg == "request"]
    assert [(crossing.source_mac, crossing.vlan) for crossing in requests] == [(mac, None)]


def test_a_failed_probe_says_where_it_died(tmp_path: Path) -> None:
    town = Town(pair("l2"), tmp_path)
    assert town.ask("h1", "a").reason.startswith("h1: Nobody answered")
    town = Town(pair("l3", net=5), tmp_path)
    assert "the request arrived" in town.ask("a", "h1").reason
