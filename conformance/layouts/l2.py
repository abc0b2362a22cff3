"""L2: one segment with two Docker hosts, a station and a gateway; every flag, untagged and in a VLAN.

::

    a1 a2      x1            b1
     \\ /        |             |
   h1:parent  h1:eth1     h2:parent     st      gw ──far── fs
      └──────────────lan──────┴─────────┴───────┘
"""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.layout import GROUP, GROUP_V6, Draft, Layout
from ipvlab.implementations.port import Feature

FLAGS = {"bridge": (), "private": (Feature.PRIVATE,), "vepa": (Feature.VEPA,)}
VLAN = 20


def layouts() -> Iterator[Layout]:
    """Each flag, on a bare parent and on one with a VLAN id; then what needs a lab of its own."""
    for flag in FLAGS:
        for is_tagged in (False, True):
            yield _segment(flag, is_tagged=is_tagged)
    yield _several_subnets()
    yield _reflecting()


def _segment(flag: str, *, is_tagged: bool) -> Layout:
    where = "VLAN" if is_tagged else "untagged"
    draft = Draft(
        f"l2-{flag}-{where.lower()}",
        f"L2 {flag}, {where}: two hosts, a station and a gateway on one segment",
        Feature.L2,
        Feature.IPV6,
        Feature.GIVEN_PARENT,
        *FLAGS[flag],
    )
    draft.wires = {"lan": {}, "lan2": {}, "far": {}}
    parent = f"eth0.{VLAN}" if is_tagged else "eth0"

    def plugged(*addresses: str) -> dict[str, object]:
        if not is_tagged:
            return {"eth0": {"wire": "lan", "addresses": list(addresses)}}
        return {
            "eth0": {"wire": "lan"},
            parent: {"parent": "eth0", "vlan": VLAN, "addresses": list(addresses)},
        }

    draft.host("h1", {**plugged("10.1.0.251/24", "fd01::251/64"), "eth1": {"wire": "lan2"}})
    draft.host("h2", plugged("10.1.0.252/24", "fd01::252/64"))
    draft.station("st", plugged("10.1.0.9/24", "fd01::9/64"))
    draft.station(
        "gw",
        {
            **plugged("10.1.0.254/24", "fd01::254/64"),
            "eth1": {"wire": "far", "addresses": ["10.8.0.254/24", "fd08::254/64"]},
        },
        forwards=True,
    )
    back = [{"to": "default", "via": "10.8.0.254"}, {"to": "default", "via": "fd08::254"}]
    draft.station("fs", {"eth0": {"wire": "far", "addresses": ["10.8.0.9/24", "fd08::9/64"]}}, back)
    draft.station("s2", {"eth0": {"wire": "lan2", "addresses": ["10.9.0.9/24"]}})
    pools = (
        {"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"},
        {"subnet": "fd01::/64", "gateway": "fd01::254"},
    )
    for host in ("h1", "h2"):
        draft.network(host, "net", parent, "l2", flag, *pools)
    draft.network("h1", "other", "eth1", "l2", flag, {"subnet": "10.9.0.0/24", "gateway": "10.9.0.254"})
    draft.container("h1", "a1", "net", "10.1.0.11", "fd01::11")
    draft.container("h1", "a2", "net", "10.1.0.12", "fd01::12")
    draft.container("h1", "x1", "other", "10.9.0.11")
    draft.container("h2", "b1", "net", "10.1.0.21", "fd01::21")
    _siblings(draft, flag)
    _others(draft, flag, parent, VLAN if is_tagged else None)
    _own_host(draft)
    _groups(draft, flag, parent)
    draft.expect(
        "IPV-L2-ROUTE-001",
        routes={"node": "a1", "ipv4": ["default via 10.1.0.254 dev eth0", "10.1.0.0/24 dev eth0"]},
    )
    draft.expect("IPV-DUAL-ADDR-001", addresses={"node": "a1", "eth0": ["10.1.0.11/24", "fd01::11/64"]})
    draft.expect(
        "IPV-L2-ADDR-001",
        fails={"on": "a2", "command": "ip addr add 10.1.0.11/24 dev eth0", "error": "already assigned"},
    )
    draft.fact("IPV-L2-LINK-001", "a1", "eth0", mac_of=f"h1.{parent}")
    draft.fact("IPV-L2-LINK-002", "a1", "eth0", mtu=1500)
    return draft.layout()


def _siblings(draft: Draft, flag: str) -> None:
    """Siblings talk in bridge only, and never by the wire; what vepa sends out goes there."""
    for family, unicast, hop in (
        ("ipv4", "IPV-L2-UCAST-001", "IPV-L2-UCAST-003"),
        ("ipv6", "IPV-DUAL-UCAST-001", "IPV-DUAL-HOP-001"),
    ):
        if flag == "bridge":
            pair = {"sender": ["a1", "a2"], "to": ["a1", "a2"], "family": family}
            draft.expect(unicast, reach=pair)
            draft.expect(hop, reach={"sender": "a1", "to": "a2", "family": family, "ttl": 64})
            continue
        apart = "IPV-FLAG-PRIV-001" if flag == "private" else "IPV-FLAG-VEPA-001"
        draft.expect(apart, blocked={"sender": ["a1", "a2"], "to": ["a1", "a2"], "family": family})
    seen = {"wire": "lan", "sender": "a1", "to": "a2", "family": "ipv4"}
    if flag == "bridge":
        draft.expect("IPV-L2-UCAST-002", on_wire={**seen, "vlan": None, "source_mac": None})


def _others(draft: Draft, flag: str, parent: str, vlan: int | None) -> None:
    """Whoever is on the wire is reached whatever the flag."""
    flagged = {"bridge": [], "private": ["IPV-FLAG-PRIV-003"], "vepa": ["IPV-FLAG-VEPA-006"]}[flag]
    for family, hosts, stations in (
        ("ipv4", ["IPV-L2-UCAST-004"], ["IPV-L2-UCAST-006"]),
        ("ipv6", ["IPV-DUAL-UCAST-002"], ["IPV-DUAL-UCAST-002"]),
    ):
        draft.expect([*hosts, *flagged], reach={"sender": ["a1", "b1"], "to": ["a1", "b1"], "family": family})
        pair = {"sender": ["a1", "a2", "st"], "to": ["a1", "a2", "st"], "family": family}
        for end in ("a1", "a2"):
            draft.expect([*stations, *flagged], reach={**pair, "sender": end, "to": "st"})
            draft.expect([*stations, *flagged], reach={**pair, "sender": "st", "to": end})
        draft.expect(
            ["IPV-L2-UCAST-007" if family == "ipv4" else "IPV-DUAL-UCAST-002", *flagged],
            reach={"sender": "a1", "to": "fs", "family": family, "ttl": 63, "via": ["gw"]},
        )
    tag = "IPV-VLAN-TAG-002" if vlan is None else "IPV-VLAN-TAG-001"
    draft.expect(
        ["IPV-L2-UCAST-005", tag],
        on_wire={"wire": "lan", "sender": "a1", "to": "b1", "vlan": vlan, "source_mac": f"h1.{parent}"},
    )


def _own_host(draft: Draft) -> None:
    """An endpoint and the host that carries it are strangers to each other."""
    for family in ("ipv4", "ipv6"):
        ids = {"ipv4": "IPV-L2-HOST-001", "ipv6": "IPV-DUAL-HOST-001"}
        back = {"ipv4": "IPV-L2-HOST-002", "ipv6": "IPV-DUAL-HOST-001"}
        draft.expect(ids[family], blocked={"sender": ["a1", "a2"], "to": "h1", "family": family})
        draft.expect(back[family], blocked={"sender": "h1", "to": ["a1", "a2"], "family": family})
    draft.expect("IPV-L2-HOST-003", undelivered={"sender": "a1", "to": "h1", "family": "ipv4"})
    draft.expect("IPV-L2-HOST-003", undelivered={"sender": "h1", "to": "a1", "family": "ipv4"})
    draft.expect("IPV-L2-HOST-004", reach={"sender": "h1", "to": ["st", "h2", "b1"], "family": "ipv4"})
    draft.expect("IPV-L2-HOST-004", reach={"sender": "st", "to": "h1", "family": "ipv4"})


def _groups(draft: Draft, flag: str, parent: str) -> None:
    """What an endpoint sends to all reaches siblings and wire, whatever the flag, and not its own host."""
    flagged = {"bridge": [], "private": ["IPV-FLAG-PRIV-002"], "vepa": ["IPV-FLAG-VEPA-003"]}[flag]
    outside = ["a2", "b1", "st", "gw", "h2"]
    own = ["IPV-L2-BCAST-002", "IPV-L2-BCAST-007"]
    draft.expect(["IPV-L2-BCAST-001", *own, *flagged], broadcast={"sender": "a1", "heard_by": outside})
    for kind, ids in (
        ("directed", ["IPV-L2-BCAST-005"]),
        ("arp", ["IPV-L2-BCAST-006"]),
        ("mdns", ["IPV-L2-MCAST-002"]),
        ("nd", ["IPV-DUAL-ND-001"]),
    ):
        draft.expect([*ids, *flagged], broadcast={"sender": "a1", "kind": kind, "heard_by": outside})
    for group, requirement in ((GROUP, "IPV-L2-MCAST-001"), (GROUP_V6, "IPV-DUAL-MCAST-001")):
        draft.expect(
            [requirement, *flagged],
            broadcast={"sender": "a1", "kind": "multicast", "destination": group, "heard_by": outside},
        )
    draft.expect(
        "IPV-L2-BCAST-003",
        broadcast={"sender": "st", "interface": parent, "heard_by": ["a1", "a2", "b1", "gw", "h1", "h2"]},
    )
    draft.expect(
        "IPV-DUAL-RA-001",
        broadcast={
            "sender": "gw",
            "kind": "ra",
            "interface": parent,
            "heard_by": ["a1", "a2", "b1", "st", "h1", "h2"],
        },
    )
    draft.expect(
        "IPV-L2-BCAST-004",
        broadcast={"sender": "h1", "interface": parent, "heard_by": ["b1", "st", "gw", "h2"]},
    )


def _several_subnets() -> Layout:
    draft = Draft(
        "l2-several-subnets",
        "L2: one network with two subnets and no gateway between them",
        Feature.L2,
        Feature.SEVERAL_SUBNETS,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.station("st", {"eth0": {"wire": "lan", "addresses": ["10.1.0.9/24", "10.2.0.9/24"]}})
    pools = [{"subnet": f"10.{number}.0.0/24", "gateway": f"10.{number}.0.254"} for number in (1, 2)]
    draft.network("h1", "net", "eth0", "l2", "bridge", *pools)
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.container("h1", "a2", "net", "10.1.0.12")
    draft.container("h1", "b1", "net", "10.2.0.11")
    draft.expect("IPV-L2-UCAST-008", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-L2-UCAST-008", blocked={"sender": ["a1", "a2"], "to": "b1"})
    draft.expect("IPV-L2-UCAST-008", blocked={"sender": "b1", "to": ["a1", "a2"]})
    draft.expect(
        "IPV-L2-ROUTE-001",
        routes={"node": "b1", "ipv4": ["default via 10.2.0.254 dev eth0", "10.2.0.0/24 dev eth0"]},
    )
    return draft.layout()


def _reflecting() -> Layout:
    draft = Draft(
        "l2-bridge-reflected",
        "L2 bridge behind a port that sends frames back",
        Feature.L2,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan", "addresses": ["10.1.0.251/24"], "port": {"hairpin": True}}})
    draft.station("st", {"eth0": {"wire": "lan", "addresses": ["10.1.0.9/24"]}})
    draft.network("h1", "net", "eth0", "l2", "bridge", "10.1.0.0/24")
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.container("h1", "a2", "net", "10.1.0.12")
    draft.expect("IPV-L2-HOST-005", reach={"sender": ["a1", "a2"], "to": "h1"})
    draft.expect("IPV-L2-HOST-005", reach={"sender": "h1", "to": ["a1", "a2"]})
    draft.expect("IPV-L2-UCAST-001", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-L2-BCAST-001", broadcast={"sender": "a1", "heard_by": ["a2", "h1", "st"]})
    return draft.layout()
