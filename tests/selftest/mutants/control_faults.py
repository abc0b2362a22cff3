"""Faults of the control plane: what is written into the programs' tables, and how links are made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from unittest import mock

from ipvlab.datapath.base import Link, PortFilter
from ipvlab.datapath.bpf import datapath as datapath_module
from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.datapath.bpf.ports import Endpoint, Port
from ipvlab.datapath.bpf.tables import Tables
from ipvlab.linux import messages
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.identifiers import eui64_link_local
from ipvlab.spec.values import Flag, Interface, Mode
from tests.selftest.mutants.mutant import Fault, Mutant
from tests.selftest.mutants.source import Edit

SetMode = Callable[[Port, Tables, Mode, Flag], None]


def replace(owner: object, name: str, new: object) -> Fault:
    """A fault that puts something else in an attribute's place."""

    def enter() -> AbstractContextManager[object]:
        return mock.patch.object(owner, name, new)

    return enter


def forget(owner: object, name: str) -> Fault:
    """A fault that makes a method do nothing."""
    return replace(owner, name, lambda *_args, **_words: None)


@contextlib.contextmanager
def _host_is_heard() -> Iterator[None]:
    """Hangs the program of a parent's ingress on its egress too."""
    true_port = BpfDatapath._port

    def with_egress(self: BpfDatapath, host: Namespace, parent: Link, mode: Mode, flag: Flag) -> Port:
        is_new = parent.index not in self._ports
        port = true_port(self, host, parent, mode, flag)
        if is_new:
            fd = self._object.programs["parent_in"]
            host.netlink.request(messages.add_program(parent.index, messages.EGRESS, fd, "fault"), "fault")
        return port

    with mock.patch.object(BpfDatapath, "_port", with_egress):
        yield


@contextlib.contextmanager
def _own_macs() -> Iterator[None]:
    true_pair = BpfDatapath._add_pair

    def with_own_mac(
        self: BpfDatapath, host: Namespace, container: Namespace, link: Link, port: Port
    ) -> Endpoint:
        link.mac = b"\x02\0\0\0" + link.index.to_bytes(2, "big")
        return true_pair(self, host, container, link, port)

    with mock.patch.object(BpfDatapath, "_add_pair", with_own_mac):
        yield


@contextlib.contextmanager
def _arp_in_l3() -> Iterator[None]:
    def set_up(namespace: Namespace, index: int, flags: int) -> None:
        change = messages.IFF_UP | messages.IFF_NOARP
        is_endpoint = flags and namespace.name in ("a1", "a2")
        kept = 0 if is_endpoint else flags
        namespace.netlink.request(messages.set_flags(index, messages.IFF_UP | kept, change), "set up")

    with mock.patch.object(BpfDatapath, "_set_up", staticmethod(set_up)):
        yield


@contextlib.contextmanager
def _native_ignored() -> Iterator[None]:
    true_filter = Tables.set_filter

    def without_native(self: Tables, index: int, port: PortFilter | None) -> None:
        true_filter(self, index, port and PortFilter(access=port.access, trunk=port.trunk))

    with mock.patch.object(Tables, "set_filter", without_native):
        yield


@contextlib.contextmanager
def _short_rows() -> Iterator[None]:
    true_port = Tables.set_port

    def one_short(
        self: Tables,
        number: int,
        parent: int,
        host: int,
        slots: int,
        mode: Mode,
        flag: Flag,
        mac: bytes,
        hooked: tuple[int, int],
    ) -> None:
        true_port(self, number, parent, host, max(0, slots - 1), mode, flag, mac, hooked)

    with mock.patch.object(Tables, "set_port", one_short):
        yield


@contextlib.contextmanager
def _by_hand_unseen() -> Iterator[None]:
    true_learn = BpfDatapath.learn_address

    def learn(self: BpfDatapath, host: Namespace, link: Link, address: Interface) -> None:
        if link.kind != "endpoint":
            true_learn(self, host, link, address)

    with mock.patch.object(BpfDatapath, "learn_address", learn):
        yield


@contextlib.contextmanager
def _links_of_the_host() -> Iterator[None]:
    """Every IPv4 address of the host counts as its parents' own; ports come after addresses."""
    true_port, true_learn = BpfDatapath._port, BpfDatapath.learn_address
    known: list[Interface] = []

    def learn(self: BpfDatapath, host: Namespace, link: Link, address: Interface) -> None:
        true_learn(self, host, link, address)
        if link.kind != "endpoint" and host.name == "h1" and address.version == 4:
            known.append(address)

    def port(self: BpfDatapath, host: Namespace, parent: Link, mode: Mode, flag: Flag) -> Port:
        made = true_port(self, host, parent, mode, flag)
        for address in known:
            self._tables.set_local(made.number, address.ip)
        return made

    with (
        mock.patch.object(BpfDatapath, "_port", port),
        mock.patch.object(BpfDatapath, "learn_address", learn),
    ):
        yield


def _set_mode_quietly(self: Port, _tables: Tables, mode: Mode, flag: Flag) -> None:
    """Remembers a mode; writes it for the first endpoint only."""
    if not self.endpoints:
        self.mode, self.flag = mode, flag


def _for_one(change: SetMode) -> SetMode:
    def set_mode(self: Port, tables: Tables, mode: Mode, flag: Flag) -> None:
        everyone = self.endpoints
        self.endpoints = dict(list(everyone.items())[:1])
        change(self, tables, mode, flag)
        self.endpoints = everyone

    return set_mode


def _keeps_flag(change: SetMode) -> SetMode:
    def set_mode(self: Port, tables: Tables, mode: Mode, flag: Flag) -> None:
        change(self, tables, mode, flag if flag is not Flag.BRIDGE else self.flag)

    return set_mode


@contextlib.contextmanager
def _mtu_stays() -> Iterator[None]:
    true_change = Port._change

    def without_mtu(self: Port, endpoint: Endpoint, changed: list[tuple[str, object]]) -> None:
        true_change(self, endpoint, [(key, value) for key, value in changed if key != "IFLA_MTU"])

    with mock.patch.object(Port, "_change", without_mtu):
        yield


def _leave_as_it_is(index: int) -> bytearray:
    return messages.set_flags(index, 0, 0)


def _no_link_local(mac: bytes, _device: int) -> Interface:
    return eui64_link_local(mac)


CONTROL_FAULTS: Sequence[Mutant] = [
    Mutant(
        "host-is-heard-by-its-containers",
        "hands the host's own broadcasts to its endpoints",
        "01-l2-one-host",
        fault=_host_is_heard,
    ),
    Mutant(
        "endpoints-have-own-macs",
        "gives each endpoint a MAC of its own, as macvlan does",
        "01-l2-one-host",
        fault=_own_macs,
    ),
    Mutant(
        "l3-answers-arp",
        "leaves ARP on in L3 and lets the answers out",
        "08-l3-between-hosts",
        edits=(
            Edit(
                "transmit_l3",
                "if (is_group(frame) ||",
                "if (frame->type == ETH_ARP && !is_group(frame)) return redirect(port->parent, 0); "
                "if (is_group(frame) ||",
            ),
        ),
        fault=_arp_in_l3,
    ),
    Mutant(
        "native-vlan-is-ignored",
        "takes a trunk port with a native VLAN for one without",
        "native",
        fault=_native_ignored,
    ),
    Mutant(
        "hairpin-is-ignored",
        "makes a switch port without its reflective relay",
        "vepa",
        fault=replace(messages, "set_hairpin", _leave_as_it_is),
    ),
    Mutant(
        "owner-is-not-forgotten",
        "matches packets by the address of an endpoint that is down",
        "down",
        fault=forget(Tables, "delete_owner"),
    ),
    Mutant(
        "address-is-not-given-back",
        "keeps the address of an endpoint that is gone from others",
        "01-l2-one-host",
        fault=forget(Port, "forget"),
    ),
    Mutant(
        "owner-by-hand-is-not-learnt",
        "does not match an address that is added by hand",
        "changes",
        fault=_by_hand_unseen,
    ),
    Mutant(
        "conflicts-are-accepted",
        "lets two endpoints of one parent have one address",
        "changes",
        fault=forget(BpfDatapath, "_refuse_conflict"),
    ),
    Mutant(
        "link-local-is-eui64",
        "gives endpoints the link-local address of an ordinary link",
        "changes",
        fault=replace(datapath_module, "endpoint_link_local", _no_link_local),
    ),
    Mutant(
        "mode-is-not-written",
        "remembers a change of mode and does not tell the programs",
        "changes",
        fault=replace(Port, "set_mode", _set_mode_quietly),
    ),
    Mutant(
        "mode-reaches-one-endpoint",
        "switches ARP on and off at the first endpoint of a parent only",
        "changes",
        fault=replace(Port, "set_mode", _for_one(Port.set_mode)),
    ),
    Mutant(
        "flag-outlives-the-mode",
        "keeps the flag when a mode is set without one",
        "changes",
        fault=replace(Port, "set_mode", _keeps_flag(Port.set_mode)),
    ),
    Mutant(
        "carrier-is-not-followed",
        "leaves endpoints with carrier when their parent has none",
        "changes",
        fault=replace(Port, "_has_carrier", lambda *_: True),
    ),
    Mutant(
        "mac-and-mtu-are-not-followed",
        "leaves endpoints with the MAC and MTU that they were made with",
        "changes",
        fault=forget(Port, "_change"),
    ),
    Mutant(
        "mtu-is-not-followed",
        "carries no MTU on to the endpoints",
        "lab",
        fault=_mtu_stays,
    ),
    Mutant(
        "newest-endpoint-has-no-slot",
        "counts one endpoint too few in the fan-out",
        "01-l2-one-host",
        fault=_short_rows,
    ),
    Mutant(
        "all-ipv4-addresses-of-the-host-are-local",
        "takes every IPv4 address of the host for one of the parent's",
        "routed",
        fault=_links_of_the_host,
    ),
]
