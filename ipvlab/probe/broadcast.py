"""Broadcast probes: how each kind is sent, and who is concluded to have heard it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from ipvlab.datapath.base import Link
from ipvlab.lab.nodes import Node
from ipvlab.probe import frames
from ipvlab.probe.ancillary import leave_by, with_ttl
from ipvlab.probe.asked import AskedBroadcast, Evidence
from ipvlab.probe.destinations import find_destination
from ipvlab.probe.marks import Marker
from ipvlab.probe.neighbours import explain_errno
from ipvlab.probe.questions import BroadcastObservation, BroadcastQuestion
from ipvlab.probe.reach import fault_of
from ipvlab.rules.groups import ALL_NODES
from ipvlab.spec.values import Address, BroadcastKind


def destination_of(question: BroadcastQuestion, link: Link, nodes: Iterable[Node]) -> Address | None:
    """The destination by :func:`find_destination`, in a live lab."""
    taken = (held for node in nodes for interface in node.links.values() for held in interface.addresses)
    return find_destination(question, link.addresses, taken)


def group_of(question: BroadcastQuestion, destination: Address) -> Address | None:
    """The group that every node must have joined to hear this broadcast, if it is sent to one."""
    if question.kind is BroadcastKind.ND:
        return frames.solicited_node_group(ipaddress.IPv6Address(destination))
    return destination if destination.is_multicast and destination != ALL_NODES else None


def send_broadcast(asked: AskedBroadcast, marker: Marker) -> None:
    """Send the broadcast by its interface; a refusal of the kernel is kept, not raised."""
    question = asked.question
    link = asked.sender.links.get(question.interface)
    if link is None:
        asked.fault = f"{question.source} has no interface {question.interface}"
        return
    if asked.destination is None:
        asked.fault = f"a {question.kind} broadcast by {question.interface} has no destination"
        return
    ear, mark = asked.ears[question.source], marker.write(asked.number)
    try:
        if isinstance(asked.destination, IPv4Address) and question.kind is BroadcastKind.ARP:
            own = next((held.ip for held in link.addresses if held.version == 4), IPv4Address(0))
            frame = frames.arp_request(link.mac, IPv4Address(own), asked.destination, mark)
            ear.sock.sendto(frame, (link.name, frames.ETH_P_ARP))
            return
        version, destination, packet = asked.destination.version, asked.destination, mark
        ancillary = leave_by(version, link.index)
        if isinstance(destination, IPv6Address) and question.kind is BroadcastKind.ND:
            packet = frames.neighbour_solicitation(link.mac, destination, mark)
            destination = frames.solicited_node_group(destination)
        elif question.kind is BroadcastKind.RA:
            packet = frames.router_advertisement(link.mac, mark)
        if question.kind in (BroadcastKind.ND, BroadcastKind.RA, BroadcastKind.MDNS):
            # Receivers may take such a packet only when no router can have forwarded it (RFC 4861, RFC 6762).
            ancillary += with_ttl(version, 255)
        ear.sock.sendmsg([packet], ancillary, 0, (str(destination), ear.kind.port))
    except OSError as error:
        asked.refusal = error


def conclude_broadcast(
    asked: AskedBroadcast, evidence: Evidence, nodes: Mapping[str, Node]
) -> BroadcastObservation:
    """The observation of one broadcast: each other node heard it, is proved silent, or is unobserved."""
    others = [name for name in nodes if name != asked.question.source]
    heard = {name for name in others if asked.copies[name]}
    rest = [name for name in others if name not in heard]
    can_prove = evidence.is_calm and not asked.fault
    silent = {name for name in rest if can_prove and asked.ears[name].is_sound}
    unobserved = [name for name in rest if name not in silent]
    reason = ""
    if asked.fault:
        reason = asked.fault
    elif asked.refusal is not None:
        reason = f"not sent: {explain_errno(asked.refusal.errno or 0)}"
    elif unobserved:
        reason = evidence.fault() or fault_of(asked.ears[unobserved[0]])
    ears = [asked.ears[name] for name in others]
    proof: dict[str, Any] = {
        "probe": asked.number,
        "fence_rounds": evidence.fence_rounds,
        "canary": all(ear.has_canary or ear.is_switched_off for ear in ears),
        "fence": all(ear.has_fence or ear.is_switched_off for ear in ears),
        "drops": evidence.backlog_drops + evidence.table_drops + sum(ear.dropped for ear in ears),
    }
    switched_off = sorted(ear.node.name for ear in ears if ear.is_switched_off)
    if switched_off:
        proof["ipv6_off"] = switched_off
    return BroadcastObservation(
        question=asked.question,
        heard_by=frozenset(heard),
        silent=frozenset(silent),
        unobserved=frozenset(unobserved),
        copies={name: asked.copies[name] for name in others if asked.copies[name]},
        reason=reason,
        proof=proof,
    )
