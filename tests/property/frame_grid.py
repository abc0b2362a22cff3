"""Every kind of frame that the tables of ipvlan's behaviour tell apart, between the same few addresses."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from itertools import product

from ipvlab.rules.groups import group_mac, solicited_node
from ipvlab.rules.packets import BROADCAST_MAC, ETHERTYPE_PAUSE
from ipvlab.spec.values import Address, Flag, Mode
from tests.property import frame_bytes as write
from tests.property.bpf_bench import PORT_MAC
from tests.property.bpf_worlds import World

A4, B4, C4, P4, E4, X4 = map(
    ipaddress.IPv4Address, ("10.0.0.1", "10.0.0.2", "10.0.1.3", "10.0.0.250", "10.9.0.1", "10.0.0.77")
)
A6, B6, C6, P6, E6, X6 = map(
    ipaddress.IPv6Address, ("fd00::1", "fd00::2", "fd00:1::3", "fd00::250", "fd09::1", "fd00::77")
)
B_LOCAL, P_LOCAL, E_LOCAL = map(ipaddress.IPv6Address, ("fe80::b", "fe80::250", "fe80::e"))
LIMITED, DIRECTED, MDNS4 = map(ipaddress.IPv4Address, ("255.255.255.255", "10.0.0.255", "224.0.0.251"))
ALL_NODES, ALL_ROUTERS, MDNS6 = map(ipaddress.IPv6Address, ("ff02::1", "ff02::2", "ff02::fb"))
ANY4, ANY6 = write.ANY4, write.ANY6

THERE, ELSEWHERE = bytes.fromhex("02000a0b0c01"), bytes.fromhex("02000a0b0c02")
PAUSE_MAC, LLDP_MAC = bytes.fromhex("0180c2000001"), bytes.fromhex("0180c200000e")

#: Source and destination MACs that ipvlan tells apart: own, foreign, spoofed alike, groups.
MACS = [
    (to, sender)
    for to, sender in product(
        (PORT_MAC, THERE, BROADCAST_MAC, group_mac(MDNS4), group_mac(solicited_node(B6)), PAUSE_MAC),
        (PORT_MAC, THERE),
    )
] + [(ELSEWHERE, PORT_MAC), (LLDP_MAC, THERE), (bytes(6), bytes(6)), (BROADCAST_MAC, BROADCAST_MAC)]


def world(mode: Mode, flag: Flag, siblings: int = 2) -> World:
    """A sends; B and C are siblings, and the fan-out has a hole; P is the parent, E elsewhere on its host."""
    owners: dict[Address, str] = {A4: "a", A6: "a", B4: "b", B6: "b", B_LOCAL: "b", C4: "c", C6: "c"}
    more = [f"d{number:02}" for number in range(siblings - 2)]
    parent = (f"{P4}/24", f"{P6}/64", f"{P_LOCAL}/64")
    return World(
        mode,
        flag,
        owners,
        ("b", None, "a", "c", *more),
        tuple(map(ipaddress.ip_interface, parent)),
        tuple(map(ipaddress.ip_interface, (f"{E4}/24", f"{E6}/64", f"{E_LOCAL}/64"))),
    )


@functools.cache
def payloads() -> list[tuple[int, bytes]]:
    """Ethertypes and what follows them."""
    return [*_arps(), *_packets4(), *_packets6(), *_others()]


def frames() -> Iterator[bytes]:
    """Every payload with every pair of MACs."""
    for (to, sender), (ethertype, body) in product(MACS, payloads()):
        yield write.ethernet(to, sender, ethertype, body)


def _arps() -> Iterator[tuple[int, bytes]]:
    for operation, sender, target in product((1, 2), (A4, B4, X4, ANY4), (A4, B4, P4, X4, ANY4)):
        yield write.ARP, write.arp(operation, sender, target)
    whole = write.arp(1, A4, B4)
    yield from ((write.ARP, whole[:length]) for length in (0, 8, 24, 27))
    yield write.ARP, whole + bytes(18)


def _packets4() -> Iterator[tuple[int, bytes]]:
    targets = (A4, B4, C4, P4, E4, X4, LIMITED, DIRECTED, MDNS4)
    for source, target in product((A4, B4, X4, ANY4), targets):
        yield write.IPV4, write.ipv4(source, target)
    for target in (B4, P4, X4):
        oddities = (
            write.ipv4(A4, target, words=6, options=bytes(4)),
            write.ipv4(A4, target, words=15, options=bytes(40)),
            write.ipv4(A4, target, fragment=185),
            write.ipv4(A4, target, fragment=0x2000),
            write.ipv4(A4, target, excess=-3) + bytes(20),
            write.ipv4(A4, target, b"") + bytes(26),
            write.ipv4(A4, target, version=6),
            write.ipv4(A4, target, version=5),
            write.ipv4(A4, target, words=4),
            write.ipv4(A4, target, words=0),
            write.ipv4(A4, target, words=15),
            write.ipv4(A4, target, b"", excess=-1),
            write.ipv4(A4, target, excess=1),
            write.ipv4(A4, target, excess=1400),
            write.ipv4(A4, target)[:19],
            write.ipv4(A4, target)[:12],
            b"",
        )
        yield from ((write.IPV4, body) for body in oddities)


def _packets6() -> Iterator[tuple[int, bytes]]:
    group = solicited_node(B6)
    targets = (A6, B6, C6, P6, E6, X6, B_LOCAL, P_LOCAL, E_LOCAL, ALL_NODES, ALL_ROUTERS, MDNS6, group)
    bodies = (
        (write.UDP, bytes(8)),
        (write.HOP_BY_HOP, bytes([write.ICMPV6, 0, 5, 2, 0, 0, 1, 0]) + write.icmpv6(143)),
        (write.HOP_BY_HOP, bytes([write.ICMPV6, 0, 1, 4, 0, 0, 0, 0]) + write.icmpv6(135, B6)),
        (write.FRAGMENT, bytes([write.ICMPV6, 0, 5, 0, 0, 0, 0, 1]) + bytes(16)),
        (write.ICMPV6, write.icmpv6(128)),
        (write.ICMPV6, write.icmpv6(133)),
        (write.ICMPV6, write.icmpv6(134)),
        (write.ICMPV6, write.icmpv6(136, B6)),
        (write.ICMPV6, write.icmpv6(135, A6)),
        (write.ICMPV6, write.icmpv6(135, B6)),
        (write.ICMPV6, write.icmpv6(135, B6, b"\1\1\2\0\0\0\0\1")),
        (write.ICMPV6, write.icmpv6(135, P6)),
        (write.ICMPV6, write.icmpv6(135, X6)),
    )
    for source, target, (kind, body) in product((A6, B6, X6, ANY6), targets, bodies):
        yield write.IPV6, write.ipv6(source, target, kind, body)
    for source, target in product((A6, ANY6), (B6, group)):
        whole = write.ipv6(source, target, write.ICMPV6, write.icmpv6(135, B6))
        yield from ((write.IPV6, whole[:length]) for length in (0, 8, 24, 39, 40, 41, 44, 48, 56, 63))
        for version in (0, 4, 7):
            yield write.IPV6, write.ipv6(source, target, write.UDP, bytes(8), version=version)


def _others() -> Iterator[tuple[int, bytes]]:
    for ethertype in (0x88B5, ETHERTYPE_PAUSE, 0x88CC, 0x0026, 0x8035):
        yield ethertype, bytes(46)
        yield ethertype, b""
