"""L3 and L3S: two Docker hosts with routes to each other's containers; every flag, untagged and in a VLAN.

::

    a1 a2 a3                 b1
      \\|/                     |
   h1:parent              h2:parent     st      nr      ol
      └──────────────lan──────┴─────────┴───────┴───────┘

``st`` has a route to h1's containers by way of h1, ``nr`` has none, and ``ol``
takes their subnet for its own segment.
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.l2 import FLAGS, VLAN
from conformance.layouts.layout import GROUP, GROUP_V6, Draft, Layout
from ipvlab.implementations.port import Feature

MODES = {"l3": Feature.L3, "l3s": Feature.L3S}
HOSTS = ("h2", "st", "nr", "ol")


def layouts() -> Iterator[Layout]:
    """Each mode with each flag, on a bare parent and on one with a VLAN id."""
    for mode in MODES:
        for flag in FLAGS:
            for is_tagged in (False, True):
                yield _routed(mode, flag, is_tagged=is_tagged)


def _id(mode: str, l3: str, l3s: str) -> str:
    """The requirement's id in the profile of the mode."""
    return f"IPV-{'L3-' + l3 if mode == 'l3' else 'L3S-' + l3s}"


def build(draft: Draft, mode: str, flag: str, parent: str = "eth0", **h1: object) -> None:
    """The hosts, networks, containers and stations of every routed lab."""
    draft.wires = {"lan": {}}

    def plugged(number: int) -> dict[str, object]:
        addresses = [f"192.168.1.{number}/24", f"fd00::{number}/64"]
        if parent == "eth0":
            return {"eth0": {"wire": "lan", "addresses": addresses}}
        return {"eth0": {"wire": "lan"}, parent: {"parent": "eth0", "vlan": VLAN, "addresses": addresses}}

    there = [{"to": "10.2.0.0/24", "via": "192.168.1.2"}, {"to": "fd02::/64", "via": "fd00::2"}]
    back = [
        {"to": "10.1.0.0/16", "via": "192.168.1.1"},
        {"to": "fd01::/64", "via": "fd00::1"},
        {"to": "fd11::/64", "via": "fd00::1"},
    ]
    draft.host("h1", plugged(1), there, **h1)
    draft.host("h2", plugged(2), back)
    draft.station("st", plugged(9), back)
    draft.station("nr", plugged(8))
    on_link = [{"to": "10.1.0.0/16", "dev": parent}, {"to": "fd01::/64", "dev": parent}]
    draft.station("ol", plugged(7), on_link)
    draft.network("h1", "net", parent, mode, flag, "10.1.0.0/24", "10.1.1.0/24", "fd01::/64", "fd11::/64")
    draft.network("h2", "net", parent, mode, flag, "10.2.0.0/24", "fd02::/64")
    draft.container("h1", "a1", "net", "10.1.0.11", "fd01::11")
    draft.container("h1", "a2", "net", "10.1.0.12", "fd01::12")
    draft.container("h1", "a3", "net", "10.1.1.13", "fd11::13")
    draft.container("h2", "b1", "net", "10.2.0.21", "fd02::21")


def _routed(mode: str, flag: str, *, is_tagged: bool) -> Layout:
    where = "VLAN" if is_tagged else "untagged"
    draft = Draft(
        f"{mode}-{flag}-{where.lower()}",
        f"{mode.upper()} {flag}, {where}: two hosts with routes, and stations with and without",
        MODES[mode],
        Feature.IPV6,
        Feature.SEVERAL_SUBNETS,
        Feature.GIVEN_PARENT,
        *FLAGS[flag],
    )
    parent = f"eth0.{VLAN}" if is_tagged else "eth0"
    build(draft, mode, flag, parent)
    _siblings(draft, mode, flag)
    _others(draft, mode, flag, parent, VLAN if is_tagged else None)
    _own_host(draft, mode)
    _groups(draft, mode, parent)
    draft.expect(
        _id(mode, "ROUTE-001", "ROUTE-001"),
        routes={"node": "a1", "ipv4": ["default dev eth0", "10.1.0.0/24 dev eth0"]},
    )
    draft.expect(
        "IPV-DUAL-ROUTE-001",
        routes={
            "node": "a1",
            "ipv4": ["default dev eth0", "10.1.0.0/24 dev eth0"],
            "ipv6": ["default dev eth0", "fd01::/64 dev eth0"],
        },
    )
    draft.fact(_id(mode, "ROUTE-001", "ROUTE-001"), "a1", has_no_next_hop=4)
    draft.fact("IPV-DUAL-ROUTE-001", "a1", has_no_next_hop=4)
    draft.fact("IPV-DUAL-ROUTE-001", "a1", has_no_next_hop=6)
    draft.expect("IPV-DUAL-ADDR-001", addresses={"node": "a3", "eth0": ["10.1.1.13/24", "fd11::13/64"]})
    return draft.layout()


def _siblings(draft: Draft, mode: str, flag: str) -> None:
    """Siblings talk in bridge only, across subnets too, past the wire and with the TTL as sent."""
    everyone = ["a1", "a2", "a3"]
    for family in ("ipv4", "ipv6"):
        pair = {"sender": everyone, "to": everyone, "family": family}
        if flag != "bridge":
            apart = {"private": "IPV-FLAG-PRIV-001", "vepa": "IPV-FLAG-VEPA-005"}[flag]
            draft.expect(apart, blocked=pair)
            continue
        if family == "ipv6":
            draft.expect("IPV-DUAL-UCAST-001", reach=pair)
            draft.expect("IPV-DUAL-HOP-001", reach={"sender": "a1", "to": "a3", "family": family, "ttl": 64})
            continue
        near = {"sender": ["a1", "a2"], "to": ["a1", "a2"], "family": family}
        draft.expect(_id(mode, "UCAST-001", "UCAST-001"), reach=near)
        draft.expect(_id(mode, "UCAST-002", "UCAST-001"), reach=pair)
        unchanged = _id(mode, "UCAST-003", "UCAST-001")
        draft.expect(unchanged, reach={"sender": "a1", "to": "a3", "family": family, "ttl": 64})
        seen = {"wire": "lan", "sender": "a1", "to": "a2", "family": family}
        draft.expect(unchanged, on_wire={**seen, "vlan": None, "source_mac": None})


def _others(draft: Draft, mode: str, flag: str, parent: str, vlan: int | None) -> None:
    """What leaves is routed by the host with its TTL unchanged; what comes needs a route to the host."""
    flagged = {"bridge": [], "private": ["IPV-FLAG-PRIV-003"], "vepa": ["IPV-FLAG-VEPA-006"]}[flag]
    for family in ("ipv4", "ipv6"):
        is_v4 = family == "ipv4"
        between = _id(mode, "UCAST-004", "UCAST-002") if is_v4 else "IPV-DUAL-UCAST-002"
        draft.expect(
            [between, *flagged], reach={"sender": ["a1", "b1"], "to": ["a1", "b1"], "family": family}
        )
        hop = _id(mode, "UCAST-005", "UCAST-002") if is_v4 else "IPV-DUAL-UCAST-002"
        draft.expect(hop, reach={"sender": "a1", "to": "b1", "family": family, "ttl": 64})
        draft.expect(hop, reach={"sender": "b1", "to": "a3", "family": family, "ttl": 64})
        station = _id(mode, "UCAST-008", "UCAST-002") if is_v4 else "IPV-DUAL-UCAST-002"
        draft.expect([station, *flagged], reach={"sender": "st", "to": ["a1", "a3"], "family": family})
        draft.expect([station, *flagged], reach={"sender": "a1", "to": "st", "family": family})
    lost = _id(mode, "UCAST-006", "UCAST-002")
    draft.expect(lost, blocked={"sender": "a1", "to": "nr", "family": "ipv4"})
    draft.expect(lost, delivers={"sender": "a1", "to": "nr", "family": "ipv4", "ttl": 64})
    if mode == "l3":
        draft.expect("IPV-L3-UCAST-009", blocked={"sender": "ol", "to": "a1", "family": "ipv4"})
        draft.expect("IPV-L3-UCAST-009", undelivered={"sender": "ol", "to": "a1", "family": "ipv4"})
    tag = "IPV-VLAN-TAG-002" if vlan is None else "IPV-VLAN-TAG-001"
    draft.expect(
        [_id(mode, "UCAST-007", "UCAST-002"), tag],
        on_wire={
            "wire": "lan",
            "sender": "a1",
            "to": "b1",
            "family": "ipv4",
            "vlan": vlan,
            "source_mac": f"h1.{parent}",
        },
    )


def _own_host(draft: Draft, mode: str) -> None:
    """A request to the own host arrives; no answer ever does."""
    for family in ("ipv4", "ipv6"):
        arrives = _id(mode, "HOST-001", "HOST-001") if family == "ipv4" else "IPV-DUAL-HOST-001"
        apart = _id(mode, "HOST-002", "HOST-001") if family == "ipv4" else "IPV-DUAL-HOST-001"
        if family == "ipv4":
            draft.expect(arrives, delivers={"sender": "a1", "to": "h1", "family": family})
        draft.expect(apart, blocked={"sender": ["a1", "a3"], "to": "h1", "family": family})
        draft.expect(apart, blocked={"sender": "h1", "to": ["a1", "a3"], "family": family})


def _groups(draft: Draft, mode: str, parent: str) -> None:
    """Nothing that is for a group leaves an endpoint, and nothing of the kind enters one."""
    nobody: list[str] = []
    for kind, requirement in (
        ("limited", _id(mode, "BCAST-001", "BCAST-001")),
        ("directed", _id(mode, "BCAST-002", "BCAST-001")),
        ("arp", _id(mode, "ARP-001", "BCAST-001")),
        ("mdns", _id(mode, "MCAST-001", "BCAST-001")),
        ("nd", "IPV-DUAL-ND-002"),
    ):
        draft.expect(requirement, broadcast={"sender": "a1", "kind": kind, "heard_by": nobody})
    for group, requirement in (
        (GROUP, _id(mode, "MCAST-001", "BCAST-001")),
        (GROUP_V6, "IPV-DUAL-MCAST-002"),
    ):
        draft.expect(
            requirement,
            broadcast={"sender": "a1", "kind": "multicast", "destination": group, "heard_by": nobody},
        )
    draft.expect(
        _id(mode, "BCAST-003", "BCAST-002"),
        broadcast={"sender": "st", "interface": parent, "heard_by": ["h1", "h2", "nr", "ol"]},
    )
    draft.expect(
        "IPV-DUAL-RA-002",
        broadcast={"sender": "st", "interface": parent, "kind": "ra", "heard_by": ["h1", "h2", "nr", "ol"]},
    )
    draft.expect(
        _id(mode, "BCAST-004", "BCAST-002"),
        broadcast={"sender": "h1", "interface": parent, "heard_by": list(HOSTS)},
    )
