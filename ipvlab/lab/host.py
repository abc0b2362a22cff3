"""A live host as its Docker driver sees it: the driver decides, this obeys."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ipvlab.datapath.base import Link
from ipvlab.driver.port import CommandResult, EndpointPlan
from ipvlab.errors import KernelRefusal
from ipvlab.lab.links import Pending, add_link_local, add_route, enable_ipv6, set_up
from ipvlab.lab.nodes import Node
from ipvlab.rules.identifiers import derived_mac
from ipvlab.spec.values import Subnet

if TYPE_CHECKING:
    from ipvlab.lab.live import LiveLab


class LiveHost:
    """One host's links, containers and processes (:class:`ipvlab.driver.port.HostPort`)."""

    def __init__(
        self, lab: LiveLab, node: Node, execute: Callable[[str, Sequence[str]], CommandResult]
    ) -> None:
        self._lab = lab
        self._node = node
        self._execute = execute

    def has_link(self, name: str) -> bool:
        """Whether the host has a link of that name."""
        return name == "lo" or name in self._node.links

    def is_up(self, name: str) -> bool:
        """Whether that link is administratively up."""
        return name == "lo" or self._node.links[name].is_up

    def on_link_subnets(self) -> Sequence[Subnet]:
        """The subnets of the host's own addresses."""
        return [address.network for address in self._node.addresses()]

    def add_vlan(self, name: str, base: str, vlan: int) -> None:
        """Create an 802.1Q sub-interface and set it up.

        Raises :class:`KernelRefusal` with ENETDOWN, and leaves nothing, when
        the base is down (net/8021q/vlan_dev.c: vlan_dev_open).
        """
        below = self._node.links[base]
        if not below.is_up:
            raise KernelRefusal(
                f"set link {name} up in {self._node.name}: Network is down (ENETDOWN)", errno=errno.ENETDOWN
            )
        self._set_up(self._lab.datapath.add_vlan(self._node.namespace, name, below, vlan))

    def add_isolated(self, name: str) -> None:
        """Create a parent that leads nowhere and set it up."""
        mac = derived_mac(self._lab.name, self._node.name, name)
        self._set_up(self._lab.datapath.add_isolated(self._node.namespace, name, mac))

    def _set_up(self, link: Link) -> None:
        self._node.links[link.name] = link
        enable_ipv6(self._node, link)
        set_up(self._node, link)
        add_link_local(self._node, link, self._lab.datapath)

    def remove_link(self, name: str) -> None:
        """Delete a sub-interface or isolated parent."""
        link = self._node.links.pop(name)
        self._lab.datapath.remove_link(self._node.namespace, link)

    def add_container(self, name: str, hostname: str) -> None:
        """Create a container's namespace."""
        self._lab.add_container(self._node.name, name, hostname)

    def remove_container(self, name: str) -> None:
        """Drop a container's namespace and everything in it."""
        self._lab.remove_container(self._node.name, name)

    def attach(self, container: str, endpoint: EndpointPlan) -> None:
        """Create an endpoint with its addresses and routes."""
        node = self._lab.container(self._node.name, container)
        parent = self._node.links[endpoint.parent]
        link = self._lab.datapath.add_endpoint(
            self._node.namespace,
            parent,
            node.namespace,
            endpoint.interface,
            endpoint.mode,
            endpoint.flag,
            endpoint.addresses,
        )
        node.links[endpoint.interface] = link
        ends = self._lab.datapath.ends(self._node.namespace, node.namespace, link)
        self._lab.pending += [Pending(*end) for end in ends]
        for route in endpoint.routes:
            to = None if route.to == "default" else route.to
            add_route(node, route.version, to, route.via, route.dev)

    def detach(self, container: str, interface: str) -> None:
        """Delete an endpoint's sub-interface."""
        node = self._lab.container(self._node.name, container)
        link = node.links.pop(interface)
        if link.below is not None and link.below in self._node.links:
            parent = self._node.links[link.below]
            self._lab.datapath.remove_endpoint(self._node.namespace, parent, node.namespace, link)

    def execute(self, container: str, argv: Sequence[str]) -> CommandResult:
        """Interpret a command of the closed grammar in a container."""
        return self._execute(container, argv)
