"""The ``ip`` commands of the closed grammar, carried out on a live node.

Plain rtnetlink goes to the node's own socket; what belongs to the datapath
(sub-interfaces, who owns which address) goes through it. Results look like
iproute2's: exit code 1 and ``Cannot find device``, 2 and ``RTNETLINK answers``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Literal

from ipvlab.datapath.base import Datapath, Link
from ipvlab.driver.hand_links import DummyAdd, IpvlanAdd
from ipvlab.driver.ip_grammar import (
    AddressAdd,
    AddressDelete,
    AddressShow,
    IpCommand,
    IpvlanSet,
    LinkDelete,
    LinkSet,
    NeighbourFlush,
    RouteAdd,
    RouteDelete,
    RouteShow,
    VlanAdd,
)
from ipvlab.driver.port import CommandResult
from ipvlab.errors import KernelRefusal
from ipvlab.lab import tables
from ipvlab.lab.links import Pending, add_link_local, await_links, enable_ipv6, set_up
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.linux.link_state import LinkState
from ipvlab.rules.identifiers import derived_mac
from ipvlab.rules.stack import LEAST_MTU6
from ipvlab.spec.values import Interface

_LOOPBACK_INDEX = 1
_RTMGRP_IPV6_IFADDR = 0x100
#: Seconds without news after which an address counts as settled; detection takes a tenth of one.
DAD_PATIENCE = 5.0
_RTM_DELNEIGH = 29
_STATES_THAT_STAY = ("PERMANENT", "NONE")


class _NoDevice(Exception):
    """A device is named that the node does not have."""


def carry_out(node: Node, command: IpCommand, datapath: Datapath, host: Node) -> CommandResult:
    """Carry out a command that is not Docker's, and not ``ping``, on a node.

    ``host`` is the node itself for a host or router, and for a container the host
    that it runs on. What a kernel would refuse is a result with an exit code;
    nothing is raised for it. Raises ValueError for ``exit``, ``restart docker``
    and ``ping``, which are the session's and the prober's.
    """
    try:
        return CommandResult(0, stdout=_Hand(node, datapath, host).do(command))
    except _NoDevice as missing:
        return CommandResult(1, stderr=f"{missing}\n")
    except KernelRefusal as refusal:
        return CommandResult(2, stderr=_answer(refusal))


def _answer(refusal: KernelRefusal) -> str:
    """What iproute2 prints: the kernel's own sentence, else the errno's (libnetlink.c: rtnl_talk_error)."""
    if refusal.explanation:
        return f"Error: {refusal.explanation.rstrip('.')}.\n"
    return f"RTNETLINK answers: {os.strerror(refusal.errno)}\n"


def _refusal(number: int, explanation: str = "") -> KernelRefusal:
    return KernelRefusal(os.strerror(number), errno=number, explanation=explanation)


@contextlib.contextmanager
def _suppress(number: int) -> Iterator[None]:
    try:
        yield
    except KernelRefusal as refusal:
        if refusal.errno != number:
            raise


class _Hand:
    """Does commands on one node."""

    def __init__(self, node: Node, datapath: Datapath, host: Node) -> None:
        self._node = node
        self._datapath = datapath
        self._host = host

    def do(self, command: IpCommand) -> str:
        match command:
            case VlanAdd():
                self._add_vlan(command)
            case DummyAdd():
                self._add_dummy(command.name)
            case IpvlanAdd():
                self._add_ipvlan(command)
            case LinkSet():
                self._set(command)
            case LinkDelete():
                self._delete(command.device)
            case IpvlanSet():
                self._set_mode(command)
            case AddressAdd():
                self._add_address(command)
            case AddressDelete():
                self._delete_address(command)
            case RouteAdd() | RouteDelete():
                self._change_route(command)
            case NeighbourFlush():
                self._flush_neighbours(command)
            case AddressShow():
                return self._show_addresses(command)
            case RouteShow():
                version: Literal[4, 6] = 4 if command.version == 4 else 6
                return tables.format_routes(tables.view_routes(self._node.namespace, version))
            case _:
                raise ValueError(f"{command} is not an ip command")
        return ""

    def _link(self, name: str) -> Link:
        if name == "lo":
            return Link("lo", _LOOPBACK_INDEX, bytes(6), mtu=65536, kind="loopback")
        if name not in self._node.links:
            raise _NoDevice(f'Cannot find device "{name}"')
        return self._node.links[name]

    def _request(self, message: bytearray, what: str) -> None:
        self._node.namespace.netlink.request(message, what)

    def _add_vlan(self, command: VlanAdd) -> None:
        base = self._link(command.base)
        if command.name in self._node.links or command.name == "lo":
            raise _refusal(errno.EEXIST)
        if base.kind in ("loopback", "endpoint"):
            # vlan_dev.c: vlan_check_real_dev refuses NETIF_F_VLAN_CHALLENGED, which lo has; the
            # bpf datapath has no tags inside an endpoint.
            raise _refusal(errno.EOPNOTSUPP, "VLANs not supported on device")
        node = self._node
        link = self._datapath.add_vlan(node.namespace, command.name, base, command.vlan)
        node.links[command.name] = link
        enable_ipv6(node, link)

    def _add_dummy(self, name: str) -> None:
        node = self._node
        if name in node.links or name == "lo":
            raise _refusal(errno.EEXIST)
        mac = derived_mac("by hand", node.name, name)
        node.links[name] = self._datapath.add_isolated(node.namespace, name, mac)
        enable_ipv6(node, node.links[name])

    def _add_ipvlan(self, command: IpvlanAdd) -> None:
        """Add an endpoint without addresses, down; on an endpoint it is one more on the same parent."""
        node, base = self._node, self._link(command.base)
        if command.name in node.links or command.name == "lo":
            raise _refusal(errno.EEXIST)
        parent = self._host.links.get(base.below or "") if base.kind == "endpoint" else base
        if parent is None or base.kind == "loopback" or (parent is base and node is not self._host):
            raise _refusal(errno.EINVAL)
        mode, flag = command.mode, command.flag
        host = self._host.namespace
        link = self._datapath.add_endpoint(host, parent, node.namespace, command.name, mode, flag, ())
        node.links[command.name] = link
        self._set_down(link)

    def _set(self, command: LinkSet) -> None:
        link = self._link(command.device)
        if command.mac is not None:
            self._set_mac(link, bytes.fromhex(command.mac.replace(":", "")))
        if command.mtu is not None:
            self._set_mtu(link, command.mtu)
        if command.is_up is not None:
            self._set_flag_up(link) if command.is_up else self._set_down(link)

    def _set_mac(self, link: Link, mac: bytes) -> None:
        if link.kind == "endpoint":
            # An ipvlan has no MAC of its own to set (ipvlan_main.c: no ndo_set_mac_address).
            raise _refusal(errno.EOPNOTSUPP)
        old = link.mac
        self._request(messages.set_link(link.index, [("IFLA_ADDRESS", mac.hex(":"))]), "set a MAC")
        link.mac = mac
        # Made afresh from the new MAC when the link is next set up.
        link.link_local = None
        for above in self._sub_interfaces(link):
            # vlan.c: vlan_sync_address, where the address was inherited.
            if above.mac == old:
                self._set_mac(above, mac)

    def _set_mtu(self, link: Link, mtu: int) -> None:
        below = self._node.links.get(link.below or "")
        if link.kind == "vlan" and below is not None and mtu > below.mtu:
            raise _refusal(errno.ERANGE)  # vlan_dev.c: vlan_dev_change_mtu
        self._request(messages.set_link(link.index, [("IFLA_MTU", mtu)]), "set an MTU")
        old, link.mtu = link.mtu, mtu
        if mtu < LEAST_MTU6:
            # IPv6 leaves the link, and its addresses with it (addrconf.c: NETDEV_CHANGEMTU).
            link.link_local = None
            self._settle(link)
        elif old < LEAST_MTU6 and link.kind != "endpoint":
            enable_ipv6(self._node, link)
            if link.is_up:
                add_link_local(self._node, link, self._datapath)
        for above in self._sub_interfaces(link):
            if above.mtu > mtu:  # vlan.c: NETDEV_CHANGEMTU
                self._set_mtu(above, mtu)

    def _set_flag_up(self, link: Link) -> None:
        below = self._node.links.get(link.below or "")
        if link.kind == "vlan" and below is not None and not below.is_up:
            raise _refusal(errno.ENETDOWN)  # vlan_dev.c: vlan_dev_open
        if link.kind == "endpoint" and link.mtu < LEAST_MTU6:
            # Its parent's MTU, which it has got without a word, counts for IPv6 from now on
            # (addrconf.c: NETDEV_UP).
            self._set_mtu(link, link.mtu)
        was_up = link.is_up and link.kind != "loopback"
        set_up(self._node, link)
        if was_up or link.kind == "loopback":
            return
        if link.link_local is not None:
            self._give(link, link.link_local, does_dad=False)
        elif link.kind != "endpoint" and not _has_link_local(link):
            add_link_local(self._node, link, self._datapath)
        self._await_carrier(link)
        for above in self._sub_interfaces(link):
            self._set_flag_up(above)  # vlan.c: NETDEV_UP sets all of a device's VLANs up

    def _await_carrier(self, link: Link) -> None:
        views = {view.index: view for view in tables.view_links(self._node.namespace)}
        if views[link.index].has_carrier:
            await_links([Pending(self._node.namespace, link.index)])

    def _set_down(self, link: Link) -> None:
        for above in self._sub_interfaces(link):
            if above.is_up:
                self._set_down(above)  # vlan.c: NETDEV_DOWN
        self._request(messages.set_flags(link.index, 0, messages.IFF_UP), "set a link down")
        link.is_up = False
        # A link that goes down loses its IPv6 addresses (addrconf.c: addrconf_ifdown).
        for address in [held for held in link.addresses if held.version == 6]:
            if address.ip.is_link_local:
                link.link_local = address
            self._forget(link, address)

    def _set_mode(self, command: IpvlanSet) -> None:
        link = self._link(command.device)
        if link.kind != "endpoint":
            raise _refusal(errno.EOPNOTSUPP)
        parent = self._host.links[link.below or ""]
        self._datapath.set_mode(self._host.namespace, parent, command.mode, command.flag)

    def _delete(self, name: str) -> None:
        link = self._link(name)
        node = self._node
        if link.kind == "endpoint":
            parent = self._host.links[link.below or ""]
            self._datapath.remove_endpoint(self._host.namespace, parent, node.namespace, link)
        elif link.kind in ("vlan", "isolated"):
            for above in self._sub_interfaces(link):
                self._delete(above.name)
            self._datapath.remove_link(node.namespace, link)
        else:
            # A network card cannot be deleted (rtnetlink.c: rtnl_delete_link, no dellink).
            raise _refusal(errno.EOPNOTSUPP)
        del node.links[name]

    def _sub_interfaces(self, link: Link) -> list[Link]:
        return [one for one in self._node.links.values() if one.kind == "vlan" and one.below == link.name]

    def _add_address(self, command: AddressAdd) -> None:
        link, address = self._link(command.device), command.address
        if _holds(link, address):
            raise _refusal(errno.EEXIST)
        with self._node.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as news:
            news.bind((0, _RTMGRP_IPV6_IFADDR))
            self._give(link, address, does_dad=True)
            self._await_dad(link, address, news)

    def _await_dad(self, link: Link, address: Interface, news: socket.socket) -> None:
        """Return when duplicate address detection is over, as it is before a person types the next line.

        On a link that carries nothing it does not begin (addrconf.c: addrconf_dad_begin).
        """
        state = LinkState.read(self._node.namespace, link.index)
        if address.version == 4 or state is None or not (state.is_up and state.has_carrier):
            return
        while any(
            view.index == link.index and view.address == address and view.is_tentative
            for view in tables.view_addresses(self._node.namespace)
        ):
            if not select.select([news], [], [], DAD_PATIENCE)[0]:
                return
            news.recv(1 << 16)

    def _give(self, link: Link, address: Interface, *, does_dad: bool) -> None:
        """Give a link an address, the datapath first, so that the first packet finds it known."""
        try:
            self._datapath.learn_address(self._host.namespace, link, address)
        except KernelRefusal as refusal:
            # ipvlan_main.c: ipvlan_addr4_validator_event says so in these words.
            words = "Address already assigned to an ipvlan device"
            raise _refusal(refusal.errno, words if refusal.errno == errno.EADDRINUSE else "") from refusal
        try:
            self._request(messages.change_address(link.index, address, does_dad=does_dad), "add an address")
        except KernelRefusal:
            self._datapath.forget_address(self._host.namespace, link, address)
            raise
        link.addresses.append(address)

    def _delete_address(self, command: AddressDelete) -> None:
        link, address = self._link(command.device), command.address
        self._request(messages.change_address(link.index, address, is_new=False), "delete an address")
        if link.kind == "loopback":
            self._datapath.forget_address(self._host.namespace, link, address)
        self._settle(link)

    def _settle(self, link: Link) -> None:
        """Make a link's record what the kernel holds: a primary address takes its secondaries along."""
        held = {
            view.address for view in tables.view_addresses(self._node.namespace) if view.index == link.index
        }
        for address in [one for one in link.addresses if one not in held]:
            self._forget(link, address)

    def _forget(self, link: Link, address: Interface) -> None:
        link.addresses.remove(address)
        if not any(held.ip == address.ip for held in link.addresses):
            self._datapath.forget_address(self._host.namespace, link, address)

    def _change_route(self, command: RouteAdd | RouteDelete) -> None:
        index = None if command.device is None else self._link(command.device).index
        to = None if command.to == "default" else command.to
        is_new = isinstance(command, RouteAdd)
        message = messages.change_route(command.version, to, command.via, index, is_new=is_new)
        self._request(message, "change a route")

    def _flush_neighbours(self, command: NeighbourFlush) -> None:
        only = None if command.device is None else self._link(command.device)
        for message in self._neighbour_deletions(only, command.version):
            with _suppress(errno.ENOENT):  # it went by itself in between
                self._request(message, "delete a neighbour")

    def _neighbour_deletions(self, only: Link | None, version: int | None) -> Iterator[bytearray]:
        indexes = {link.name: link.index for link in self._node.links.values()}
        for neighbour in tables.read_neighbours(self._node.namespace):
            if neighbour.state in _STATES_THAT_STAY or version not in (None, neighbour.address.version):
                continue
            if neighbour.dev not in indexes or (only is not None and neighbour.dev != only.name):
                continue
            family = socket.AF_INET if neighbour.address.version == 4 else socket.AF_INET6
            yield _delete_neighbour(family, indexes[neighbour.dev], neighbour.address.packed)

    def _show_addresses(self, command: AddressShow) -> str:
        """Only the node's own links: what a datapath needs beside them is not a machine's to see."""
        if command.device is not None and command.device != "lo" and command.device not in self._node.links:
            raise _NoDevice(f'Device "{command.device}" does not exist.')
        wanted: Sequence[str] = [command.device] if command.device is not None else ["lo", *self._node.links]
        links = [link for link in tables.view_links(self._node.namespace) if link.name in wanted]
        return tables.format_addresses(links, tables.view_addresses(self._node.namespace), command.version)


def _has_link_local(link: Link) -> bool:
    return any(held.version == 6 and held.ip.is_link_local for held in link.addresses)


def _holds(link: Link, address: Interface) -> bool:
    """Whether adding finds the address there (devinet.c: __inet_insert_ifa, addrconf.c: inet6_addr_add)."""
    if address.version == 6:
        return any(held.ip == address.ip for held in link.addresses)
    return address in link.addresses


def _delete_neighbour(family: int, index: int, address: bytes) -> bytearray:
    body = struct.pack("=BxHiHBB", family, 0, index, 0, 0, 0)
    body += struct.pack("=HH", 4 + len(address), 1) + address
    header = struct.pack("=IHHII", 16 + len(body), _RTM_DELNEIGH, messages.ASK, 0, 0)
    return bytearray(header + body)
