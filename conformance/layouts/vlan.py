"""VLANs: sub-interfaces that the driver makes, a trunk between hosts, a router on a stick, access ports."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.layout import Draft, Layout
from ipvlab.implementations.port import Feature


def layouts() -> Iterator[Layout]:
    """A trunk of two hosts, with a router and without; ports of a switch; modes beside each other."""
    yield _trunk()
    yield _router()
    yield _access()
    yield _beside()


def _trunk() -> Layout:
    draft = Draft(
        "vlan-trunk",
        "Two VLANs and the untagged segment on one wire between two hosts",
        Feature.L2,
        Feature.VLAN,
        Feature.IPV6,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.host("h2", {"eth0": {"wire": "lan"}})
    # The subnets are crossed over, so that only the tag keeps them apart.
    for host, vlan, subnet in (("h1", 20, 1), ("h1", 30, 2), ("h2", 20, 1), ("h2", 30, 2)):
        draft.network(
            host, f"v{vlan}", f"eth0.{vlan}", "l2", "bridge", f"10.{subnet}.0.0/24", f"fd0{subnet}::/64"
        )
    draft.network("h1", "plain", "eth0", "l2", "bridge", "10.3.0.0/24", "fd03::/64")
    draft.host("h3", {"eth0": {"wire": "lan"}})
    draft.network("h3", "crossed", "eth0.30", "l2", "bridge", "10.1.0.0/24", "fd01::/64")
    draft.container("h1", "a20", "v20", "10.1.0.11", "fd01::11")
    draft.container("h1", "a30", "v30", "10.2.0.11", "fd02::11")
    draft.container("h1", "a1", "plain", "10.3.0.11", "fd03::11")
    draft.container("h2", "b20", "v20", "10.1.0.21", "fd01::21")
    draft.container("h2", "b30", "v30", "10.2.0.21", "fd02::21")
    draft.container("h3", "c30", "crossed", "10.1.0.31", "fd01::31")
    draft.expect("IPV-LIFE-PARENT-001", links={"node": "h1", "present": ["eth0.20", "eth0.30"]})
    for near, far in (("a20", "b20"), ("a30", "b30")):
        draft.expect("IPV-VLAN-UCAST-001", reach={"sender": [near, far], "to": [near, far]})
    draft.expect(
        "IPV-VLAN-TAG-001",
        on_wire={"wire": "lan", "sender": "a30", "to": "b30", "vlan": 30, "source_mac": "h1.eth0"},
    )
    for family, requirement in (("ipv4", "IPV-VLAN-ISO-001"), ("ipv6", "IPV-DUAL-VLAN-001")):
        pair = {"sender": ["a20", "b20"], "to": "c30", "family": family}
        draft.expect(requirement, blocked=pair)
        draft.expect(requirement, undelivered=pair)
        draft.expect(requirement, undelivered={"sender": "c30", "to": ["a20", "b20"], "family": family})
        draft.expect(requirement, blocked={"sender": "a20", "to": ["a30", "b30"], "family": family})
    draft.expect("IPV-VLAN-ISO-002", broadcast={"sender": "a20", "heard_by": ["b20", "h2"]})
    draft.expect("IPV-VLAN-ISO-002", broadcast={"sender": "a30", "heard_by": ["b30", "c30", "h2", "h3"]})
    draft.expect("IPV-VLAN-ISO-002", broadcast={"sender": "c30", "heard_by": ["a30", "b30", "h1", "h2"]})
    draft.expect("IPV-VLAN-ISO-003", broadcast={"sender": "a1", "heard_by": ["h2", "h3"]})
    return draft.layout()


def _router() -> Layout:
    draft = Draft(
        "vlan-router",
        "A router with a foot in each VLAN",
        Feature.L2,
        Feature.VLAN,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.station(
        "gw",
        {
            "eth0": {"wire": "lan"},
            "eth0.20": {"parent": "eth0", "vlan": 20, "addresses": ["10.1.0.254/24"]},
            "eth0.30": {"parent": "eth0", "vlan": 30, "addresses": ["10.2.0.254/24"]},
        },
        forwards=True,
    )
    for vlan, subnet in ((20, 1), (30, 2)):
        pool = {"subnet": f"10.{subnet}.0.0/24", "gateway": f"10.{subnet}.0.254"}
        draft.network("h1", f"v{vlan}", f"eth0.{vlan}", "l2", "bridge", pool)
    draft.container("h1", "a20", "v20", "10.1.0.11")
    draft.container("h1", "a30", "v30", "10.2.0.11")
    there = {"sender": "a20", "to": "a30"}
    draft.expect("IPV-VLAN-ROUTE-001", reach={**there, "ttl": 63, "via": ["gw"]})
    draft.expect("IPV-VLAN-ROUTE-001", reach={"sender": "a30", "to": "a20", "ttl": 63, "via": ["gw"]})
    draft.expect("IPV-VLAN-ISO-002", broadcast={"sender": "a20", "heard_by": ["gw"]})
    return draft.layout()


def _access() -> Layout:
    draft = Draft(
        "vlan-access-port",
        "An untagged parent behind an access port, and a trunk that carries the port's VLAN",
        Feature.L2,
        Feature.GIVEN_PARENT,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan", "port": {"access": 20}}})
    draft.station(
        "tr",
        {
            "eth0": {"wire": "lan", "port": {"trunk": [20, 30]}},
            "eth0.20": {"parent": "eth0", "vlan": 20, "addresses": ["10.1.0.20/24"]},
            "eth0.30": {"parent": "eth0", "vlan": 30, "addresses": ["10.1.0.30/24"]},
        },
    )
    draft.station("pc", {"eth0": {"wire": "lan", "port": {"access": 30}, "addresses": ["10.1.0.9/24"]}})
    draft.network("h1", "net", "eth0", "l2", "bridge", "10.1.0.0/24")
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.expect("IPV-VLAN-ACCESS-001", delivers={"sender": "a1", "to": "tr/10.1.0.20"})
    draft.expect("IPV-VLAN-ACCESS-001", broadcast={"sender": "a1", "heard_by": ["tr"]})
    draft.expect("IPV-VLAN-ACCESS-001", undelivered={"sender": "a1", "to": "pc"})
    draft.expect("IPV-VLAN-ACCESS-001", undelivered={"sender": "pc", "to": "a1"})
    return draft.layout()


def _beside() -> Layout:
    draft = Draft(
        "vlan-modes-beside",
        "L2 in one VLAN and L3 in another, on one link",
        Feature.L2,
        Feature.L3,
        Feature.VLAN,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.host("h2", {"eth0": {"wire": "lan"}})
    draft.network("h1", "switched", "eth0.20", "l2", "bridge", "10.1.0.0/24")
    draft.network("h1", "routed", "eth0.30", "l3", "bridge", "10.2.0.0/24")
    draft.network("h2", "switched", "eth0.20", "l2", "bridge", "10.1.0.0/24")
    for number, name in enumerate(("a1", "a2"), 1):
        draft.container("h1", name, "switched", f"10.1.0.1{number}")
        draft.container("h1", f"r{number}", "routed", f"10.2.0.1{number}")
    draft.container("h2", "b1", "switched", "10.1.0.21")
    mix = "IPV-VLAN-MIX-001"
    draft.expect(mix, reach={"sender": ["a1", "a2", "b1"], "to": ["a1", "a2", "b1"]})
    draft.expect(mix, reach={"sender": ["r1", "r2"], "to": ["r1", "r2"]})
    draft.expect(mix, blocked={"sender": ["a1", "r1"], "to": ["a1", "r1"]})
    draft.expect(mix, broadcast={"sender": "a1", "heard_by": ["a2", "b1", "h2"]})
    draft.expect(mix, broadcast={"sender": "r1", "heard_by": []})
    return draft.layout()
