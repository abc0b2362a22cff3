"""Who is in the lab: names as scenarios write them, and the nodes behind them."""

from __future__ import annotations

import difflib
import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from ipvlab.errors import FamilyMissing, NodeNotFound, Position
from ipvlab.spec.values import Address, Family, Interface, NodeKind


class LinkView(Protocol):
    """What expanding an expectation needs to know of a link, live or recorded."""

    @property
    def name(self) -> str:
        """The interface's name in its node."""

    @property
    def addresses(self) -> Sequence[Interface]:
        """Its addresses, in the order they were given."""


class NodeView(Protocol):
    """What expanding an expectation needs to know of a node, live or recorded."""

    @property
    def name(self) -> str:
        """Unique in the lab."""

    @property
    def kind(self) -> NodeKind:
        """``host``, ``router`` or ``container``."""

    @property
    def host(self) -> str | None:
        """For a container: the host that it runs on."""

    @property
    def links(self) -> Mapping[str, LinkView]:
        """The node's links but ``lo``, in the order they were made."""


class Naming:
    """Display names of containers: bare where unique in the lab, else ``host/name``."""

    def __init__(self, nodes: Iterable[str] = (), containers: Iterable[tuple[str, str]] = ()) -> None:
        bearers = Counter(nodes)
        bearers.update(name for _, name in set(containers))
        self._shared = frozenset(name for name, count in bearers.items() if count > 1)

    def display(self, host: str, container: str) -> str:
        """The name that verdicts, questions and live nodes use for a host's container."""
        return f"{host}/{container}" if container in self._shared else container


def bare_name(node: NodeView) -> str:
    """The name that a container has on its own host."""
    return node.name.rpartition("/")[2]


def global_addresses(node: NodeView, family: Family | None = None) -> Iterator[Interface]:
    """A node's addresses in file order, without IPv6 link-local ones, which probes do not aim at."""
    for link in node.links.values():
        for address in link.addresses:
            if address.version == 6 and address.ip.is_link_local:
                continue
            if family is None or Family.of(address) is family:
                yield address


def families(node: NodeView) -> tuple[Family, ...]:
    """The families that a node has a global address of, IPv4 first."""
    held = {Family.of(address) for address in global_addresses(node)}
    return tuple(family for family in Family if family in held)


def aim(source: NodeView, target: NodeView, family: Family) -> Address | None:
    """The target's address that a probe is sent to, or None when it has none of that family.

    The first, in file order, that lies in a subnet of one of the source's
    interfaces, else the first (the scenario file's "who and where").
    """
    candidates = [address.ip for address in global_addresses(target, family)]
    subnets = [address.network for address in global_addresses(source, family)]
    for candidate in candidates:
        if any(candidate in subnet for subnet in subnets):
            return candidate
    return candidates[0] if candidates else None


class Directory:
    """The nodes of a lab by every name that a scenario may use for them."""

    def __init__(self, nodes: Mapping[str, NodeView]) -> None:
        self._nodes = nodes

    def __iter__(self) -> Iterator[NodeView]:
        return iter(self._nodes.values())

    def find(self, name: str, where: Position | None = None) -> NodeView:
        """The node called ``name``, ``host/name`` included; raises :class:`NodeNotFound`."""
        if name in self._nodes:
            return self._nodes[name]
        bearers = [
            node
            for node in self._nodes.values()
            if node.kind == "container" and name in (bare_name(node), f"{node.host}/{bare_name(node)}")
        ]
        if len(bearers) == 1:
            return bearers[0]
        if bearers:
            written = " or ".join(f"{node.host}/{bare_name(node)}" for node in bearers)
            raise NodeNotFound(
                f"{name!r} stands for containers of several hosts", where=where, hint=f"write {written}"
            )
        raise NodeNotFound(f"there is no node {name!r}", where=where, hint=self._nearest(name))

    def find_place(self, text: str, where: Position | None = None) -> tuple[NodeView, Address | None]:
        """The node, and the address where ``text`` is ``node/address``; raises :class:`NodeNotFound`."""
        head, slash, tail = text.rpartition("/")
        if slash:
            try:
                address = ipaddress.ip_address(tail)
            except ValueError:
                pass
            else:
                return self.find(head, where), address
        return self.find(text, where), None

    def find_link(self, text: str) -> tuple[NodeView, LinkView] | None:
        """The link written ``node.interface``; both names may hold dots, so every split is tried."""
        for place, letter in enumerate(text):
            if letter != ".":
                continue
            try:
                node = self.find(text[:place])
            except NodeNotFound:
                continue
            link = node.links.get(text[place + 1 :])
            if link is not None:
                return node, link
        return None

    def holders(self, address: Address) -> list[NodeView]:
        """The nodes that have an address, in file order."""
        return [
            node
            for node in self._nodes.values()
            if any(held.ip == address for link in node.links.values() for held in link.addresses)
        ]

    def unused_address(self, sender: NodeView, version: int, link: LinkView | None = None) -> Address:
        """An address of the sender's first subnet of that IP version that nobody in the lab has.

        With ``link`` the subnet is that interface's. Raises
        :class:`FamilyMissing` when the sender has no such subnet, or a full one.
        """
        links = [link] if link is not None else list(sender.links.values())
        subnets = [held.network for each in links for held in each.addresses if held.version == version]
        # A global subnet before the link-local one that every IPv6 interface has.
        subnets.sort(key=lambda subnet: subnet.is_link_local)
        taken = {held.ip for node in self for each in node.links.values() for held in each.addresses}
        for subnet in subnets:
            last = int(subnet.broadcast_address) - (1 if version == 4 else 0)
            for number in range(last, int(subnet.network_address), -1):
                candidate = ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number)
                if candidate not in taken:
                    return candidate
        raise FamilyMissing(
            f"{sender.name} has no IPv{version} subnet with a free address to ask for",
            hint="name one with `destination:`",
        )

    def _nearest(self, name: str) -> str:
        close = difflib.get_close_matches(name, self._nodes, n=1)
        if close:
            return f"did you mean {close[0]!r}?"
        return "nodes: " + (", ".join(self._nodes) or "none")
