"""``ip`` and ``ping`` lines against a lab in memory: what later lines and expectations depend on."""

from __future__ import annotations

from ipvlab.driver.hand_links import DummyAdd
from ipvlab.driver.ip_grammar import (
    AddressAdd,
    AddressDelete,
    IpCommand,
    IpvlanSet,
    LinkDelete,
    LinkSet,
    RouteAdd,
    RouteDelete,
    VlanAdd,
)
from ipvlab.driver.port import CommandResult, RoutePlan
from ipvlab.errors import KernelRefusal
from ipvlab.run.record import RecordedLab, RecordedLink, RecordedNode, record_vlan, remove_recorded_link

DONE = CommandResult(0)


def record_command(lab: RecordedLab, node: RecordedNode, command: IpCommand) -> CommandResult:
    """Carry out one command on the record.

    What only packets can tell (``ping``) and what only shows succeeds without a
    word; what the kernel would refuse for reasons the record does not know too.
    """
    device = command.base if isinstance(command, VlanAdd) else getattr(command, "device", None)
    link = node.links.get(device) if device is not None else None
    if device is not None and device != "lo" and link is None:
        return CommandResult(1, stderr=f'Cannot find device "{device}"\n')
    match command:
        case VlanAdd():
            return _add_vlan(node, command)
        case DummyAdd():
            if command.name in node.links:
                return _refuse("File exists")
            node.links[command.name] = RecordedLink(command.name, kind="isolated", is_up=False)
        case LinkDelete():
            remove_recorded_link(lab, node, command.device)
        case LinkSet() if link is not None:
            _set_link(link, command)
        case IpvlanSet() if link is not None:
            link.mode = command.mode
            link.flag = command.flag or link.flag
        case AddressAdd() if link is not None:
            if command.address in link.addresses:
                return _refuse("File exists")
            link.addresses.append(command.address)
        case AddressDelete() if link is not None:
            if command.address not in link.addresses:
                return CommandResult(2, stderr="RTNETLINK answers: Cannot assign requested address\n")
            link.addresses.remove(command.address)
        case RouteAdd():
            node.routes.append(RoutePlan(command.to, command.via, command.device or "", command.version))
        case RouteDelete():
            return _delete_route(node, command)
    return DONE


def _add_vlan(node: RecordedNode, command: VlanAdd) -> CommandResult:
    try:
        record_vlan(node, command.name, command.base, command.vlan, is_up=False)
    except KernelRefusal as refusal:
        return _refuse(refusal.what)
    return DONE


def _set_link(link: RecordedLink, command: LinkSet) -> None:
    if command.is_up is not None:
        link.is_up = command.is_up
    link.mtu = command.mtu or link.mtu
    link.mac = command.mac or link.mac


def _delete_route(node: RecordedNode, command: RouteDelete) -> CommandResult:
    for route in node.routes:
        if (
            (route.to, route.version) == (command.to, command.version)
            and command.via in (None, route.via)
            and command.device in (None, route.dev)
        ):
            node.routes.remove(route)
            break
    return DONE


def _refuse(why: str) -> CommandResult:
    return CommandResult(2, stderr=f"RTNETLINK answers: {why}\n")
