"""Namespaces and links that somebody else made, taken into a lab as they are.

A container of Docker Engine, Podman or a CNI runtime has a namespace like any
other; its links are read from the kernel, since nobody here made them.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

from ipvlab.datapath.base import Link
from ipvlab.errors import KernelRefusal
from ipvlab.lab import tables
from ipvlab.lab.firewall import TABLE
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netfilter import DELETE_TABLE, NETLINK_NETFILTER, NEW_TABLE, commit, text
from ipvlab.linux.netlink import Netlink, attributes

_RTM_GETLINK, _NLM_F_REQUEST, _NLM_F_DUMP = 18, 0x1, 0x300
_HEADER, _LINK_BODY = struct.Struct("=IHHII"), 16
_IFLA_IFNAME, _IFLA_LINK, _IFLA_LINKINFO, _INFO_KIND, _INFO_DATA = 3, 5, 18, 1, 2
_IFLA_VLAN_ID = _IFLA_IPVLAN_MODE = 1
_IPVLAN_MODE_L2 = 0
#: A link's kind in rtnetlink to its kind in a lab.
_KINDS = {"ipvlan": "endpoint", "vlan": "vlan", "dummy": "isolated"}


def open_namespace(name: str, fd: int) -> Namespace:
    """The network namespace behind ``fd``, which belongs to the result from now on; its ``lo`` is up."""
    try:
        sock = THREAD.call_in((fd,), lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
    except OSError:
        os.close(fd)
        raise
    namespace = Namespace(name, fd, Netlink(sock, name))
    namespace.netlink.request(messages.set_flags(1, messages.IFF_UP, messages.IFF_UP), "set link lo up")
    return namespace


def make_namespace() -> int:
    """A network namespace with nothing in it and the kernel's own settings; its fd is the caller's."""
    [(fd, netlink)] = THREAD.create_network(1, {})
    netlink.close()
    return fd


def note_links(node: Node, host: Node) -> None:
    """Make the record of a node's links what the kernel has: new ones are added, absent ones dropped.

    ``host`` is the node itself, or for a container the host that has its parents.
    Links that are known already keep their records and their order.
    """
    views = {view.name: view for view in tables.view_links(node.namespace) if view.name != "lo"}
    held = tables.read_addresses(node.namespace)
    parents = {link.index: link.name for link in host.links.values()}
    for name in [known for known in node.links if known not in views]:
        del node.links[name]
    for name, below, kind, settings in _read_kinds(node.namespace):
        view = views.get(name)
        known = node.links.get(name)
        if view is None or (known is not None and known.index == view.index):
            continue
        node.links[name] = Link(
            name,
            view.index,
            view.mac,
            view.mtu,
            addresses=list(held.get(name, [])),
            has_arp=kind != "ipvlan" or settings == _IPVLAN_MODE_L2,
            is_up=view.is_up,
            kind=_KINDS.get(kind, "wire"),
            below=parents.get(below),
            vlan=settings if kind == "vlan" else None,
        )
        if node is host:
            parents[view.index] = name


def clear(namespace: Namespace) -> None:
    """Take away what a lab left in a namespace that outlives it: its links and its firewall."""
    for view in tables.view_links(namespace):
        if view.name == "lo":
            continue
        try:
            namespace.netlink.request(messages.delete_link(view.index), f"delete link {view.name}")
        except KernelRefusal:
            # It went with another, or with the namespace of its other end.
            if view.index in {left.index for left in tables.view_links(namespace)}:
                raise
    table = text(1, TABLE)
    # Made first, so that there is one to delete (as in firewall.install).
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        commit(sock, [(NEW_TABLE, table), (DELETE_TABLE, table)])


def _read_kinds(namespace: Namespace) -> Iterator[tuple[str, int, str, int]]:
    """Name, index of the link below, kind, and the VLAN id or ipvlan mode of every link."""
    request = _HEADER.pack(_HEADER.size + _LINK_BODY, _RTM_GETLINK, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0)
    answer = namespace.netlink.dump(bytearray(request + bytes(_LINK_BODY)), "read links")
    offset = 0
    while offset < len(answer):
        (length,) = struct.unpack_from("=I", answer, offset)
        held = attributes(answer[offset + _HEADER.size : offset + length], _LINK_BODY)
        offset += (length + 3) & ~3
        info = attributes(held.get(_IFLA_LINKINFO, b""))
        settings = attributes(info.get(_INFO_DATA, b"")).get(_IFLA_VLAN_ID, b"\0\0")
        below = int.from_bytes(held.get(_IFLA_LINK, b"\0"), "little")
        kind = info.get(_INFO_KIND, b"").rstrip(b"\0").decode()
        # IFLA_VLAN_ID and IFLA_IPVLAN_MODE have the same number and the same width.
        yield held[_IFLA_IFNAME].rstrip(b"\0").decode(), below, kind, int.from_bytes(settings[:2], "little")
