"""The ``kernel`` datapath: Linux's own ipvlan, through rtnetlink.

It is the reference: where another datapath differs from it, the other is wrong.
Addresses, ARP, what a parent hears and who may talk to whom are the kernel's
business, so little is remembered here.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager

from ipvlab.datapath.base import End, Link, PortFilter, Pump
from ipvlab.datapath.kernel.fence import fences_of
from ipvlab.datapath.kernel.fitness import check_fitness
from ipvlab.datapath.kernel.ports import ParentPort
from ipvlab.datapath.kernel.switch import VlanSwitches
from ipvlab.errors import KernelRefusal
from ipvlab.linux import ipvlan_messages, messages
from ipvlab.linux.link_settings import LINK_WITH_IPV6, for_link
from ipvlab.linux.namespaces import Namespace
from ipvlab.spec.values import Flag, Interface, Mode

#: Interface indexes of a lab start here, clear of links that a kernel makes in every namespace.
FIRST_INDEX = 101


class KernelDatapath:
    """One lab's ipvlan, made of real links.

    Raises :class:`ipvlab.errors.PrivilegeMissing` or :class:`ipvlab.errors.KernelUnfit` when
    made where it cannot work.
    """

    name = "kernel"

    def __init__(self) -> None:
        check_fitness()
        self._next_index = FIRST_INDEX
        self._switches = VlanSwitches()
        #: By the index of the parent.
        self._ports: dict[int, ParentPort] = {}

    def new_index(self) -> int:
        """An interface index that no other link of the lab has, so that a log tells links apart."""
        self._next_index += 1
        return self._next_index - 1

    def is_means(self, index: int) -> bool:
        """No: every link is somebody's."""
        return False

    def add_vlan(self, host: Namespace, name: str, base: Link, vlan: int, mac: bytes | None = None) -> Link:
        """Create an 802.1Q link on ``base``, down, with the base's MTU and, if none is given, its MAC.

        Raises :class:`KernelRefusal` with EEXIST when the base has that VLAN
        already (net/8021q/vlan.c: register_vlan_dev).
        """
        link = Link(
            name,
            self.new_index(),
            mac or base.mac,
            base.mtu,
            is_up=False,
            kind="vlan",
            below=base.name,
            vlan=vlan,
        )
        message = ipvlan_messages.add_vlan(name, link.index, base.index, vlan, mac)
        host.netlink.request(message, f"add VLAN {vlan} to {base.name}")
        return link

    def add_isolated(self, host: Namespace, name: str, mac: bytes) -> Link:
        """Create a parent that leads nowhere, a dummy link, down."""
        link = Link(name, self.new_index(), mac, is_up=False, kind="isolated")
        message = messages.add_link("dummy", name, link.index, mac, link.mtu)
        host.netlink.request(message, f"add link {name}")
        return link

    def remove_link(self, host: Namespace, link: Link) -> None:
        """Delete a sub-interface or isolated parent, and with it the endpoints that it carries."""
        host.netlink.request(messages.delete_link(link.index), f"delete link {link.name}")
        self._ports.pop(link.index, None)

    def add_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        name: str,
        mode: Mode,
        flag: Flag,
        addresses: Sequence[Interface],
    ) -> Link:
        """Create an endpoint in the container's namespace: up, addressed, link-local included.

        Raises :class:`KernelRefusal`: EADDRINUSE when a sibling has one of the
        addresses (ipvlan_main.c: ipvlan_addr4_validator_event), EBUSY when the
        parent belongs to a bridge or macvlan; no link is left behind.
        """
        link = Link(
            name,
            self.new_index(),
            parent.mac,
            parent.mtu,
            has_arp=mode is Mode.L2,
            kind="endpoint",
            below=parent.name,
        )
        message = ipvlan_messages.add_ipvlan(name, link.index, parent.index, container.fd, mode, flag)
        host.netlink.request(message, f"add endpoint {name} of {container.name} on {parent.name}")
        try:
            self._dress(container, link, addresses)
        except BaseException:
            container.netlink.request(messages.delete_link(link.index), f"delete endpoint {name}")
            raise
        self.adopt_endpoint(host, parent, container, link)
        self._ports[parent.index].note_mode(mode)
        return link

    def adopt_endpoint(self, host: Namespace, parent: Link, container: Namespace, link: Link) -> None:
        """Take note of an endpoint on ``parent`` that is there already, whoever made it."""
        port = self._ports.setdefault(parent.index, ParentPort(host, parent, parent.mtu))
        port.endpoints[link.index] = (container, link)

    def _dress(self, container: Namespace, link: Link, addresses: Sequence[Interface]) -> None:
        """Set an endpoint up and give it its addresses."""
        has_ipv6 = any(address.version == 6 for address in addresses)
        if has_ipv6:
            container.write_sysctls(for_link(link.name, LINK_WITH_IPV6))
            self._set_generation(container, link, ipvlan_messages.EUI64)
        message = messages.set_flags(link.index, messages.IFF_UP, messages.IFF_UP)
        container.netlink.request(message, f"set link {link.name} up")
        for address in addresses:
            self._add_address(container, link, address)
        if has_ipv6:
            self._settle_link_local(container, link)

    @staticmethod
    def _set_generation(container: Namespace, link: Link, mode: int) -> None:
        message = ipvlan_messages.set_address_generation(link.index, mode)
        container.netlink.request(message, f"set address generation of {link.name}")

    @staticmethod
    def _add_address(container: Namespace, link: Link, address: Interface) -> None:
        message = messages.change_address(link.index, address)
        container.netlink.request(message, f"add address {address} to {link.name}")
        link.addresses.append(address)

    def _settle_link_local(self, container: Namespace, link: Link) -> None:
        """Make the link-local address that the kernel gave the endpoint usable at once.

        Its form depends on dev_id, which rtnetlink does not tell (rule
        K-OBJ-018), so the kernel makes it, doing DAD, and it is added again
        without. A link without carrier has none yet; the kernel makes it later.
        """
        made = [
            address for address in self._held(container, link, socket.AF_INET6) if address.ip.is_link_local
        ]
        if not made:
            return
        for address in made:
            message = messages.change_address(link.index, address, is_new=False)
            container.netlink.request(message, f"delete address {address} of {link.name}")
            self._add_address(container, link, address)
        # The lab gives it again when the link has been down.
        self._set_generation(container, link, ipvlan_messages.NONE)

    @staticmethod
    def _held(container: Namespace, link: Link, family: int = socket.AF_UNSPEC) -> list[Interface]:
        dump = container.netlink.dump(
            ipvlan_messages.dump_addresses(family), f"read the addresses of {container.name}"
        )
        return list(ipvlan_messages.read_addresses(dump, link.index))

    def ends(self, host: Namespace, container: Namespace, link: Link) -> list[End]:
        """Nothing: an endpoint has its parent's carrier from the start (ipvlan_main.c: ipvlan_init)."""
        return []

    def set_mode(self, host: Namespace, parent: Link, mode: Mode, flag: Flag | None) -> None:
        """Change mode and flag of a parent; without a flag it becomes bridge.

        iproute2 always sends the flags along with a mode, so that ``mode l2``
        alone resets them (ip/iplink_ipvlan.c; K-MODE-003). Any endpoint of the
        parent takes the request, and it holds for all.
        """
        port = self._ports[parent.index]
        container, link = next(iter(port.endpoints.values()))
        message = ipvlan_messages.set_ipvlan(link.index, mode, flag or Flag.BRIDGE)
        container.netlink.request(message, f"set the mode of {parent.name}")
        port.note_mode(mode)

    def follow(self) -> list[End]:
        """Nothing to carry out; the endpoints that have their carrier back, for whoever waits for them."""
        return [end for port in self._ports.values() for end in port.follow()]

    def expect_rules(self, host: Namespace) -> None:
        """Nothing: ipvlan's own hooks are where they belong (ipvlan_l3s.c: ipvlan_register_nf_hook)."""

    def held_pump(self) -> AbstractContextManager[Pump]:
        """The kernel moves every packet itself; the pump proves that its worker has done so."""
        return fences_of(self._ports.values())

    def remove_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        link: Link,
        *,
        goes_with_container: bool = False,
    ) -> None:
        """Delete an endpoint, also where it would end with its namespace.

        The kernel frees a namespace later, on a worker; until then the endpoint
        would hold its addresses, and its number on the parent.
        """
        port = self._ports.get(parent.index)
        if port is not None:
            port.endpoints.pop(link.index, None)
        try:
            container.netlink.request(messages.delete_link(link.index), f"delete endpoint {link.name}")
        except KernelRefusal as refusal:
            # A program in the container has deleted it already.
            if refusal.errno != errno.ENODEV or not goes_with_container:
                raise

    def learn_address(self, host: Namespace, link: Link, address: Interface) -> None:
        """Nothing: ipvlan learns addresses from the kernel's own notifiers."""

    def forget_address(self, host: Namespace, link: Link, address: Interface) -> None:
        """Nothing, as for :meth:`learn_address`."""

    def filter_port(self, switch: Namespace, index: int, port: PortFilter | None) -> None:
        """Make a switch port filter and tag, by bridge VLAN filtering or, without it, by programs."""
        self._switches.filter_port(switch, index, port)

    def close(self) -> None:
        """Release what switch ports needed; links die with their namespaces."""
        self._switches.close()
