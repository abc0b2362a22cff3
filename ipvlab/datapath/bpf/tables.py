"""The maps of the programs as typed tables: the C structs of ``ipvlan.c``, in Python."""

from __future__ import annotations

import struct

from ipvlab.datapath.base import PortFilter
from ipvlab.datapath.bpf.program import LoadedObject
from ipvlab.spec.values import Address, Flag, Mode

_U32 = struct.Struct("=I")
_PAIR = struct.Struct("=II")
_PORT = struct.Struct("=IIIBB6sII")

MODES = {Mode.L2: 0, Mode.L3: 1, Mode.L3S: 2}
FLAGS = {Flag.BRIDGE: 0, Flag.PRIVATE: 1, Flag.VEPA: 2}
VLANS = 4096


class Tables:
    """What the control plane writes and the programs read."""

    def __init__(self, loaded: LoadedObject) -> None:
        self._maps = loaded.maps

    def set_port(
        self,
        number: int,
        parent: int,
        host: int,
        slots: int,
        mode: Mode,
        flag: Flag,
        mac: bytes,
        hooked: tuple[int, int],
    ) -> None:
        """State a port; one write, so a change of mode is atomic for all its endpoints.

        ``hooked`` is the index of its tap, and which packets go through it (bits of ``ipvlan.c``).
        """
        value = _PORT.pack(parent, host, slots, MODES[mode], FLAGS[flag], mac, *hooked)
        self._maps["ports"].set(_U32.pack(number), value)

    def delete_port(self, number: int) -> None:
        """Forget a port."""
        self._maps["ports"].delete(_U32.pack(number))

    def set_port_of(self, index: int, number: int) -> None:
        """Say which port a parent or host end belongs to."""
        self._maps["port_of"].set(_U32.pack(index), _U32.pack(number))

    def delete_port_of(self, index: int) -> None:
        """Forget which port a link belongs to; its program drops or passes everything then."""
        self._maps["port_of"].delete(_U32.pack(index))

    def set_slot(self, port: int, slot: int, host_end: int) -> None:
        """Give a place in a port's fan-out to a host end; 0 empties it."""
        if host_end:
            self._maps["slots"].set(_PAIR.pack(port, slot), _U32.pack(host_end))
        else:
            self._maps["slots"].delete(_PAIR.pack(port, slot))

    def owner(self, port: int, address: Address) -> int | None:
        """The host end of the endpoint of a port that owns an address."""
        found = self._maps[f"owners{address.version}"].get(_scoped(port, address))
        return _U32.unpack(found)[0] if found else None

    def set_owner(self, port: int, address: Address, host_end: int) -> None:
        """Say which endpoint of a port owns an address."""
        self._maps[f"owners{address.version}"].set(_scoped(port, address), _U32.pack(host_end))

    def delete_owner(self, port: int, address: Address) -> None:
        """Forget who owns an address."""
        self._maps[f"owners{address.version}"].delete(_scoped(port, address))

    def set_local(self, scope: int, address: Address) -> None:
        """Note an address of the host's own: scope is a port for IPv4 and link-local ones, else a host."""
        self._maps[f"locals{address.version}"].set(_scoped(scope, address), _U32.pack(1))

    def delete_local(self, scope: int, address: Address) -> None:
        """Forget an address of the host's own."""
        self._maps[f"locals{address.version}"].delete(_scoped(scope, address))

    def set_vlan(self, below: int, vlan: int, link: int) -> None:
        """Join a sub-interface to the link below it, both ways."""
        self._maps["vlans"].set(_PAIR.pack(below, vlan), _U32.pack(link))
        self._maps["tags"].set(_U32.pack(link), _PAIR.pack(below, vlan))

    def vlan_link(self, below: int, vlan: int) -> int | None:
        """The sub-interface of a link for one VLAN."""
        found = self._maps["vlans"].get(_PAIR.pack(below, vlan))
        return _U32.unpack(found)[0] if found else None

    def link_below(self, link: int) -> int | None:
        """The index of the link that a sub-interface lies on."""
        found = self._maps["tags"].get(_U32.pack(link))
        return _PAIR.unpack(found)[0] if found else None

    def delete_vlan(self, below: int, vlan: int, link: int) -> None:
        """Part a sub-interface from the link below it."""
        self._maps["vlans"].delete(_PAIR.pack(below, vlan))
        self._maps["tags"].delete(_U32.pack(link))

    def set_filter(self, index: int, port: PortFilter | None) -> None:
        """State how a switch port filters and tags; None carries every VLAN as it comes."""
        if port is None:
            self._maps["filters"].set(_U32.pack(index), struct.pack("=HH512x", 1, 0))
            return
        untagged = port.access or port.native or 0
        members = bytearray(VLANS // 8)
        for vlan in {*port.trunk, *filter(None, (port.access, port.native))}:
            members[vlan >> 3] |= 1 << (vlan & 7)
        self._maps["filters"].set(_U32.pack(index), struct.pack("=HH512s", untagged, 1, bytes(members)))


def _scoped(scope: int, address: Address) -> bytes:
    return _U32.pack(scope) + address.packed
