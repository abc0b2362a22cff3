"""Waiting until IPv6 addresses are usable: an event, not a time.

An IPv6 address takes effect on a work queue even when it skips DAD: the kernel
joins its solicited-node group and adds its local route in addrconf_dad_work,
some time after the request that added the address has been answered. A probe
sent in between finds nobody, which is true and means nothing. So before a batch
every address that will be usable is waited for, by the kernel's own news of
addresses and routes.

An address that stays unusable (a duplicate, or its link is down or without
carrier) is not waited for: that is the state of the lab, and probes show it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable

from ipvlab.probe.neighbours import NLM_F_DUMP, RTA_DST, RTM_GETROUTE, RTM_NEWROUTE, attributes
from ipvlab.probe.posts import Post

RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
IFA_ADDRESS, IFA_FLAGS = 1, 8
IFA_F_OPTIMISTIC, IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x04, 0x08, 0x40
RTN_LOCAL = 2
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
RTMGRP_LINK, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE = 0x1, 0x100, 0x400
#: DAD takes one to two seconds (RFC 4862); more than this many means that no news will come.
PATIENCE = 6.0

_IFADDRMSG = struct.Struct("=BBBBI")
_RTMSG_SIZE, _IFINFOMSG_SIZE = 12, 16


def await_addresses(posts: Iterable[Post]) -> str:
    """Return once the nodes' IPv6 addresses are usable: an empty text, or which one is not.

    Reads two tables of each node, and waits for news only where something is
    pending. The text names an address whose news did not come in time; the
    silences of the batch are then not proved.
    """
    pending = [post for post in posts if pending_addresses(post)]
    if not pending:
        return ""
    deadline = time.monotonic() + PATIENCE
    groups = RTMGRP_LINK | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE
    with contextlib.ExitStack() as stack:
        news: dict[Post, socket.socket] = {}
        for post in pending:
            news[post] = stack.enter_context(
                post.node.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            )
            news[post].bind((0, groups))
        # Looked at again once the news is subscribed to: what happened before is seen here.
        while pending := [post for post in pending if pending_addresses(post)]:
            sockets = [news[post] for post in pending]
            heard, _, _ = select.select(sockets, [], [], max(0.0, deadline - time.monotonic()))
            if not heard:
                return f"{pending[0].node.name}: {pending_addresses(pending[0])[0]} is not usable yet"
            for sock in heard:
                # ENOBUFS says that news was lost; the tables are read again in any case.
                with contextlib.suppress(OSError):
                    sock.recv(1 << 16)
    return ""


def pending_addresses(post: Post) -> list[str]:
    """A node's IPv6 addresses that are about to become usable and are not yet."""
    table = post.neighbours
    held: list[tuple[int, bytes, int]] = []
    for kind, body in table.exchange(RTM_GETADDR, NLM_F_DUMP, _IFADDRMSG.pack(socket.AF_INET6, 0, 0, 0, 0)):
        if kind != RTM_NEWADDR:
            continue
        _family, _length, flags, _scope, index = _IFADDRMSG.unpack_from(body)
        holds = attributes(body, _IFADDRMSG.size)
        if IFA_FLAGS in holds:
            (flags,) = struct.unpack("=I", holds[IFA_FLAGS])
        if not flags & IFA_F_DADFAILED and IFA_ADDRESS in holds:
            held.append((index, holds[IFA_ADDRESS], flags))
    if not held:
        return []
    local: Counter[bytes] = Counter()
    request = bytes([socket.AF_INET6]) + bytes(_RTMSG_SIZE - 1)
    for kind, body in table.exchange(RTM_GETROUTE, NLM_F_DUMP, request):
        if kind == RTM_NEWROUTE and body[7] == RTN_LOCAL:
            local[attributes(body, _RTMSG_SIZE).get(RTA_DST, b"")] += 1
    needed = Counter(address for _index, address, _flags in held)
    late = [
        (index, address)
        for index, address, flags in held
        if (flags & IFA_F_TENTATIVE and not flags & IFA_F_OPTIMISTIC) or local[address] < needed[address]
    ]
    if not late:
        return []
    carrying = _carrying_links(post)
    return [str(ipaddress.IPv6Address(address)) for index, address in late if index in carrying]


def _carrying_links(post: Post) -> set[int]:
    """The indexes of the links that are up and have a carrier."""
    found = set()
    request = bytes(_IFINFOMSG_SIZE)
    for kind, body in post.neighbours.exchange(RTM_GETLINK, NLM_F_DUMP, request):
        if kind == RTM_NEWLINK:
            index, flags = struct.unpack_from("=iI", body, 4)
            if flags & IFF_UP and flags & IFF_LOWER_UP:
                found.add(index)
    return found
