"""Observations against expectations: what passes, what fails, and what proves nothing."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from ipvlab.probe.questions import Crossing
from ipvlab.run.compare import (
    judge_addresses,
    judge_broadcast,
    judge_links,
    judge_reach,
    judge_routes,
    judge_without_address,
)
from ipvlab.run.expand import Check
from ipvlab.run.record import RecordedLink
from ipvlab.run.results import Outcome, Verdict
from ipvlab.spec.routes import parse_route
from tests.unit.run.town import broadcast_seen, checks, directory, node, reach_seen

A1 = node("a1", eth0="192.168.1.2/24")
A2 = node("a2", eth0="192.168.1.3/24")
GW = node("gw", "router", eth0="192.168.1.1/24")
NODES = directory(A1, A2, GW)


def pair(kind: str, **more: object) -> Check:
    [check] = checks({kind: {"from": "a1", "to": "a2", **more}}, A1, A2, GW)
    return check


@pytest.mark.parametrize(
    ("kind", "request_", "reply", "outcome"),
    [
        ("reach", True, True, Outcome.PASS),
        ("reach", True, False, Outcome.FAIL),
        ("reach", False, False, Outcome.FAIL),
        ("blocked", True, True, Outcome.FAIL),
        ("blocked", True, False, Outcome.PASS),
        ("blocked", False, False, Outcome.PASS),
        ("delivers", True, False, Outcome.PASS),
        ("delivers", False, False, Outcome.FAIL),
        ("undelivered", True, False, Outcome.FAIL),
        ("undelivered", False, False, Outcome.PASS),
    ],
)
def test_round_trips_need_both_legs_and_deliveries_one(
    kind: str, request_: bool, reply: bool, outcome: Outcome
) -> None:
    check = pair(kind)
    assert judge_reach(check, reach_seen(check, request=request_, reply=reply), NODES).outcome is outcome


@pytest.mark.parametrize("kind", ["reach", "blocked", "delivers", "undelivered"])
def test_an_absence_that_is_not_proved_is_unobserved(kind: str) -> None:
    check = pair(kind)
    seen = reach_seen(check, request=False, reply=False, is_proved=False)
    assert judge_reach(check, seen, NODES).outcome is Outcome.UNOBSERVED


@pytest.mark.parametrize(("kind", "outcome"), [("reach", Outcome.PASS), ("blocked", Outcome.FAIL)])
def test_an_arrival_stands_even_where_the_proof_of_silence_broke(kind: str, outcome: Outcome) -> None:
    check = pair(kind)
    assert judge_reach(check, reach_seen(check, is_proved=False), NODES).outcome is outcome


def test_the_ttl_is_compared_only_where_it_is_written() -> None:
    written, plain = pair("reach", ttl=64), pair("reach")
    assert judge_reach(written, reach_seen(written, ttl=64), NODES)
    assert judge_reach(written, reach_seen(written, ttl=63), NODES).outcome is Outcome.FAIL
    assert judge_reach(written, reach_seen(written, ttl=None), NODES).outcome is Outcome.UNOBSERVED
    assert judge_reach(plain, reach_seen(plain, ttl=3), NODES)


def test_the_path_is_compared_in_order_and_an_empty_one_means_nobody() -> None:
    direct, routed = pair("reach", via=[]), pair("reach", via=["gw"])
    assert judge_reach(direct, reach_seen(direct, path=()), NODES)
    assert judge_reach(routed, reach_seen(routed, path=("gw",)), NODES)
    assert judge_reach(direct, reach_seen(direct, path=("gw",)), NODES).outcome is Outcome.FAIL
    assert judge_reach(routed, reach_seen(routed, path=()), NODES).outcome is Outcome.FAIL
    assert judge_reach(routed, reach_seen(routed, path=None), NODES).outcome is Outcome.UNOBSERVED


def test_expected_and_observed_have_the_form_of_the_contract() -> None:
    reach, undelivered = pair("reach", ttl=64), pair("undelivered")
    verdict = judge_reach(reach, reach_seen(reach), NODES)
    assert verdict.expected == {"round_trip": True, "request": True, "reply": True, "ttl": 64}
    assert verdict.observed == {"round_trip": True, "request": True, "reply": True, "ttl": 64}
    seen = reach_seen(undelivered, request=False, reply=False, ttl=None)
    assert judge_reach(undelivered, seen, NODES).observed == {
        "round_trip": None,
        "request": False,
        "reply": None,
        "ttl": None,
    }


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("reach", Outcome.FAIL),
        ("blocked", Outcome.PASS),
        ("delivers", Outcome.FAIL),
        ("undelivered", Outcome.PASS),
    ],
)
def test_a_family_that_one_side_lacks_is_blocked_with_reason_no_address(kind: str, outcome: Outcome) -> None:
    verdict = judge_without_address(pair(kind, family="ipv6"))
    assert (verdict.outcome, verdict.reason) == (outcome, "no address")


def hear(expected: list[str], **seen: object) -> Verdict:
    [check] = checks({"broadcast": {"from": "a1", "heard_by": expected}}, A1, A2, GW)
    observation = broadcast_seen(check, **seen)  # type: ignore[arg-type]  # texts and counts by name
    return judge_broadcast(check, observation, NODES)


def test_a_broadcast_passes_for_the_exact_set_with_everyone_else_proved_silent() -> None:
    verdict = hear(["a2"], heard_by="a2", silent="gw")
    assert (verdict.outcome, verdict.expected, verdict.observed) == (Outcome.PASS, ["a2"], ["a2"])


def test_a_hearer_too_many_or_too_few_fails_and_is_named() -> None:
    assert "heard by gw too" in hear(["a2"], heard_by="a2 gw").reason
    assert "not heard by a2" in hear(["a2"], silent="a2 gw").reason


@pytest.mark.parametrize(
    "seen", [{"heard_by": "a2"}, {"heard_by": "a2", "unobserved": "gw"}, {"silent": "gw"}]
)
def test_a_node_neither_hearing_nor_proved_silent_makes_a_broadcast_unobserved(seen: dict[str, str]) -> None:
    assert hear(["a2"], **seen).outcome is Outcome.UNOBSERVED


def test_a_wrong_hearer_fails_even_where_another_node_is_unobserved() -> None:
    assert hear([], heard_by="a2", unobserved="gw").outcome is Outcome.FAIL


def test_hearing_twice_is_a_failure() -> None:
    verdict = hear(["a2"], heard_by="a2", silent="gw", copies={"a2": 2})
    assert (verdict.outcome, verdict.reason) == (Outcome.FAIL, "heard more than once by a2 (2)")


def test_the_sender_in_heard_by_is_left_out() -> None:
    assert hear(["a1", "a2"], heard_by="a2", silent="gw")


def on_wire(crossings: tuple[Crossing, ...], *, is_proved: bool = True, **written: object) -> Verdict:
    h1 = node("h1", "host", eth0="")
    h1.links["eth0"] = RecordedLink("eth0")
    claim = {"wire": "lan", "from": "a1", "to": "a2", **written}
    [check] = checks({"on_wire": claim}, A1, A2, h1)
    seen = dataclasses.replace(reach_seen(check, is_proved=is_proved), crossings=crossings)
    return judge_reach(check, seen, directory(A1, A2, h1))


def crossing(vlan: int | None = None, wire: str = "lan", leg: str = "request") -> Crossing:
    return Crossing(wire, "02:00:00:00:00:01", "02:00:00:00:00:02", vlan, leg)  # type: ignore[arg-type]  # a leg


def test_on_wire_compares_tag_and_source_mac_of_the_request() -> None:
    assert on_wire((crossing(20),), vlan=20, source_mac="02:00:00:00:00:01")
    assert on_wire((crossing(20),), vlan=30).outcome is Outcome.FAIL
    assert on_wire((crossing(20),), vlan=None).outcome is Outcome.FAIL
    assert on_wire((crossing(),), vlan=None)
    assert on_wire((crossing(20),), source_mac="02:00:00:00:00:09").outcome is Outcome.FAIL


def test_on_wire_sees_only_its_wire_and_only_the_request() -> None:
    assert on_wire((crossing(20, wire="wan"),), vlan=20).outcome is Outcome.FAIL
    assert on_wire((crossing(20, leg="reply"),), vlan=20).outcome is Outcome.FAIL


def test_on_wire_takes_one_fitting_crossing_of_a_router_on_a_stick() -> None:
    assert on_wire((crossing(20), crossing(30)), vlan=30).observed["vlan"] == 30


def test_source_mac_null_claims_that_nothing_crosses_and_needs_proof() -> None:
    assert on_wire((), source_mac=None)
    assert on_wire((crossing(),), source_mac=None).outcome is Outcome.FAIL
    assert on_wire((), is_proved=False, source_mac=None).outcome is Outcome.UNOBSERVED


def routes(held: list[str], *written: str) -> Verdict:
    [check] = checks({"routes": {"in": "a1", "ipv4": list(written)}}, A1)
    return judge_routes(check, [parse_route(text, 4) for text in held])


def test_a_written_route_matches_by_the_attributes_that_it_names() -> None:
    held = ["default via 10.0.0.1 dev eth0 proto boot", "10.0.0.0/24 dev eth0 scope link src 10.0.0.2"]
    assert routes(held, "default via 10.0.0.1", "10.0.0.0/24 dev eth0")
    verdict = routes(held, "default via 10.0.0.1", "10.0.0.0/24 src 10.0.0.3")
    assert verdict.outcome is Outcome.FAIL
    assert "10.0.0.0/24 dev eth0 src 10.0.0.2" in verdict.observed


def test_a_route_that_is_not_written_fails_and_so_does_one_that_is_missing() -> None:
    assert routes(["default dev eth0"]).reason == "not written: default dev eth0"
    assert routes([], "default dev eth0").reason == "missing: default dev eth0"
    assert routes([])


def addresses(held: str | None, *written: str) -> Verdict:
    [check] = checks({"addresses": {"in": "a1", "eth0": list(written)}}, A1)
    return judge_addresses(check, None if held is None else map(ipaddress.ip_interface, held.split()))


def test_link_local_addresses_are_left_out_unless_written() -> None:
    held = "192.168.1.2/24 fe80::1/64"
    assert addresses(held, "192.168.1.2/24")
    assert addresses(held, "192.168.1.2/24", "fe80::1/64")
    assert not addresses(held, "192.168.1.2/24", "fe80::2/64")


def test_the_prefix_length_and_the_interface_count() -> None:
    assert not addresses("192.168.1.2/24", "192.168.1.2/25")
    assert addresses(None).reason == "a1 has no interface eth0"


def test_links_compares_names_present_and_absent() -> None:
    [check] = checks({"links": {"in": "a1", "present": ["eth0"], "absent": ["eth0.20"]}}, A1)
    assert judge_links(check, ["lo", "eth0"])
    gone, left = judge_links(check, ["lo"]), judge_links(check, ["eth0", "eth0.20"])
    assert (gone.outcome, gone.reason) == (Outcome.FAIL, "not there: eth0")
    assert (left.outcome, left.reason, left.observed) == (
        Outcome.FAIL,
        "still there: eth0.20",
        ["eth0", "eth0.20"],
    )
