"""Policy routing over rtnetlink: addresses that are local to what comes in by one link only."""

from __future__ import annotations

import socket
import struct

from ipvlab.linux.messages import ASK, CREATE
from ipvlab.linux.netfilter import attribute
from ipvlab.spec.values import Address

_RTM_NEWROUTE, _RTM_DELROUTE, _RTM_NEWRULE, _RTM_DELRULE = 24, 25, 32, 33
_RTA_DST, _RTA_OIF, _RTA_TABLE = 1, 4, 15
_FRA_IIFNAME, _FRA_PRIORITY, _FRA_TABLE = 3, 6, 15
_FR_ACT_TO_TBL = 1
_RTN_LOCAL, _RT_SCOPE_HOST, _RTPROT_STATIC = 2, 254, 4
_LOOPBACK = 1
#: Right after the rule for the table ``local``, which has 0.
PRIORITY = 1

_HEADER = struct.Struct("=IHHII")
_BODY = struct.Struct("=BBBBBBBBI")


def change_rule(version: int, link: str, table: int, *, is_new: bool = True) -> bytearray:
    """Add or delete ``ip rule iif LINK lookup TABLE``."""
    body = _BODY.pack(_family(version), 0, 0, 0, 0, 0, 0, _FR_ACT_TO_TBL, 0)
    body += attribute(_FRA_IIFNAME, link.encode() + b"\0")
    body += _number(_FRA_PRIORITY, PRIORITY) + _number(_FRA_TABLE, table)
    return _message(_RTM_NEWRULE if is_new else _RTM_DELRULE, body, is_new)


def change_local(address: Address, table: int, *, is_new: bool = True) -> bytearray:
    """Add or delete ``ip route local ADDRESS dev lo table TABLE``."""
    family = _family(address.version)
    lengths = address.max_prefixlen, 0, 0
    body = _BODY.pack(family, *lengths, 0, _RTPROT_STATIC, _RT_SCOPE_HOST, _RTN_LOCAL, 0)
    body += attribute(_RTA_DST, address.packed) + _number(_RTA_OIF, _LOOPBACK) + _number(_RTA_TABLE, table)
    return _message(_RTM_NEWROUTE if is_new else _RTM_DELROUTE, body, is_new)


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _message(kind: int, body: bytes, is_new: bool) -> bytearray:
    flags = CREATE if is_new else ASK
    return bytearray(_HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body)
