"""Who is meant by a name in an expectation: nodes, containers of a host, and their addresses."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable

from ipvlab.spec.model import HostSpec, RouterSpec, Scenario
from ipvlab.spec.values import Address, NodeKind

_CONTAINER_NAME = re.compile(r"--name(?:=|\s+)[\"']?([a-zA-Z0-9][a-zA-Z0-9_.-]*)")


@dataclasses.dataclass(frozen=True, slots=True)
class NodeReference:
    """``node``, ``host/container``, and either with ``/address``."""

    name: str
    host: str | None = None
    address: Address | None = None

    def __str__(self) -> str:
        return "/".join(str(part) for part in (self.host, self.name, self.address) if part is not None)


@dataclasses.dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for: a node of a kind, and for a container its host."""

    kind: NodeKind
    name: str
    host: str | None = None


def parse_reference(text: str) -> NodeReference:
    """Parse the text of a ``from``, ``to``, ``heard_by`` or ``in``; raises ValueError for another form."""
    parts = text.split("/")
    address: Address | None = None
    try:
        address = ipaddress.ip_address(parts[-1])
    except ValueError:
        pass
    else:
        parts.pop()
    if not 1 <= len(parts) <= 2 or not all(part and not part.isspace() for part in parts):
        raise ValueError("must be node, node/address, host/container or host/container/address")
    return NodeReference(parts[-1], parts[0] if len(parts) == 2 else None, address)


class Cast:
    """Every node that a scenario declares, or may come to have through its commands.

    Container names are read off ``--name`` in command lines, without running
    them; a container without a name is called ``host-n``.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.nodes: dict[str, HostSpec | RouterSpec] = {**scenario.routers, **scenario.hosts}
        self.hosts = scenario.hosts
        self._kinds: dict[str, NodeKind] = {
            **dict.fromkeys(scenario.routers, "router"),
            **dict.fromkeys(scenario.hosts, "host"),
        }
        self._containers: dict[str, list[str]] = {}
        for host, spec in scenario.hosts.items():
            for name in [*spec.containers, *_scan_names(spec.commands)]:
                self._add(host, name)
        #: Hosts on which commands or steps can make links and containers that nothing here foresees.
        self.is_changed_by_commands = {name for name, node in self.nodes.items() if any(node.commands)}
        for step in scenario.steps:
            for node, lines in step.do.items():
                host = node.partition("/")[0]
                self.is_changed_by_commands.add(host)
                for name in _scan_names(lines):
                    if host in scenario.hosts and name not in self._containers:
                        self._add(host, name)

    def _add(self, host: str, name: str) -> None:
        on = self._containers.setdefault(name, [])
        if host not in on:
            on.append(host)

    @property
    def names(self) -> list[str]:
        """Every name that an expectation may use, containers of several hosts as ``host/name``."""
        containers = [
            name if len(hosts) == 1 else f"{host}/{name}"
            for name, hosts in self._containers.items()
            for host in hosts
        ]
        return list(dict.fromkeys([*self._kinds, *containers]))

    def find(self, reference: NodeReference) -> list[Meaning]:
        """Return all that a reference can stand for: none is unknown, several are ambiguous."""
        name, host = reference.name, reference.host
        if host is not None:
            is_known = host in self.hosts and (
                host in self._containers.get(name, ()) or _is_unnamed(host, name)
            )
            return [Meaning("container", name, host)] if is_known else []
        found = [Meaning(self._kinds[name], name)] if name in self._kinds else []
        found += [Meaning("container", name, on) for on in self._containers.get(name, ())]
        if not found:
            found = [Meaning("container", name, on) for on in self.hosts if _is_unnamed(on, name)]
        return found


def _is_unnamed(host: str, name: str) -> bool:
    """Whether a name is that of the nth unnamed container of a host."""
    number = name.removeprefix(f"{host}-")
    return number != name and number.isascii() and number.isdigit() and not number.startswith("0")


def _scan_names(lines: Iterable[str]) -> list[str]:
    return _CONTAINER_NAME.findall("\n".join(lines).replace("\\\n", " "))
