"""A link as the kernel has it now, read by its index."""

from __future__ import annotations

import dataclasses
import errno
import struct

from ipvlab.errors import KernelRefusal
from ipvlab.linux import messages
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes

_IFLA_ADDRESS, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_LINKINFO = 1, 4, 16, 18
_IFLA_INFO_SLAVE_DATA, _IFLA_BRPORT_STATE = 5, 1
_IFF_LOWER_UP = 0x10000
_OPER_UNKNOWN, _OPER_UP = 0, 6
_BR_STATE_FORWARDING = 3


@dataclasses.dataclass(frozen=True, slots=True)
class LinkState:
    """What decides whether a link carries frames, and what its endpoints copy from it."""

    #: Administratively up.
    is_up: bool
    has_carrier: bool
    #: Its queue takes frames: linkwatch has seen the carrier (operstate UP, or UNKNOWN where there is none).
    is_operational: bool
    #: For a switch port: frames are forwarded.
    is_forwarding: bool
    mac: bytes
    mtu: int

    @classmethod
    def read(cls, namespace: Namespace, index: int) -> LinkState | None:
        """A link's state, or None when the link is gone; raises :class:`KernelRefusal` otherwise."""
        try:
            body = namespace.netlink.get(messages.get_link(index), f"read link {index}")
        except KernelRefusal as refusal:
            if refusal.errno == errno.ENODEV:
                return None
            raise
        (flags,) = struct.unpack_from("=I", body, 8)
        held = attributes(body, 16)
        info = attributes(held.get(_IFLA_LINKINFO, b""))
        port = attributes(info.get(_IFLA_INFO_SLAVE_DATA, b""))
        return cls(
            is_up=bool(flags & messages.IFF_UP),
            has_carrier=bool(flags & _IFF_LOWER_UP),
            is_operational=held.get(_IFLA_OPERSTATE, b"\0")[0] in (_OPER_UNKNOWN, _OPER_UP),
            is_forwarding=port.get(_IFLA_BRPORT_STATE, b"\0")[0] == _BR_STATE_FORWARDING,
            mac=held.get(_IFLA_ADDRESS, b""),
            mtu=int.from_bytes(held.get(_IFLA_MTU, b""), "little"),
        )
