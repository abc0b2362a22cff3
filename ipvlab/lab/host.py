"""A live host as its Docker driver sees it: the driver decides, this obeys."""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ipvlab.datapath.base import Link
from ipvlab.driver.port import Announcement, CommandResult, EndpointPlan, RoutePlan
from ipvlab.driver.resolv_conf import ResolvConf
from ipvlab.errors import KernelRefusal
from ipvlab.lab.links import Pending, add_link_local, add_route, enable_ipv6, set_up
from ipvlab.lab.nodes import Node
from ipvlab.lab.notice import take_note
from ipvlab.lab.sysctls import write_all
from ipvlab.lab.tables import view_routes
from ipvlab.linux import messages
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
        """The subnets of the host's addresses, what it reaches without a gateway, and its nameservers."""
        subnets = [address.network for address in self._node.addresses()]
        routes = view_routes(self._node.namespace, 4)
        subnets += [route.to for route in routes if route.via is None and route.to != "default"]
        if self._node.sandbox is not None:
            conf = ResolvConf.parse(self._node.sandbox.read_file("resolv.conf"))
            subnets += [ipaddress.ip_network(address) for address in conf.nameservers]
        return subnets

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

    def rename_container(self, name: str, new: str) -> None:
        """Let a container be known by another name."""
        self._lab.rename_container(self._node.name, name, new)

    def set_sysctls(self, container: str, sysctls: Mapping[str, str]) -> None:
        """Set sysctls of a container; raises :class:`KernelRefusal` with ENOENT for an unknown one."""
        write_all(self._lab.container(self._node.name, container).namespace, sysctls)

    def change_routes(self, container: str, gone: Sequence[RoutePlan], new: Sequence[RoutePlan]) -> None:
        """Take routes out of a container, then put others in; a refusal leaves them as they were."""
        node = self._lab.container(self._node.name, container)
        with ExitStack() as undo:
            for route in gone:
                if _remove_route(node, route):
                    undo.callback(_add_route, node, route)
            for route in new:
                _add_route(node, route)
                undo.callback(_remove_route, node, route)
            undo.pop_all()

    def attach(self, container: str, endpoint: EndpointPlan) -> None:
        """Create an endpoint with its addresses, sysctls and routes; a refusal leaves nothing of it."""
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
        with ExitStack() as undo:
            undo.callback(self.detach, container, endpoint.interface)
            if endpoint.sysctls:
                write_all(node.namespace, dict(endpoint.sysctls))
                # IPv6 that is switched off takes the interface's addresses along.
                take_note(node, self._lab.datapath, self._node)
            for route in endpoint.routes:
                _add_route(node, route)
            undo.pop_all()
        ends = self._lab.datapath.ends(self._node.namespace, node.namespace, link)
        self._lab.pending += [Pending(*end) for end in ends]
        if endpoint.announcement is not None:
            self._announce(node, link, parent, endpoint.announcement)

    def _announce(self, node: Node, link: Link, parent: Link, announcement: Announcement) -> None:
        host = self._node

        def is_there() -> bool:
            is_attached = node.links.get(link.name) is link and host.links.get(parent.name) is parent
            return is_attached and link.has_arp and self._lab.nodes.get(node.name) is node

        ways = [parent, *([host.links[parent.below]] if parent.below in host.links else [])]
        self._lab.announcer.announce(
            announcement,
            node.namespace,
            link.index,
            link.mac,
            [Pending(host.namespace, way.index) for way in ways],
            is_there,
        )

    def detach(self, container: str, interface: str) -> None:
        """Delete an endpoint's sub-interface; one that a user or its parent's end took away is no fault."""
        node = self._lab.container(self._node.name, container)
        link = node.links.pop(interface, None)
        if link is not None and link.below is not None and link.below in self._node.links:
            parent = self._node.links[link.below]
            self._lab.datapath.remove_endpoint(self._node.namespace, parent, node.namespace, link)
        self._lab.announcer.forget_gone()

    def execute(self, container: str, argv: Sequence[str]) -> CommandResult:
        """Interpret a command of the closed grammar in a container."""
        return self._execute(container, argv)


def _add_route(node: Node, route: RoutePlan) -> None:
    if route.dev not in node.links:
        words = f"add route to {route.to} dev {route.dev} in {node.name}: No such device (ENODEV)"
        raise KernelRefusal(words, errno=errno.ENODEV)
    to = None if route.to == "default" else route.to
    add_route(node, route.version, to, route.via, route.dev)


def _remove_route(node: Node, route: RoutePlan) -> bool:
    """Whether the route was there: a user of the container may have deleted it, or its link."""
    if route.dev not in node.links:
        return False
    to = None if route.to == "default" else route.to
    message = messages.change_route(route.version, to, route.via, node.links[route.dev].index, is_new=False)
    try:
        node.namespace.netlink.request(message, f"delete route to {route.to} dev {route.dev}")
    except KernelRefusal as refusal:
        if refusal.errno == errno.ESRCH:
            return False
        raise
    return True
