"""Which endpoints a parent carries, so that the lab's records follow what the kernel does to them."""

from __future__ import annotations

import dataclasses
import errno

from ipvlab.datapath.base import End, Link
from ipvlab.errors import KernelRefusal
from ipvlab.linux import ipvlan_messages, messages
from ipvlab.linux.namespaces import Namespace
from ipvlab.spec.values import Mode


@dataclasses.dataclass(slots=True)
class ParentPort:
    """A parent and its endpoints; mode, flag, MAC and MTU are the parent's (ipvlan.h: struct ipvl_port)."""

    host: Namespace
    parent: Link
    mtu: int
    has_carrier: bool = True
    endpoints: dict[int, tuple[Namespace, Link]] = dataclasses.field(default_factory=dict)

    def note_mode(self, mode: Mode) -> None:
        """Record what ipvlan_set_port_mode does to every endpoint: ARP off in l3 and l3s."""
        for _, link in self.endpoints.values():
            link.has_arp = mode is Mode.L2

    def follow(self) -> list[End]:
        """Record the MAC and MTU that the parent's endpoints have by now.

        The kernel hands MAC, MTU and carrier on by notifiers (ipvlan_main.c:
        ipvlan_device_event). Returned are the endpoints whose parent has got its
        carrier back: linkwatch lets them send again a little later.
        """
        if not self.endpoints:
            return []
        try:
            body = self.host.netlink.get(messages.get_link(self.parent.index), f"read {self.parent.name}")
        except KernelRefusal as refusal:
            if refusal.errno == errno.ENODEV:
                return []
            raise
        found = ipvlan_messages.read_link(body)
        has_carrier = bool(found.flags & ipvlan_messages.IFF_LOWER_UP)
        came_up = has_carrier and not self.has_carrier
        self.has_carrier = has_carrier
        for _, link in self.endpoints.values():
            link.mac = found.mac
            if found.mtu != self.mtu:
                # Overwritten whatever it was, but only when the parent's changes (K-OBJ-008).
                link.mtu = found.mtu
        self.mtu = found.mtu
        return [(held, link.index, None) for held, link in self.endpoints.values()] if came_up else []
