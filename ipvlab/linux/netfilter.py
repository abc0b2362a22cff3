"""nf_tables and nfnetlink_log over netlink: batches, expressions, and which hooks hold rules.

Nothing here needs the ``nft`` command or libnftnl; the constants are those of
linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes

NETLINK_NETFILTER = 12
NFPROTO_UNSPEC, NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 = 0, 1, 2, 10
#: nf_inet_hooks of linux/netfilter.h.
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}

_NF_TABLES = 10
(NEW_TABLE, DELETE_TABLE, NEW_CHAIN, GET_CHAIN, NEW_RULE, GET_RULE, NEW_SET, NEW_ELEMENT, DELETE_ELEMENT) = (
    _NF_TABLES << 8 | kind for kind in (0, 2, 3, 4, 6, 7, 9, 12, 14)
)
NF_DROP, NF_ACCEPT = 0, 1
NFT_TABLE_F_OWNER = 2

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_CREATE, NLM_F_APPEND = 0x1, 0x4, 0x300, 0x400, 0x800
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLA_F_NESTED = 0x8000
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_REGISTER = 1
_HEADER = struct.Struct("=IHHII")

_VERSIONS = {NFPROTO_INET: (4, 6), NFPROTO_IPV4: (4,), NFPROTO_IPV6: (6,)}
_LEGACY_TABLES = {4: "ip_tables_names", 6: "ip6_tables_names"}


class HookWatch:
    """Reads which netfilter hooks of one namespace hold rules; holds the namespace until closed.

    Raises OSError where the kernel has no nfnetlink.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._legacy: dict[int, int] = {}

    def read(self, but: str = "") -> set[tuple[int, str]]:
        """IP version and hook of every base chain, those of the table ``but`` left out.

        A chain of type nat counts for the four hooks of local traffic, since
        address translation registers at all of them (nf_nat_register_fn), and
        so does any table of the old iptables, which shows names only.
        """
        found: set[tuple[int, str]] = set()
        for family, chain in self._chains():
            where = attributes(chain.get(4, b""))
            if 1 not in where or chain.get(1, b"").rstrip(b"\0").decode() == but:
                continue
            number = int.from_bytes(where[1], "big")
            names = {name for name, hook in HOOKS.items() if hook == number}
            if names and chain.get(7, b"").rstrip(b"\0") == b"nat":
                names = set(HOOKS) - {"forward"}
            found |= {(version, name) for version in _VERSIONS.get(family, ()) for name in names}
        for version in _LEGACY_TABLES:
            if self._has_legacy_table(version):
                found |= {(version, name) for name in HOOKS}
        return found

    def _chains(self) -> Iterator[tuple[int, dict[int, bytes]]]:
        request = message(GET_CHAIN, NLM_F_REQUEST | NLM_F_DUMP, 1, struct.pack("!BBH", 0, 0, 0))
        while True:
            self._socket.send(request)
            chains: list[tuple[int, dict[int, bytes]]] = []
            was_changed = False
            for kind, flags, body in read_messages(self._socket):
                was_changed |= bool(flags & _NLM_F_DUMP_INTR)
                if kind == NEW_CHAIN:
                    chains.append((body[0], attributes(body, 4)))
            # The rules changed while they were read (nl_dump_check_consistent): read them again.
            if not was_changed:
                yield from chains
                return

    def _has_legacy_table(self, version: int) -> bool:
        name = _LEGACY_TABLES[version]
        if version not in self._legacy:
            # The file is there in every namespace or in none: it comes with the kernel's module.
            if not os.path.exists(f"/proc/net/{name}"):
                return False
            path = f"/proc/thread-self/net/{name}"
            self._legacy[version] = self._namespace.call(lambda: os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return bool(os.pread(self._legacy[version], 4096, 0))

    def close(self) -> None:
        """Let go of the namespace."""
        self._socket.close()
        for fd in self._legacy.values():
            os.close(fd)
        self._legacy.clear()


def read_hooks(namespace: Namespace) -> set[tuple[int, str]]:
    """IP version and hook of everything that netfilter has to do in a namespace."""
    with contextlib.closing(HookWatch(namespace)) as watch:
        return watch.read()


def read_messages(sock: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each message of a dump, to its end; raises OSError with the kernel's errno."""
    while True:
        answer = sock.recv(1 << 18)
        offset = 0
        while offset + _HEADER.size <= len(answer):
            length, kind, flags, *_ = _HEADER.unpack_from(answer, offset)
            body = answer[offset + _HEADER.size : offset + length]
            if kind == _NLMSG_ERROR:
                raise_refusal(body)
            if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                return
            yield kind, flags, body
            offset += (length + 3) & ~3


def raise_refusal(body: bytes) -> None:
    """Raise OSError when an answer to a request says that it was refused."""
    (code,) = struct.unpack_from("=i", body)
    if code:
        raise OSError(-code, os.strerror(-code))


def batch(requests: Sequence[tuple[int, bytes]], family: int = NFPROTO_INET) -> bytes:
    """One batch as the kernel takes it; each request is a kind (``NEW_TABLE`` …) and its attributes."""
    batch_header = struct.pack("!BBH", NFPROTO_UNSPEC, 0, _NF_TABLES)
    family_header = struct.pack("!BBH", family, 0, 0)
    messages = [message(_BATCH_BEGIN, NLM_F_REQUEST, 0, batch_header)]
    for sequence, (kind, body) in enumerate(requests, 1):
        flags = NLM_F_REQUEST | NLM_F_ACK
        if kind not in (DELETE_TABLE, DELETE_ELEMENT):
            flags |= NLM_F_CREATE | (NLM_F_APPEND if kind == NEW_RULE else 0)
        messages.append(message(kind, flags, sequence, family_header + body))
    messages.append(message(_BATCH_END, NLM_F_REQUEST, len(requests) + 1, batch_header))
    return b"".join(messages)


def commit(sock: socket.socket, requests: Sequence[tuple[int, bytes]], family: int = NFPROTO_INET) -> None:
    """Carry out one batch, whole or not at all, and read what became of it.

    Raises OSError with the kernel's errno.
    """
    sock.send(batch(requests, family))
    answered = 0
    while answered < len(requests):
        # The batch was carried out within send (nfnetlink_rcv): the answers are there.
        answer = sock.recv(1 << 18, socket.MSG_DONTWAIT)
        offset = 0
        while offset + _HEADER.size <= len(answer):
            length, kind, *_ = _HEADER.unpack_from(answer, offset)
            if kind == _NLMSG_ERROR:
                raise_refusal(answer[offset + _HEADER.size : offset + length])
                answered += 1
            offset += (length + 3) & ~3


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """One netlink message, padded."""
    header = _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0)
    return header + body + b"\0" * (-len(body) % 4)


def chain(table: str, name: str, hook: int, priority: int = 0, kind: str = "filter") -> bytes:
    """A base chain at a hook (a value of ``HOOKS``)."""
    where = nested(4, number(1, hook) + attribute(2, struct.pack("!i", priority)))
    return text(1, table) + text(3, name) + where + text(7, kind)


def rule(table: str, chain_name: str, expressions: Sequence[tuple[str, bytes]]) -> bytes:
    """A rule of expressions, each a name and its attributes."""
    encoded = b"".join(nested(1, text(1, name) + nested(2, body)) for name, body in expressions)
    return text(1, table) + text(2, chain_name) + nested(4, encoded)


def load_meta(key: int, register: int = _REGISTER) -> tuple[str, bytes]:
    """``meta KEY`` into a register."""
    return "meta", number(1, register) + number(2, key)


def load_payload(base: int, offset: int, length: int, register: int = _REGISTER) -> tuple[str, bytes]:
    """``@BASE,OFFSET,LENGTH`` (in bytes; base 1 network, 2 transport header) into a register."""
    return "payload", number(1, register) + number(2, base) + number(3, offset) + number(4, length)


def equals(value: bytes, register: int = _REGISTER) -> tuple[str, bytes]:
    """Go on when a register holds a value."""
    return "cmp", number(1, register) + number(2, 0) + nested(3, attribute(1, value))


def decide(verdict: int) -> tuple[str, bytes]:
    """``accept`` or ``drop``; register 0 is the verdict's."""
    return "immediate", number(1, 0) + nested(2, nested(2, number(1, verdict)))


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def number(kind: int, value: int) -> bytes:
    """An attribute of 32 bits, in network order as all of nfnetlink's."""
    return attribute(kind, struct.pack("!I", value))


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a name."""
    return attribute(kind, value.encode() + b"\0")


def nested(kind: int, value: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NLA_F_NESTED, value)
