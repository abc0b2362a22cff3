"""What an expectation cannot say."""

from __future__ import annotations

import pytest

from ipvlab.errors import (
    KeyMissing,
    NameTaken,
    NodeNotFound,
    ParentNotFound,
    SpecError,
    ValueInvalid,
    WireNotFound,
)
from ipvlab.spec.references import NodeReference, parse_reference
from tests.unit.spec.refusals import accept, refuse_one

LAB = """
name: x
wires: {lan: {}}
hosts:
  h1:
    interfaces: {eth0: {wire: lan}}
    networks: {n: {driver_opts: {parent: eth0.20}}}
    containers: {a1: {networks: [n]}, a2: {networks: {n: {interface_name: net9}}}, c: {}}
  h2:
    interfaces: {eth0: {wire: lan}}
    containers: {c: {}}
  h3:
    interfaces: {eth0: {wire: lan}}
    commands: |
      docker network create -d ipvlan -o parent=eth0 n
      docker run --net=n --name=b1 -itd alpine /bin/sh
      docker run --net=n --name \\
        b2 -itd alpine
      docker run --net=n -itd alpine
routers:
  gw.1: {interfaces: {eth0: {wire: lan}}}
expect:
  - EXPECTATION
STEPS
"""


def _lab(expectation: str, steps: str = "") -> str:
    return LAB.replace("EXPECTATION", expectation).replace("STEPS", steps)


@pytest.mark.parametrize(
    ("expectation", "error"),
    [
        ("§{}", KeyMissing),
        ("§{reach: }", KeyMissing),
        ("{reach: {from: a1, to: a2}, §blocked: {from: a1, to: h1}}", ValueInvalid),
        ("reach: {from: §a3, to: a2}", NodeNotFound),
        ("reach: {from: a1, to: [a2, §a3]}", NodeNotFound),
        ("reach: {from: a1, to: §h2/a1}", NodeNotFound),
        ("reach: {from: a1, to: §h9/a1}", NodeNotFound),
        ("reach: {from: a1, to: §gw.1/a1}", NodeNotFound),
        ("reach: {from: a1, to: §c}", NameTaken),
        ("reach: {from: a1, to: §h1/a2/10.0.0.1/24}", ValueInvalid),
        ('reach: {from: a1, to: §""}', ValueInvalid),
        ("reach: {from: a1, to: §10.0.0.1}", ValueInvalid),
        ("reach: {from: a1, to: §a1}", ValueInvalid),
        ("reach: {from: [a1], to: §[a1, h1/a1]}", ValueInvalid),
        ("reach: {from: a1, to: a2, via: [§gw]}", NodeNotFound),
        ("reach: {from: a1, to: a2, family: ipv6, address: §10.0.0.1}", ValueInvalid),
        ("reach: {from: a1, to: §a2/10.0.0.1, family: ipv6}", ValueInvalid),
        ("reach: {from: a1, to: a2/10.0.0.1, address: §10.0.0.2}", ValueInvalid),
        ("delivers: {from: a1, to: a2, via: [§gw]}", NodeNotFound),
        ("undelivered: {from: §x, to: a2}", NodeNotFound),
        ("broadcast: {from: §x, heard_by: []}", NodeNotFound),
        ("broadcast: {from: a1, heard_by: [a2, §x]}", NodeNotFound),
        ("broadcast: {from: a1, heard_by: [§a2/10.0.0.1]}", ValueInvalid),
        ("broadcast: §{from: a1, heard_by: [], kind: multicast}", KeyMissing),
        ("broadcast: {from: a1, heard_by: [], kind: multicast, destination: §10.0.0.1}", ValueInvalid),
        ("broadcast: {from: a1, heard_by: [], kind: directed, destination: §239.1.2.3}", ValueInvalid),
        ('broadcast: {from: a1, heard_by: [], kind: directed, destination: §"2001:db8::1"}', ValueInvalid),
        ("broadcast: {from: a1, heard_by: [], kind: nd, destination: §10.0.0.1}", ValueInvalid),
        ("broadcast: {from: a1, heard_by: [], destination: §10.0.0.255}", ValueInvalid),
        ("broadcast: {from: a1, heard_by: [], interface: §eth1}", ParentNotFound),
        ("broadcast: {from: h1, heard_by: [], interface: §eth0.30}", ParentNotFound),
        ("routes: {in: §x, ipv4: []}", NodeNotFound),
        ("routes: {in: §a1/10.0.0.1, ipv4: []}", ValueInvalid),
        ("routes: §{in: a1}", KeyMissing),
        ("routes: {in: a1, ipv4: [default dev eth0, §default over eth0]}", ValueInvalid),
        ('routes: {in: a1, ipv4: [§"2001:db8::/64 dev eth0"]}', ValueInvalid),
        ("routes: {in: a1, ipv6: [§10.0.0.0/8 dev eth0]}", ValueInvalid),
        ("addresses: {in: §x, eth0: []}", NodeNotFound),
        ("addresses: §{in: a1}", KeyMissing),
        ("addresses: {in: a1, §eth1: []}", ParentNotFound),
        ("addresses: {in: a2, §eth0: []}", ParentNotFound),
        ("addresses: {in: gw.1, §eth1: []}", ParentNotFound),
        ("resolves: {in: §x, name: a1, to: []}", NodeNotFound),
        ("links: {in: §x, present: [eth0]}", NodeNotFound),
        ("links: §{in: h1}", KeyMissing),
        ("links: {in: h1, present: [eth0], absent: [eth1, §eth0]}", ValueInvalid),
        ("on_wire: {wire: §wan, from: a1, to: a2}", WireNotFound),
        ("on_wire: {wire: lan, from: §x, to: a2}", NodeNotFound),
        ("on_wire: {wire: lan, from: a1, to: §x}", NodeNotFound),
        ("on_wire: {wire: lan, from: a1, to: a2, source_mac: §h9.eth0}", NodeNotFound),
        ("on_wire: {wire: lan, from: a1, to: a2, source_mac: §h1}", ValueInvalid),
        ("on_wire: {wire: lan, from: a1, to: a2, source_mac: §h1.eth9}", ParentNotFound),
        ("on_wire: {wire: lan, from: a1, to: a2, source_mac: §gw.1.eth9}", ParentNotFound),
        ("on_wire: {wire: lan, from: a1, to: §a2/10.0.0.1, family: ipv6}", ValueInvalid),
        ("fails: {on: §x, command: docker ps, error: y}", NodeNotFound),
    ],
)
def test_an_expectation_that_cannot_be_is_refused(expectation: str, error: type[SpecError]) -> None:
    refuse_one(_lab(expectation), error)


@pytest.mark.parametrize(
    "expectation",
    [
        "reach: {from: [a1, a2], to: [a1, a2]}",
        "reach: {from: a1, to: h1/c}",
        "reach: {from: a1, to: h1/c/10.0.0.1}",
        "reach: {from: a1/10.0.0.5, to: gw.1, via: [h1, gw.1]}",
        'reach: {from: a1, to: "a2/2001:db8::1", family: ipv6}',
        "reach: {from: b1, to: [b2, h3/b1, h3-1]}",
        "reach: {from: a1, to: h1-12}",
        "broadcast: {from: a1, heard_by: [a2, gw.1, h2], kind: multicast, destination: 239.1.2.3}",
        'broadcast: {from: a1, heard_by: [], kind: nd, destination: "2001:db8::99"}',
        "broadcast: {from: a1, heard_by: [], kind: arp, destination: 10.0.0.99}",
        "broadcast: {from: h1, heard_by: [], interface: eth0.20}",
        "broadcast: {from: b1, heard_by: [], interface: eth7}",
        "routes: {in: a1, ipv4: [default via 10.0.0.1 dev eth0], ipv6: []}",
        "addresses: {in: a2, net9: [], lo: [127.0.0.1/8]}",
        "addresses: {in: h3, eth0.99: []}",
        "links: {in: h1, absent: [whatever]}",
        "on_wire: {wire: lan, from: a1, to: gw.1, vlan: 20, source_mac: h1.eth0.20}",
        "on_wire: {wire: lan, from: a1, to: gw.1, source_mac: 02:00:00:00:0A:00}",
        "on_wire: {wire: lan, from: a1, to: gw.1, vlan: null, source_mac: null}",
        "on_wire: {wire: lan, from: a1, to: gw.1, source_mac: gw.1.eth0}",
        "fails: {on: a1, command: ping -c1 10.0.0.1, error: unreachable}",
    ],
)
def test_an_expectation_that_can_be_is_accepted(expectation: str) -> None:
    accept(_lab(expectation))


def test_an_unknown_node_names_the_nearest_and_all() -> None:
    error = refuse_one(_lab("reach: {from: a1, to: §gw1}"), NodeNotFound)
    assert error.hint == "Did you mean 'gw.1'? Nodes: gw.1, h1, h2, h3, a1, a2, h1/c, h2/c, b1, b2."


def test_a_container_started_by_a_step_is_known_in_every_expectation() -> None:
    steps = """steps:
  - do: {h2: ["docker run --name=late --net=n alpine"]}
    expect: [{reach: {from: a1, to: [late, h2/late]}}]
"""
    accept(_lab("blocked: {from: a1, to: late}", steps))


def test_expectations_of_steps_are_checked_alike() -> None:
    refuse_one(
        _lab("links: {in: h1, present: [eth0]}", "steps: [{do: {}, expect: [{reach: {from: a1, to: §zz}}]}]"),
        NodeNotFound,
    )


@pytest.mark.parametrize("text", ["a1", "a1/10.0.0.1", "h1/a1", "h1/a1/2001:db8::1"])
def test_a_reference_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_reference(text)) == text


def test_an_address_after_one_name_belongs_to_a_bare_node() -> None:
    assert parse_reference("h1/::1").host is None
    assert parse_reference("h1/a1") == NodeReference("a1", "h1")


@pytest.mark.parametrize("text", ["", "/", "a/", "/a", "a/b/c", "10.0.0.1", "a/b/c/10.0.0.1", " "])
def test_a_reference_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be node"):
        parse_reference(text)
