"""What a host's routes ask of packets of l3 endpoints that the helper of programs cannot do.

ipvlan looks IPv6 routes up with the parent as a preference only, so a route by
another link is followed (ipvlan_core.c: ipvlan_route_v6_outbound; K-L3-006). The
helper is bound to one link. Nor does it know of a route's own MTU, by which the
host's IP output fragments a packet or refuses it (ip_output.c: ip_fragment).
"""

from __future__ import annotations

import dataclasses
import struct

from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes

_RTM_GETROUTE = 26
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_FAMILIES = {4: 2, 6: 10}
_MAIN_TABLE, _UNICAST = 254, 1
_RTA_DST, _RTA_OIF, _RTA_METRICS, _RTA_TABLE = 1, 4, 8, 15
_RTAX_MTU = 2
_LOOPBACK = 1
_HEADER = struct.Struct("=IHHII")
#: struct rtmsg: family, destination and source length, TOS, table, protocol, scope, type, flags.
_ROUTE = struct.Struct("=BBBBBBBBI")


@dataclasses.dataclass(frozen=True, slots=True)
class WayOut:
    """A route of the main table: its link (0 where it names none) and its own MTU, if it has one."""

    link: int
    mtu: int | None
    #: Link-local and multicast routes: every link has them.
    is_scoped: bool


def read_ways(host: Namespace, version: int) -> list[WayOut]:
    """The unicast routes of a host's main table, those by ``lo`` left out."""
    body = _ROUTE.pack(_FAMILIES[version], 0, 0, 0, 0, 0, 0, 0, 0)
    length = _HEADER.size + len(body)
    message = bytearray(_HEADER.pack(length, _RTM_GETROUTE, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0) + body)
    answer = host.netlink.dump(message, f"read IPv{version} routes")
    found = []
    offset = 0
    while offset + _HEADER.size <= len(answer):
        (length,) = struct.unpack_from("=I", answer, offset)
        way = _read(answer[offset + _HEADER.size : offset + length])
        if way is not None:
            found.append(way)
        offset += (length + 3) & ~3
    return found


def leads_elsewhere(ways: list[WayOut], parent: int) -> bool:
    """Whether a route leads by a link other than ``parent``.

    Scoped ones do not count: among equal routes the preference for the parent
    decides (rt6_score_route).
    """
    return any(way.link not in (0, parent) and not way.is_scoped for way in ways)


def is_narrow(ways: list[WayOut], mtu: int) -> bool:
    """Whether a route has an MTU of its own below that of the parent."""
    return any(way.mtu is not None and way.mtu < mtu for way in ways)


def _read(body: bytes) -> WayOut | None:
    family, bits, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    held = attributes(body, _ROUTE.size)
    table = struct.unpack("=I", held[_RTA_TABLE])[0] if _RTA_TABLE in held else table
    link = struct.unpack("=i", held[_RTA_OIF])[0] if _RTA_OIF in held else 0
    if (table, kind) != (_MAIN_TABLE, _UNICAST) or link == _LOOPBACK:
        return None
    metrics = attributes(held.get(_RTA_METRICS, b""))
    mtu = struct.unpack("=I", metrics[_RTAX_MTU])[0] if _RTAX_MTU in metrics else None
    target = held.get(_RTA_DST, b"\0")
    is_link_local = bits >= 10 and target[0] == 0xFE and target[1] & 0xC0 == 0x80
    is_scoped = family == _FAMILIES[6] and (is_link_local or (bits >= 8 and target[0] == 0xFF))
    return WayOut(link, mtu, is_scoped)
