"""What expectations say that cannot be: names nobody has, kinds missing, routes that do not parse."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ipvlab.errors import KeyMissing, NameTaken, NodeNotFound, ParentNotFound, ValueInvalid, WireNotFound
from ipvlab.spec.findings import Findings
from ipvlab.spec.load import Key
from ipvlab.spec.model import (
    Addresses,
    Broadcast,
    Expectation,
    HostSpec,
    OnWire,
    Pair,
    Routes,
    Scenario,
)
from ipvlab.spec.references import Cast, Meaning, NodeReference, parse_reference
from ipvlab.spec.routes import parse_route
from ipvlab.spec.scalars import MAC_PATTERN
from ipvlab.spec.values import Address, BroadcastKind, Family
from ipvlab.spec.words import suggest

Keys = tuple[Key, ...]

#: The kinds of broadcast that a destination says something about, and its family.
_DESTINATION_FAMILY = {
    BroadcastKind.DIRECTED: (Family.IPV4,),
    BroadcastKind.ARP: (Family.IPV4,),
    BroadcastKind.MULTICAST: (Family.IPV4, Family.IPV6),
    BroadcastKind.ND: (Family.IPV6,),
}


def check_expectations(
    findings: Findings, keys: Keys, expectations: Sequence[Expectation], cast: Cast, scenario: Scenario
) -> None:
    """Check a list of expectations: each of one kind, about nodes, wires and interfaces that there are."""
    for index, expectation in enumerate(expectations):
        kinds = [name for name in Expectation.model_fields if getattr(expectation, name) is not None]
        if not kinds:
            valid = ", ".join(Expectation.model_fields)
            findings.at_value(
                KeyMissing, "an expectation without a kind", *keys, index, hint=f"It is one of {valid}."
            )
        for extra in kinds[1:]:
            findings.at_key(
                ValueInvalid,
                f"an expectation has one kind, and this one has {kinds[0]!r} and {extra!r}",
                *(*keys, index, extra),
                hint="Make each an item of its own, with its own dash.",
            )
        _Checker(findings, cast, scenario).check(expectation, (*keys, index))


class _Checker:
    """The rules for one expectation at a time."""

    def __init__(self, findings: Findings, cast: Cast, scenario: Scenario) -> None:
        self._findings = findings
        self._cast = cast
        self._scenario = scenario

    def check(self, expectation: Expectation, keys: Keys) -> None:
        for kind in ("reach", "blocked", "delivers", "undelivered"):
            pair: Pair | None = getattr(expectation, kind)
            if pair is not None:
                self._check_pair(pair, (*keys, kind))
        if expectation.broadcast is not None:
            self._check_broadcast(expectation.broadcast, (*keys, "broadcast"))
        if expectation.routes is not None:
            self._check_route_texts(expectation.routes, (*keys, "routes"))
        if expectation.addresses is not None:
            self._check_addresses(expectation.addresses, (*keys, "addresses"))
        if expectation.resolves is not None:
            self._find_node(expectation.resolves.in_, *keys, "resolves", "in")
        if expectation.links is not None:
            links = expectation.links
            self._find_node(links.in_, *keys, "links", "in")
            if not links.present and not links.absent:
                self._findings.at_value(
                    KeyMissing, "`links` names no link", *keys, "links", hint="Add `present:` or `absent:`."
                )
            for name in set(links.present) & set(links.absent):
                place = (*keys, "links", "absent", links.absent.index(name))
                self._findings.at_value(ValueInvalid, f"the link {name!r} is both present and absent", *place)
        if expectation.on_wire is not None:
            self._check_on_wire(expectation.on_wire, (*keys, "on_wire"))
        if expectation.fails is not None:
            self._find_node(expectation.fails.on, *keys, "fails", "on")

    def _find(self, written: str, *keys: Key) -> tuple[NodeReference, Meaning] | None:
        """The one node that a text names, or None once an error is noted."""
        try:
            reference = parse_reference(written)
        except ValueError as refusal:
            self._findings.at_value(ValueInvalid, f"{written!r} {refusal}", *keys)
            return None
        found = self._cast.find(reference)
        name = str(NodeReference(reference.name, reference.host))
        if not found:
            self._findings.at_value(
                NodeNotFound,
                f"there is no node {name!r}",
                *keys,
                hint=suggest(name, self._cast.names, "Nodes"),
            )
            return None
        if len(found) > 1:
            choices = " or ".join(f"{each.host}/{each.name}" if each.host else each.name for each in found)
            self._findings.at_value(
                NameTaken,
                f"the name {name!r} stands for {len(found)} nodes",
                *keys,
                hint=f"Write {choices}.",
            )
            return None
        return reference, found[0]

    def _find_node(self, written: str, *keys: Key) -> Meaning | None:
        """As :meth:`_find`, where an address makes no sense."""
        found = self._find(written, *keys)
        if found and found[0].address is not None:
            self._findings.at_value(ValueInvalid, f"{written!r} must name a node without an address", *keys)
        return found[1] if found else None

    def _check_pair(self, pair: Pair, keys: Keys) -> None:
        sources = [self._find(name, *keys, "from", index) for index, name in enumerate(pair.from_)]
        targets = [self._find(name, *keys, "to", index) for index, name in enumerate(pair.to)]
        if len({found[1] if found else None for found in (*sources, *targets)}) == 1 and sources[0]:
            self._findings.at_value(
                ValueInvalid,
                "no pair is left: a node is not probed against itself",
                *(*keys, "to"),
                hint="Name another node.",
            )
        self._check_family(pair.address, pair.family, (*keys, "address"))
        for index, found in enumerate(targets):
            if found and found[0].address is not None:
                self._check_family(found[0].address, pair.family, (*keys, "to", index))
                if pair.address not in (None, found[0].address):
                    self._findings.at_value(
                        ValueInvalid,
                        f"`to` says {found[0].address} and `address` says {pair.address}",
                        *(*keys, "address"),
                        hint="Write the address once.",
                    )
        for index, name in enumerate(getattr(pair, "via", None) or ()):
            self._find_node(name, *keys, "via", index)

    def _check_family(self, address: Address | None, family: Family | None, keys: Keys) -> None:
        if address is not None and family is not None and Family.of(address) is not family:
            self._findings.at_value(ValueInvalid, f"the address {address} is not {family}", *keys)

    def _check_broadcast(self, broadcast: Broadcast, keys: Keys) -> None:
        senders = [self._find_node(name, *keys, "from", index) for index, name in enumerate(broadcast.from_)]
        for index, name in enumerate(broadcast.heard_by):
            self._find_node(name, *keys, "heard_by", index)
        destination, kind = broadcast.destination, broadcast.kind
        if destination is None:
            if kind is BroadcastKind.MULTICAST:
                self._findings.at_value(
                    KeyMissing,
                    "a multicast needs a destination",
                    *keys,
                    hint="Add `destination: 239.1.2.3`, say.",
                )
        elif Family.of(destination) not in _DESTINATION_FAMILY.get(kind, ()):
            families = " or ".join(_DESTINATION_FAMILY.get(kind, ()))
            self._findings.at_value(
                ValueInvalid,
                f"a broadcast of kind {kind} takes {f'an {families}' if families else 'no'} destination",
                *(*keys, "destination"),
                hint="Remove it, or choose another kind." if not families else "",
            )
        elif destination.is_multicast != (kind is BroadcastKind.MULTICAST):
            is_not = "not a multicast address" if kind is BroadcastKind.MULTICAST else "a multicast address"
            self._findings.at_value(ValueInvalid, f"{destination} is {is_not}", *keys, "destination")
        if broadcast.interface is not None:
            for sender in senders:
                self._check_interface(sender, broadcast.interface, (*keys, "interface"), at_key=False)

    def _check_route_texts(self, routes: Routes, keys: Keys) -> None:
        self._find_node(routes.in_, *keys, "in")
        if routes.ipv4 is None and routes.ipv6 is None:
            self._findings.at_value(
                KeyMissing, "`routes` says nothing of a table", *keys, hint="Add `ipv4:` or `ipv6:`."
            )
        for key, version, texts in (("ipv4", 4, routes.ipv4), ("ipv6", 6, routes.ipv6)):
            for index, text in enumerate(texts or ()):
                try:
                    parse_route(text, version)
                except ValueError as refusal:
                    self._findings.at_value(ValueInvalid, f"the route {refusal}", *keys, key, index)

    def _check_addresses(self, addresses: Addresses, keys: Keys) -> None:
        node = self._find_node(addresses.in_, *keys, "in")
        if not addresses.interfaces:
            self._findings.at_value(
                KeyMissing,
                "`addresses` names no interface",
                *keys,
                hint="Add `eth0: [192.168.20.11/24]`, say.",
            )
        for name in addresses.interfaces:
            self._check_interface(node, name, (*keys, name), at_key=True)

    def _check_on_wire(self, on_wire: OnWire, keys: Keys) -> None:
        wires = self._scenario.wires
        if on_wire.wire not in wires:
            self._findings.at_value(
                WireNotFound,
                f"the wire {on_wire.wire!r} is not declared",
                *(*keys, "wire"),
                hint=suggest(on_wire.wire, wires, "Declared wires"),
            )
        self._find(on_wire.from_, *keys, "from")
        target = self._find(on_wire.to, *keys, "to")
        self._check_family(on_wire.address, on_wire.family, (*keys, "address"))
        if target:
            self._check_family(target[0].address, on_wire.family, (*keys, "to"))
        if on_wire.source_mac is not None and not re.fullmatch(MAC_PATTERN, on_wire.source_mac):
            self._check_mac_owner(on_wire.source_mac, (*keys, "source_mac"))

    def _check_mac_owner(self, written: str, keys: Keys) -> None:
        """A text ``node.interface``; both parts may hold dots."""
        cuts = [index for index, character in enumerate(written) if character == "."]
        owners = [(written[:cut], written[cut + 1 :]) for cut in cuts if written[cut + 1 :]]
        meanings = [
            (found[0], interface)
            for node, interface in owners
            if len(found := self._cast.find(_without_address(node))) == 1
        ]
        if not meanings:
            self._findings.at_value(
                NodeNotFound if owners else ValueInvalid,
                f"{written!r} is neither a MAC address nor node.interface of a node that there is",
                *keys,
                hint=suggest(owners[0][0] if owners else written, self._cast.names, "Nodes"),
            )
        elif not any(self._may_have(node, interface) for node, interface in meanings):
            self._check_interface(*meanings[0], keys, at_key=False)

    def _check_interface(self, node: Meaning | None, interface: str, keys: Keys, *, at_key: bool) -> None:
        if node is None or self._may_have(node, interface):
            return
        note = self._findings.at_key if at_key else self._findings.at_value
        known = self._interfaces(node) or ()
        note(
            ParentNotFound,
            f"{node.name} has no interface {interface!r}",
            *keys,
            hint=suggest(interface, known, "Its interfaces"),
        )

    def _may_have(self, node: Meaning, interface: str) -> bool:
        known = self._interfaces(node)
        return known is None or interface in known or interface == "lo"

    def _interfaces(self, node: Meaning) -> list[str] | None:
        """The interfaces of a node, or None where commands or the driver may make others."""
        if (node.host or node.name) in self._cast.is_changed_by_commands:
            return None
        if node.kind != "container":
            spec = self._cast.nodes[node.name]
            made = (
                [net.driver_opts.get("parent", "") for net in spec.networks.values()]
                if isinstance(spec, HostSpec)
                else []
            )
            is_isolated = isinstance(spec, HostSpec) and any(
                net.internal or not net.driver_opts.get("parent") for net in spec.networks.values()
            )
            return None if is_isolated else [*spec.interfaces, *filter(None, made)]
        container = self._cast.hosts[node.host or ""].containers.get(node.name)
        if container is None:
            return None
        return [
            endpoint.interface_name or f"eth{index}"
            for index, endpoint in enumerate(container.networks.values())
        ]


def _without_address(node: str) -> NodeReference:
    host, slash, name = node.rpartition("/")
    return NodeReference(name, host if slash else None)
