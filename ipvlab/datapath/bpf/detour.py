"""Detours: the way of an l3 or l3s port's packets through its host's netfilter, while rules hang there.

The kernel's ipvlan gives what leaves to the host's OUTPUT and POSTROUTING
(ipvlan_process_outbound), and in l3s what arrives to PREROUTING and INPUT
(ipvlan_l3s.c). No tc program can do either. While a hook holds rules, programs
therefore hand such packets over: what leaves, by a tap to ipvlab, which sends it
as the host's own; what arrives, up the host's stack, where a rule for the parent
makes endpoints' addresses local, and from INPUT's last chain to ipvlab, which
writes it into the tap and so to the endpoint. Without rules nobody could tell,
and packets take the fast path; but for packets that leave a host with routes that
only the host itself can follow (:mod:`.ways_out`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ipvlab.datapath.bpf.hooks import HostHooks
from ipvlab.datapath.bpf.offload import offload_header
from ipvlab.datapath.bpf.pump import Pump, Source
from ipvlab.datapath.bpf.ways_out import WayOut, is_narrow, leads_elsewhere, read_ways
from ipvlab.errors import KernelUnfit
from ipvlab.linux import messages, policy
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes
from ipvlab.linux.taps import OFFLOAD_HEADER, open_tap
from ipvlab.spec.values import Address, Mode

if TYPE_CHECKING:
    from ipvlab.datapath.bpf.ports import Port
    from ipvlab.datapath.bpf.tables import Tables

_ETHERNET = 14
_TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_AT_A_TIME = 256
#: Packets that a tap holds for ipvlab before it loses some; the driver's own default is 500.
_QUEUE = 16384
_LONGEST = 1 << 17
_IFLA_STATS64, _TX_DROPPED = 23, 7
#: Routing tables of detours: this and the parent's index, far from those that people number.
_FIRST_TABLE = 0x6976_0000
#: Ports are numbered from 1.
_NO_PORT = 0
#: ``hooked`` of ipvlan.c.
_OUT, _IN = {4: 1, 6: 2}, {4: 4, 6: 8}


class Detour:
    """One port's tap, and what it has set up in the host's namespace."""

    def __init__(self, port: Port, hooks: HostHooks, index: int) -> None:
        self._host = port.host
        self._parent = port.parent
        self.hooks = hooks
        self.index = index
        try:
            self.fd = open_tap(port.host, f"ipvtap{index}", index)
        except OSError as error:
            raise KernelUnfit(
                f"{port.host.name} has netfilter rules or IPv6 routes by several links, and this machine has "
                f"no tap links to lead packets of l3 and l3s endpoints there ({error.strerror})",
                hint="modprobe tun, or use a kernel with ipvlan (--datapath kernel)",
            ) from error
        #: What the programs read: the tap, and which packets go through it.
        self.bits = (index, 0)
        self.mtu = port.mtu
        self._versions: frozenset[int] = frozenset()
        self._arriving: set[Address] = set()
        self._lost = 0

    def direct(self, leaving: frozenset[int], arriving: frozenset[int], addresses: Iterable[Address]) -> None:
        """Lead what leaves of some IP versions through the host, and of others what is for ``addresses``."""
        self._make_local(arriving, {address for address in addresses if address.version in arriving})
        out = sum(_OUT[version] for version in leaving)
        self.bits = (self.index, out + sum(_IN[version] for version in arriving))

    def _make_local(self, versions: frozenset[int], addresses: set[Address]) -> None:
        netlink, table = self._host.netlink, _FIRST_TABLE + self._parent.index
        new, gone = addresses - self._arriving, self._arriving - addresses
        if new or gone:
            self.hooks.match(self._parent.index, new, gone)
        for group, is_new in ((gone, False), (new, True)):
            for address in group:
                message = policy.change_local(address, table, is_new=is_new)
                netlink.request(message, f"make {address} local to {self._parent.name}")
        if 4 in versions ^ self._versions:
            # An endpoint's address is local now and on no link of the host: with 3, arp_process answers for
            # addresses that some link has, wherever it is, and for no other (arp_ignore).
            ignored = "3" if 4 in versions else "0"
            self._host.write_sysctls({f"ipv4/conf/{self._parent.name}/arp_ignore": ignored})
        for version in versions ^ self._versions:
            message = policy.change_rule(version, self._parent.name, table, is_new=version in versions)
            netlink.request(message, f"route what comes in by {self._parent.name} by table {table}")
        self._arriving, self._versions = addresses, versions
        self.hooks.hand_to(self._parent.index, self.deliver if versions else None)

    def send_on(self) -> int:
        """Send what waits in the tap as the host's own output, some at a time; how many packets."""
        for count in range(_AT_A_TIME):
            try:
                frame = os.read(self.fd, _LONGEST)
            except OSError:
                return count
            packet = frame[OFFLOAD_HEADER + _ETHERNET :]
            if packet and not self.hooks.send(packet, self._parent.index):
                self._lost += 1
        return _AT_A_TIME

    def deliver(self, packet: bytes, header: bytes) -> None:
        """Give a packet that has passed INPUT to its endpoint, whole, by the program of the tap."""
        ethernet = header[:12].ljust(12, b"\0") + _TYPES[packet[0] >> 4]
        try:
            os.writev(self.fd, [offload_header(packet, self.mtu), ethernet, packet])
        except OSError as error:
            # EINVAL: a packet that is none; the host's stack would have let it pass as well.
            if error.errno != errno.EINVAL:
                self._lost += 1

    def losses(self) -> int:
        """Packets that the tap had no room for, or did not take."""
        body = self._host.netlink.get(messages.get_link(self.index), f"read link {self.index}")
        counters = attributes(body, 16)[_IFLA_STATS64]
        (dropped,) = struct.unpack_from("=Q", counters, 8 * _TX_DROPPED)
        return int(dropped) + self._lost

    def close(self) -> None:
        """Take rules, routes and the tap out of the host."""
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, self.fd)
            stack.callback(self._make_local, frozenset(), set())


class Detours:
    """The detours of one lab, and the pump that moves what goes through them."""

    def __init__(
        self, tables: Tables, new_index: Callable[[], int], attach: Callable[[Namespace, int, str, int], None]
    ) -> None:
        self._tables = tables
        self._new_index = new_index
        self._attach = attach
        #: By the host's number, and which ports make it necessary.
        self._hosts: dict[int, tuple[HostHooks, set[int]]] = {}
        self._logs: dict[int, int] = {}
        self.pump = Pump()

    def expect_rules(self, host_number: int, host: Namespace) -> None:
        """Guard a host whose netfilter may change before it has an l3s port; that stays to the end."""
        self._hooks(host_number, host, _NO_PORT).guard()

    def prepare(self, port: Port) -> None:
        """Do what must be done before anything else of netfilter comes into the host."""
        if port.mode is Mode.L2:
            self.release(port)
        elif port.mode is Mode.L3S:
            self._hooks(port.host_number, port.host, port.number).guard()

    def _hooks(self, host_number: int, host: Namespace, port: int) -> HostHooks:
        if host_number not in self._hosts:
            self._hosts[host_number] = (HostHooks(host), set())
        hooks, ports = self._hosts[host_number]
        ports.add(port)
        return hooks

    def refresh(self, ports: Iterable[Port]) -> None:
        """Let packets take the detour where rules hang now, and the fast path where none do.

        Raises :class:`KernelUnfit` where rules hang and the kernel has no way through them.
        """
        occupied: dict[int, frozenset[int]] = {}
        ways: dict[tuple[int, int], list[WayOut]] = {}
        for port in ports:
            if port.mode is Mode.L2 or not port.endpoints:
                self.release(port)
                continue
            hooks = self._hooks(port.host_number, port.host, port.number)
            if port.host_number not in occupied:
                occupied[port.host_number] = hooks.occupied()
            hooked = occupied[port.host_number]
            leaving = hooked | {
                version for version in versions_of(port) - hooked if self._needs_host(port, version, ways)
            }
            if leaving:
                self._enter(port, hooks, hooked, leaving)
            else:
                self._leave(port)

    @staticmethod
    def _needs_host(port: Port, version: int, ways: dict[tuple[int, int], list[WayOut]]) -> bool:
        """Whether only the host itself can send on what leaves of an IP version, rules or not."""
        key = (port.host_number, version)
        if key not in ways:
            ways[key] = read_ways(port.host, version)
        if version == 6 and leads_elsewhere(ways[key], port.parent.index):
            return True
        return is_narrow(ways[key], port.mtu)

    def _enter(self, port: Port, hooks: HostHooks, hooked: frozenset[int], leaving: frozenset[int]) -> None:
        arriving = hooked if port.mode is Mode.L3S else frozenset[int]()
        if arriving and port.host_number not in self._logs:
            log = hooks.open_log().fileno()
            self.pump.add(log, Source(hooks.take_in, lambda: hooks.lost))
            self._logs[port.host_number] = log
        detour = port.detour
        if detour is None:
            detour = self._open(port, hooks)
        detour.mtu = port.mtu
        addresses = [address for one in port.endpoints.values() for address in one.matched]
        before = detour.bits
        detour.direct(leaving, arriving, addresses)
        port.detour = detour
        if detour.bits != before:
            port.state(self._tables)

    def _open(self, port: Port, hooks: HostHooks) -> Detour:
        detour = Detour(port, hooks, self._new_index())
        request = port.host.netlink.request
        request(messages.set_link(detour.index, [("IFLA_TXQLEN", _QUEUE)]), "give a tap room")
        self._attach(port.host, detour.index, "tap_in", messages.INGRESS)
        self._tables.set_port_of(detour.index, port.number)
        flags = messages.IFF_UP | messages.IFF_NOARP
        request(messages.set_flags(detour.index, flags, flags), "set a tap up")
        self.pump.add(detour.fd, Source(detour.send_on, detour.losses))
        return detour

    def _leave(self, port: Port) -> None:
        detour = port.detour
        if detour is None:
            return
        port.detour = None
        port.state(self._tables)
        with self.pump.held():
            # What is under way still gets there.
            while detour.send_on():
                pass
            self.pump.move()
            self.pump.remove(detour.fd)
            self._tables.delete_port_of(detour.index)
            detour.close()

    def release(self, port: Port) -> None:
        """Leave nothing of a port's detour, and nothing of its host's once no port needs it."""
        self._leave(port)
        if port.host_number not in self._hosts:
            return
        hooks, ports = self._hosts[port.host_number]
        ports.discard(port.number)
        if not ports:
            log = self._logs.pop(port.host_number, None)
            if log is not None:
                self.pump.remove(log)
            hooks.close()
            del self._hosts[port.host_number]

    def close(self, ports: Iterable[Port]) -> None:
        """End the pump and let go of taps and sockets; what is in the namespaces goes with them."""
        self.pump.close()
        for port in ports:
            if port.detour is not None:
                os.close(port.detour.fd)
                port.detour = None
        for hooks, _ in self._hosts.values():
            hooks.close()
        self._hosts.clear()


def versions_of(port: Port) -> frozenset[int]:
    """The IP versions that a port's endpoints have addresses of."""
    return frozenset(address.version for one in port.endpoints.values() for address in one.addresses)
