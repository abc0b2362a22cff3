"""Small simulated labs, by the words of scenario files."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

from ipvlab.driver.port import CommandResult
from ipvlab.driver.session import parse_command
from ipvlab.lab.sim_iproute import carry_out
from ipvlab.probe.questions import (
    BroadcastObservation,
    BroadcastQuestion,
    ReachObservation,
    ReachQuestion,
)
from ipvlab.run.directory import aim
from ipvlab.run.expand import ask_broadcast
from ipvlab.run.replay import replay
from ipvlab.run.sim import SimGround
from ipvlab.spec.model import Broadcast
from ipvlab.spec.values import BroadcastKind, Family, Flag, Mode
from tests.unit.sim.labs import Json, write


def network(
    mode: Mode | str = "l2", flag: Flag | str = "bridge", subnet: str = "10.0.0.0/24", parent: str = "eth0"
) -> Json:
    """An ipvlan network, dual stack: fd00:N::/64 goes with 10.N.0.0/24."""
    number = subnet.split(".")[1]
    return {
        "driver": "ipvlan",
        "driver_opts": {"parent": parent, "ipvlan_mode": str(mode), "ipvlan_flag": str(flag)},
        "ipam": {"config": [{"subnet": subnet}, {"subnet": f"fd00:{number}::/64"}]},
    }


def container(last: int, net: int = 0, name: str = "n") -> Json:
    """A container on a network, with addresses that end in ``last``."""
    return {"networks": {name: {"ipv4_address": f"10.{net}.0.{last}", "ipv6_address": f"fd00:{net}::{last}"}}}


def machine(last: int, **more: object) -> Json:
    """A node with eth0 on the wire ``lan``."""
    return {
        "interfaces": {
            "eth0": {"wire": "lan", "addresses": [f"10.0.0.{last}/24", f"fd00:0::{last}/64"]} | _port(more)
        },
        **more,
    }


def _port(more: dict[str, object]) -> Json:
    port = more.pop("port", None)
    return {"port": port} if port is not None else {}


def pair(
    mode: Mode | str = "l2",
    flag: Flag | str = "bridge",
    *,
    net: int = 0,
    h1: Mapping[str, object] | None = None,
    x: Mapping[str, object] | None = None,
) -> Json:
    """Host h1 with a and b on one parent, and machine x on the wire, with routes to their subnet."""
    routes = (
        [{"to": f"10.{net}.0.0/24", "via": "10.0.0.254"}, {"to": f"fd00:{net}::/64", "via": "fd00:0::254"}]
        if net
        else []
    )
    return {
        "name": "pair",
        "wires": {"lan": {}},
        "hosts": {
            "h1": {
                **machine(254, **(h1 or {})),
                "networks": {"n": network(mode, flag, f"10.{net}.0.0/24")},
                "containers": {"a": container(11, net), "b": container(12, net)},
            }
        },
        "routers": {"x": {**machine(1, forwarding=False, **(x or {})), "routes": routes}},
    }


class Town:
    """A simulated lab that can be asked in few words."""

    def __init__(self, scenario: Json, folder: Path) -> None:
        self.prepared = write(scenario, folder)
        self.ground: SimGround = replay(self.prepared)

    def ask(self, source: str, target: str, version: int = 4, proto: str = "icmp") -> ReachObservation:
        """Probe one node from another; ``udp`` is one way."""
        nodes = self.ground.nodes
        address = aim(nodes[source], nodes[target], Family.IPV4 if version == 4 else Family.IPV6)
        assert address is not None
        question = ReachQuestion(
            source, target, address, "udp" if proto == "udp" else "icmp", proto == "udp", wants_path=True
        )
        [seen] = self.ground.answer([question])
        assert isinstance(seen, ReachObservation)
        return seen

    def reaches(self, source: str, target: str, version: int = 4) -> bool:
        """Whether an echo comes back."""
        return self.ask(source, target, version).reply

    def delivers(self, source: str, target: str, version: int = 4) -> bool:
        """Whether a datagram arrives."""
        return self.ask(source, target, version, "udp").request

    def broadcast(self, source: str, kind: str = "limited", destination: str | None = None) -> set[str]:
        """Who hears a broadcast, each once."""
        claim = {
            "from": (source,),
            "heard_by": (),
            "kind": BroadcastKind(kind),
            "destination": None if destination is None else ipaddress.ip_address(destination),
        }
        directory = self.ground.directory
        question: BroadcastQuestion = ask_broadcast(
            directory, directory.find(source), Broadcast.model_validate(claim)
        )
        [seen] = self.ground.answer([question])
        assert isinstance(seen, BroadcastObservation)
        assert set(seen.copies.values()) <= {1}, seen.copies
        return set(seen.heard_by)

    def type(self, node: str, line: str) -> CommandResult:
        """Carry out an ``ip`` line on a node."""
        command = parse_command(line)
        return carry_out(self.ground.lab, self.ground.lab.nodes[node], command)  # type: ignore[arg-type]  # never docker
