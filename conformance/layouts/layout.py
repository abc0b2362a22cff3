"""A lab of the suite: written in the vocabulary of scenario files, with requirements on its expectations."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ruamel.yaml import YAML

from ipvlab.implementations.port import Feature

#: The kinds of broadcasts that are claimed, with the destination where one is needed.
GROUP, GROUP_V6 = "239.1.2.3", "ff15::4242"


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """What a link must be like after a stage; scenario files have no word for it."""

    requirement: str
    #: 0 for the beginning, then the steps.
    stage: int
    node: str
    link: str = ""
    mtu: int | None = None
    #: ``h1.eth0``: the MAC address of that interface.
    mac_of: str | None = None
    #: The node has the same links as after that stage, or others.
    links_as: int | None = None
    has_others: bool = False
    #: No route of this family has a next hop; a written ``default dev eth0`` leaves that open.
    has_no_next_hop: Literal[4, 6] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """One lab, what it needs of an implementation, and which requirements its expectations settle."""

    name: str
    title: str
    features: frozenset[Feature]
    scenario: Mapping[str, Any]
    #: ``expect[2]`` or ``steps[0].expect[1]`` -> requirements.
    labels: Mapping[str, tuple[str, ...]]
    facts: tuple[Fact, ...]

    def requirements(self) -> list[str]:
        """The requirements that this lab has something to say on, in order."""
        named = [requirement for ids in self.labels.values() for requirement in ids]
        return list(dict.fromkeys([*named, *(fact.requirement for fact in self.facts)]))

    def text(self) -> str:
        """The lab as a scenario file, which anyone can run."""
        stream = io.StringIO()
        writer = YAML()
        writer.width = 110
        writer.dump(self.scenario, stream)
        return stream.getvalue()


class Draft:
    """A layout as it is being written, stage after stage."""

    def __init__(self, name: str, title: str, *features: Feature) -> None:
        self._name, self._title, self._features = name, title, frozenset(features)
        self.wires: dict[str, Any] = {}
        self.hosts: dict[str, dict[str, Any]] = {}
        self.routers: dict[str, dict[str, Any]] = {}
        self._expect: list[dict[str, Any]] = []
        self._steps: list[dict[str, Any]] = []
        self._labels: dict[str, tuple[str, ...]] = {}
        self._facts: list[Fact] = []

    def host(
        self, name: str, interfaces: Mapping[str, Any], routes: Sequence[Any] = (), **more: Any
    ) -> dict[str, Any]:
        """Add a host; returns it, so that networks and containers can be put on it."""
        self.hosts[name] = {"interfaces": dict(interfaces), "routes": list(routes), **more}
        self.hosts[name].update(networks={}, containers={})
        return self.hosts[name]

    def station(
        self,
        name: str,
        interfaces: Mapping[str, Any],
        routes: Sequence[Any] = (),
        *,
        forwards: bool = False,
    ) -> None:
        """Add a machine without Docker; one that forwards is a router."""
        self.routers[name] = {
            "interfaces": dict(interfaces),
            "routes": list(routes),
            "forwarding": forwards,
        }

    def network(
        self, host: str, name: str, parent: str | None, mode: str, flag: str, *subnets: Any, **more: Any
    ) -> None:
        """Put a network on a host; a subnet is a text, or a mapping with its gateway."""
        options = {"ipvlan_mode": mode} | ({} if flag == "bridge" else {"ipvlan_flag": flag})
        if parent is not None:
            options["parent"] = parent
        config = [subnet if isinstance(subnet, dict) else {"subnet": subnet} for subnet in subnets]
        has_ipv6 = any(":" in each["subnet"] for each in config)
        self.hosts[host]["networks"][name] = {
            "driver": "ipvlan",
            "driver_opts": options,
            "ipam": {"config": config},
            **({"enable_ipv6": True} if has_ipv6 else {}),
            **more,
        }

    def container(self, host: str, name: str, network: str, *addresses: str, **more: Any) -> None:
        """Put a container with these addresses on a network of a host."""
        keys = {"ipv6_address" if ":" in address else "ipv4_address": address for address in addresses}
        self.hosts[host]["containers"][name] = {"networks": {network: {**keys, **more}}}

    def expect(self, requirements: str | Sequence[str], **expectation: Any) -> None:
        """State what must hold at this stage, and which requirements that settles."""
        ids = (requirements,) if isinstance(requirements, str) else tuple(requirements)
        if self._steps:
            mine = self._steps[-1]["expect"]
            label = f"steps[{len(self._steps) - 1}].expect[{len(mine)}]"
        else:
            mine, label = self._expect, f"expect[{len(self._expect)}]"
        mine.append({key: _from(value) for key, value in expectation.items()})
        self._labels[label] = ids

    def fact(self, requirement: str, node: str, link: str = "", **claim: Any) -> None:
        """State what a link, or the set of them, must be like at this stage."""
        self._facts.append(Fact(requirement, len(self._steps), node, link, **claim))

    def step(self, **lines: str | Sequence[str]) -> None:
        """Begin the next stage: command lines, node by node."""
        texts = {node: [text] if isinstance(text, str) else list(text) for node, text in lines.items()}
        self._steps.append({"do": texts, "expect": []})

    def layout(self) -> Layout:
        """The finished lab."""
        scenario: dict[str, Any] = {"name": self._name, "title": self._title, "wires": self.wires}
        scenario["hosts"] = {
            name: {key: value for key, value in host.items() if value not in ({}, [])}
            for name, host in self.hosts.items()
        }
        if self.routers:
            scenario["routers"] = self.routers
        scenario["expect"] = self._expect
        if self._steps:
            scenario["steps"] = self._steps
        return Layout(self._name, self._title, self._features, scenario, self._labels, tuple(self._facts))


def _from(claim: Any) -> Any:
    """``sender`` is written ``from``, which Python keeps for itself; ``node`` is written ``in``."""
    renamed = {"sender": "from", "node": "in"}
    return {renamed.get(key, key): value for key, value in claim.items()}
