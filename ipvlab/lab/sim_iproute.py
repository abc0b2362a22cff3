"""The ``ip`` commands of the closed grammar, carried out on a simulated machine."""

from __future__ import annotations

import errno
import ipaddress
import os
from typing import Literal

from ipvlab.datapath.sim.machine import Machine, SimLink
from ipvlab.driver.hand_links import DummyAdd
from ipvlab.driver.ip_grammar import (
    AddressAdd,
    AddressDelete,
    AddressShow,
    IpCommand,
    IpvlanSet,
    LinkDelete,
    LinkSet,
    NeighbourFlush,
    RouteAdd,
    RouteDelete,
    RouteShow,
    VlanAdd,
)
from ipvlab.driver.port import CommandResult
from ipvlab.errors import KernelRefusal
from ipvlab.lab.sim_host import add_vlan, refuse_conflict, remove_link, set_mode
from ipvlab.lab.sim_lab import SimLab
from ipvlab.lab.sim_tables import (
    add_address,
    add_route,
    connect_link,
    disable_ipv6,
    disconnect_link,
    read_addresses,
    read_routes,
    remove_address,
    remove_route,
)
from ipvlab.rules.identifiers import derived_mac, eui64_link_local
from ipvlab.rules.neighbours import detect_duplicate
from ipvlab.rules.stack import LEAST_MTU6
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Interface


class _NoDevice(Exception):
    """A device is named that the machine does not have."""


def carry_out(lab: SimLab, machine: Machine, command: IpCommand) -> CommandResult:
    """Carry out a command that is not Docker's, and not ``ping``, on a machine.

    What a kernel would refuse is a result with an exit code, in iproute2's words.
    """
    try:
        text = _Hand(lab, machine).do(command)
    except _NoDevice as missing:
        return CommandResult(1, stderr=f"{missing}\n")
    except KernelRefusal as refusal:
        if refusal.explanation:
            return CommandResult(2, stderr=f"Error: {refusal.explanation.rstrip('.')}.\n")
        return CommandResult(2, stderr=f"RTNETLINK answers: {os.strerror(refusal.errno)}\n")
    lab.world.changed()
    return CommandResult(0, stdout=text)


def _refusal(number: int, explanation: str = "") -> KernelRefusal:
    return KernelRefusal(os.strerror(number), errno=number, explanation=explanation)


class _Hand:
    """Does commands on one machine."""

    def __init__(self, lab: SimLab, machine: Machine) -> None:
        self._lab = lab
        self._machine = machine

    def do(self, command: IpCommand) -> str:
        machine = self._machine
        match command:
            case VlanAdd():
                self._add_vlan(command)
            case DummyAdd():
                self._add_dummy(command.name)
            case LinkSet():
                self._set(command)
            case LinkDelete():
                self._delete(command.device)
            case IpvlanSet():
                self._set_mode(command)
            case AddressAdd():
                self._add_address(self._link(command.device), command.address)
            case AddressDelete():
                link = self._link(command.device)
                if command.address not in link.addresses:
                    words = (
                        "ipv4: Address not found"
                        if command.address.version == 4
                        else "ipv6: address not found"
                    )
                    raise _refusal(errno.EADDRNOTAVAIL, words)
                remove_address(machine, link, command.address)
            case RouteAdd() | RouteDelete():
                if command.device is not None:
                    self._link(command.device)
                change = add_route if isinstance(command, RouteAdd) else remove_route
                to = None if command.to == "default" else command.to
                change(machine, command.version, to, command.via, command.device)
            case NeighbourFlush():
                self._flush(command)
            case AddressShow():
                return self._show_addresses(command)
            case RouteShow():
                version: Literal[4, 6] = 4 if command.version == 4 else 6
                return "".join(f"{_show_route(route)} \n" for route in read_routes(machine, version))
            case _:
                raise ValueError(f"{command} is not an ip command")
        return ""

    def _link(self, name: str) -> SimLink:
        if name not in self._machine.links:
            raise _NoDevice(f'Cannot find device "{name}"')
        return self._machine.links[name]

    def _add_vlan(self, command: VlanAdd) -> None:
        base = self._link(command.base)
        if base.kind == "endpoint":
            raise _refusal(errno.EOPNOTSUPP, "VLANs not supported on device")
        add_vlan(self._lab, self._machine, command.name, base, command.vlan)

    def _add_dummy(self, name: str) -> None:
        if name in self._machine.links or name == "lo":
            raise _refusal(errno.EEXIST)
        mac = derived_mac("by hand", self._machine.name, name)
        self._machine.links[name] = SimLink(name, self._lab.new_index(), mac, is_up=False, kind="isolated")

    def _set(self, command: LinkSet) -> None:
        link = self._link(command.device)
        if command.mac is not None:
            self._set_mac(link, bytes.fromhex(command.mac.replace(":", "")))
        if command.mtu is not None:
            self._set_mtu(link, command.mtu)
        if command.is_up is not None:
            self._set_up(link) if command.is_up else self._set_down(link)

    def _set_mac(self, link: SimLink, mac: bytes) -> None:
        """A new MAC; sub-interfaces that inherited it and endpoints follow (NETDEV_CHANGEADDR)."""
        if link.kind == "endpoint":
            raise _refusal(errno.EOPNOTSUPP)
        old, link.mac, link.link_local = link.mac, mac, None
        for above in self._above(link):
            if above.mac == old:
                self._set_mac(above, mac)
        if link.port is not None:
            for _, endpoint in link.port.endpoints.values():
                endpoint.mac = mac

    def _set_mtu(self, link: SimLink, mtu: int) -> None:
        below = self._machine.links.get(link.below or "")
        if link.kind == "vlan" and below is not None and mtu > below.mtu:
            raise _refusal(errno.ERANGE)
        old, link.mtu = link.mtu, mtu
        if mtu < LEAST_MTU6:
            disable_ipv6(self._machine, link)
        elif old < LEAST_MTU6 and link.kind != "endpoint":
            link.has_ipv6 = True
            if link.is_up:
                add_address(self._machine, link, eui64_link_local(link.mac))
        for above in self._above(link):
            if above.mtu > mtu:
                self._set_mtu(above, mtu)
        if link.port is not None:
            for _, endpoint in link.port.endpoints.values():
                endpoint.mtu = mtu

    def _set_up(self, link: SimLink) -> None:
        below = self._machine.links.get(link.below or "")
        if link.kind == "vlan" and below is not None and not below.is_up:
            raise _refusal(errno.ENETDOWN)
        if link.is_up:
            return
        link.is_up = True
        if link.mtu < LEAST_MTU6:
            # Also where IPv6 has not noticed so far (addrconf.c: NETDEV_UP).
            disable_ipv6(self._machine, link)
        elif link.link_local is not None:
            link.addresses.append(link.link_local)
        elif link.kind != "endpoint" and link.has_ipv6 and not any(map(_is_link_local, link.addresses)):
            link.addresses.append(eui64_link_local(link.mac))
        connect_link(self._machine, link)
        for above in self._above(link):
            self._set_up(above)

    def _set_down(self, link: SimLink) -> None:
        for above in self._above(link):
            if above.is_up:
                self._set_down(above)
        link.is_up = False
        disconnect_link(self._machine, link)

    def _above(self, link: SimLink) -> list[SimLink]:
        links = self._machine.links.values()
        return [other for other in links if other.kind == "vlan" and other.below == link.name]

    def _delete(self, name: str) -> None:
        if self._link(name).kind == "wire":
            # A network card cannot be deleted (rtnetlink.c: rtnl_delete_link, no dellink).
            raise _refusal(errno.EOPNOTSUPP)
        remove_link(self._lab, self._machine, name)

    def _set_mode(self, command: IpvlanSet) -> None:
        link = self._link(command.device)
        host = self._lab.nodes.get(self._machine.host or "")
        parent = host.links.get(link.below or "") if host is not None else None
        if link.kind != "endpoint" or parent is None or parent.port is None:
            raise _refusal(errno.EOPNOTSUPP)
        # iproute2 sends the flags with every mode, so a mode alone is bridge again (K-MODE-003).
        flag = command.flag if command.flag is not None else type(parent.port.flag).BRIDGE
        set_mode(parent.port, command.mode, flag)

    def _add_address(self, link: SimLink, address: Interface) -> None:
        """Add an address by hand: an IPv6 one only once nobody defends it (RFC 4862)."""
        held = {one.ip for one in link.addresses} if address.version == 6 else set()
        if address in link.addresses or address.ip in held:
            raise _refusal(errno.EEXIST)
        host = self._lab.nodes.get(self._machine.host or "")
        parent = host.links.get(link.below or "") if host is not None else None
        if link.kind == "endpoint" and parent is not None and parent.port is not None:
            refuse_conflict(parent.port, self._machine, address.ip)
        if address.version == 6 and not link.has_ipv6:
            if link.mtu < LEAST_MTU6:
                raise _refusal(errno.EINVAL)
            raise _refusal(errno.EACCES, "IPv6 is disabled on this device")
        if isinstance(address, ipaddress.IPv6Interface) and self._is_duplicate(link, address):
            # It stays on the link, marked `dadfailed`, and nothing ever uses it.
            return
        add_address(self._machine, link, address)

    def _is_duplicate(self, link: SimLink, address: ipaddress.IPv6Interface) -> bool:
        world = self._lab.world
        world.changed()
        link.is_detecting = address.ip
        question = detect_duplicate(self._machine.stack.links[link.name], address.ip) if link.is_up else None
        world.conflicts.clear()
        if question is not None:
            world.transmit(self._machine, link, question)
            world.run()
        link.is_detecting = None
        return (self._machine.name, link.name, address.ip) in world.conflicts

    def _flush(self, command: NeighbourFlush) -> None:
        if command.device is not None:
            self._link(command.device)
        for key in list(self._machine.neighbours):
            is_link = command.device in (None, key[0])
            if is_link and command.version in (None, key[1].version):
                del self._machine.neighbours[key]

    def _show_addresses(self, command: AddressShow) -> str:
        if command.device not in (None, "lo") and command.device not in self._machine.links:
            raise _NoDevice(f'Device "{command.device}" does not exist.')
        lines = []
        for name, addresses in read_addresses(self._machine).items():
            if command.device not in (None, name):
                continue
            link = self._machine.links.get(name)
            index, mtu = (link.index, link.mtu) if link is not None else (1, 65536)
            state = "UP" if link is None or link.is_up else "DOWN"
            lines.append(f"{index}: {name}: <{state}> mtu {mtu} state {state}")
            if link is not None and command.version is None:
                lines.append(f"    link/ether {link.mac.hex(':')} brd ff:ff:ff:ff:ff:ff")
            for held in addresses:
                if command.version in (None, held.version):
                    family = "inet" if held.version == 4 else "inet6"
                    scope = "host" if link is None else "link" if _is_link_local(held) else "global"
                    lines.append(f"    {family} {held} scope {scope} {name}")
        return "".join(f"{line}\n" for line in lines)


def _show_route(route: RouteText) -> str:
    """A route as ``ip route`` prints it: what goes without saying is left out."""
    hidden = {"proto": "boot", "scope": "global"}
    words = [str(route.to).removesuffix("/32").removesuffix("/128")]
    for keyword in ("via", "dev", "proto", "scope", "src", "metric", "pref"):
        value = getattr(route, keyword)
        if value is not None and value != hidden.get(keyword):
            words.append(f"{keyword} {value}")
    return " ".join(words)


def _is_link_local(address: Interface) -> bool:
    return isinstance(address, ipaddress.IPv6Interface) and address.ip.is_link_local
