"""A node's firewall: drop what probes send, at chosen netfilter hooks, by nf_tables over netlink.

One table ``ipvlab`` of family inet, with one chain for each hook. Its rules drop
ICMP and ICMPv6 echo (request and reply) and UDP; neighbour discovery is another
type of ICMPv6 and ARP never meets family inet, so both pass. What carries the
prober's control mark passes first: it proves that a listener behind the firewall
hears, and never leaves ``lo``.
"""

from __future__ import annotations

import errno as errno_names
import os
import socket
import struct

from ipvlab.errors import KernelRefusal
from ipvlab.lab.nodes import CONTROL_MARK
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netfilter import (
    DELETE_TABLE,
    HOOKS,
    NETLINK_NETFILTER,
    NEW_CHAIN,
    NEW_RULE,
    NEW_TABLE,
    NF_ACCEPT,
    NF_DROP,
    chain,
    commit,
    decide,
    equals,
    load_meta,
    load_payload,
    rule,
    text,
)
from ipvlab.spec.model import Firewall

TABLE = "ipvlab"
_META_MARK, _META_L4PROTO = 3, 16
_TRANSPORT_HEADER = 2

#: Protocol and, where it matters, type of what probes send: echo reply and request of ICMP
#: and ICMPv6, UDP.
_DROPPED = (
    (socket.IPPROTO_ICMP, 0),
    (socket.IPPROTO_ICMP, 8),
    (socket.IPPROTO_ICMPV6, 128),
    (socket.IPPROTO_ICMPV6, 129),
    (socket.IPPROTO_UDP, None),
)


def install(namespace: Namespace, firewall: Firewall) -> None:
    """Drop echo and UDP at the hooks that ``firewall`` names, instead of what was dropped before.

    Raises :class:`KernelRefusal` when the kernel has no nf_tables or refuses a
    rule; the hooks are then as they were, since a batch takes effect whole or not.
    """
    hooks = [name for name in HOOKS if getattr(firewall, name) == "drop"]
    if not hooks:
        return
    # Making the table before deleting it lets both cases be one batch: the kernel
    # has no "delete if there" before 6.3 (NFT_MSG_DESTROYTABLE).
    table = text(1, TABLE)
    requests = [(NEW_TABLE, table), (DELETE_TABLE, table), (NEW_TABLE, table)]
    for hook in hooks:
        requests.append((NEW_CHAIN, chain(TABLE, hook, HOOKS[hook])))
        requests.append((NEW_RULE, _control_rule(hook)))
        requests += [(NEW_RULE, _rule(hook, *dropped)) for dropped in _DROPPED]
    try:
        with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
            sock.bind((0, 0))
            commit(sock, requests)
    except OSError as error:
        number = error.errno or 0
        raise KernelRefusal(
            f"firewall ({', '.join(hooks)}) in {namespace.name}: {os.strerror(number)} "
            f"({errno_names.errorcode.get(number, number)})",
            errno=number,
            hint="a firewall needs a kernel with nf_tables: modprobe nf_tables, or leave `firewall` out",
        ) from error


def _rule(hook: str, protocol: int, kind: int | None) -> bytes:
    """``meta l4proto P [@th,0,8 TYPE] drop``."""
    expressions = [load_meta(_META_L4PROTO), equals(bytes([protocol]))]
    if kind is not None:
        expressions += [load_payload(_TRANSPORT_HEADER, 0, 1), equals(bytes([kind]))]
    return rule(TABLE, hook, [*expressions, decide(NF_DROP)])


def _control_rule(hook: str) -> bytes:
    """``meta mark M accept``; a mark is compared in the byte order of the machine."""
    mark = struct.pack("=I", CONTROL_MARK)
    return rule(TABLE, hook, [load_meta(_META_MARK), equals(mark), decide(NF_ACCEPT)])
