"""Captured frames in words: a line for each, and one for each of its layers; scapy knows what is in them."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scapy.packet import Packet

#: What a reader wants to know of a layer, by scapy's names; of others their name is told.
_FIELDS = {
    "Ether": ("src", "dst"),
    "Dot1Q": ("vlan",),
    "ARP": ("op", "hwsrc", "psrc", "hwdst", "pdst"),
    "IP": ("src", "dst", "ttl", "proto"),
    "IPv6": ("src", "dst", "hlim", "nh"),
    "ICMP": ("type", "code", "id", "seq"),
    "ICMPv6EchoRequest": ("id", "seq"),
    "ICMPv6EchoReply": ("id", "seq"),
    "ICMPv6ND_NS": ("tgt",),
    "ICMPv6ND_NA": ("tgt", "S", "O"),
    "ICMPv6ND_RA": ("routerlifetime",),
    "ICMPv6NDOptSrcLLAddr": ("lladdr",),
    "ICMPv6NDOptDstLLAddr": ("lladdr",),
    "UDP": ("sport", "dport", "len"),
}
_CONTENT = ("Raw", "Padding")


@functools.cache
def _dissector() -> type[Packet]:
    """Ethernet, once the layers that may follow it are known."""
    for layer in ("inet", "inet6", "dns", "dhcp"):
        # Loading one lets Ethernet frames be read as it.
        importlib.import_module(f"scapy.layers.{layer}")
    from scapy.layers.l2 import Ether

    return Ether


def summarize(frame: bytes) -> str:
    """A whole Ethernet frame in one line."""
    parts = _dissector()(frame).summary().split(" / ")
    shown = [part for part in parts if part not in _CONTENT]
    return " / ".join(shown[1:] or shown)


@functools.lru_cache(4096)
def describe(frame: bytes) -> tuple[str, tuple[str, ...]]:
    """A whole Ethernet frame in one line, and its layers, a line for each."""
    lines = []
    layer = _dissector()(frame)
    while layer:
        name = type(layer).__name__
        if name in _CONTENT:
            lines.append(f"{len(layer.original)} bytes: {layer.original.hex()}")
        else:
            fields = [
                f"{field} {layer.get_field(field).i2repr(layer, layer.getfieldval(field))}"
                for field in _FIELDS.get(name, ())
            ]
            lines.append(f"{layer.name}: {', '.join(fields)}" if fields else str(layer.name))
        layer = layer.payload
    return summarize(frame), tuple(lines)
