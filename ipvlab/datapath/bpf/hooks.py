"""One host's netfilter as detours need it: which hooks hold rules, and the two doors through them.

The way in: the last chain of INPUT shows every packet for an endpoint of an l3s
port to ipvlab (nfnetlink_log) and drops it. The way out: raw sockets, whose
packets are the host's own output, through OUTPUT and POSTROUTING.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Callable, Iterable

from ipvlab.errors import KernelUnfit
from ipvlab.linux import netfilter
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netfilter import attribute, nested, number, text
from ipvlab.linux.netlink import attributes
from ipvlab.spec.values import Address

TABLE = "ipvlab-l3s"
#: What detours are for: local traffic crosses these.
_CROSSED = frozenset({"prerouting", "input", "output", "postrouting"})
#: After everything, conntrack's confirmation included if that comes later into the namespace:
#: of equal hooks the newer is put first (nf_hook_entries_grow).
_LAST = 2**31 - 1
_NFLOG, _NFLOG_PACKET, _NFLOG_CONFIG = 4, 4 << 8, 4 << 8 | 1
_GROUP = 0x6976
_COPY_WHOLE = 0xFFFF - 4
_META_IIF, _META_NFPROTO = 4, 15
#: The first of the 32-bit registers; a key of link and address fills it and those after it.
_REGISTER = 8
_HEADER = struct.Struct("=IHHII")
_ROOM = 32 << 20
_AT_A_TIME = 256

#: linux/in.h and linux/in6.h, where the socket module has no name for them.
_IP_TRANSPARENT, _IPV6_TRANSPARENT = 19, 75
_IP_PKTINFO = 8
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)

#: What takes a packet that has passed INPUT, and the Ethernet header that it came with.
Taker = Callable[[bytes, bytes], None]


class HostHooks:
    """The hooks of one host's namespace; sockets are opened when they are first needed."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._ending = contextlib.ExitStack()
        self._watch: netfilter.HookWatch | None = None
        with contextlib.suppress(OSError):
            # Without nfnetlink there is no netfilter that could hold a rule of nf_tables.
            self._watch = netfilter.HookWatch(namespace)
            self._ending.callback(self._watch.close)
        self._rules: socket.socket | None = None
        self._log: socket.socket | None = None
        self._refusal: OSError | None = None
        self._out: dict[int, socket.socket] = {}
        #: Who takes what came in by a link, by its index.
        self._takers: dict[int, Taker] = {}
        self.lost = 0

    def occupied(self) -> frozenset[int]:
        """The IP versions for which some hook on the way of local traffic holds rules."""
        if self._watch is None:
            return frozenset()
        return frozenset(version for version, hook in self._watch.read(TABLE) if hook in _CROSSED)

    def guard(self) -> None:
        """Put the last chain of INPUT in place, while it matches nothing.

        As early as can be: see ``_LAST``. A kernel that cannot log is no fault
        until :meth:`open_log`.
        """
        if self._rules is not None or self._refusal is not None:
            return
        sock = None
        try:
            sock = self._namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER)
            sock.bind((0, 0))
            netfilter.commit(sock, _guard())
        except OSError as error:
            self._refusal = error
            if sock is not None:
                sock.close()
            return
        # The table is this socket's own (NFT_TABLE_F_OWNER): nobody else's flush takes it
        # away, and it ends with the socket.
        self._rules = sock
        self._ending.callback(sock.close)

    def open_log(self) -> socket.socket:
        """The socket that shows what has passed INPUT; raises KernelUnfit where the kernel cannot."""
        if self._log is not None:
            return self._log
        self.guard()
        try:
            if self._refusal is not None:
                raise self._refusal
            sock = self._namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER)
            self._ending.callback(sock.close)
            sock.bind((0, 0))
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), _ROOM)
            for body in _LOG_SETTINGS:
                header = struct.pack("!BBH", socket.AF_UNSPEC, 0, _GROUP)
                flags = netfilter.NLM_F_REQUEST | netfilter.NLM_F_ACK
                sock.send(netfilter.message(_NFLOG_CONFIG, flags, 1, header + body))
                netfilter.raise_refusal(sock.recv(4096)[_HEADER.size :])
            sock.setblocking(False)
        except OSError as error:
            raise KernelUnfit(
                f"{self._namespace.name} has netfilter rules, and this kernel cannot show what passes them "
                f"to ipvlab ({error.strerror}): an l3s endpoint would get nothing from outside",
                hint="modprobe nfnetlink_log, or use a kernel with ipvlan (--datapath kernel)",
            ) from error
        self._log = sock
        return sock

    def match(self, parent: int, new: Iterable[Address], gone: Iterable[Address]) -> None:
        """Have packets for addresses that came in by a link shown, and no longer those that are gone."""
        requests = [
            (kind, text(1, TABLE) + text(2, f"endpoints{address.version}") + _element(parent, address))
            for kind, group in ((netfilter.NEW_ELEMENT, new), (netfilter.DELETE_ELEMENT, gone))
            for address in group
        ]
        assert self._rules is not None
        for at in range(0, len(requests), _AT_A_TIME):
            netfilter.commit(self._rules, requests[at : at + _AT_A_TIME])

    def hand_to(self, parent: int, taker: Taker | None) -> None:
        """Say who takes what came in by a link and has passed INPUT."""
        if taker is None:
            self._takers.pop(parent, None)
        else:
            self._takers[parent] = taker

    def take_in(self) -> int:
        """Hand on what has passed INPUT, some at a time; how many packets."""
        assert self._log is not None
        for count in range(_AT_A_TIME):
            try:
                shown = self._log.recv(1 << 17)
            except BlockingIOError:
                return count
            except OSError:
                # ENOBUFS: the socket had no room for some (netlink_overrun).
                self.lost += 1
                continue
            offset = 0
            while offset + _HEADER.size <= len(shown):
                length, kind, *_ = _HEADER.unpack_from(shown, offset)
                if kind == _NFLOG_PACKET:
                    self._hand_on(shown[offset + _HEADER.size : offset + length])
                offset += (length + 3) & ~3
        return _AT_A_TIME

    def _hand_on(self, body: bytes) -> None:
        held = attributes(body, 4)
        packet = held.get(9, b"")
        taker = self._takers.get(int.from_bytes(held.get(4, b""), "big"))
        if taker is None or not packet:
            return
        if len(packet) < _length(packet):
            self.lost += 1
            return
        taker(packet, held.get(16, b""))

    def send(self, packet: bytes, parent: int) -> bool:
        """Send a packet as the host's own output by a link: TTL, addresses and payload as they are.

        The route is looked up as ipvlan does (ipvlan_process_v4_outbound,
        ipvlan_route_v6_outbound): by the packet's own source, with the link for
        output. What the host refuses is lost without a word, as there; False
        means that it was lost for want of room.
        """
        version = packet[0] >> 4
        packet = packet[: _length(packet)]
        if len(packet) < (20 if version == 4 else 40):
            return True
        try:
            if version == 4:
                info = struct.pack("=i4s4x", parent, packet[12:16])
                # The packet's own TOS in the look-up as well (ip_sockglue.c: ip_cmsg_send).
                tos = struct.pack("=i", packet[1])
                control = [(socket.IPPROTO_IP, _IP_PKTINFO, info), (socket.IPPROTO_IP, socket.IP_TOS, tos)]
                self._output(4).sendmsg([packet], control, 0, (socket.inet_ntoa(packet[16:20]), 0))
            else:
                info = packet[8:24] + struct.pack("=i", parent)
                traffic_class = struct.pack("=i", int.from_bytes(packet[:2], "big") >> 4 & 0xFF)
                control = [
                    (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info),
                    (socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class),
                ]
                target = (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0, 0, parent)
                self._output(6).sendmsg([packet], control, 0, target)
        except OSError as error:
            return error.errno not in _FULL
        return True

    def _output(self, version: int) -> socket.socket:
        if version not in self._out:
            family = socket.AF_INET if version == 4 else socket.AF_INET6
            # The protocol IPPROTO_RAW says that the header comes along, and hears nothing.
            sock = self._namespace.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
            self._ending.callback(sock.close)
            level, option = (
                (socket.IPPROTO_IP, _IP_TRANSPARENT)
                if version == 4
                else (socket.IPPROTO_IPV6, _IPV6_TRANSPARENT)
            )
            # Any source (FLOWI_FLAG_ANYSRC), also in the route lookup.
            sock.setsockopt(level, option, 1)
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_SNDBUFFORCE", 32), _ROOM)
            sock.setblocking(False)
            self._out[version] = sock
        return self._out[version]

    def close(self) -> None:
        """Take the chain away and close all sockets."""
        if self._rules is not None:
            with contextlib.suppress(OSError):
                netfilter.commit(self._rules, [(netfilter.DELETE_TABLE, text(1, TABLE))])
            self._rules = None
        self._log = None
        self._out.clear()
        self._ending.close()


_LOG_SETTINGS = (
    attribute(1, bytes([1])),  # NFULNL_CFG_CMD_BIND
    attribute(2, struct.pack("!IBB", _COPY_WHOLE, 2, 0)),  # NFULNL_COPY_PACKET
    number(5, 1),  # one packet, one message, at once
)


def _length(packet: bytes) -> int:
    """How long an IP packet is by its own header."""
    if packet[0] >> 4 == 4:
        return int.from_bytes(packet[2:4], "big")
    return 40 + int.from_bytes(packet[4:6], "big")


def _guard() -> list[tuple[int, bytes]]:
    """The table, its two sets of link and address, and for each the rule that shows and drops."""
    table = text(1, TABLE) + number(2, netfilter.NFT_TABLE_F_OWNER)
    chain = netfilter.chain(TABLE, "last", netfilter.HOOKS["input"], _LAST)
    requests = [(netfilter.NEW_TABLE, table), (netfilter.NEW_CHAIN, chain)]
    # The numbers of types are nft's, for whoever lists the table: ifindex . ipv4_addr, ifindex . ipv6_addr.
    for version, protocol, offset, length, kind in ((4, 2, 16, 4, 20 << 6 | 7), (6, 10, 24, 16, 20 << 6 | 8)):
        name = f"endpoints{version}"
        key = number(4, kind) + number(5, 4 + length)
        requests.append((netfilter.NEW_SET, text(1, TABLE) + text(2, name) + key + number(10, version)))
        expressions = [
            netfilter.load_meta(_META_NFPROTO),
            netfilter.equals(bytes([protocol])),
            netfilter.load_meta(_META_IIF, _REGISTER),
            netfilter.load_payload(1, offset, length, _REGISTER + 1),
            ("lookup", text(1, name) + number(2, _REGISTER) + number(4, version)),
            ("log", attribute(1, struct.pack("!H", _GROUP))),
            netfilter.decide(netfilter.NF_DROP),
        ]
        requests.append((netfilter.NEW_RULE, netfilter.rule(TABLE, "last", expressions)))
    return requests


def _element(parent: int, address: Address) -> bytes:
    key = nested(1, attribute(1, struct.pack("=I", parent) + address.packed))
    return nested(3, nested(1, key))
