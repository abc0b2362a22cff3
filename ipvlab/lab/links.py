"""Setting a node's links up: IPv6 on them, their addresses and routes, and the proof that they are ready."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import select
import socket
import time
from collections.abc import Iterable

from ipvlab.datapath.base import Datapath, Link
from ipvlab.errors import NotReady
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.linux.link_settings import LINK_OF_A_HOST, for_link
from ipvlab.linux.link_state import LinkState
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.identifiers import eui64_link_local
from ipvlab.rules.stack import LEAST_MTU6
from ipvlab.spec.values import Address, Interface, Subnet

_RTMGRP_LINK = 1

#: How long a link may take to come up before the lab gives in, in seconds; it takes milliseconds.
PATIENCE = 10.0


def set_up(node: Node, link: Link) -> None:
    """Set a link up."""
    message = messages.set_flags(link.index, messages.IFF_UP, messages.IFF_UP)
    node.namespace.netlink.request(message, f"set link {link.name} up")
    link.is_up = True


def enable_ipv6(node: Node, link: Link) -> None:
    """Let a link of a host or router have IPv6; new links of a lab's hosts have none."""
    node.namespace.write_sysctls(for_link(link.name, LINK_OF_A_HOST))


def add_link_local(node: Node, link: Link, datapath: Datapath) -> None:
    """Give a link that is up its EUI-64 link-local address, usable at once (NODAD).

    A link with an MTU below 1280 has no IPv6 (net/ipv6/addrconf.c: ipv6_add_dev).
    """
    if machine_has_ipv6() and link.mtu >= LEAST_MTU6:
        add_address(node, link, eui64_link_local(link.mac), datapath, node.namespace)


@functools.cache
def machine_has_ipv6() -> bool:
    """Whether this machine's kernel has IPv6 at all (it can be built or booted without)."""
    return os.path.isdir("/proc/sys/net/ipv6/conf")


def add_address(node: Node, link: Link, address: Interface, datapath: Datapath, host: Namespace) -> None:
    """Add an address that skips DAD, and let the datapath know of it first."""
    datapath.learn_address(host, link, address)
    message = messages.change_address(link.index, address)
    node.namespace.netlink.request(message, f"add address {address} to {link.name}")
    link.addresses.append(address)


def add_route(node: Node, version: int, to: Subnet | None, via: Address | None, dev: str | None) -> None:
    """Add a route of the main table; ``to`` None is the default route."""
    index = node.links[dev].index if dev is not None else None
    words = (
        f"add route to {to or 'default'}" + (f" via {via}" if via else "") + (f" dev {dev}" if dev else "")
    )
    node.namespace.netlink.request(messages.change_route(version, to, via, index), words)


@dataclasses.dataclass(frozen=True, slots=True)
class Pending:
    """A link that was set up and may still be on its way; ``peer`` is the other end of its pair."""

    namespace: Namespace
    index: int
    peer: tuple[Namespace, int] | None = None
    is_switch_port: bool = False

    def concerns(self, namespace: Namespace) -> bool:
        """Whether either end of the pair lies in a namespace."""
        return self.namespace is namespace or (self.peer is not None and self.peer[0] is namespace)


def await_links(pending: Iterable[Pending]) -> None:
    """Return once every link carries frames and every switch port forwards them.

    A veth end that was up before its peer is activated by linkwatch, later and
    on a worker; until then its queue drops what is sent. Raises
    :class:`NotReady` when one does not come up.
    """
    waiting = [link for link in pending if not _is_ready(link)]
    if not waiting:
        return
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as stack:
        news = {}
        for link in waiting:
            if link.namespace.fd not in news:
                sock = link.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
                stack.callback(sock.close)
                sock.bind((0, _RTMGRP_LINK))
                news[link.namespace.fd] = sock
        # Looked at again once the news is subscribed to: what happened before is seen here.
        while waiting := [link for link in waiting if not _is_ready(link)]:
            sockets = [news[link.namespace.fd] for link in waiting]
            heard, _, _ = select.select(sockets, [], [], max(0.0, deadline - time.monotonic()))
            if not heard:
                names = ", ".join(f"link {link.index} of {link.namespace.name}" for link in waiting)
                raise NotReady(f"not up after {PATIENCE:.0f} s: {names}")
            for sock in heard:
                sock.recv(1 << 16)


def _is_ready(link: Pending) -> bool:
    state = LinkState.read(link.namespace, link.index)
    if state is None or not state.is_up:
        return True
    if link.peer is not None:
        peer = LinkState.read(*link.peer)
        if peer is None or not peer.is_up:
            return True
    return state.is_operational and (state.is_forwarding or not link.is_switch_port)
