"""Route netlink requests for ipvlan, 802.1Q links and VLAN-aware bridges, packed by hand.

pyroute2 knows neither the mode ``l3s`` nor the flags of ipvlan; the messages are
short enough to be written down (include/uapi/linux/if_link.h, if_bridge.h).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator

from ipvlab.linux.messages import ASK, CREATE, NLM_F_DUMP, NLM_F_REQUEST, RTM_NEWLINK
from ipvlab.linux.netlink import attributes
from ipvlab.spec.values import Flag, Interface, Mode

RTM_DELLINK, RTM_SETLINK, RTM_GETADDR = 17, 19, 22

_IFLA_IFNAME, _IFLA_LINK, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 3, 5, 10, 18, 26, 28
_IFLA_ADDRESS, _IFLA_MTU = 1, 4
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFLA_IPVLAN_MODE, _IFLA_IPVLAN_FLAGS = 1, 2
_IFLA_VLAN_ID = 1
_IFLA_BR_VLAN_FILTERING = 7
_IFLA_BRIDGE_VLAN_INFO = 2
_IFLA_INET6_ADDR_GEN_MODE = 8
_IFA_ADDRESS, _IFA_LOCAL = 1, 2

#: enum ipvlan_mode, and the bits of IFLA_IPVLAN_FLAGS.
MODES = {Mode.L2: 0, Mode.L3: 1, Mode.L3S: 2}
FLAGS = {Flag.BRIDGE: 0, Flag.PRIVATE: 1, Flag.VEPA: 2}

#: The link below is up, or the cable is in (IFF_UP says only what was asked for).
IFF_LOWER_UP = 0x10000

#: enum in6_addr_gen_mode.
EUI64, NONE = 0, 1

BRIDGE_VLAN_PVID, BRIDGE_VLAN_UNTAGGED = 0x02, 0x04
_RANGE_BEGIN, _RANGE_END = 0x08, 0x10

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def _message(kind: int, flags: int, body: bytes) -> bytearray:
    return bytearray(_HEADER.pack(_HEADER.size + len(body), kind, flags, 0, 0) + body)


def _link_message(kind: int, flags: int, index: int, attached: bytes, family: int = 0) -> bytearray:
    return _message(kind, flags, _LINK.pack(family, 0, index, 0, 0) + attached)


def _info(kind: str, settings: bytes) -> bytes:
    named = _attribute(_IFLA_INFO_KIND, kind.encode() + b"\0")
    return _attribute(_IFLA_LINKINFO, named + _attribute(_IFLA_INFO_DATA, settings))


def add_ipvlan(name: str, index: int, parent: int, container_fd: int, mode: Mode, flag: Flag) -> bytearray:
    """Create an endpoint on ``parent``, born in the namespace behind ``container_fd``.

    Sent on the socket of the parent's namespace, where IFLA_LINK is looked up;
    IFLA_NET_NS_FD says where the link is registered (rtnetlink.c:
    rtnl_newlink_create), so nothing is moved. Mode and flag become those of all
    endpoints of the parent (ipvlan_main.c: ipvlan_link_new).
    """
    settings = _attribute(_IFLA_IPVLAN_MODE, struct.pack("=H", MODES[mode]))
    settings += _attribute(_IFLA_IPVLAN_FLAGS, struct.pack("=H", FLAGS[flag]))
    attached = _attribute(_IFLA_IFNAME, name.encode() + b"\0")
    attached += _attribute(_IFLA_LINK, struct.pack("=I", parent))
    attached += _attribute(_IFLA_NET_NS_FD, struct.pack("=I", container_fd))
    return _link_message(RTM_NEWLINK, CREATE, index, attached + _info("ipvlan", settings))


def set_ipvlan(index: int, mode: Mode, flag: Flag) -> bytearray:
    """Change mode and flag of an endpoint's parent, for all its endpoints at once.

    Sent in the endpoint's namespace; the kernel wants CAP_NET_ADMIN over the
    parent's namespace too (ipvlan_main.c: ipvlan_nl_changelink).
    """
    settings = _attribute(_IFLA_IPVLAN_MODE, struct.pack("=H", MODES[mode]))
    settings += _attribute(_IFLA_IPVLAN_FLAGS, struct.pack("=H", FLAGS[flag]))
    return _link_message(RTM_NEWLINK, ASK, index, _info("ipvlan", settings))


def add_vlan(name: str, index: int, base: int, vlan: int, mac: bytes | None = None) -> bytearray:
    """Create an 802.1Q link on ``base``; without ``mac`` it has, and follows, its base's."""
    attached = _attribute(_IFLA_IFNAME, name.encode() + b"\0")
    attached += _attribute(_IFLA_LINK, struct.pack("=I", base))
    if mac is not None:
        attached += _attribute(_IFLA_ADDRESS, mac)
    attached += _info("vlan", _attribute(_IFLA_VLAN_ID, struct.pack("=H", vlan)))
    return _link_message(RTM_NEWLINK, CREATE, index, attached)


def set_address_generation(index: int, mode: int) -> bytearray:
    """Say whether a link makes itself a link-local address when it is next set up (EUI64 or NONE)."""
    inet6 = _attribute(socket.AF_INET6, _attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([mode])))
    return _link_message(RTM_NEWLINK, ASK, index, _attribute(_IFLA_AF_SPEC, inet6))


def filter_vlans(bridge: int) -> bytearray:
    """Make a bridge look at tags."""
    settings = _attribute(_IFLA_BR_VLAN_FILTERING, b"\1")
    return _link_message(RTM_NEWLINK, ASK, bridge, _info("bridge", settings))


def change_port_vlans(port: int, vlans: Iterable[tuple[int, int, int]], *, is_new: bool = True) -> bytearray:
    """Add VLANs to a bridge port or take them away: each a first, a last and BRIDGE_VLAN_ bits."""
    entries = b""
    for first, last, bits in vlans:
        if first == last:
            entries += _attribute(_IFLA_BRIDGE_VLAN_INFO, struct.pack("=HH", bits, first))
        else:
            entries += _attribute(_IFLA_BRIDGE_VLAN_INFO, struct.pack("=HH", bits | _RANGE_BEGIN, first))
            entries += _attribute(_IFLA_BRIDGE_VLAN_INFO, struct.pack("=HH", bits | _RANGE_END, last))
    kind = RTM_SETLINK if is_new else RTM_DELLINK
    return _link_message(kind, ASK, port, _attribute(_IFLA_AF_SPEC, entries), socket.AF_BRIDGE)


@dataclasses.dataclass(frozen=True, slots=True)
class LinkFacts:
    """Flags, MAC and MTU of a link as the kernel has it."""

    flags: int
    mac: bytes
    mtu: int


def read_link(link: bytes) -> LinkFacts:
    """Flags, MAC and MTU from the body of an answer to a link request."""
    found = attributes(link, _LINK.size)
    (mtu,) = struct.unpack("=I", found[_IFLA_MTU])
    return LinkFacts(_LINK.unpack_from(link)[3], found[_IFLA_ADDRESS], mtu)


def read_bridge(link: bytes) -> int | None:
    """The bridge that a link is a port of, from the body of an answer to a link request."""
    master = attributes(link, _LINK.size).get(_IFLA_MASTER)
    return None if master is None else int(struct.unpack("=I", master)[0])


def dump_addresses(family: int = socket.AF_UNSPEC) -> bytearray:
    """Ask for all addresses of a namespace."""
    return _message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, _ADDRESS.pack(family, 0, 0, 0, 0))


def read_addresses(dump: bytes, index: int) -> Iterator[Interface]:
    """The addresses of one link in the answer to :func:`dump_addresses`."""
    offset = 0
    while offset + _HEADER.size <= len(dump):
        (length, *_) = _HEADER.unpack_from(dump, offset)
        body = dump[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3
        family, prefix, _, _, holder = _ADDRESS.unpack_from(body)
        if holder != index:
            continue
        found = attributes(body, _ADDRESS.size)
        # IFA_LOCAL differs from IFA_ADDRESS on point-to-point addresses only; IPv6 omits it.
        packed = found.get(_IFA_LOCAL, found[_IFA_ADDRESS])
        yield _interface(family, packed, prefix)


def _interface(family: int, packed: bytes, prefix: int) -> Interface:
    if family == socket.AF_INET:
        return ipaddress.IPv4Interface((packed, prefix))
    return ipaddress.IPv6Interface((packed, prefix))
