"""How a simulated node sends each kind of broadcast."""

from __future__ import annotations

import ipaddress

from ipvlab.datapath.sim.machine import Machine, SimLink
from ipvlab.datapath.sim.trace import Deed
from ipvlab.datapath.sim.world import World
from ipvlab.probe.destinations import find_destination
from ipvlab.probe.questions import BroadcastQuestion
from ipvlab.rules import catalogue_linux
from ipvlab.rules.groups import ALL_NODES, ANY4, ANY6, solicited_node
from ipvlab.rules.packets import BROADCAST_MAC, Arp, ArpKind, Frame, Packet, PacketKind
from ipvlab.rules.rule import Rule
from ipvlab.spec.values import Address, BroadcastKind


def destination_of(world: World, question: BroadcastQuestion, link: SimLink) -> Address | None:
    """The destination by :func:`find_destination`, in a simulated lab."""
    machines = world.machines.values()
    taken = (held for machine in machines for each in machine.links.values() for held in each.addresses)
    return find_destination(question, link.addresses, taken)


def join(world: World, question: BroadcastQuestion, destination: Address) -> None:
    """Every node joins the group on each of its links, as the live prober lets it."""
    group: Address | None = destination if destination.is_multicast else None
    if isinstance(destination, ipaddress.IPv6Address) and question.kind is BroadcastKind.ND:
        group = solicited_node(destination)
    if group is None or group == ALL_NODES:
        return
    for machine in world.machines.values():
        for link in machine.links.values():
            if group.version == 4 or link.has_ipv6:
                link.joined.add(group)
    world.changed()


def send_broadcast(
    world: World,
    sender: Machine,
    link: SimLink,
    question: BroadcastQuestion,
    destination: Address,
    number: int,
) -> Rule | None:
    """Send a broadcast by its interface; the rule that refused it, or None where it went off."""
    if isinstance(destination, ipaddress.IPv4Address) and question.kind is BroadcastKind.ARP:
        if not link.is_up:
            return catalogue_linux.LINK_DOWN
        own = next((held.ip for held in link.addresses if held.version == 4), ANY4)
        arp = Arp(ArpKind.REQUEST, link.mac, own, destination, number)
        world.notebook.note(
            Deed.ASKS,
            sender.name,
            link.name,
            catalogue_linux.NEIGHBOUR_ASKED,
            arp,
            Frame(BROADCAST_MAC, link.mac, arp),
        )
        world.transmit(sender, link, Frame(BROADCAST_MAC, link.mac, arp))
        return None
    if not link.is_up:
        return catalogue_linux.LINK_DOWN
    if isinstance(destination, ipaddress.IPv6Address) and question.kind is BroadcastKind.ND:
        packet = Packet(
            PacketKind.SOLICITATION, ANY6, solicited_node(destination), 255, destination, link.mac, number
        )
    elif question.kind is BroadcastKind.RA:
        packet = Packet(PacketKind.ROUTER_ADVERTISEMENT, ANY6, destination, 255, mac=link.mac, mark=number)
    else:
        ttl = 255 if question.kind is BroadcastKind.MDNS else (1 if destination.is_multicast else 64)
        unspecified: Address = ANY4 if destination.version == 4 else ANY6
        packet = Packet(PacketKind.UDP, unspecified, destination, ttl, mark=number)
    return world.send(sender, packet, by=link.name)
