"""A lab that exists now: its wires, hosts, routers and containers, from birth to end.

Everything is held by file descriptors of this process, so that its end, however
it comes, is the end of the lab.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from ipvlab.datapath.base import Datapath, Link
from ipvlab.driver.port import CommandResult
from ipvlab.errors import LabError
from ipvlab.lab import firewall
from ipvlab.lab.adopting import note_links, open_namespace
from ipvlab.lab.announcer import Announcer
from ipvlab.lab.host import LiveHost
from ipvlab.lab.links import (
    Pending,
    add_address,
    add_link_local,
    add_route,
    await_links,
    enable_ipv6,
    set_up,
)
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.lab.resolver import Lookup, Resolver
from ipvlab.lab.sysctls import deviations, sysctls
from ipvlab.lab.wires import Plug, Wire, build_pair, build_switch, needs_switch, plug_in
from ipvlab.linux import messages
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netlink import Netlink
from ipvlab.rules.identifiers import derived_mac
from ipvlab.spec.model import HostSpec, InterfaceSpec, NodeSpec, RouterSpec
from ipvlab.spec.model import Wire as WireSpec
from ipvlab.spec.values import NodeKind

LOOPBACK_INDEX = 1


def bare_name(_host: str, container: str) -> str:
    """A container's name in a lab where names of containers are unique."""
    return container


class LiveLab:
    """The nodes and wires of one lab, on one datapath.

    Raises :class:`ipvlab.errors.LabError` (or ``EnvironmentUnfit``) when the
    machine refuses a step; the caller then closes the lab, which leaves nothing.
    """

    def __init__(
        self, name: str, datapath: Datapath, container_name: Callable[[str, str], str] = bare_name
    ) -> None:
        self.name = name
        self.datapath = datapath
        self.nodes: dict[str, Node] = {}
        self.wires: dict[str, Wire] = {}
        self._container_name = container_name
        self._switches: list[Namespace] = []
        self._resolver = Resolver()
        self._lookups: dict[str, Lookup] = {}
        #: Held around decisions and the kernel's work, never while a program is waited for.
        self.lock = threading.RLock()
        self.announcer = Announcer(self.lock)
        #: Links that were set up and have not been seen to be up.
        self.pending: list[Pending] = []
        #: Gives the fd of a namespace that a host is to have, and that outlives the lab; None for a new one.
        self.lend_host: Callable[[str], int | None] = lambda _: None

    @property
    def taps(self) -> list[WireTap]:
        """Where captures listen, one place for each wire."""
        return [wire.tap for wire in self.wires.values()]

    def add_topology(
        self,
        wires: Mapping[str, WireSpec],
        hosts: Mapping[str, HostSpec],
        routers: Mapping[str, RouterSpec],
    ) -> None:
        """Build hosts, routers and the wires between them, all at once.

        Namespaces come first, then wires with both ends in place, then every
        node's links, addresses, routes and firewall, in file order.
        """
        specs: dict[str, tuple[NodeKind, HostSpec | RouterSpec]] = {}
        for name, host in hosts.items():
            specs[name] = ("host", host)
        for name, router in routers.items():
            specs[name] = ("router", router)
        for name, (kind, spec) in specs.items():
            table = sysctls(kind, forwarding=spec.forwarding)
            lent = self.lend_host(name) if kind == "host" else None
            if lent is None:
                [namespace] = self._add_namespaces([name], table)
            else:
                namespace = open_namespace(name, lent)
                namespace.write_sysctls(table)
            self.nodes[name] = Node(name, kind, namespace, hostname=name)
        plugs = [
            Plug(
                self.nodes[name],
                interface,
                link,
                self._given_mac(link) or derived_mac(self.name, name, interface),
            )
            for name, (_, spec) in specs.items()
            for interface, link in spec.interfaces.items()
            if link.wire is not None
        ]
        self._plug_in_all(wires, plugs)
        for name, (_, spec) in specs.items():
            self._dress(self.nodes[name], spec)
        for name, (_, spec) in specs.items():
            self._route(self.nodes[name], spec)
            firewall.install(self.nodes[name].namespace, spec.firewall)

    @staticmethod
    def _given_mac(interface: InterfaceSpec) -> bytes | None:
        return bytes.fromhex(interface.mac.replace(":", "")) if interface.mac else None

    def _add_namespaces(self, names: Sequence[str], table: Mapping[str, str]) -> list[Namespace]:
        made = THREAD.create_network(len(names), deviations(table))
        namespaces = [
            Namespace(name, fd, Netlink(sock, name)) for name, (fd, sock) in zip(names, made, strict=True)
        ]
        for namespace in namespaces:
            namespace.netlink.request(
                messages.set_flags(LOOPBACK_INDEX, messages.IFF_UP, messages.IFF_UP), "set link lo up"
            )
        return namespaces

    def _plug_in_all(self, wires: Iterable[str], plugs: Sequence[Plug]) -> None:
        """Build wires as their first ends come up, so that a node's interfaces are made in file order.

        The kernel goes through links in the order of their making when it looks
        for a source address (net/ipv4/devinet.c: inet_select_addr). Only the far
        end of a bare pair comes earlier than it is written.
        """
        ends: dict[str, list[Plug]] = {wire: [] for wire in wires}
        for plug in plugs:
            ends.setdefault(str(plug.spec.wire), []).append(plug)
        paired: set[str] = set()
        for plug in plugs:
            name = str(plug.spec.wire)
            if name in paired:
                continue
            if name not in self.wires:
                if not needs_switch(ends[name]):
                    self.wires[name] = build_pair(name, ends[name], self.datapath, self.pending)
                    paired.add(name)
                    continue
                [switch] = self._add_namespaces([f"wire {name}"], sysctls("switch"))
                self._switches.append(switch)
                self.wires[name] = build_switch(self.name, name, switch, self.datapath)
            plug_in(self.wires[name], plug, self.datapath, self.pending)

    def _dress(self, node: Node, spec: NodeSpec) -> None:
        """Set a node's links up in file order, sub-interfaces after the links below them."""
        for name, interface in spec.interfaces.items():
            if interface.parent is not None and interface.vlan is not None:
                base = node.links[interface.parent]
                mac = self._given_mac(interface)
                node.links[name] = self.datapath.add_vlan(node.namespace, name, base, interface.vlan, mac)
                if interface.mtu is not None:
                    self._set_mtu(node, node.links[name], interface.mtu)
            # Wires are built wire by wire; whoever aims at a node wants its links as they are written.
            link = node.links[name] = node.links.pop(name)
            enable_ipv6(node, link)
            set_up(node, link)
            add_link_local(node, link, self.datapath)
            for address in interface.addresses:
                add_address(node, link, address, self.datapath, node.namespace)

    @staticmethod
    def _set_mtu(node: Node, link: Link, mtu: int) -> None:
        """Give a sub-interface an MTU other than its parent's."""
        link.mtu = mtu
        message = messages.set_link(link.index, [("IFLA_MTU", mtu)])
        node.namespace.netlink.request(message, f"set the MTU of {link.name}")

    def _route(self, node: Node, spec: NodeSpec) -> None:
        for route in spec.routes:
            if route.to == "default":
                version = route.via.version if route.via is not None else 4
                add_route(node, version, None, route.via, route.dev)
            else:
                add_route(node, route.to.version, route.to, route.via, route.dev)

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> LiveHost:
        """What the driver of a host works on; ``execute`` interprets a command in a container."""
        return LiveHost(self, self.nodes[host], execute)

    def start_resolver(self, host: str, lookup: Lookup) -> None:
        """Serve names at 127.0.0.11 in every container of a host, those to come included."""
        self._lookups[host] = lookup

    def add_container(self, host: str, name: str, hostname: str) -> Node:
        """Make a container's namespace, with nothing but ``lo`` and the resolver in it."""
        unique = self._container_name(host, name)
        if unique in self.nodes:
            raise LabError(f'the lab has a node called "{unique}" already')
        [namespace] = self._add_namespaces([unique], sysctls("container"))
        node = Node(unique, "container", namespace, host=host, hostname=hostname)
        self.nodes[unique] = node
        try:
            self._serve_names(host, name, node)
        except BaseException:
            del self.nodes[unique]
            namespace.close()
            raise
        return node

    def adopt_container(self, host: str, name: str, hostname: str, fd: int) -> Node:
        """Take in a container that somebody else made on a host; ``fd``, its namespace, is the lab's now."""
        unique = self._container_name(host, name)
        if unique in self.nodes:
            os.close(fd)
            raise LabError(f'the lab has a node called "{unique}" already')
        node = Node(unique, "container", open_namespace(unique, fd), host=host, hostname=hostname)
        note_links(node, self.nodes[host])
        self.nodes[unique] = node
        return node

    def _serve_names(self, host: str, name: str, node: Node) -> None:
        """Answer a container's queries, as the one that the driver calls ``name``."""
        lookup = self._lookups.get(host)
        if lookup is not None:
            # The resolver's clients are told apart by their unique names, the driver's by their own.
            self._resolver.add(
                node.name,
                node.namespace,
                lambda _, question, kind: lookup(name, question, kind),
                self.nodes[host].namespace,
            )

    def container(self, host: str, name: str) -> Node:
        """The node of a host's container."""
        return self.nodes[self._container_name(host, name)]

    def rename_container(self, host: str, name: str, new: str) -> None:
        """Let a container be known by another name; the driver has seen that it is free on the host."""
        node = self.container(host, name)
        unique = self._container_name(host, new)
        if unique in self.nodes:
            raise LabError(f'the lab has a node called "{unique}" already')
        self._resolver.remove(node.name)
        node.name = unique
        nodes = {each.name: each for each in self.nodes.values()}
        # In place and in order: probers hold this very dict.
        self.nodes.clear()
        self.nodes.update(nodes)
        self._serve_names(host, new, node)

    def remove_container(self, host: str, name: str) -> None:
        """Drop a container's namespace; its links go with it."""
        node = self.nodes.pop(self._container_name(host, name))
        parents = self.nodes[host]
        self._resolver.remove(node.name)
        for link in node.links.values():
            if link.kind == "endpoint" and link.below in parents.links:
                parent = parents.links[link.below]
                self.datapath.remove_endpoint(
                    parents.namespace, parent, node.namespace, link, goes_with_container=True
                )
        self.pending = [link for link in self.pending if not link.concerns(node.namespace)]
        self.announcer.forget_gone()
        node.namespace.close()

    def follow(self) -> None:
        """Let the datapath take note of what was done to parents and to the hosts' netfilter."""
        self.pending += [Pending(*end) for end in self.datapath.follow()]

    def drop_orphans(self, host: Node) -> None:
        """Forget the endpoints of a host's containers that went with a deleted parent."""
        for node in self.nodes.values():
            if node.host != host.name:
                continue
            for name, link in list(node.links.items()):
                if link.kind == "endpoint" and link.below not in host.links:
                    del node.links[name]

    def await_ready(self) -> None:
        """Return once every link that was set up carries frames; raises ``NotReady`` otherwise."""
        self.follow()
        pending, self.pending = self.pending, []
        await_links(pending)

    def close(self) -> None:
        """End the lab: processes, sockets, namespaces and programs; safe to call twice."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.datapath.close)
            stack.callback(self._close_namespaces, [node.namespace for node in self.nodes.values()])
            stack.callback(self._close_namespaces, self._switches)
            stack.callback(self._resolver.close)
            stack.callback(self.announcer.close)
        self.nodes, self.wires, self._switches, self.pending = {}, {}, [], []

    @staticmethod
    def _close_namespaces(namespaces: Iterable[Namespace]) -> None:
        with contextlib.ExitStack() as stack:
            for namespace in namespaces:
                stack.callback(namespace.close)
