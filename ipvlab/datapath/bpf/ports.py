"""What a parent has once it carries endpoints, and how its endpoints follow it.

In the kernel's ipvlan a parent's MAC, MTU and carrier reach its slaves by
notifiers (ipvlan_main.c: ipvlan_device_event). Here they are read off the parent
whenever the lab is about to be looked at.
"""

from __future__ import annotations

import dataclasses

from ipvlab.datapath.base import End, Link
from ipvlab.datapath.bpf.detour import Detour
from ipvlab.datapath.bpf.tables import Tables
from ipvlab.linux import messages
from ipvlab.linux.link_state import LinkState
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.stack import LEAST_MTU6
from ipvlab.spec.values import Address, Flag, Mode


@dataclasses.dataclass(slots=True)
class Endpoint:
    """One endpoint: the host end of its pair, and what lies in the container."""

    container: Namespace
    link: Link
    host_end: int
    slot: int
    #: Its dev_id on the parent, 1 to 0xFFFD.
    device: int
    addresses: set[Address]
    #: Whether the programs know its addresses: those of a link that is down are nobody's (ipvlan_stop).
    is_listed: bool = True

    @property
    def matched(self) -> frozenset[Address]:
        """The addresses that packets are matched by."""
        return frozenset(self.addresses) if self.is_listed else frozenset()

    def ends(self, host: Namespace) -> list[End]:
        """Both ends of the pair, for whoever waits until they carry frames."""
        ends = (host, self.host_end), (self.container, self.link.index)
        return [(*ends[0], ends[1]), (*ends[1], ends[0])]


@dataclasses.dataclass(slots=True)
class Port:
    """An ipvlan port (ipvlan.h: struct ipvl_port); mode and flag are its, not its endpoints'."""

    number: int
    host_number: int
    host: Namespace
    parent: Link
    mode: Mode
    flag: Flag
    #: The parent's MAC and MTU as the endpoints have them.
    mac: bytes
    mtu: int
    has_carrier: bool = True
    next_device: int = 1
    #: The tap to the host's netfilter and what goes through it; None while no rule hangs there.
    detour: Detour | None = None
    #: Host ends by place in the fan-out; None is a hole.
    slots: list[int | None] = dataclasses.field(default_factory=list)
    free: list[int] = dataclasses.field(default_factory=list)
    endpoints: dict[int, Endpoint] = dataclasses.field(default_factory=dict)
    #: Every address of an endpoint, up or down: nobody else may have it (ipvlan_addr_busy).
    held: set[Address] = dataclasses.field(default_factory=set)

    def learn(self, tables: Tables, endpoint: Endpoint, address: Address) -> None:
        """Take note of an address of an endpoint."""
        endpoint.addresses.add(address)
        self.held.add(address)
        if endpoint.is_listed:
            tables.set_owner(self.number, address, endpoint.host_end)

    def forget(self, tables: Tables, endpoint: Endpoint, address: Address) -> None:
        """Take note that an endpoint has lost an address."""
        endpoint.addresses.discard(address)
        self.held.discard(address)
        if endpoint.is_listed:
            tables.delete_owner(self.number, address)

    def _list(self, tables: Tables, endpoint: Endpoint) -> list[End]:
        """Match packets by an endpoint's addresses while its link is up, and by none while it is down.

        Returned are the ends of one that is up again: its host end is activated later than itself.
        """
        if endpoint.link.is_up is endpoint.is_listed:
            return []
        endpoint.is_listed = endpoint.link.is_up
        for address in endpoint.addresses:
            if endpoint.is_listed:
                tables.set_owner(self.number, address, endpoint.host_end)
            else:
                tables.delete_owner(self.number, address)
        return endpoint.ends(self.host) if endpoint.is_listed else []

    def state(self, tables: Tables) -> None:
        """Write the port where the programs read it."""
        tables.set_port(
            self.number,
            self.parent.index,
            self.host_number,
            len(self.slots),
            self.mode,
            self.flag,
            self.mac,
            self.detour.bits if self.detour is not None else (0, 0),
        )

    def set_mode(self, tables: Tables, mode: Mode, flag: Flag) -> None:
        """Change mode and flag for all endpoints at once; ARP follows the mode.

        ipvlan_main.c: ipvlan_set_port_mode sets NOARP on every slave in l3 and
        l3s and clears it in l2, and that flushes their neighbours.
        """
        self.mode, self.flag = mode, flag
        self.state(tables)
        noarp = 0 if mode is Mode.L2 else messages.IFF_NOARP
        for endpoint in self.endpoints.values():
            link = endpoint.link
            if link.has_arp is (mode is Mode.L2):
                continue
            message = messages.set_flags(link.index, noarp, messages.IFF_NOARP)
            endpoint.container.netlink.request(message, f"set ARP of {link.name}")
            link.has_arp = mode is Mode.L2

    def follow(self, tables: Tables) -> list[End]:
        """Give the parent's MAC, MTU and carrier to the endpoints; the ends that came up by it.

        Endpoints that were set down since lose their addresses to the parent, and get them back when up.
        """
        came_up = [end for each in self.endpoints.values() for end in self._list(tables, each)]
        found = LinkState.read(self.host, self.parent.index)
        if found is None:
            return came_up
        has_carrier = found.is_up and self._has_carrier(found, tables)
        changes_carrier = has_carrier is not self.has_carrier
        self.has_carrier = has_carrier
        # A parent's MTU overwrites what an endpoint was given (K-OBJ-008), but only when it changes.
        changed: list[tuple[str, object]] = []
        if found.mac != self.mac:
            changed.append(("IFLA_ADDRESS", found.mac.hex(":")))
        if found.mtu != self.mtu:
            changed.append(("IFLA_MTU", found.mtu))
        self.mac, self.mtu = found.mac, found.mtu
        if changed:
            self.state(tables)
        for endpoint in self.endpoints.values():
            self._change(endpoint, changed)
            if changes_carrier:
                flags = messages.IFF_UP if has_carrier else 0
                message = messages.set_flags(endpoint.host_end, flags, messages.IFF_UP)
                self.host.netlink.request(message, f"carry the carrier of {self.parent.name} on")
                if has_carrier:
                    came_up += endpoint.ends(self.host)
        return came_up

    def _has_carrier(self, found: LinkState, tables: Tables) -> bool:
        """Whether frames get anywhere: a sub-interface has the carrier of the link below it."""
        below = tables.link_below(self.parent.index)
        if below is None:
            return found.has_carrier
        under = LinkState.read(self.host, below)
        return under is not None and under.is_up and under.has_carrier

    def _change(self, endpoint: Endpoint, changed: list[tuple[str, object]]) -> None:
        if not changed:
            return
        link = endpoint.link
        if self.mtu < LEAST_MTU6 and any(address.version == 6 for address in endpoint.addresses):
            # An ipvlan's own IPv6 hears nothing of it (ipvlan_adjust_mtu); a veth's would go away.
            changed = [(name, LEAST_MTU6 if name == "IFLA_MTU" else value) for name, value in changed]
        for namespace, index, _ in endpoint.ends(self.host):
            message = messages.set_link(index, changed)
            namespace.netlink.request(message, f"let {link.name} follow {self.parent.name}")
        link.mac, link.mtu = self.mac, self.mtu
