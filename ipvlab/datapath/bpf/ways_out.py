"""Whether a host would send IPv6 packets of l3 endpoints by another link than their parent.

ipvlan looks IPv6 routes up with the parent as a preference only, so a route by
another link is followed (ipvlan_core.c: ipvlan_route_v6_outbound; K-L3-006). The
helper that programs have is bound to one link.
"""

from __future__ import annotations

import struct

from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes

_RTM_GETROUTE = 26
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_AF_INET6 = 10
_MAIN_TABLE, _UNICAST = 254, 1
_RTA_DST, _RTA_OIF, _RTA_TABLE = 1, 4, 15
_LOOPBACK = 1
_HEADER = struct.Struct("=IHHII")
#: struct rtmsg: family, destination and source length, TOS, table, protocol, scope, type, flags.
_ROUTE = struct.Struct("=BBBBBBBBI")


def leads_elsewhere(host: Namespace, parent: int) -> bool:
    """Whether the main IPv6 table of a host has a route by a link other than ``parent``.

    Link-local and multicast routes do not count: every link has them, and among
    equal routes the preference for the parent decides (rt6_score_route).
    """
    body = _ROUTE.pack(_AF_INET6, 0, 0, 0, 0, 0, 0, 0, 0)
    length = _HEADER.size + len(body)
    message = bytearray(_HEADER.pack(length, _RTM_GETROUTE, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0) + body)
    answer = host.netlink.dump(message, "read IPv6 routes")
    offset = 0
    while offset + _HEADER.size <= len(answer):
        (length,) = struct.unpack_from("=I", answer, offset)
        if _is_by_other_link(answer[offset + _HEADER.size : offset + length], parent):
            return True
        offset += (length + 3) & ~3
    return False


def _is_by_other_link(body: bytes, parent: int) -> bool:
    family, bits, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    held = attributes(body, _ROUTE.size)
    table = struct.unpack("=I", held[_RTA_TABLE])[0] if _RTA_TABLE in held else table
    link = struct.unpack("=i", held[_RTA_OIF])[0] if _RTA_OIF in held else parent
    if (family, table, kind) != (_AF_INET6, _MAIN_TABLE, _UNICAST) or link in (parent, _LOOPBACK):
        return False
    target = held.get(_RTA_DST, b"\0")
    is_link_local = bits >= 10 and target[0] == 0xFE and target[1] & 0xC0 == 0x80
    return not (is_link_local or (bits >= 8 and target[0] == 0xFF))
