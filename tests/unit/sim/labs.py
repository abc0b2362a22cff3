"""Labs by chance: scenarios of any mode and flag, with VLANs, routers, routes and switch ports."""

from __future__ import annotations

import ipaddress
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

from ipvlab.errors import IpvlabError
from ipvlab.probe.questions import BroadcastQuestion, Question, ReachQuestion
from ipvlab.run.directory import Directory, aim, families
from ipvlab.run.expand import ask_broadcast
from ipvlab.run.prepare import Prepared, prepare
from ipvlab.spec.model import Broadcast
from ipvlab.spec.values import BroadcastKind, Flag, Mode

Json = dict[str, object]
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def draw_scenario(
    chance: Random,
    *,
    modes: Sequence[Mode] = tuple(Mode),
    flags: Sequence[Flag] = tuple(Flag),
    has_firewalls: bool = True,
    has_hairpins: bool = True,
) -> Json:
    """A scenario without expectations: 1-3 hosts, 0-3 networks each, 0-3 containers in each, 0-2 routers."""
    style = chance.choice(("plain", "plain", "switch", "hairpin" if has_hairpins else "plain"))
    host_count = chance.randint(1, 3)
    has_ipv6 = chance.random() < 0.6
    hosts: dict[str, Json] = {}
    routed: list[tuple[str, int]] = []
    names = itertools.count(1)
    for number in range(1, host_count + 1):
        networks, containers = _networks(chance, number, modes, flags, has_ipv6, routed, names)
        hosts[f"h{number}"] = {
            "forwarding": chance.random() < 0.2,
            "interfaces": _interfaces(chance, number, style, has_ipv6),
            "networks": networks,
            "containers": containers,
            "routes": [],
            "firewall": _firewall(chance) if has_firewalls else {},
        }
    routers: dict[str, Json] = {}
    if chance.random() < 0.7:
        routers["gw"] = _router(chance, 250, style, has_ipv6, ["eth0.20", "eth0.30"])
    if chance.random() < 0.5:
        routers["pc"] = {**_router(chance, 251, style, has_ipv6, []), "forwarding": False}
    for name, node in [*hosts.items(), *routers.items()]:
        node["routes"] = _routes(chance, name, routed, "gw" in routers, has_ipv6)
        if has_firewalls and name in routers:
            node["firewall"] = _firewall(chance)
    return {"name": "drawn", "wires": {"lan": {}, "wan": {}}, "hosts": hosts, "routers": routers}


def _interfaces(chance: Random, number: int, style: str, has_ipv6: bool) -> Json:
    eth0: Json = {"wire": "lan", "addresses": _addresses(chance, 0, 200 + number, has_ipv6)}
    if style == "hairpin":
        eth0["port"] = {"hairpin": chance.random() < 0.7}
    elif style == "switch" and chance.random() < 0.7:
        eth0["port"] = chance.choice(
            ({"trunk": [20, 30], "native": 1}, {"trunk": [20]}, {"access": 20}, {"trunk": [30], "native": 20})
        )
    interfaces: Json = {"eth0": eth0}
    if chance.random() < 0.3:
        interfaces["eth1"] = {"wire": "wan", "addresses": _addresses(chance, 1, 200 + number, has_ipv6)}
    if chance.random() < 0.3:
        interfaces["eth0.20"] = {"parent": "eth0", "vlan": 20, "addresses": []}
    return interfaces


def _addresses(chance: Random, net: int, last: int, has_ipv6: bool) -> list[str]:
    ipv6 = [f"fd00:{net}::{last}/64"] if has_ipv6 and chance.random() < 0.8 else []
    return [f"10.{net}.0.{last}/24", *ipv6]


def _networks(
    chance: Random,
    number: int,
    modes: Sequence[Mode],
    flags: Sequence[Flag],
    has_ipv6: bool,
    routed: list[tuple[str, int]],
    names: itertools.count[int],
) -> tuple[Json, Json]:
    networks: Json = {}
    containers: Json = {}
    parents = chance.sample(["eth0", "eth0.20", "eth0.30", ""], k=chance.randint(0, 3))
    for parent in parents:
        mode, flag = chance.choice(modes), chance.choice(flags)
        net = {"eth0": 0, "eth0.20": 20, "eth0.30": 30, "": 60 + number}[parent]
        if mode is not Mode.L2:
            net += 100 + 10 * number
            if parent == "eth0":
                routed.append((f"h{number}", net))
        options = {"ipvlan_mode": str(mode), "ipvlan_flag": str(flag)}
        name = f"n{len(networks)}"
        pools = [{"subnet": f"10.{net}.0.0/24"}]
        if mode is Mode.L2:
            pools[0]["gateway"] = f"10.{net}.0.250"
        is_dual = has_ipv6 and chance.random() < 0.7
        if is_dual:
            pools.append({"subnet": f"fd00:{net}::/64"})
            if mode is Mode.L2:
                pools[1]["gateway"] = f"fd00:{net}::250"
        networks[name] = {
            "driver": "ipvlan",
            "driver_opts": {**options, **({"parent": parent} if parent else {})},
            "ipam": {"config": pools},
        }
        for _ in range(chance.randint(0, 3)):
            at = next(names)
            endpoint = {"ipv4_address": f"10.{net}.0.{at + 10}"}
            if is_dual:
                endpoint["ipv6_address"] = f"fd00:{net}::{at + 10}"
            containers[f"c{at}"] = {"networks": {name: endpoint}}
    return networks, containers


def _router(chance: Random, last: int, style: str, has_ipv6: bool, vlans: Sequence[str]) -> Json:
    interfaces: Json = {"eth0": {"wire": "lan", "addresses": _addresses(chance, 0, last, has_ipv6)}}
    for name in vlans:
        if chance.random() < 0.7:
            vlan = int(name.partition(".")[2])
            interfaces[name] = {
                "parent": "eth0",
                "vlan": vlan,
                "addresses": _addresses(chance, vlan, last, has_ipv6),
            }
    return {"interfaces": interfaces}


def _routes(
    chance: Random, name: str, routed: Sequence[tuple[str, int]], has_router: bool, has_ipv6: bool
) -> list[Json]:
    routes: list[Json] = []
    for host, net in routed:
        if host != name and chance.random() < 0.5:
            routes.append({"to": f"10.{net}.0.0/24", "via": f"10.0.0.{200 + int(host[1:])}"})
        elif host != name:
            routes.append(
                {"to": f"10.{net}.0.{chance.randint(11, 15)}/32", "via": f"10.0.0.{200 + int(host[1:])}"}
            )
    if has_router and name != "gw" and chance.random() < 0.4:
        routes.append({"to": "default", "via": "10.0.0.250"})
    return routes


def _firewall(chance: Random) -> Json:
    return {hook: "drop" for hook in HOOKS if chance.random() < 0.06}


def write(scenario: Json, folder: Path, name: str = "drawn") -> Prepared:
    """The scenario as a file, prepared; JSON is YAML."""
    path = folder / f"{name}.ipvlab.yaml"
    path.write_text(json.dumps(scenario))
    return prepare(path)


def draw_questions(chance: Random, directory: Directory, pairs: int, broadcasts: int) -> list[Question]:
    """Probes between nodes that exist: unicast in both families and protocols, broadcasts of every kind."""
    nodes = list(directory)
    questions: list[Question] = []
    for _ in range(pairs if len(nodes) > 1 else 0):
        source, target = chance.sample(nodes, 2)
        for family in families(source):
            address = aim(source, target, family)
            if address is not None:
                proto = chance.choice(("icmp", "udp"))
                if proto == "udp":
                    question = ReachQuestion(source.name, target.name, address, "udp", chance.random() < 0.3)
                else:
                    question = ReachQuestion(source.name, target.name, address)
                questions.append(question)
    for _ in range(broadcasts):
        broadcast = _draw_broadcast(chance, directory)
        if broadcast is not None:
            questions.append(broadcast)
    return questions


def _draw_broadcast(chance: Random, directory: Directory) -> BroadcastQuestion | None:
    sender = chance.choice(list(directory))
    kind = chance.choice(list(BroadcastKind))
    claim: dict[str, object] = {"from": (sender.name,), "heard_by": (), "kind": kind}
    if kind is BroadcastKind.MULTICAST:
        claim["destination"] = ipaddress.ip_address(chance.choice(("239.1.2.3", "ff15::4242")))
    try:
        return ask_broadcast(directory, sender, Broadcast.model_validate(claim))
    except IpvlabError:
        # A sender without an address of the family has nothing to send.
        return None
