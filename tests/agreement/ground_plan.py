"""A lab on paper: segments, machines, parents and containers, and how a scenario file writes them."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Iterator
from typing import Literal

from ipvlab.spec.source import Plain
from ipvlab.spec.values import Address, Family, Flag, Mode, Subnet
from tests.agreement.cells import ISOLATED, PLUG, VLAN, Setting

#: VLAN ids that segments use.
VLANS = (10, 20, 30)
_WIRES = ("lan", "dmz")


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A broadcast domain as its users mean it: a wire's untagged frames, or one VLAN of it."""

    wire: int
    vlan: int | None

    def subnet(self, family: Family) -> Subnet:
        """The subnet that belongs to the segment."""
        number = (self.vlan or 1) + self.wire
        if family is Family.IPV4:
            return ipaddress.ip_network(f"192.168.{number}.0/24")
        return ipaddress.ip_network(f"2001:db8:{number:x}::/64")

    @property
    def interface(self) -> str:
        """How interfaces on it are called on a machine whose first wire this is."""
        return "eth0" if self.vlan is None else f"eth0.{self.vlan}"


@dataclasses.dataclass(slots=True, eq=False)
class Machine:
    """A host or a router."""

    name: str
    number: int
    kind: Literal["host", "router"]
    #: The wires of eth0 and, with two, eth1.
    wires: list[int]
    families: tuple[Family, ...]
    hooks: tuple[str, ...]
    is_hairpin: bool
    forwards: bool
    #: Segments on which it has an interface with addresses.
    segments: list[Segment] = dataclasses.field(default_factory=list)
    parents: list[Parent] = dataclasses.field(default_factory=list)
    routes: list[dict[str, Plain]] = dataclasses.field(default_factory=list)
    #: ``access`` or ``trunk`` and ``native`` of eth0's switch port.
    port: dict[str, Plain] = dataclasses.field(default_factory=dict)

    @property
    def vlans(self) -> list[int]:
        """The VLANs that its interfaces and parents use."""
        used = [*self.segments, *(parent.segment for parent in self.parents)]
        return sorted({each.vlan for each in used if each is not None and each.vlan is not None})

    def address(self, segment: Segment, family: Family) -> Address | None:
        """Its address on a segment, or None where it has none."""
        if segment not in self.segments or family not in self.families:
            return None
        return segment.subnet(family)[1 + self.number if self.kind == "router" else 250 - self.number]

    def addresses(self, family: Family) -> list[Address]:
        """All its addresses of a family."""
        held = (self.address(segment, family) for segment in self.segments)
        return [each for each in held if each is not None]

    def add_route(self, to: str, via: str) -> None:
        """A static route; of two to one place the first stands."""
        version = ipaddress.ip_address(via).version
        for route in self.routes:
            if route["to"] == to and ipaddress.ip_address(str(route["via"])).version == version:
                return
        self.routes.append({"to": to, "via": via})


@dataclasses.dataclass(slots=True, eq=False)
class Parent:
    """A parent of a host with the one network that holds it."""

    host: Machine
    number: int
    link: str
    segment: Segment | None
    mode: Mode
    flag: Flag
    families: tuple[Family, ...]
    #: For an isolated parent: whether ``internal`` makes it so, or the absence of ``parent``.
    is_internal: bool
    pools: list[Subnet] = dataclasses.field(default_factory=list)
    gateways: dict[Subnet, Address] = dataclasses.field(default_factory=dict)
    containers: list[Container] = dataclasses.field(default_factory=list)
    #: Container -> the number that its endpoint has on the parent, where that is known.
    devices: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def network(self) -> str:
        """The name of its network."""
        return f"n{self.number + 1}"

    @property
    def own_pools(self) -> list[Subnet]:
        """Pools that are not its segment's subnet."""
        shared = [] if self.segment is None else [self.segment.subnet(family) for family in Family]
        return [pool for pool in self.pools if pool not in shared]

    def own_subnet(self, family: Family, which: int) -> Subnet:
        """A subnet that no other parent of the lab uses."""
        third = self.number * 2 + which
        if family is Family.IPV4:
            return ipaddress.ip_network(f"10.{self.host.number + 1}.{third}.0/24")
        return ipaddress.ip_network(f"2001:db8:a{self.host.number + 1:x}{third:02x}::/64")

    @property
    def settings(self) -> Iterator[Setting]:
        """What kinds of parent it is; one for each hook of its host."""
        is_hairpin = self.host.is_hairpin and self.link != ISOLATED
        for hook in self.host.hooks or ("-",):
            yield Setting(self.mode, self.flag, self.link, is_hairpin, hook)


@dataclasses.dataclass(slots=True, eq=False)
class Container:
    """A container and its places on parents, in order; its interfaces are eth0, eth1."""

    name: str
    number: int
    parents: list[Parent]
    #: For each parent its written address of each family; a family left out is allocated.
    written: list[dict[Family, Address]]

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that it has addresses of."""
        return tuple(each for each in Family if any(each in parent.families for parent in self.parents))

    def addresses(self, family: Family) -> list[Address]:
        """Its written addresses of a family."""
        return [place[family] for place in self.written if family in place]


@dataclasses.dataclass(slots=True)
class Plot:
    """All of a lab while it grows."""

    wires: int
    #: Whether machines plug in by access and trunk ports.
    are_ports_tagged: bool
    hosts: list[Machine] = dataclasses.field(default_factory=list)
    routers: list[Machine] = dataclasses.field(default_factory=list)
    parents: list[Parent] = dataclasses.field(default_factory=list)
    containers: list[Container] = dataclasses.field(default_factory=list)

    @property
    def machines(self) -> list[Machine]:
        """Hosts, then routers."""
        return [*self.hosts, *self.routers]

    def add_container(self, parent: Parent, rng: random.Random) -> Container:
        """One more container, on one parent."""
        number = len(self.containers)
        container = Container(f"c{number + 1}", number, [], [])
        self.containers.append(container)
        self.join(container, parent, rng)
        return container

    def join(self, container: Container, parent: Parent, rng: random.Random) -> None:
        """Put a container on a parent, with addresses that nobody else in the lab has."""
        written = {}
        for family in parent.families:
            pools = [pool for pool in parent.pools if Family.of(pool) is family]
            pool = rng.choice(pools)
            is_shared = pool not in parent.own_pools
            # In a shared subnet the driver of another host would allocate the same address.
            if is_shared or pool is not pools[0] or rng.random() < 0.7:
                written[family] = pool[11 + container.number]
        container.parents.append(parent)
        container.written.append(written)
        parent.containers.append(container)


def wire_names(plot: Plot) -> tuple[str, ...]:
    """The names of the lab's wires."""
    return _WIRES[: plot.wires]


def wire_name(wire: int) -> str:
    """The name of one wire."""
    return _WIRES[wire]


def _interfaces(machine: Machine) -> dict[str, Plain]:
    interfaces: dict[str, Plain] = {}
    for index, wire in enumerate(machine.wires):
        plug: dict[str, Plain] = {"wire": _WIRES[wire]}
        plug["addresses"] = _addresses(machine, Segment(wire, None))
        port: dict[str, Plain] = {}
        if index == 0:
            port |= machine.port
            if machine.is_hairpin:
                port["hairpin"] = True
        if port:
            plug["port"] = port
        interfaces[f"eth{index}"] = plug
    for segment in machine.segments:
        if segment.vlan is not None:
            addresses = _addresses(machine, segment)
            interfaces[segment.interface] = {"parent": "eth0", "vlan": segment.vlan, "addresses": addresses}
    return interfaces


def _addresses(machine: Machine, segment: Segment) -> list[Plain]:
    held = ((machine.address(segment, family), segment.subnet(family)) for family in Family)
    return [f"{address}/{subnet.prefixlen}" for address, subnet in held if address is not None]


def _node(machine: Machine) -> dict[str, Plain]:
    node: dict[str, Plain] = {"interfaces": _interfaces(machine)}
    if machine.forwards != (machine.kind == "router"):
        node["forwarding"] = machine.forwards
    if machine.routes:
        node["routes"] = list[Plain](machine.routes)
    if machine.hooks:
        node["firewall"] = dict.fromkeys(machine.hooks, "drop")
    return node


def router_text(router: Machine) -> dict[str, Plain]:
    """A router as the scenario file writes it."""
    return _node(router)


def host_text(plot: Plot, host: Machine) -> dict[str, Plain]:
    """A host as the scenario file writes it, networks and containers included."""
    node = _node(host)
    node["networks"] = {parent.network: _network(parent) for parent in host.parents}
    node["containers"] = {
        container.name: {
            "networks": {
                parent.network: {f"{family}_address": str(address) for family, address in written.items()}
                for parent, written in zip(container.parents, container.written, strict=True)
            }
        }
        for container in plot.containers
        if container.parents[0].host is host
    }
    return node


def _network(parent: Parent) -> dict[str, Plain]:
    options: dict[str, Plain] = {"ipvlan_mode": str(parent.mode), "ipvlan_flag": str(parent.flag)}
    network: dict[str, Plain] = {"driver_opts": options}
    if parent.link == ISOLATED and parent.is_internal:
        network["internal"] = True
    if parent.link in (PLUG, VLAN) and parent.segment is not None:
        options["parent"] = parent.segment.interface
    pools: list[Plain] = []
    for pool in parent.pools:
        config: dict[str, Plain] = {"subnet": str(pool)}
        if pool in parent.gateways:
            config["gateway"] = str(parent.gateways[pool])
        pools.append(config)
    network["ipam"] = {"config": pools}
    return network
