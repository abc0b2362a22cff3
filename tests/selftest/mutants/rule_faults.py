"""Faults of ``rules/``, noticed by scenarios on the simulated datapath."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from ipvlab.datapath.sim import inbound, world
from ipvlab.rules import ports, receive, switching, transmit
from ipvlab.rules.packets import Frame
from ipvlab.rules.ports import Decision, Port
from ipvlab.rules.receive import receive as true_receive
from ipvlab.rules.routing import Way, find_way
from ipvlab.rules.stack import Stack
from ipvlab.rules.transmit import transmit as true_transmit
from ipvlab.rules.vlans import Taker
from ipvlab.rules.vlans import take_tagged as true_take
from ipvlab.spec.values import Address, Flag, Mode
from tests.selftest.mutants.control_faults import replace
from tests.selftest.mutants.mutant import Mutant


def _with_flag(flag: Flag, taken_for: Flag) -> Callable[[Port, str, Frame], Decision]:
    def faulty(port: Port, sender: str, frame: Frame) -> Decision:
        if port.flag is flag:
            port = dataclasses.replace(port, flag=taken_for)
        return true_transmit(port, sender, frame)

    return faulty


def _l3_leaks(port: Port, sender: str, frame: Frame) -> Decision:
    if port.mode is Mode.L3 and frame.is_group:
        return transmit.transmit_l2(port, sender, frame)
    return true_transmit(port, sender, frame)


def _host_hears(port: Port, sender: str, frame: Frame) -> Decision:
    decision = true_transmit(port, sender, frame)
    return dataclasses.replace(decision, goes_to_parent=decision.goes_to_parent or frame.is_group)


def _l3_hears(port: Port, frame: Frame) -> Decision:
    return true_receive(dataclasses.replace(port, mode=Mode.L2) if frame.is_group else port, frame)


def _drops_tags(frame: Frame, sub_interfaces: dict[int, str]) -> Taker:
    """A tag that nobody takes counts as none."""
    taker = true_take(frame, sub_interfaces)
    return dataclasses.replace(taker, is_stray=False)


def _unbound(stack: Stack, destination: Address, _parent: str) -> Way:
    return find_way(stack, destination)


def _untagged_without_native(port: switching.SwitchPort) -> int | None:
    return port.access if port.is_filtered else switching.UNTAGGED


RULE_FAULTS: Sequence[Mutant] = [
    Mutant(
        "rules-private-forwards",
        "takes private for bridge",
        "private",
        fault=replace(world, "transmit", _with_flag(Flag.PRIVATE, Flag.BRIDGE)),
        datapath="sim",
    ),
    Mutant(
        "rules-vepa-switches-locally",
        "takes vepa for bridge",
        "vepa",
        fault=replace(world, "transmit", _with_flag(Flag.VEPA, Flag.BRIDGE)),
        datapath="sim",
    ),
    Mutant(
        "rules-l3-leaks-broadcasts",
        "fans out what an L3 endpoint sends to a group",
        "07-l3-two-subnets",
        fault=replace(world, "transmit", _l3_leaks),
        datapath="sim",
    ),
    Mutant(
        "rules-host-hears-its-containers",
        "hands an endpoint's broadcast to the parent's own stack as well",
        "01-l2-one-host",
        fault=replace(world, "transmit", _host_hears),
        datapath="sim",
    ),
    Mutant(
        "rules-l3-hears-broadcasts",
        "fans out group frames from the wire in L3",
        "08-l3-between-hosts",
        fault=replace(world, "receive", _l3_hears),
        datapath="sim",
    ),
    Mutant(
        "rules-reflections-are-unknown",
        "fans out again what a reflective relay brings back",
        "vepa",
        fault=replace(receive, "is_internal", lambda *_: False),
        datapath="sim",
    ),
    Mutant(
        "rules-unknown-tag-is-taken",
        "takes a frame of a VLAN that no sub-interface has as an untagged one",
        "04-trunk-with-router",
        fault=replace(world, "take_tagged", _drops_tags),
        datapath="sim",
    ),
    Mutant(
        "rules-ports-are-members-of-all",
        "lets every VLAN pass every switch port",
        "15-switch-ports",
        fault=replace(switching.SwitchPort, "is_member", lambda *_: True),
        datapath="sim",
    ),
    Mutant(
        "rules-native-vlan-is-ignored",
        "takes a trunk port with a native VLAN for one without",
        "native",
        fault=replace(switching.SwitchPort, "untagged", property(_untagged_without_native)),
        datapath="sim",
    ),
    Mutant(
        "rules-l3-look-up-is-not-bound",
        "lets an L3 packet leave by whatever link the host would use",
        "07-l3-two-subnets",
        fault=replace(inbound, "find_way_for_endpoint", _unbound),
        datapath="sim",
    ),
    Mutant(
        "rules-l3s-is-not-diverted",
        "leaves packets for L3S endpoints to the host",
        "14-host-isolation",
        fault=replace(inbound, "divert", lambda *_: None),
        datapath="sim",
    ),
    Mutant(
        "rules-nothing-has-an-owner",
        "finds no endpoint for any address",
        "01-l2-one-host",
        fault=replace(ports, "deciding_address", lambda *_: None),
        datapath="sim",
    ),
]
