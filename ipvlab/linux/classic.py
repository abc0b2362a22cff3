"""A classic BPF program as a tc filter: no bpf(2), so it can be had in a user namespace too."""

from __future__ import annotations

import struct

from ipvlab.linux.messages import CREATE, INGRESS, RTM_NEWTFILTER, TCA_BPF_FLAG_ACT_DIRECT

_HEADER = struct.Struct("=IHHII")
_TCMSG = struct.Struct("=BxxxiIII")
_TCA_KIND, _TCA_OPTIONS = 1, 2
_OPS_LEN, _OPS, _FLAGS = 4, 5, 8
_ETH_P_ALL = 3
#: Clear of priorities that other filters of a port have.
_PRIORITY = 99
#: Codes of linux/bpf_common.h, and verdicts of linux/pkt_cls.h.
_LOAD_WORD, _LOAD_HALF, _IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_SHOT, _UNSPEC = 2, 0xFFFFFFFF


def drop_frames_to(mac: bytes, index: int) -> bytearray:
    """Hang a filter on a link's ingress that drops what is for one MAC; the link has a clsact qdisc."""
    high, low = struct.unpack("!IH", mac)
    steps = [
        (_LOAD_WORD, 0, 0, 0),
        (_IF_EQUAL, 0, 3, high),
        (_LOAD_HALF, 0, 0, 4),
        (_IF_EQUAL, 0, 1, low),
        (_RETURN, 0, 0, _SHOT),
        (_RETURN, 0, 0, _UNSPEC),
    ]
    options = _attribute(_OPS_LEN, struct.pack("=H", len(steps)))
    options += _attribute(_OPS, b"".join(struct.pack("=HBBI", *step) for step in steps))
    options += _attribute(_FLAGS, struct.pack("=I", TCA_BPF_FLAG_ACT_DIRECT))
    body = _TCMSG.pack(0, index, 1, INGRESS, _PRIORITY << 16 | _ETH_P_ALL << 8)
    body += _attribute(_TCA_KIND, b"bpf\0") + _attribute(_TCA_OPTIONS, options)
    return bytearray(_HEADER.pack(_HEADER.size + len(body), RTM_NEWTFILTER, CREATE, 0, 0) + body)


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)
