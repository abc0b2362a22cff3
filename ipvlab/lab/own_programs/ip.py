"""``ip`` for machines without iproute2: what is shown of links, addresses, routes, and simple changes.

The words are read by the grammar of scenario files, and printed as there.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Sequence

from ipvlab.driver import ip_grammar as grammar
from ipvlab.errors import CommandUnknown, KernelRefusal
from ipvlab.lab import tables
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import Netlink
from ipvlab.spec.values import Address, Interface, Subnet

_NEWLINK, _DELLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE, _DELNEIGH = 16, 17, 20, 21, 24, 25, 29
_ASK, _CREATE = 0x5, 0x600  # NLM_F_REQUEST | NLM_F_ACK, NLM_F_CREATE | NLM_F_EXCL
_IFF_UP = 0x1
_MAIN_TABLE, _BOOT, _UNICAST, _SCOPE_LINK, _SCOPE_NOWHERE = 254, 3, 1, 253, 255
_SHOW = ("show", "list", "ls", "sh")
_STATES_THAT_STAY = ("PERMANENT", "NONE")


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program: 0, 1 for what is not known or not there, 2 for what the kernel refuses."""
    words = ["ip", *(sys.argv[1:] if argv is None else argv)]
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    place = _Place(Namespace("here", -1, Netlink(sock, "here")))
    try:
        shown = _show_links(place, words) if _is_link_show(words) else place.do(grammar.parse_ip(words))
    except CommandUnknown as unknown:
        return _fail(1, f"ip: {unknown.what}")
    except _NoDevice as missing:
        return _fail(1, str(missing))
    except KernelRefusal as refusal:
        told = f"RTNETLINK answers: {os.strerror(refusal.errno)}"
        return _fail(2, f"Error: {refusal.explanation.rstrip('.')}." if refusal.explanation else told)
    sys.stdout.write(shown)
    return 0


def _fail(code: int, text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return code


class _NoDevice(Exception):
    """A device is named that is not there."""


def _is_link_show(words: Sequence[str]) -> bool:
    rest = [word for word in words[1:] if not word.startswith("-")]
    return rest[:1] in (["l"], ["link"]) and (len(rest) == 1 or rest[1] in _SHOW)


def _show_links(place: _Place, words: Sequence[str]) -> str:
    names = [word for word in words[1:] if not word.startswith("-")][1:]
    names = [name for at, name in enumerate(names) if not (at == 0 and name in _SHOW) and name != "dev"]
    links = place.links if not names else [place.find(names[0])]
    return tables.format_addresses(links, [])


class _Place:
    """The network namespace that the program is in."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    @property
    def links(self) -> list[tables.LinkView]:
        return tables.view_links(self._namespace)

    def find(self, name: str, words: str = 'Cannot find device "{name}"') -> tables.LinkView:
        for link in self.links:
            if link.name == name:
                return link
        raise _NoDevice(words.format(name=name))

    def do(self, command: grammar.IpCommand) -> str:
        """Carry out a command; what it shows."""
        match command:
            case grammar.AddressShow():
                return self._show_addresses(command)
            case grammar.RouteShow():
                return tables.format_routes(
                    tables.view_routes(self._namespace, 4 if command.version == 4 else 6)
                )
            case grammar.VlanAdd():
                self._add_vlan(command)
            case grammar.LinkSet():
                self._set(command)
            case grammar.LinkDelete():
                self._ask(_DELLINK, 0, _link(self.find(command.device).index))
            case grammar.AddressAdd() | grammar.AddressDelete():
                self._change_address(command)
            case grammar.RouteAdd() | grammar.RouteDelete():
                self._change_route(command)
            case grammar.NeighbourFlush():
                self._flush(command)
            case _:
                raise CommandUnknown("this `ip` does not know that; install iproute2 for it")
        return ""

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        header = struct.pack("=IHHII", 16 + len(body), kind, _ASK | flags, 0, 0)
        self._namespace.netlink.request(bytearray(header + body), "ip")

    def _show_addresses(self, command: grammar.AddressShow) -> str:
        links = self.links
        if command.device is not None:
            links = [self.find(command.device, 'Device "{name}" does not exist.')]
        return tables.format_addresses(links, tables.view_addresses(self._namespace), command.version)

    def _add_vlan(self, command: grammar.VlanAdd) -> None:
        about = _attribute(1, b"vlan\0") + _attribute(2, _attribute(1, struct.pack("=H", command.vlan)))
        named = _attribute(3, command.name.encode() + b"\0")
        below = _attribute(5, struct.pack("=I", self.find(command.base).index))
        self._ask(_NEWLINK, _CREATE, _link(0) + named + below + _attribute(18, about))

    def _set(self, command: grammar.LinkSet) -> None:
        index = self.find(command.device).index
        settings = b""
        if command.mac is not None:
            settings += _attribute(1, bytes.fromhex(command.mac.replace(":", "")))
        if command.mtu is not None:
            settings += _attribute(4, struct.pack("=I", command.mtu))
        if command.is_up is None:
            self._ask(_NEWLINK, 0, _link(index) + settings)
        else:
            self._ask(_NEWLINK, 0, _link(index, _IFF_UP if command.is_up else 0, _IFF_UP) + settings)

    def _change_address(self, command: grammar.AddressAdd | grammar.AddressDelete) -> None:
        held: Interface = command.address
        index = self.find(command.device).index
        body = struct.pack("=BBBBI", _family(held), held.network.prefixlen, 0, 0, index)
        body += _attribute(1, held.ip.packed) + _attribute(2, held.ip.packed)
        is_new = isinstance(command, grammar.AddressAdd)
        self._ask(_NEWADDR if is_new else _DELADDR, _CREATE if is_new else 0, body)

    def _change_route(self, command: grammar.RouteAdd | grammar.RouteDelete) -> None:
        is_new = isinstance(command, grammar.RouteAdd)
        family = socket.AF_INET if command.version == 4 else socket.AF_INET6
        scope = 0 if command.via is not None or command.version == 6 else _SCOPE_LINK
        length = 0 if command.to == "default" else command.to.prefixlen
        kind = (_BOOT, scope, _UNICAST) if is_new else (0, _SCOPE_NOWHERE, 0)
        body = struct.pack("=8BI", family, length, 0, 0, _MAIN_TABLE, *kind, 0)
        if command.to != "default":
            body += _attribute(1, command.to.network_address.packed)
        if command.via is not None:
            body += _attribute(5, command.via.packed)
        if command.device is not None:
            body += _attribute(4, struct.pack("=I", self.find(command.device).index))
        self._ask(_NEWROUTE if is_new else _DELROUTE, _CREATE if is_new else 0, body)

    def _flush(self, command: grammar.NeighbourFlush) -> None:
        if command.device is not None:
            self.find(command.device)
        indexes = {link.name: link.index for link in self.links}
        for known in tables.read_neighbours(self._namespace):
            if known.state in _STATES_THAT_STAY or command.device not in (None, known.dev):
                continue
            if command.version in (None, known.address.version):
                body = struct.pack("=BxHiHBB", _family(known.address), 0, indexes[known.dev], 0, 0, 0)
                self._ask(_DELNEIGH, 0, body + _attribute(1, known.address.packed))


def _link(index: int, flags: int = 0, changed: int = 0) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, flags, changed)


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def _family(held: Interface | Address | Subnet) -> int:
    return socket.AF_INET if held.version == 4 else socket.AF_INET6
