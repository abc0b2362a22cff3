"""A lab in memory: what the driver and the command lines would make, without making it.

The dry run that precedes every run and ``plan`` work on it: links, addresses and
routes as values, no packets. Names, addresses and refusals come out as they
will on the live machine; what only a kernel can know does not.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable, Mapping, Sequence

from ipvlab.driver.port import CommandResult, EndpointPlan, RoutePlan
from ipvlab.errors import KernelRefusal
from ipvlab.spec.model import HostSpec, InterfaceSpec, NodeSpec, RouterSpec
from ipvlab.spec.values import Flag, Interface, Mode, NodeKind, Subnet

Execute = Callable[[str, Sequence[str]], CommandResult]


@dataclasses.dataclass(slots=True)
class RecordedLink:
    """A link as the dry run knows it."""

    name: str
    #: ``wire``, ``vlan``, ``isolated`` or ``endpoint``, as on a live link.
    kind: str = "wire"
    addresses: list[Interface] = dataclasses.field(default_factory=list)
    is_up: bool = True
    mtu: int = 1500
    mac: str | None = None
    wire: str | None = None
    below: str | None = None
    vlan: int | None = None
    #: For an endpoint.
    mode: Mode | None = None
    flag: Flag | None = None
    network: str | None = None


@dataclasses.dataclass(slots=True)
class RecordedNode:
    """A host, router or container as the dry run knows it."""

    name: str
    kind: NodeKind
    links: dict[str, RecordedLink] = dataclasses.field(default_factory=dict)
    host: str | None = None
    hostname: str = ""
    routes: list[RoutePlan] = dataclasses.field(default_factory=list)
    #: Paths below /proc/sys/net/ and values.
    sysctls: dict[str, str] = dataclasses.field(default_factory=dict)


class RecordedLab:
    """All nodes of a dry run, and every container that ever was."""

    def __init__(self, container_name: Callable[[str, str], str]) -> None:
        self.nodes: dict[str, RecordedNode] = {}
        #: Every (host, container) that was started, those removed since included.
        self.containers: set[tuple[str, str]] = set()
        self.container_name = container_name

    def add_topology(self, hosts: Mapping[str, HostSpec], routers: Mapping[str, RouterSpec]) -> None:
        """Record hosts and routers with their interfaces and routes."""
        for name, host in hosts.items():
            self._add_node(name, "host", host)
        for name, router in routers.items():
            self._add_node(name, "router", router)

    def _add_node(self, name: str, kind: NodeKind, spec: NodeSpec) -> None:
        node = RecordedNode(name, kind, hostname=name)
        for interface, plug in spec.interfaces.items():
            node.links[interface] = _record_interface(node, interface, plug)
        for route in spec.routes:
            to = route.to
            version = route.via.version if route.via is not None else 4
            if not isinstance(to, str):
                version = to.version
            node.routes.append(RoutePlan(to, route.via, route.dev or "", version))
        self.nodes[name] = node

    def host_port(self, host: str, execute: Execute) -> RecordPort:
        """What the host's engine acts on."""
        return RecordPort(self, host, execute)


def _record_interface(node: RecordedNode, name: str, spec: InterfaceSpec) -> RecordedLink:
    below = node.links.get(spec.parent) if spec.parent is not None else None
    return RecordedLink(
        name,
        kind="wire" if spec.wire is not None else "vlan",
        addresses=list(spec.addresses),
        mtu=spec.mtu or (below.mtu if below is not None else 1500),
        mac=spec.mac,
        wire=spec.wire,
        below=spec.parent,
        vlan=spec.vlan,
    )


class RecordPort:
    """One host of a :class:`RecordedLab`, as its driver uses it (a ``HostPort``)."""

    def __init__(self, lab: RecordedLab, host: str, execute: Execute) -> None:
        self._lab = lab
        self._host = host
        self._execute = execute

    @property
    def _links(self) -> dict[str, RecordedLink]:
        return self._lab.nodes[self._host].links

    def _container(self, name: str) -> RecordedNode:
        return self._lab.nodes[self._lab.container_name(self._host, name)]

    def has_link(self, name: str) -> bool:
        """Whether the host has a link of that name."""
        return name == "lo" or name in self._links

    def is_up(self, name: str) -> bool:
        """Whether that link is administratively up."""
        return name == "lo" or self._links[name].is_up

    def on_link_subnets(self) -> Sequence[Subnet]:
        """The subnets of the host's addresses, and what it reaches without a gateway."""
        subnets = [address.network for link in self._links.values() for address in link.addresses]
        routes = self._lab.nodes[self._host].routes
        return subnets + [route.to for route in routes if route.via is None and route.to != "default"]

    def add_vlan(self, name: str, base: str, vlan: int) -> None:
        """Record an 802.1Q link; raises :class:`KernelRefusal` where the kernel would."""
        record_vlan(self._lab.nodes[self._host], name, base, vlan, is_up=True)

    def add_isolated(self, name: str) -> None:
        """Record a parent that leads nowhere."""
        self._links[name] = RecordedLink(name, kind="isolated")

    def remove_link(self, name: str) -> None:
        """Forget a link of the host, and the VLAN links and endpoints that go with it."""
        remove_recorded_link(self._lab, self._lab.nodes[self._host], name)

    def add_container(self, name: str, hostname: str) -> None:
        """Record a container without links."""
        key = self._lab.container_name(self._host, name)
        self._lab.nodes[key] = RecordedNode(key, "container", host=self._host, hostname=hostname)
        self._lab.containers.add((self._host, name))

    def remove_container(self, name: str) -> None:
        """Forget a container."""
        self._lab.nodes.pop(self._lab.container_name(self._host, name), None)

    def rename_container(self, name: str, new: str) -> None:
        """Record a container under another name."""
        node = self._container(name)
        node.name = self._lab.container_name(self._host, new)
        self._lab.nodes = {each.name: each for each in self._lab.nodes.values()}
        self._lab.containers.add((self._host, new))

    def set_sysctls(self, container: str, sysctls: Mapping[str, str]) -> None:
        """Record sysctls."""
        self._container(container).sysctls.update(sysctls)

    def change_routes(self, container: str, gone: Sequence[RoutePlan], new: Sequence[RoutePlan]) -> None:
        """Record that routes go and others come."""
        node = self._container(container)
        node.routes = [route for route in node.routes if route not in gone]
        node.routes.extend(new)

    def attach(self, container: str, endpoint: EndpointPlan) -> None:
        """Record an endpoint with its addresses and routes."""
        node = self._container(container)
        node.links[endpoint.interface] = RecordedLink(
            endpoint.interface,
            kind="endpoint",
            addresses=list(endpoint.addresses),
            mtu=self._links[endpoint.parent].mtu,
            below=endpoint.parent,
            mode=endpoint.mode,
            flag=endpoint.flag,
            network=endpoint.network,
        )
        node.routes.extend(endpoint.routes)
        node.sysctls.update(endpoint.sysctls)

    def detach(self, container: str, interface: str) -> None:
        """Forget an endpoint."""
        node = self._container(container)
        node.links.pop(interface, None)
        node.routes = [route for route in node.routes if route.dev != interface]

    def execute(self, container: str, argv: Sequence[str]) -> CommandResult:
        """Interpret a command in a container."""
        return self._execute(container, argv)


def record_vlan(node: RecordedNode, name: str, base: str, vlan: int, *, is_up: bool) -> None:
    """Record an 802.1Q link; raises :class:`KernelRefusal` for a name or a tag that is taken."""
    taken = any(link.below == base and link.vlan == vlan for link in node.links.values())
    if name in node.links or taken:
        raise KernelRefusal("File exists", errno=errno.EEXIST)
    below = node.links[base]
    node.links[name] = RecordedLink(
        name, kind="vlan", is_up=is_up, mtu=below.mtu, mac=below.mac, below=base, vlan=vlan
    )


def remove_recorded_link(lab: RecordedLab, node: RecordedNode, name: str) -> None:
    """Forget a link: VLAN links on it go with it, and so do the endpoints that it carries."""
    node.links.pop(name, None)
    node.routes = [route for route in node.routes if route.dev != name]
    for above in [link.name for link in node.links.values() if link.below == name]:
        remove_recorded_link(lab, node, above)
    for other in lab.nodes.values():
        if other.host == node.name:
            for endpoint in [link.name for link in other.links.values() if link.below == name]:
                other.links.pop(endpoint)
