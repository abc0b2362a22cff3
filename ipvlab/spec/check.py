"""What a well-formed scenario says against itself: names, wires, interfaces, routes, steps."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ipvlab.errors import (
    AddressOutside,
    AddressTaken,
    KeyMissing,
    NameTaken,
    NodeNotFound,
    ParentNotFound,
    ValueInvalid,
    WireNotFound,
)
from ipvlab.spec.check_expectations import check_expectations
from ipvlab.spec.check_networks import check_networks
from ipvlab.spec.findings import Findings
from ipvlab.spec.load import Key, LoadedScenario
from ipvlab.spec.model import HostSpec, InterfaceSpec, NodeSpec, Port, RouteSpec, Scenario
from ipvlab.spec.references import Cast, parse_reference
from ipvlab.spec.values import Address, Subnet
from ipvlab.spec.words import suggest

#: What a default route by device makes on-link, as far as gateways of later routes go.
_EVERYWHERE: tuple[Subnet, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


def check_scenario(loaded: LoadedScenario) -> None:
    """Check everything that can be known before a lab is built.

    Raises :class:`ValueInvalid`, :class:`KeyMissing` or one of the
    :class:`~ipvlab.errors.Contradiction` classes; the first by position, with
    all others attached.
    """
    findings = Findings(loaded)
    scenario = loaded.scenario
    cast = Cast(scenario)
    _check_names(findings, scenario)
    for group, name, node in _nodes(scenario):
        _check_interfaces(findings, (group, name), node, scenario)
        _check_routes(findings, (group, name), node)
        if isinstance(node, HostSpec):
            check_networks(findings, name, node, scenario.dialect)
    check_expectations(findings, ("expect",), scenario.expect, cast, scenario)
    for number, step in enumerate(scenario.steps):
        _check_do(findings, ("steps", number, "do"), step.do, cast)
        check_expectations(findings, ("steps", number, "expect"), step.expect, cast, scenario)
    findings.raise_all()


def _nodes(scenario: Scenario) -> Iterator[tuple[str, str, NodeSpec]]:
    for name, host in scenario.hosts.items():
        yield "hosts", name, host
    for name, router in scenario.routers.items():
        yield "routers", name, router


def _check_names(findings: Findings, scenario: Scenario) -> None:
    for name in scenario.routers:
        if name in scenario.hosts:
            findings.at_key(
                NameTaken,
                f"the router {name!r} has the name of a host",
                "routers",
                name,
                hint="Hosts, routers and containers share one space of names: rename one of the two.",
            )
    for host, spec in scenario.hosts.items():
        for name in spec.containers:
            kind = "host" if name in scenario.hosts else "router" if name in scenario.routers else None
            if kind:
                findings.at_key(
                    NameTaken,
                    f"the container {name!r} has the name of a {kind}",
                    *("hosts", host, "containers", name),
                    hint="Hosts, routers and containers share one space of names: rename one of the two.",
                )


def _check_interfaces(
    findings: Findings, node_keys: tuple[str, str], node: NodeSpec, scenario: Scenario
) -> None:
    earlier: dict[str, InterfaceSpec] = {}
    for name, interface in node.interfaces.items():
        keys = (*node_keys, "interfaces", name)
        if name == "lo":
            findings.at_key(
                ValueInvalid,
                "an interface cannot be called lo; every node has its loopback already",
                *keys,
                hint="Call it eth0, for one.",
            )
        _check_place(findings, keys, interface)
        if interface.wire is not None and interface.wire not in scenario.wires:
            findings.at_value(
                WireNotFound,
                f"the wire {interface.wire!r} is not declared",
                *(*keys, "wire"),
                hint=suggest(interface.wire, scenario.wires, "Declared wires"),
            )
        if interface.parent is not None:
            _check_parent(findings, keys, interface.parent, earlier, node)
        for index, address in enumerate(interface.addresses):
            if address in interface.addresses[:index]:
                findings.at_value(
                    AddressTaken, f"{name} has the address {address} already", *keys, "addresses", index,
                    hint="Remove one of the two.",
                )  # fmt: skip
        if interface.port is not None:
            _check_port(findings, (*keys, "port"), interface.port, interface)
        earlier[name] = interface


def _check_place(findings: Findings, keys: tuple[str, ...], interface: InterfaceSpec) -> None:
    """An interface is plugged into a wire, or rides on a parent with a VLAN id."""
    name = keys[-1]
    if interface.wire is not None:
        for key in ("parent", "vlan"):
            if getattr(interface, key) is not None:
                findings.at_key(
                    ValueInvalid,
                    f"{name} has both `wire` and `{key}`; it is plugged into a wire or is a VLAN of a parent",
                    *(*keys, key),
                    hint="Remove one of the two.",
                )
    elif interface.parent is None and interface.vlan is None:
        findings.at_value(
            KeyMissing,
            f"{name} leads nowhere: it has neither `wire` nor `parent`",
            *keys,
            hint="Plug it in with `wire:`, or make it a VLAN with `parent:` and `vlan:`.",
        )
    elif interface.parent is None or interface.vlan is None:
        has, lacks = ("parent", "vlan") if interface.vlan is None else ("vlan", "parent")
        findings.at_value(
            KeyMissing,
            f"{name} has `{has}` and no `{lacks}`; an 802.1Q link needs both",
            *keys,
            hint=f"Add `{lacks}:` there.",
        )


def _check_parent(
    findings: Findings,
    keys: tuple[str, ...],
    parent: str,
    earlier: dict[str, InterfaceSpec],
    node: NodeSpec,
) -> None:
    name, vlan = keys[-1], node.interfaces[keys[-1]].vlan
    if parent not in earlier:
        later = parent in node.interfaces and parent != name
        findings.at_value(
            ParentNotFound,
            f"the parent {parent!r} of {name} is "
            + ("declared after it" if later else f"no interface of {keys[1]}"),
            *(*keys, "parent"),
            hint="Write the parent first."
            if later
            else suggest(parent, earlier, f"Interfaces before {name}"),
        )
        return
    for other, spec in earlier.items():
        # One VLAN of one link exists once (vlan_check_real_dev answers EEXIST).
        if vlan is not None and (spec.parent, spec.vlan) == (parent, vlan):
            findings.at_value(
                ValueInvalid,
                f"VLAN {vlan} of {parent} exists already; it is {other}",
                *(*keys, "vlan"),
                hint="Use another VLAN id, or the interface that exists.",
            )


def _check_port(findings: Findings, keys: tuple[str, ...], port: Port, interface: InterfaceSpec) -> None:
    if interface.wire is None:
        findings.at_key(
            ValueInvalid,
            "only an interface on a wire has a switch port",
            *keys,
            hint="Move it to the parent.",
        )
    if port.access is not None and port.trunk is not None:
        findings.at_key(
            ValueInvalid,
            "a port is an access port or a trunk, not both",
            *(*keys, "trunk"),
            hint="Remove one of the two.",
        )
    if port.native is not None and port.trunk is None:
        findings.at_key(
            ValueInvalid,
            "`native` is the untagged VLAN of a trunk, and this port is none",
            *(*keys, "native"),
            hint="Add `trunk:`, or write `access:` for a port of one VLAN.",
        )


def _check_routes(findings: Findings, node_keys: tuple[str, str], node: NodeSpec) -> None:
    on_link: list[Subnet] = [
        address.network for interface in node.interfaces.values() for address in interface.addresses
    ]
    for index, route in enumerate(node.routes):
        keys: tuple[Key, ...] = (*node_keys, "routes", index)
        if route.dev is not None and route.dev not in node.interfaces and route.dev != "lo":
            findings.at_value(
                ParentNotFound,
                f"{node_keys[1]} has no interface {route.dev!r}",
                *(*keys, "dev"),
                hint=suggest(route.dev, node.interfaces, "Its interfaces"),
            )
        if route.via is None and route.dev is None:
            findings.at_value(
                KeyMissing, "a route needs `via` or `dev`", *keys, hint="Name a gateway or an interface."
            )
        elif route.via is None:
            on_link += _EVERYWHERE if route.to == "default" else [route.to]
        else:
            _check_gateway(findings, keys, route, route.via, on_link)


def _check_gateway(
    findings: Findings, keys: tuple[Key, ...], route: RouteSpec, via: Address, on_link: list[Subnet]
) -> None:
    if route.to != "default" and route.to.version != via.version:
        findings.at_value(
            ValueInvalid,
            f"the gateway {via} is IPv{via.version} and the destination {route.to} IPv{route.to.version}",
            *(*keys, "via"),
        )
    elif via.version == 6 and via.is_link_local:
        if route.dev is None:
            findings.at_value(
                KeyMissing,
                f"the link-local gateway {via} needs `dev`; it can be on any link",
                *keys,
                hint="Add `dev:` there.",
            )
    elif not any(via in subnet for subnet in on_link):
        # The kernel answers "Nexthop has invalid gateway" (fib_check_nh).
        findings.at_value(
            AddressOutside,
            f"the gateway {via} is on no link of {keys[1]}",
            *(*keys, "via"),
            hint="A gateway lies in the subnet of one of the node's own addresses.",
        )


def _check_do(findings: Findings, keys: tuple[Key, ...], do: dict[str, tuple[str, ...]], cast: Cast) -> None:
    for node in do:
        try:
            found = cast.find(parse_reference(node))
        except ValueError as refusal:
            findings.at_key(ValueInvalid, f"the name {node!r} {refusal}", *keys, node)
            continue
        if not found:
            findings.at_key(
                NodeNotFound,
                f"there is no node {node!r}",
                *keys,
                node,
                hint=suggest(node, cast.names, "Nodes"),
            )
        elif len(found) > 1:
            findings.at_key(
                NameTaken, f"the name {node!r} stands for {len(found)} containers", *keys, node,
                hint="Write " + " or ".join(f"{each.host}/{each.name}" for each in found) + ".",
            )  # fmt: skip
