"""What a namespace holds: links, addresses, routes and neighbours, read from the kernel, and their texts.

Dumps are read on the namespace's own netlink socket and decoded here: the few
attributes that matter cost microseconds, where a pyroute2 socket of each
namespace would cost a millisecond and its decoders several more.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Literal

from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Address, Interface, Subnet

_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE, _RTM_GETNEIGH = 18, 22, 26, 30
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_HEADER = struct.Struct("=IHHII")
_LINK_BODY, _ADDRESS_BODY, _ROUTE_BODY, _NEIGHBOUR_BODY = 16, 8, 12, 12

_MAIN_TABLE = 254
_RTN_UNICAST = 1
_RTM_F_CLONED = 0x200
_PROTOCOLS = {1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra"}
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_PREFERENCES = {0: "medium", 1: "high", 3: "low"}
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")
_LOOPBACK = ipaddress.IPv6Network("::1/128")

_STATES = ("UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
#: In the order in which iproute2 prints them (ip/ipaddress.c: print_link_flags).
_LINK_FLAGS = {
    "LOOPBACK": 0x8,
    "BROADCAST": 0x2,
    "POINTOPOINT": 0x10,
    "MULTICAST": 0x1000,
    "NOARP": 0x80,
    "ALLMULTI": 0x200,
    "PROMISC": 0x100,
    "UP": _IFF_UP,
    "LOWER_UP": 0x10000,
}
_ADDRESS_FLAGS = {"secondary": 0x1, "nodad": 0x2, "dadfailed": 0x8, "deprecated": 0x20, "tentative": 0x40}
_NUD_NOARP = 0x40
_NEIGHBOUR_STATES = {
    0x01: "INCOMPLETE",
    0x02: "REACHABLE",
    0x04: "STALE",
    0x08: "DELAY",
    0x10: "PROBE",
    0x20: "FAILED",
    0x80: "PERMANENT",
}


@dataclasses.dataclass(frozen=True, slots=True)
class LinkView:
    """A link as the kernel has it."""

    name: str
    index: int
    flags: int
    mtu: int
    mac: bytes
    broadcast: bytes
    #: ``UP``, ``DOWN``, ``UNKNOWN``: the operational state of RFC 2863.
    state: str
    qdisc: str
    queue_length: int
    #: The index of the link below (of a veth: its other end), or None.
    below: int | None
    #: For a link below in another namespace: that namespace's number, as this one counts.
    below_namespace: int | None
    has_carrier: bool

    @property
    def is_up(self) -> bool:
        """Whether the link is administratively up."""
        return bool(self.flags & _IFF_UP)


@dataclasses.dataclass(frozen=True, slots=True)
class AddressView:
    """An address as the kernel has it."""

    address: Interface
    index: int
    scope: str
    flags: int
    broadcast: Address | None

    @property
    def is_tentative(self) -> bool:
        """Whether duplicate address detection still runs; one that failed stays tentative for ever."""
        return bool(self.flags & _ADDRESS_FLAGS["tentative"]) and not self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether somebody else on the link has the address."""
        return bool(self.flags & _ADDRESS_FLAGS["dadfailed"])


@dataclasses.dataclass(frozen=True, slots=True)
class NeighbourView:
    """An entry of a neighbour table; entries that need no resolution are left out."""

    address: Address
    dev: str
    mac: bytes | None
    state: str


def read_links(namespace: Namespace) -> list[str]:
    """The names of a namespace's links, ``lo`` included, by index."""
    return [link.name for link in view_links(namespace)]


def read_addresses(namespace: Namespace) -> dict[str, list[Interface]]:
    """The addresses of every link, those without any included; link-local ones too."""
    names = {link.index: link.name for link in view_links(namespace)}
    found: dict[str, list[Interface]] = {name: [] for name in names.values()}
    for held in view_addresses(namespace):
        if held.index in names:
            found[names[held.index]].append(held.address)
    return found


def read_routes(namespace: Namespace, version: Literal[4, 6]) -> list[RouteText]:
    """The main table's routes of a family as expectations see them, in the kernel's order.

    Left out are fe80::/10 and multicast, and ``::1``, which some kernels keep in
    the main table too (addrconf.c: init_loopback).
    """
    return [route for route in view_routes(namespace, version) if not _is_unspoken(route.to)]


def view_routes(namespace: Namespace, version: Literal[4, 6]) -> list[RouteText]:
    """All unicast routes of the main table of a family, as ``ip route`` shows them."""
    names = {link.index: link.name for link in view_links(namespace)}
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    bodies = _dump(namespace, _RTM_GETROUTE, bytes([family]).ljust(_ROUTE_BODY, b"\0"), "read routes")
    return [route for body in bodies if (route := _view_route(body, version, names)) is not None]


def _is_unspoken(to: Subnet | Literal["default"]) -> bool:
    if to == "default":
        return False
    return (
        to.is_multicast
        or to == _LOOPBACK
        or (isinstance(to, ipaddress.IPv6Network) and to.subnet_of(_LINK_LOCAL))
    )


def read_neighbours(namespace: Namespace) -> list[NeighbourView]:
    """The neighbours of both families."""
    names = {link.index: link.name for link in view_links(namespace)}
    found = []
    for body in _dump(namespace, _RTM_GETNEIGH, bytes(_NEIGHBOUR_BODY), "read neighbours"):
        index, state = struct.unpack_from("=iH", body, 4)
        held = attributes(body, _NEIGHBOUR_BODY)
        if state == _NUD_NOARP or index not in names or 1 not in held:
            continue
        address = ipaddress.ip_address(held[1])
        found.append(NeighbourView(address, names[index], held.get(2), _NEIGHBOUR_STATES.get(state, "NONE")))
    return found


def view_links(namespace: Namespace) -> list[LinkView]:
    """The links of a namespace with what ``ip link`` shows of them."""
    return [_view_link(body) for body in _dump(namespace, _RTM_GETLINK, bytes(_LINK_BODY), "read links")]


def view_addresses(namespace: Namespace) -> list[AddressView]:
    """The addresses of a namespace with what ``ip addr`` shows of them: IPv4, then IPv6."""
    bodies = _dump(namespace, _RTM_GETADDR, bytes(_ADDRESS_BODY), "read addresses")
    return [_view_address(body) for body in bodies]


def _dump(namespace: Namespace, kind: int, body: bytes, what: str) -> Iterator[bytes]:
    request = _HEADER.pack(_HEADER.size + len(body), kind, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0) + body
    answer = namespace.netlink.dump(bytearray(request), what)
    offset = 0
    while offset < len(answer):
        (length,) = struct.unpack_from("=I", answer, offset)
        yield answer[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _view_link(body: bytes) -> LinkView:
    index, flags = struct.unpack_from("=iI", body, 4)
    held = attributes(body, _LINK_BODY)
    below = _whole(held.get(5))
    return LinkView(
        name=_text(held[3]),
        index=index,
        flags=flags,
        mtu=_whole(held.get(4)) or 0,
        mac=held.get(1, b""),
        broadcast=held.get(2, b""),
        state=_STATES[held.get(16, b"\0")[0]],
        qdisc=_text(held.get(6, b"noop")),
        queue_length=_whole(held.get(13)) or 0,
        below=None if below in (None, index) else below,
        below_namespace=_whole(held.get(37)),
        has_carrier=held.get(33, b"\0") != b"\0",
    )


def _view_address(body: bytes) -> AddressView:
    _, length, short_flags, scope, index = struct.unpack_from("=BBBBI", body)
    held = attributes(body, _ADDRESS_BODY)
    flags = _whole(held.get(8))
    broadcast = held.get(4)
    return AddressView(
        address=ipaddress.ip_interface((held.get(2, held.get(1, b"")), length)),
        index=index,
        scope=_SCOPES.get(scope, str(scope)),
        flags=short_flags if flags is None else flags,
        broadcast=None if broadcast is None else ipaddress.ip_address(broadcast),
    )


def _view_route(body: bytes, version: int, names: dict[int, str]) -> RouteText | None:
    _, length, _, _, table, protocol, scope, kind, flags = struct.unpack_from("=8BI", body)
    held = attributes(body, _ROUTE_BODY)
    if (_whole(held.get(15)) or table) != _MAIN_TABLE or kind != _RTN_UNICAST or flags & _RTM_F_CLONED:
        return None
    to: Subnet | Literal["default"] = "default"
    if length:
        to = ipaddress.ip_network((held[1], length))
    gateway, source, metric = held.get(5), held.get(7), held.get(6)
    return RouteText(
        to=to,
        via=None if gateway is None else ipaddress.ip_address(gateway),
        dev=names.get(_whole(held.get(4)) or 0),
        src=None if source is None else ipaddress.ip_address(source),
        metric=_whole(metric),
        proto=_PROTOCOLS.get(protocol, str(protocol)),
        scope=_SCOPES.get(scope, str(scope)),
        pref=_PREFERENCES.get(held[20][0]) if 20 in held else None,
        version=version,
    )


def _whole(value: bytes | None) -> int | None:
    return None if value is None else int(struct.unpack_from("=I", value)[0])


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def format_routes(routes: Sequence[RouteText]) -> str:
    """Routes as ``ip route`` prints them: ``boot``, a global scope and a single address's length left out."""
    lines = []
    for route in routes:
        words = [_destination(route.to)]
        for keyword, value, silent in (
            ("via", route.via, None),
            ("dev", route.dev, None),
            ("proto", route.proto, "boot"),
            ("scope", route.scope, "global"),
            ("src", route.src, None),
            ("metric", route.metric, None),
            ("pref", route.pref, None),
        ):
            if value is not None and value != silent:
                words.append(f"{keyword} {value}")
        lines.append(" ".join(words) + " \n")
    return "".join(lines)


def _destination(to: Subnet | Literal["default"]) -> str:
    if to == "default" or to.prefixlen < to.max_prefixlen:
        return str(to)
    return str(to.network_address)


def format_addresses(
    links: Sequence[LinkView], addresses: Sequence[AddressView], version: int | None = None
) -> str:
    """Links and their addresses as ``ip addr show`` prints them; ``version`` shows one family only."""
    names = {link.index: link.name for link in links}
    lines = []
    for link in links:
        held = [a for a in addresses if a.index == link.index and version in (None, a.address.version)]
        if version is not None and not held:
            continue
        flags = [name for name, bit in _LINK_FLAGS.items() if link.flags & bit]
        if link.is_up and not link.flags & _IFF_RUNNING:
            flags.insert(0, "NO-CARRIER")
        queue = f" qlen {link.queue_length}" if link.queue_length else ""
        lines.append(
            f"{link.index}: {link.name}{_below(link, names)}: <{','.join(flags)}> mtu {link.mtu} "
            f"qdisc {link.qdisc} state {link.state} group default{queue}"
        )
        if version is None:
            kind = "loopback" if link.flags & _LINK_FLAGS["LOOPBACK"] else "ether"
            elsewhere = "" if link.below_namespace is None else f" link-netnsid {link.below_namespace}"
            lines.append(f"    link/{kind} {link.mac.hex(':')} brd {link.broadcast.hex(':')}{elsewhere}")
        for address in held:
            lines.append(f"    {_describe(address, link.name)}")
            lines.append("       valid_lft forever preferred_lft forever")
    return "".join(f"{line}\n" for line in lines)


def _below(link: LinkView, names: dict[int, str]) -> str:
    if link.below is None:
        return ""
    if link.below_namespace is None and link.below in names:
        return f"@{names[link.below]}"
    return f"@if{link.below}"


def _describe(held: AddressView, link: str) -> str:
    flags = "".join(f" {name}" for name, bit in _ADDRESS_FLAGS.items() if held.flags & bit)
    if held.address.version == 6:
        return f"inet6 {held.address} scope {held.scope}{flags}"
    broadcast = f" brd {held.broadcast}" if held.broadcast else ""
    return f"inet {held.address}{broadcast} scope {held.scope}{flags} {link}"
