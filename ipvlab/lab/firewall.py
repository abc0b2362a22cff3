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
from ipvlab.spec.model import Firewall

NETLINK_NETFILTER = 12
TABLE = "ipvlab"
#: nf_inet_hooks of linux/netfilter.h.
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}

_NFPROTO_UNSPEC, _NFPROTO_INET = 0, 1
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = (_SUBSYSTEM << 8 | kind for kind in (0, 2, 3, 6))
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE, _NLM_F_APPEND = 0x1, 0x4, 0x400, 0x800
_NLMSG_ERROR = 2
_NLA_F_NESTED = 0x8000
_META_MARK, _META_L4PROTO = 3, 16
_NF_DROP, _NF_ACCEPT = 0, 1
_TRANSPORT_HEADER = 2
_REGISTER = 1

#: Protocol and, where it matters, type of what probes send: echo reply and request of ICMP
#: and ICMPv6, UDP.
_DROPPED = (
    (socket.IPPROTO_ICMP, 0),
    (socket.IPPROTO_ICMP, 8),
    (socket.IPPROTO_ICMPV6, 128),
    (socket.IPPROTO_ICMPV6, 129),
    (socket.IPPROTO_UDP, None),
)

_HEADER = struct.Struct("=IHHII")


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
    table = _text(1, TABLE)
    messages = [(_NEW_TABLE, table), (_DELETE_TABLE, table), (_NEW_TABLE, table)]
    for hook in hooks:
        messages.append((_NEW_CHAIN, _chain(hook)))
        messages.append((_NEW_RULE, _control_rule(hook)))
        messages += [(_NEW_RULE, _rule(hook, *dropped)) for dropped in _DROPPED]
    try:
        with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
            sock.bind((0, 0))
            _commit(sock, messages)
    except OSError as error:
        number = error.errno or 0
        raise KernelRefusal(
            f"firewall ({', '.join(hooks)}) in {namespace.name}: {os.strerror(number)} "
            f"({errno_names.errorcode.get(number, number)})",
            errno=number,
            hint="a firewall needs a kernel with nf_tables: modprobe nf_tables, or leave `firewall` out",
        ) from error


def _commit(sock: socket.socket, messages: list[tuple[int, bytes]]) -> None:
    """Send one batch and read what became of it; raises OSError with the kernel's errno."""
    batch_header = struct.pack("!BBH", _NFPROTO_UNSPEC, 0, _SUBSYSTEM)
    table_header = struct.pack("!BBH", _NFPROTO_INET, 0, 0)
    batch = _message(_BATCH_BEGIN, _NLM_F_REQUEST, 0, batch_header)
    for sequence, (kind, attributes) in enumerate(messages, 1):
        flags = _NLM_F_REQUEST | _NLM_F_ACK
        if kind != _DELETE_TABLE:
            flags |= _NLM_F_CREATE | (_NLM_F_APPEND if kind == _NEW_RULE else 0)
        batch += _message(kind, flags, sequence, table_header + attributes)
    batch += _message(_BATCH_END, _NLM_F_REQUEST, len(messages) + 1, batch_header)
    sock.send(batch)
    answered = 0
    while answered < len(messages):
        # The batch was carried out within send (nfnetlink_rcv): the answers are there.
        answer = sock.recv(1 << 18, socket.MSG_DONTWAIT)
        offset = 0
        while offset + _HEADER.size <= len(answer):
            length, kind, *_ = _HEADER.unpack_from(answer, offset)
            if kind == _NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", answer, offset + _HEADER.size)
                if code:
                    raise OSError(-code, os.strerror(-code))
                answered += 1
            offset += (length + 3) & ~3


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def _chain(hook: str) -> bytes:
    where = _nested(4, _number(1, HOOKS[hook]) + _number(2, 0))
    return _text(1, TABLE) + _text(3, hook) + where + _text(7, "filter")


def _rule(hook: str, protocol: int, kind: int | None) -> bytes:
    """``meta l4proto P [@th,0,8 TYPE] drop``."""
    expressions = [
        ("meta", _number(1, _REGISTER) + _number(2, _META_L4PROTO)),
        ("cmp", _equals(bytes([protocol]))),
    ]
    if kind is not None:
        first_byte = _number(3, 0) + _number(4, 1)
        expressions += [
            ("payload", _number(1, _REGISTER) + _number(2, _TRANSPORT_HEADER) + first_byte),
            ("cmp", _equals(bytes([kind]))),
        ]
    return _encode_rule(hook, expressions, _NF_DROP)


def _control_rule(hook: str) -> bytes:
    """``meta mark M accept``; a mark is compared in the byte order of the machine."""
    mark = struct.pack("=I", CONTROL_MARK)
    load = _number(1, _REGISTER) + _number(2, _META_MARK)
    return _encode_rule(hook, [("meta", load), ("cmp", _equals(mark))], _NF_ACCEPT)


def _encode_rule(hook: str, conditions: list[tuple[str, bytes]], verdict: int) -> bytes:
    # Register 0 is the verdict's.
    code = _nested(2, _nested(2, _number(1, verdict)))
    expressions = [*conditions, ("immediate", _number(1, 0) + code)]
    encoded = b"".join(_nested(1, _text(1, name) + _nested(2, body)) for name, body in expressions)
    return _text(1, TABLE) + _text(2, hook) + _nested(4, encoded)


def _equals(value: bytes) -> bytes:
    return _number(1, _REGISTER) + _number(2, 0) + _nested(3, _attribute(1, value))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _nested(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NLA_F_NESTED, value)
