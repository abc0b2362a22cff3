"""What is made, changed and taken away while others go on: links, modes, addresses, networks."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.layout import Draft, Layout
from ipvlab.implementations.port import Feature

POOL = {"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}
RUN = "docker run -itd --net={network} --ip={address} --name={name} alpine /bin/sh"
CREATE = "docker network create -d ipvlan --subnet=10.1.0.0/24 -o parent={parent} {name}"


def layouts() -> Iterator[Layout]:
    """Parents, isolation, endpoints that come and go, and a parent that changes under its endpoints."""
    yield _made_parent()
    yield _given_parents()
    yield _isolated()
    yield _internal()
    yield _ipv6_only()
    yield _detached()
    yield _parent_down("l2", Feature.L2)
    yield _parent_down("l3", Feature.L3)
    yield _parent_changed()
    yield _mode_changed()


def _host(draft: Draft, *, routes: tuple[dict[str, str], ...] = ()) -> None:
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan", "addresses": ["10.1.0.251/24"]}}, routes)
    draft.station("st", {"eth0": {"wire": "lan", "addresses": ["10.1.0.9/24"]}})


def _made_parent() -> Layout:
    draft = Draft(
        "life-made-parent",
        "A VLAN parent that the implementation makes goes with its network",
        Feature.L2,
        Feature.VLAN,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.station(
        "st",
        {
            "eth0": {"wire": "lan"},
            "eth0.20": {"parent": "eth0", "vlan": 20, "addresses": ["10.1.0.9/24"]},
        },
    )
    draft.step(
        h1=[
            CREATE.format(parent="eth0.20", name="net"),
            RUN.format(network="net", address="10.1.0.11", name="a1"),
        ]
    )
    draft.expect("IPV-LIFE-PARENT-001", links={"node": "h1", "present": ["eth0", "eth0.20"]})
    draft.expect("IPV-LIFE-PARENT-001", reach={"sender": "a1", "to": "st"})
    draft.step(h1=["docker rm -f a1", "docker network rm net"])
    draft.expect("IPV-LIFE-PARENT-002", links={"node": "h1", "present": ["eth0"], "absent": ["eth0.20"]})
    draft.fact("IPV-LIFE-LEFT-001", "h1", links_as=0)
    draft.step(
        h1=[
            CREATE.format(parent="eth0.20", name="net"),
            RUN.format(network="net", address="10.1.0.11", name="a1"),
        ]
    )
    draft.expect("IPV-LIFE-REMOVE-001", reach={"sender": "a1", "to": "st"})
    draft.expect("IPV-LIFE-REMOVE-001", broadcast={"sender": "a1", "heard_by": ["st"]})
    return draft.layout()


def _given_parents() -> Layout:
    draft = Draft(
        "life-given-parents",
        "Parents made by hand stay, whatever they are called",
        Feature.L2,
        Feature.GIVEN_PARENT,
    )
    draft.wires = {"lan": {}}
    draft.host(
        "h1",
        {
            "eth0": {"wire": "lan"},
            "eth0.40": {"parent": "eth0", "vlan": 40},
            "foo": {"parent": "eth0", "vlan": 41},
        },
    )
    draft.station("st", {"eth0": {"wire": "lan"}})
    draft.network("h1", "dotted", "eth0.40", "l2", "bridge", "10.1.0.0/24")
    draft.network("h1", "named", "foo", "l2", "bridge", "10.2.0.0/24")
    draft.container("h1", "a1", "dotted", "10.1.0.11")
    draft.container("h1", "a2", "named", "10.2.0.11")
    draft.expect("IPV-LIFE-PARENT-003", broadcast={"sender": ["a1", "a2"], "heard_by": []})
    draft.step(h1=["docker rm -f a1 a2", "docker network rm dotted", "docker network rm named"])
    draft.expect("IPV-LIFE-PARENT-003", links={"node": "h1", "present": ["eth0", "eth0.40", "foo"]})
    draft.fact("IPV-LIFE-LEFT-001", "h1", links_as=0)
    return draft.layout()


def _isolated() -> Layout:
    draft = Draft("life-isolated", "Networks that lead nowhere", Feature.L2, Feature.ISOLATED)
    _host(draft)
    draft.step(
        h1=[
            "docker network create -d ipvlan --subnet=10.5.0.0/24 one",
            "docker network create -d ipvlan --subnet=10.6.0.0/24 two",
            RUN.format(network="one", address="10.5.0.11", name="a1"),
            RUN.format(network="one", address="10.5.0.12", name="a2"),
            RUN.format(network="two", address="10.6.0.11", name="b1"),
        ]
    )
    draft.fact("IPV-LIFE-PARENT-004", "h1", links_as=0, has_others=True)
    draft.expect("IPV-LIFE-ISO-001", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-LIFE-ISO-001", blocked={"sender": ["a1", "b1"], "to": ["h1", "st"]})
    draft.expect("IPV-LIFE-ISO-001", blocked={"sender": ["h1", "st"], "to": ["a1", "b1"]})
    draft.expect("IPV-LIFE-ISO-001", broadcast={"sender": "a1", "heard_by": ["a2"]})
    draft.expect("IPV-LIFE-ISO-001", routes={"node": "a1", "ipv4": ["10.5.0.0/24 dev eth0"]})
    draft.expect("IPV-LIFE-ISO-003", blocked={"sender": ["a1", "b1"], "to": ["a1", "b1"]})
    draft.expect("IPV-LIFE-ISO-003", broadcast={"sender": "b1", "heard_by": []})
    draft.step(h1=["docker rm -f a1 a2 b1", "docker network rm one two"])
    draft.fact("IPV-LIFE-PARENT-004", "h1", links_as=0)
    return draft.layout()


def _internal() -> Layout:
    draft = Draft("life-internal", "An internal network has no way out", Feature.L2, Feature.INTERNAL)
    _host(draft)
    draft.network("h1", "inside", "eth0", "l2", "bridge", "10.5.0.0/24", internal=True)
    draft.container("h1", "a1", "inside", "10.5.0.11")
    draft.container("h1", "a2", "inside", "10.5.0.12")
    draft.expect("IPV-LIFE-ISO-002", routes={"node": "a1", "ipv4": ["10.5.0.0/24 dev eth0"]})
    draft.expect("IPV-LIFE-ISO-002", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-LIFE-ISO-002", blocked={"sender": "a1", "to": ["st", "h1"]})
    return draft.layout()


def _ipv6_only() -> Layout:
    draft = Draft("dual-ipv6-only", "A network without IPv4", Feature.L2, Feature.IPV6, Feature.IPV6_ONLY)
    _host(draft)
    draft.network("h1", "six", "eth0", "l2", "bridge", "fd01::/64", enable_ipv4=False)
    draft.container("h1", "a1", "six", "fd01::11")
    draft.container("h1", "a2", "six", "fd01::12")
    draft.expect("IPV-DUAL-ONLY-001", addresses={"node": "a1", "eth0": ["fd01::11/64"]})
    draft.expect("IPV-DUAL-ONLY-001", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.step(h1="docker run -itd --net=six --ip6=fd01::13 --name=late alpine /bin/sh")
    draft.expect("IPV-DUAL-ADDR-002", reach={"sender": ["late", "a1"], "to": ["late", "a1"]})
    return draft.layout()


def _detached() -> Layout:
    draft = Draft("life-detached", "An endpoint goes, and another takes its address", Feature.L2)
    _host(draft)
    draft.network("h1", "net", "eth0", "l2", "bridge", POOL)
    for number in (1, 2, 3):
        draft.container("h1", f"a{number}", "net", f"10.1.0.1{number}")
    draft.expect("IPV-LIFE-DETACH-001", broadcast={"sender": "st", "heard_by": ["a1", "a2", "a3", "h1"]})
    draft.step(h1="docker rm -f a2")
    draft.expect("IPV-LIFE-DETACH-001", reach={"sender": ["a1", "a3", "st"], "to": ["a1", "a3"]})
    draft.expect("IPV-LIFE-DETACH-001", broadcast={"sender": "st", "heard_by": ["a1", "a3", "h1"]})
    draft.step(h1=RUN.format(network="net", address="10.1.0.12", name="a4"))
    draft.expect("IPV-LIFE-DETACH-002", reach={"sender": ["a1", "st"], "to": "a4"})
    draft.expect("IPV-LIFE-DETACH-002", broadcast={"sender": "a4", "heard_by": ["a1", "a3", "st"]})
    return draft.layout()


def _parent_down(mode: str, feature: Feature) -> Layout:
    draft = Draft(
        f"life-parent-down-{mode}",
        f"{mode.upper()}: the parent goes down and comes up again",
        feature,
    )
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan", "addresses": ["192.168.1.1/24"]}})
    back = [] if mode == "l2" else [{"to": "10.1.0.0/24", "via": "192.168.1.1"}]
    near = ["192.168.1.9/24"] if mode == "l3" else ["10.1.0.9/24"]
    draft.station("st", {"eth0": {"wire": "lan", "addresses": near}}, back)
    draft.network("h1", "net", "eth0", mode, "bridge", POOL)
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.container("h1", "a2", "net", "10.1.0.12")
    requirement = {"l2": "IPV-LIFE-DOWN-001", "l3": "IPV-LIFE-DOWN-002"}[mode]
    draft.expect(requirement, reach={"sender": ["a1", "st"], "to": ["a1", "st"]})
    draft.step(h1="ip link set eth0 down")
    draft.expect(requirement, blocked={"sender": ["a1", "st"], "to": ["a1", "st"]})
    draft.expect(requirement, undelivered={"sender": ["a1", "st"], "to": ["a1", "st"]})
    draft.step(h1="ip link set eth0 up")
    draft.expect(requirement, reach={"sender": ["a1", "st"], "to": ["a1", "st"]})
    draft.expect(requirement, reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    return draft.layout()


def _parent_changed() -> Layout:
    draft = Draft("life-parent-changed", "The parent's MAC address and MTU change", Feature.L2)
    _host(draft)
    draft.network("h1", "net", "eth0", "l2", "bridge", POOL)
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.container("h1", "a2", "net", "10.1.0.12")
    draft.expect("IPV-LIFE-MAC-001", reach={"sender": ["a1", "st"], "to": ["a1", "st"]})
    # Whoever knew the old address learns the new one by asking again.
    draft.step(
        h1="ip link set eth0 address 02:00:00:00:99:01",
        st="ip neigh flush dev eth0",
        a1="ip neigh flush dev eth0",
        a2="ip neigh flush dev eth0",
    )
    draft.fact("IPV-LIFE-MAC-001", "a1", "eth0", mac_of="h1.eth0")
    draft.expect("IPV-LIFE-MAC-001", reach={"sender": ["a1", "a2", "st"], "to": ["a1", "a2", "st"]})
    draft.expect(
        "IPV-LIFE-MAC-001",
        on_wire={"wire": "lan", "sender": "a1", "to": "st", "vlan": None, "source_mac": "h1.eth0"},
    )
    draft.step(h1="ip link set eth0 mtu 1400")
    draft.fact("IPV-LIFE-MTU-001", "a1", "eth0", mtu=1400)
    draft.fact("IPV-LIFE-MTU-001", "a2", "eth0", mtu=1400)
    draft.expect("IPV-LIFE-MTU-001", reach={"sender": ["a1", "st"], "to": ["a1", "st"]})
    return draft.layout()


def _mode_changed() -> Layout:
    draft = Draft(
        "life-mode-changed",
        "L2 becomes L3 and L2 again under its endpoints",
        Feature.L2,
        Feature.L3,
        Feature.LIVE_MODE,
    )
    _host(draft)
    draft.network("h1", "net", "eth0", "l2", "bridge", POOL)
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.container("h1", "a2", "net", "10.1.0.12")
    kept = {"node": "a1", "ipv4": ["default via 10.1.0.254 dev eth0", "10.1.0.0/24 dev eth0"]}
    draft.expect("IPV-LIFE-MODE-001", broadcast={"sender": "a1", "heard_by": ["a2", "st"]})
    draft.step(a2="ip link set eth0 type ipvlan mode l3")
    draft.expect("IPV-LIFE-MODE-001", broadcast={"sender": "a1", "heard_by": []})
    draft.expect("IPV-LIFE-MODE-001", broadcast={"sender": "st", "heard_by": ["h1"]})
    draft.expect("IPV-LIFE-MODE-001", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-LIFE-MODE-002", addresses={"node": "a1", "eth0": ["10.1.0.11/24"]})
    draft.expect("IPV-LIFE-MODE-002", routes=kept)
    draft.step(a1="ip link set eth0 type ipvlan mode l2")
    draft.expect("IPV-LIFE-MODE-001", broadcast={"sender": "a1", "heard_by": ["a2", "st"]})
    draft.expect("IPV-LIFE-MODE-001", reach={"sender": ["a1", "st"], "to": ["a1", "st"]})
    draft.expect("IPV-LIFE-MODE-002", routes=kept)
    return draft.layout()
