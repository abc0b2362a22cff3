"""A lab in process: the same surface as :class:`ipvlab.lab.live.LiveLab`, and no machine behind it."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ipvlab.datapath.sim.machine import Machine, SimLink, SimWire, endpoint_name
from ipvlab.datapath.sim.world import World
from ipvlab.driver.port import CommandResult
from ipvlab.errors import KernelRefusal, LabError
from ipvlab.lab.announcing import Holders
from ipvlab.lab.sim_host import SimHost, add_vlan
from ipvlab.lab.sim_tables import add_address, add_route
from ipvlab.rules.identifiers import derived_mac, eui64_link_local
from ipvlab.rules.stack import LEAST_MTU6, Hook
from ipvlab.rules.switching import SwitchPort
from ipvlab.spec.model import Firewall, HostSpec, NodeSpec, Port, RouterSpec
from ipvlab.spec.model import Wire as WireSpec
from ipvlab.spec.values import Address, NodeKind

DEFAULT_MTU = 1500


class NameAnswer(Protocol):
    """What a lookup answers."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses of the name."""


#: (container, name, record type) -> the answer of the host's engine.
Lookup = Callable[[str, str, str], NameAnswer]


def bare_name(_host: str, container: str) -> str:
    """A container's name in a lab where names of containers are unique."""
    return container


class SimLab:
    """The machines and wires of one simulated lab.

    Raises :class:`ipvlab.errors.LabError` where a kernel would refuse a step.
    """

    def __init__(self, name: str, container_name: Callable[[str, str], str] = bare_name) -> None:
        self.name = name
        self.world = World()
        self._container_name = container_name
        self._lookups: dict[str, Lookup] = {}
        self._next_index = 101
        #: Who had which address of an endpoint last.
        self.holders = Holders()

    @property
    def nodes(self) -> dict[str, Machine]:
        """The machines that exist now."""
        return self.world.machines

    @property
    def wires(self) -> dict[str, SimWire]:
        """The wires, by name."""
        return self.world.wires

    def new_index(self) -> int:
        """An interface index that no other link of the lab has."""
        self._next_index += 1
        return self._next_index - 1

    def mac(self, node: str, interface: str, given: str | None = None) -> bytes:
        """The MAC of a link: the one given, else one derived from lab, node and name."""
        return bytes.fromhex(given.replace(":", "")) if given else derived_mac(self.name, node, interface)

    def add_topology(
        self,
        wires: Mapping[str, WireSpec],
        hosts: Mapping[str, HostSpec],
        routers: Mapping[str, RouterSpec],
    ) -> None:
        """Build hosts, routers and the wires between them, in file order."""
        specs: dict[str, tuple[NodeKind, HostSpec | RouterSpec]] = {}
        for name, host in hosts.items():
            specs[name] = ("host", host)
        for name, router in routers.items():
            specs[name] = ("router", router)
        for name, (kind, spec) in specs.items():
            self.nodes[name] = Machine(
                name,
                kind,
                self.world.revision,
                hostname=name,
                forwards=spec.forwarding,
                dropping=_dropping(spec.firewall),
            )
        for wire in wires:
            self._plug_in(wire, specs)
        for name, (_, spec) in specs.items():
            self._dress(self.nodes[name], spec)
        self.world.changed()
        for name, (_, spec) in specs.items():
            self._route(self.nodes[name], spec)
        self.world.changed()

    def _plug_in(self, name: str, specs: Mapping[str, tuple[NodeKind, HostSpec | RouterSpec]]) -> None:
        plugs = [
            (self.nodes[node], interface, spec)
            for node, (_, node_spec) in specs.items()
            for interface, spec in node_spec.interfaces.items()
            if spec.wire == name
        ]
        if not plugs:
            return
        wire = self.wires.get(name)
        if wire is None:
            wire = self.wires[name] = SimWire(name)
            if len(plugs) != 2 or any(spec.port is not None for _, _, spec in plugs):
                wire.ports = []
        elif wire.ports is None:
            raise LabError(
                f'wire "{name}" is a bare pair with both ends in use',
                hint="declare all interfaces of a wire before the lab is built",
            )
        for machine, interface, spec in plugs:
            mac = self.mac(machine.name, interface, spec.mac)
            link = SimLink(interface, self.new_index(), mac, spec.mtu or DEFAULT_MTU, wire=name)
            link.plug = (wire, len(wire.ends))
            wire.ends.append((machine, link))
            if wire.ports is not None:
                wire.ports.append(_switch_port(spec.port or Port()))
            machine.links[interface] = link

    def _dress(self, machine: Machine, spec: NodeSpec) -> None:
        """Set a machine's links up in file order, sub-interfaces after the links below them."""
        ordered: dict[str, SimLink] = {}
        for name, interface in spec.interfaces.items():
            if interface.parent is not None and interface.vlan is not None:
                mac = self.mac(machine.name, name, interface.mac) if interface.mac else None
                link = add_vlan(self, machine, name, machine.links[interface.parent], interface.vlan, mac)
                link.mtu = interface.mtu or link.mtu
            link = machine.links[name]
            ordered[name] = link
            link.is_up, link.has_ipv6 = True, link.mtu >= LEAST_MTU6
            if link.has_ipv6:
                add_address(machine, link, eui64_link_local(link.mac))
            for address in interface.addresses:
                if address.version == 6 and not link.has_ipv6:
                    words = f"add address {address} to {name} in {machine.name}: Invalid argument (EINVAL)"
                    raise KernelRefusal(words, errno=errno.EINVAL)
                add_address(machine, link, address)
        machine.links.clear()
        machine.links.update(ordered)

    def _route(self, machine: Machine, spec: NodeSpec) -> None:
        for route in spec.routes:
            to = None if route.to == "default" else route.to
            version = route.via.version if to is None and route.via is not None else 4
            try:
                add_route(machine, version if to is None else to.version, to, route.via, route.dev)
            except KernelRefusal as refusal:
                words = f"add route to {to or 'default'}" + (f" via {route.via}" if route.via else "")
                raise KernelRefusal(
                    f"{words} in {machine.name}: {refusal.what}", errno=refusal.errno
                ) from refusal

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> SimHost:
        """What the driver of a host works on; ``execute`` interprets a command in a container."""
        return SimHost(self, self.nodes[host], execute)

    def start_resolver(self, host: str, lookup: Lookup) -> None:
        """Answer names in every container of a host."""
        self._lookups[host] = lookup

    def resolve(self, node: Machine, name: str, rrtypes: Sequence[str] = ("A", "AAAA")) -> list[Address]:
        """The addresses that a name has inside a machine; hosts and routers know only ``localhost``."""
        lookup = self._lookups.get(node.host or "")
        if node.kind != "container" or lookup is None:
            return [ipaddress.ip_address("127.0.0.1")] if name == "localhost" else []
        container = node.name.rpartition("/")[2]
        return [address for rrtype in rrtypes for address in lookup(container, name, rrtype).addresses]

    def add_container(self, host: str, name: str, hostname: str) -> Machine:
        """Make a container, with nothing in it."""
        unique = self._container_name(host, name)
        if unique in self.nodes:
            raise LabError(f'the lab has a node called "{unique}" already')
        machine = Machine(unique, "container", self.world.revision, host=host, hostname=hostname)
        self.nodes[unique] = machine
        return machine

    def container(self, host: str, name: str) -> Machine:
        """The machine of a host's container."""
        return self.nodes[self._container_name(host, name)]

    def rename_container(self, host: str, name: str, new: str) -> None:
        """Let a container be known by another name; the driver has seen that it is free on the host."""
        machine = self.container(host, name)
        unique = self._container_name(host, new)
        if unique in self.nodes:
            raise LabError(f'the lab has a node called "{unique}" already')
        machine.name = unique
        nodes = {each.name: each for each in self.nodes.values()}
        self.nodes.clear()
        self.nodes.update(nodes)
        for parent in self.nodes[host].links.values():
            if parent.port is not None:
                ends = {endpoint_name(*end): end for end in parent.port.endpoints.values()}
                parent.port.endpoints = ends
        self.world.changed()

    def await_ready(self) -> None:
        """A simulated lab is ready when it is built."""

    def close(self) -> None:
        """End the lab; safe to call twice."""
        self.world = World()
        self._lookups = {}


def _dropping(firewall: Firewall) -> frozenset[Hook]:
    return frozenset(hook for hook in Hook if getattr(firewall, hook) == "drop")


def _switch_port(port: Port) -> SwitchPort:
    return SwitchPort(port.access, port.trunk, port.native, port.hairpin)
