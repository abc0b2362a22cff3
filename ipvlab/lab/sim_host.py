"""A simulated host as its Docker driver sees it: the driver decides, this obeys."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ipvlab.datapath.sim.machine import Machine, PortState, SimLink, endpoint_name
from ipvlab.driver.port import Announcement, CommandResult, EndpointPlan, RoutePlan
from ipvlab.errors import KernelRefusal
from ipvlab.lab.sim_tables import add_address, add_route, forget_link, remove_route
from ipvlab.rules.announcing import announce_address
from ipvlab.rules.identifiers import endpoint_link_local, eui64_link_local
from ipvlab.rules.stack import LEAST_MTU6
from ipvlab.spec.values import Address, Flag, Mode, Subnet

if TYPE_CHECKING:
    from ipvlab.lab.sim_lab import SimLab


class SimHost:
    """One host's links, containers and processes (:class:`ipvlab.driver.port.HostPort`)."""

    def __init__(
        self, lab: SimLab, machine: Machine, execute: Callable[[str, Sequence[str]], CommandResult]
    ) -> None:
        self._lab = lab
        self._machine = machine
        self._execute = execute

    def has_link(self, name: str) -> bool:
        """Whether the host has a link of that name."""
        return name == "lo" or name in self._machine.links

    def is_up(self, name: str) -> bool:
        """Whether that link is administratively up."""
        return name == "lo" or self._machine.links[name].is_up

    def on_link_subnets(self) -> Sequence[Subnet]:
        """The subnets of the host's addresses, and what it reaches without a gateway."""
        subnets = [address.network for address in self._machine.addresses()]
        routes = [route for route in self._machine.routes if route.version == 4 and route.via is None]
        return subnets + [route.to for route in routes if route.to.prefixlen > 0]

    def add_vlan(self, name: str, base: str, vlan: int) -> None:
        """Create an 802.1Q sub-interface and set it up.

        Raises :class:`KernelRefusal` with ENETDOWN, and leaves nothing, when
        the base is down (net/8021q/vlan_dev.c: vlan_dev_open).
        """
        below = self._machine.links[base]
        if not below.is_up:
            raise KernelRefusal(
                f"set link {name} up in {self._machine.name}: Network is down (ENETDOWN)",
                errno=errno.ENETDOWN,
            )
        self._set_up(add_vlan(self._lab, self._machine, name, below, vlan))

    def add_isolated(self, name: str) -> None:
        """Create a parent that leads nowhere and set it up."""
        mac = self._lab.mac(self._machine.name, name)
        self._machine.links[name] = SimLink(name, self._lab.new_index(), mac, kind="isolated")
        self._set_up(self._machine.links[name])

    def _set_up(self, link: SimLink) -> None:
        link.is_up = True
        if link.has_ipv6:
            add_address(self._machine, link, eui64_link_local(link.mac))
        self._lab.world.changed()

    def remove_link(self, name: str) -> None:
        """Delete a sub-interface or isolated parent, and the endpoints on it."""
        remove_link(self._lab, self._machine, name)

    def add_container(self, name: str, hostname: str) -> None:
        """Create a container."""
        self._lab.add_container(self._machine.name, name, hostname)

    def remove_container(self, name: str) -> None:
        """Drop a container and everything in it."""
        machine = self._lab.container(self._machine.name, name)
        for interface in list(machine.links):
            remove_link(self._lab, machine, interface)
        del self._lab.nodes[machine.name]
        self._lab.world.changed()

    def rename_container(self, name: str, new: str) -> None:
        """Let a container be known by another name."""
        self._lab.rename_container(self._machine.name, name, new)

    def set_sysctls(self, container: str, sysctls: Mapping[str, str]) -> None:
        """Take note of sysctls; of those only ``forwarding`` changes what a simulated container does."""
        machine = self._lab.container(self._machine.name, container)
        machine.sysctls.update(sysctls)
        machine.forwards = machine.sysctls.get("ipv4/ip_forward") == "1"
        self._lab.world.changed()

    def change_routes(self, container: str, gone: Sequence[RoutePlan], new: Sequence[RoutePlan]) -> None:
        """Take routes out of a container, then put others in; a refusal leaves them as they were."""
        machine = self._lab.container(self._machine.name, container)
        before = list(machine.routes)
        try:
            for route in gone:
                with suppress(KernelRefusal):
                    remove_route(machine, route.version, _target(route), route.via, route.dev)
            for route in new:
                _add_route(machine, route)
        except KernelRefusal:
            machine.routes[:] = before
            raise
        finally:
            self._lab.world.changed()

    def attach(self, container: str, endpoint: EndpointPlan) -> None:
        """Create an endpoint with its addresses and routes.

        Raises :class:`KernelRefusal` with EADDRINUSE when a sibling, up or down,
        has one of the addresses (ipvlan_main.c: ipvlan_addr4_validator_event).
        """
        machine = self._lab.container(self._machine.name, container)
        parent = self._machine.links[endpoint.parent]
        if parent.port is None:
            parent.port = PortState(endpoint.mode, endpoint.flag)
        port = parent.port
        # The link is there before its addresses are, and with it its mode (ipvlan_main.c: ipvlan_link_new).
        set_mode(port, endpoint.mode, endpoint.flag)
        for address in endpoint.addresses:
            refuse_conflict(port, machine, address.ip)
            if address.version == 6 and parent.mtu < LEAST_MTU6:
                raise KernelRefusal(
                    f"add address {address} to {endpoint.interface} in {machine.name}: "
                    "Invalid argument (EINVAL)",
                    errno=errno.EINVAL,
                )
        machine.sysctls.update(endpoint.sysctls)
        addresses = endpoint.addresses
        has_ipv6 = any(address.version == 6 for address in addresses)
        switch = dict(endpoint.sysctls).get(f"ipv6/conf/{endpoint.interface}/disable_ipv6")
        if switch is not None:
            has_ipv6 = switch == "0"
            addresses = tuple(address for address in addresses if has_ipv6 or address.version == 4)
        link = SimLink(
            endpoint.interface,
            self._lab.new_index(),
            parent.mac,
            parent.mtu,
            has_arp=endpoint.mode is Mode.L2,
            kind="endpoint",
            below=parent.name,
            has_ipv6=has_ipv6,
        )
        device, port.next_device = port.next_device, port.next_device % 0xFFFD + 1
        machine.links[link.name] = link
        port.endpoints[endpoint_name(machine, link)] = (machine, link)
        # The datapaths give one beside the written addresses, and none to an interface without any.
        is_given = any(address.version == 6 for address in addresses)
        link_local = [endpoint_link_local(link.mac, device)] if is_given else []
        for address in (*addresses, *link_local):
            add_address(machine, link, address)
        self._lab.world.changed()
        try:
            for route in endpoint.routes:
                _add_route(machine, route)
        except KernelRefusal:
            remove_link(self._lab, machine, link.name)
            raise
        finally:
            self._lab.world.changed()
        if endpoint.announcement is not None:
            self._announce(machine, link, endpoint.announcement)

    def _announce(self, machine: Machine, link: SimLink, announcement: Announcement) -> None:
        """Correct what neighbours know of an endpoint's addresses; further messages would change nothing."""
        world = self._lab.world
        for address in self._lab.holders.choose(announcement, link.mac):
            if any(known == address for other in world.machines.values() for _, known in other.neighbours):
                world.transmit(machine, link, announce_address(link.mac, address))
        world.settle()

    def detach(self, container: str, interface: str) -> None:
        """Delete an endpoint's sub-interface; one that went already is no fault."""
        machine = self._lab.container(self._machine.name, container)
        if interface in machine.links:
            remove_link(self._lab, machine, interface)

    def execute(self, container: str, argv: Sequence[str]) -> CommandResult:
        """Interpret a command of the closed grammar in a container."""
        return self._execute(container, argv)


def _add_route(machine: Machine, route: RoutePlan) -> None:
    if route.dev not in machine.links:
        words = f"add route to {route.to} dev {route.dev} in {machine.name}: No such device (ENODEV)"
        raise KernelRefusal(words, errno=errno.ENODEV)
    add_route(machine, route.version, _target(route), route.via, route.dev)


def _target(route: RoutePlan) -> Subnet | None:
    return None if route.to == "default" else route.to


def add_vlan(
    lab: SimLab, machine: Machine, name: str, base: SimLink, vlan: int, mac: bytes | None = None
) -> SimLink:
    """Create an 802.1Q link, down; raises :class:`KernelRefusal` with EEXIST for a VLAN that is there."""
    taken = any(
        link.kind == "vlan" and link.below == base.name and link.vlan == vlan
        for link in machine.links.values()
    )
    if taken or name in machine.links:
        raise KernelRefusal(
            f"add VLAN {vlan} to {base.name} in {machine.name}: File exists (EEXIST)", errno=errno.EEXIST
        )
    link = SimLink(
        name,
        lab.new_index(),
        mac or base.mac,
        base.mtu,
        is_up=False,
        kind="vlan",
        below=base.name,
        vlan=vlan,
        has_ipv6=base.mtu >= LEAST_MTU6,
    )
    machine.links[name] = link
    lab.world.changed()
    return link


def remove_link(lab: SimLab, machine: Machine, name: str) -> None:
    """Delete a link: what rides on it goes too, in every namespace (NETDEV_UNREGISTER)."""
    link = machine.links.pop(name)
    forget_link(machine, link)
    if link.kind == "endpoint" and machine.host in lab.nodes:
        parent = lab.nodes[machine.host].links.get(link.below or "")
        if parent is not None and parent.port is not None:
            parent.port.endpoints.pop(endpoint_name(machine, link), None)
    for above in [other.name for other in machine.links.values() if other.below == name]:
        if machine.links[above].kind == "vlan":
            remove_link(lab, machine, above)
    if link.port is not None:
        for other, endpoint in list(link.port.endpoints.values()):
            if endpoint.name in other.links:
                remove_link(lab, other, endpoint.name)
        link.port.endpoints.clear()
    lab.world.changed()


def refuse_conflict(port: PortState, machine: Machine, address: Address) -> None:
    """Raise :class:`KernelRefusal` when an endpoint of the port has the address."""
    # Compared as numbers: an interface address makes a new object each time its `ip` is asked for.
    version, number = address.version, int(address)
    for _, link in port.endpoints.values():
        if any(int(held) == number and held.version == version for held in link.addresses):
            raise KernelRefusal(
                f"add address {address} in {machine.name}: Address already in use (EADDRINUSE): "
                "Address already assigned to an ipvlan device.",
                errno=errno.EADDRINUSE,
                explanation="Address already assigned to an ipvlan device",
            )


def set_mode(port: PortState, mode: Mode, flag: Flag) -> None:
    """Set mode and flag of a port for all of its endpoints (ipvlan_main.c: ipvlan_set_port_mode)."""
    if (port.mode, port.flag) == (mode, flag):
        return
    is_other_kind = (port.mode is Mode.L2) is not (mode is Mode.L2)
    port.mode, port.flag = mode, flag
    for machine, link in port.endpoints.values():
        link.has_arp = mode is Mode.L2
        if is_other_kind:
            for key in [key for key in machine.neighbours if key[0] == link.name]:
                del machine.neighbours[key]
