"""Route netlink requests: each shape is encoded once by pyroute2, then patched as bytes.

pyroute2 takes 350 to 620 microseconds to encode a message, patching takes one; a
lab sends the same dozen shapes thousands of times.
"""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Mapping
from typing import Any

from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from ipvlab.spec.values import Address, Interface, Subnet

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR = 20, 21
RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTM_NEWQDISC, RTM_NEWTFILTER = 36, 44

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
ASK = NLM_F_REQUEST | NLM_F_ACK
CREATE = ASK | NLM_F_CREATE | NLM_F_EXCL

IFF_UP, IFF_NOARP, IFF_MULTICAST = 0x1, 0x80, 0x1000
IFA_F_NODAD = 0x02
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
RTPROT_BOOT, RTPROT_STATIC = 3, 4
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
CLSACT = 0xFFFFFFF1
TCA_BPF_FLAG_ACT_DIRECT = 1
ETH_P_ALL = 3

# Numbers that stand for the holes of a template; no real message holds them.
_INDEX, _PEER_INDEX, _LINK = 0x5A5A5A01, 0x5A5A5A02, 0x5A5A5A03
_FD, _MTU, _NUMBER = 0x5A5A5A04, 0x5A5A5A05, 0x5A5A5A06
_NAME, _PEER_NAME = "\x01name-of-the-lnk"[:15], "\x01name-of-the-per"[:15]
_MAC, _PEER_MAC = "5a:5a:5a:5a:5a:11", "5a:5a:5a:5a:5a:12"
_IPV4, _IPV4_VIA = "90.91.92.93", "90.91.92.94"
_IPV6, _IPV6_VIA = "5a5a::5b5b:1", "5a5a::5b5b:2"

_u32 = struct.Struct("=I").pack


class Template:
    """An encoded message with named holes of fixed width."""

    def __init__(self, message: nlmsg, kind: int, flags: int, holes: Mapping[str, bytes]) -> None:
        message["header"]["type"] = kind
        message["header"]["flags"] = flags
        message.encode()
        self._bytes = bytearray(message.data)
        self._holes: dict[str, list[tuple[int, int]]] = {}
        for name, mark in holes.items():
            places = [at for at in range(len(self._bytes)) if self._bytes.startswith(mark, at)]
            assert places, f"no hole for {name}"
            self._holes[name] = [(at, at + len(mark)) for at in places]

    def fill(self, **values: bytes) -> bytearray:
        """A message with the holes filled; values are as wide as their holes."""
        message = bytearray(self._bytes)
        for name, value in values.items():
            for start, end in self._holes[name]:
                message[start:end] = value
        return message


def _name(name: str) -> bytes:
    # IFLA_IFNAME may carry trailing NULs up to IFNAMSIZ, so the hole has one width.
    return name.encode().ljust(16, b"\0")


def _mac_mark(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


@functools.cache
def _veth_template() -> Template:
    message = ifinfmsg()
    message["index"] = _INDEX
    queues = [("IFLA_NUM_TX_QUEUES", 1), ("IFLA_NUM_RX_QUEUES", 1)]
    peer: dict[str, Any] = {
        "index": _PEER_INDEX,
        "attrs": [
            ("IFLA_IFNAME", _PEER_NAME),
            ("IFLA_ADDRESS", _PEER_MAC),
            ("IFLA_MTU", _MTU),
            ("IFLA_NET_NS_FD", _FD),
            *queues,
        ],
    }
    message["attrs"] = [
        ("IFLA_IFNAME", _NAME),
        ("IFLA_ADDRESS", _MAC),
        ("IFLA_MTU", _MTU),
        *queues,
        (
            "IFLA_LINKINFO",
            {
                "attrs": [
                    ("IFLA_INFO_KIND", "veth"),
                    ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", peer)]}),
                ]
            },
        ),
    ]
    holes = {
        "index": _u32(_INDEX),
        "peer_index": _u32(_PEER_INDEX),
        "name": _name(_NAME),
        "peer_name": _name(_PEER_NAME),
        "mac": _mac_mark(_MAC),
        "peer_mac": _mac_mark(_PEER_MAC),
        "mtu": _u32(_MTU),
        "fd": _u32(_FD),
    }
    return Template(message, RTM_NEWLINK, CREATE, holes)


def add_veth(
    name: str,
    index: int,
    mac: bytes,
    peer_fd: int,
    peer_name: str,
    peer_index: int,
    peer_mac: bytes,
    mtu: int,
) -> bytearray:
    """Create a veth pair: one end here, its peer in the namespace behind ``peer_fd``.

    One queue at each end: with more, ``veth_init_queues`` waits for an RCU grace period.
    """
    return _veth_template().fill(
        name=_name(name),
        index=_u32(index),
        mac=mac,
        fd=_u32(peer_fd),
        peer_name=_name(peer_name),
        peer_index=_u32(peer_index),
        peer_mac=peer_mac,
        mtu=_u32(mtu),
    )


@functools.cache
def _kind_template(kind: str) -> Template:
    message = ifinfmsg()
    message["index"] = _INDEX
    info: list[tuple[str, Any]] = [("IFLA_INFO_KIND", kind)]
    if kind == "bridge":
        info.append(
            (
                "IFLA_INFO_DATA",
                {
                    "attrs": [
                        ("IFLA_BR_STP_STATE", 0),
                        ("IFLA_BR_FORWARD_DELAY", 0),
                        ("IFLA_BR_MCAST_SNOOPING", 0),
                    ]
                },
            )
        )
    message["attrs"] = [
        ("IFLA_IFNAME", _NAME),
        ("IFLA_ADDRESS", _MAC),
        ("IFLA_MTU", _MTU),
        ("IFLA_LINKINFO", {"attrs": info}),
    ]
    holes = {"index": _u32(_INDEX), "name": _name(_NAME), "mac": _mac_mark(_MAC), "mtu": _u32(_MTU)}
    return Template(message, RTM_NEWLINK, CREATE, holes)


def add_link(kind: str, name: str, index: int, mac: bytes, mtu: int) -> bytearray:
    """Create a link without parameters of its own (``ifb``, ``bridge``, ``vlan``-less kinds)."""
    return _kind_template(kind).fill(index=_u32(index), name=_name(name), mac=mac, mtu=_u32(mtu))


@functools.cache
def _flags_template() -> Template:
    message = ifinfmsg()
    message["index"] = _INDEX
    message["flags"] = _LINK
    message["change"] = _NUMBER
    holes = {"index": _u32(_INDEX), "flags": _u32(_LINK), "change": _u32(_NUMBER)}
    return Template(message, RTM_NEWLINK, ASK, holes)


def set_flags(index: int, flags: int, change: int) -> bytearray:
    """Set those interface flags that ``change`` names (IFF_UP, IFF_NOARP …)."""
    return _flags_template().fill(index=_u32(index), flags=_u32(flags), change=_u32(change))


def set_link(index: int, attributes: list[tuple[str, Any]]) -> bytearray:
    """Change attributes of a link (IFLA_MTU, IFLA_ADDRESS, IFLA_MASTER …); encoded afresh."""
    message = ifinfmsg()
    message["index"] = index
    message["attrs"] = attributes
    return Template(message, RTM_NEWLINK, ASK, {}).fill()


@functools.cache
def _port_template() -> Template:
    message = ifinfmsg()
    message["index"] = _INDEX
    message["attrs"] = [("IFLA_MASTER", _LINK)]
    return Template(message, RTM_NEWLINK, ASK, {"index": _u32(_INDEX), "master": _u32(_LINK)})


def enslave(index: int, master: int) -> bytearray:
    """Make a link a port of the bridge ``master``."""
    return _port_template().fill(index=_u32(index), master=_u32(master))


def set_hairpin(index: int) -> bytearray:
    """Let a bridge port send a frame back out of itself (IFLA_BRPORT_MODE, reflective relay)."""
    slave = [
        ("IFLA_INFO_SLAVE_KIND", "bridge"),
        ("IFLA_INFO_SLAVE_DATA", {"attrs": [("IFLA_BRPORT_MODE", 1)]}),
    ]
    return set_link(index, [("IFLA_LINKINFO", {"attrs": slave})])


def delete_link(index: int) -> bytearray:
    """Delete a link; the kernel waits one RCU barrier (about 20 ms) for it."""
    message = ifinfmsg()
    message["index"] = index
    return Template(message, RTM_DELLINK, ASK, {}).fill()


@functools.cache
def _get_link_template() -> Template:
    message = ifinfmsg()
    message["index"] = _INDEX
    return Template(message, RTM_GETLINK, NLM_F_REQUEST, {"index": _u32(_INDEX)})


def get_link(index: int) -> bytearray:
    """Ask for one link's attributes."""
    return _get_link_template().fill(index=_u32(index))


@functools.cache
def _address_template(version: int, flags: int) -> Template:
    message = ifaddrmsg()
    message["index"] = _INDEX
    message["prefixlen"] = 0x5A
    message["family"] = socket.AF_INET if version == 4 else socket.AF_INET6
    mark = _IPV4 if version == 4 else _IPV6
    attributes: list[tuple[str, Any]] = [("IFA_LOCAL", mark), ("IFA_ADDRESS", mark)]
    if flags:
        attributes.append(("IFA_FLAGS", flags))
    message["attrs"] = attributes
    holes = {"index": _u32(_INDEX), "address": _packed(mark)}
    return Template(message, RTM_NEWADDR, CREATE, holes)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def change_address(
    index: int, address: Interface, *, is_new: bool = True, does_dad: bool = False
) -> bytearray:
    """Add or delete an address; one that ipvlab or the driver adds skips DAD (NODAD)."""
    flags = IFA_F_NODAD if address.version == 6 and not does_dad else 0
    message = _address_template(address.version, flags).fill(index=_u32(index), address=address.ip.packed)
    message[17] = address.network.prefixlen
    if not is_new:
        struct.pack_into("=HH", message, 4, RTM_DELADDR, ASK)
    return message


@functools.cache
def _route_template(version: int, has_destination: bool, has_gateway: bool, has_link: bool) -> Template:
    message = rtmsg()
    message["family"] = socket.AF_INET if version == 4 else socket.AF_INET6
    message["table"] = 254
    message["proto"] = RTPROT_BOOT
    message["type"] = 1
    message["scope"] = RT_SCOPE_UNIVERSE if has_gateway or version == 6 else RT_SCOPE_LINK
    destination, gateway = (_IPV4, _IPV4_VIA) if version == 4 else (_IPV6, _IPV6_VIA)
    attributes: list[tuple[str, Any]] = []
    holes: dict[str, bytes] = {}
    if has_destination:
        attributes.append(("RTA_DST", destination))
        holes["destination"] = _packed(destination)
    if has_gateway:
        attributes.append(("RTA_GATEWAY", gateway))
        holes["gateway"] = _packed(gateway)
    if has_link:
        attributes.append(("RTA_OIF", _LINK))
        holes["link"] = _u32(_LINK)
    message["attrs"] = attributes
    return Template(message, RTM_NEWROUTE, CREATE, holes)


def change_route(
    version: int, to: Subnet | None, via: Address | None, index: int | None, *, is_new: bool = True
) -> bytearray:
    """Add or delete a route of the main table; ``to`` None is the default route."""
    values: dict[str, bytes] = {}
    if to is not None:
        values["destination"] = to.network_address.packed
    if via is not None:
        values["gateway"] = via.packed
    if index is not None:
        values["link"] = _u32(index)
    template = _route_template(version, to is not None, via is not None, index is not None)
    message = template.fill(**values)
    message[17] = to.prefixlen if to is not None else 0
    if not is_new:
        struct.pack_into("=HH", message, 4, RTM_DELROUTE, ASK)
        # Deleting matches any scope and protocol (fib_table_delete: RT_SCOPE_NOWHERE, RTPROT_UNSPEC).
        message[21], message[22] = 0, 255
    return message


@functools.cache
def _clsact_template() -> Template:
    message = tcmsg()
    message["index"] = _INDEX
    message["handle"] = 0xFFFF0000
    message["parent"] = CLSACT
    message["attrs"] = [("TCA_KIND", "clsact")]
    return Template(message, RTM_NEWQDISC, CREATE, {"index": _u32(_INDEX)})


def add_clsact(index: int) -> bytearray:
    """Give a link the qdisc that carries ingress and egress programs."""
    return _clsact_template().fill(index=_u32(index))


@functools.cache
def _filter_template(parent: int, priority: int, name: str) -> Template:
    message = tcmsg()
    message["index"] = _INDEX
    message["handle"] = 1
    message["parent"] = parent
    message["info"] = priority << 16 | socket.htons(ETH_P_ALL)
    options = {
        "attrs": [("TCA_BPF_FD", _FD), ("TCA_BPF_NAME", name), ("TCA_BPF_FLAGS", TCA_BPF_FLAG_ACT_DIRECT)]
    }
    message["attrs"] = [("TCA_KIND", "bpf"), ("TCA_OPTIONS", options)]
    holes = {"index": _u32(_INDEX), "fd": _u32(_FD)}
    return Template(message, RTM_NEWTFILTER, CREATE, holes)


def add_program(index: int, parent: int, program_fd: int, name: str, priority: int = 1) -> bytearray:
    """Hang a BPF program on a link's ingress or egress, direct action."""
    return _filter_template(parent, priority, name).fill(index=_u32(index), fd=_u32(program_fd))
