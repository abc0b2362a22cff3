"""Taking note of what a real program changed on a node's links, as ipvlan's notifiers would.

The kernel's ipvlan learns addresses at the moment they are set
(ipvlan_main.c: ipvlan_addr4_event); the ``bpf`` datapath is told by whoever
changes them, and a program such as ``ip`` tells nobody. So a node is read again
when a program that ran in it has ended.
"""

from __future__ import annotations

import errno

from ipvlab.datapath.base import Datapath, Link
from ipvlab.driver.ip_grammar import LinkSet
from ipvlab.errors import KernelRefusal
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.nodes import Node
from ipvlab.lab.tables import read_addresses, view_links
from ipvlab.linux import messages
from ipvlab.spec.values import Interface


def take_note(node: Node, datapath: Datapath, host: Node) -> None:
    """Make the records of a node's links what the kernel holds, and let the datapath know.

    What the kernel's ipvlan would have refused the program is taken back: an
    address that a sibling has, an endpoint's own MAC (docs/deviations.md). What
    8021q would have handed on to sub-interfaces is handed on.
    """
    _hand_on(node, datapath, host)
    views = {view.index: view for view in view_links(node.namespace)}
    held = read_addresses(node.namespace)
    for link in node.links.values():
        view = views.get(link.index)
        if view is None:
            continue
        if link.kind != "endpoint" or not _restores_mac(node, link, view.mac):
            link.mac = view.mac
        link.is_up, link.mtu = view.is_up, view.mtu
        _note_addresses(node, link, set(held.get(view.name, [])), datapath, host)


def _restores_mac(node: Node, link: Link, found: bytes) -> bool:
    """Whether an endpoint has its parent's MAC (again); an ipvlan's own is right whatever the record says."""
    if found == link.mac:
        return True
    message = messages.set_link(link.index, [("IFLA_ADDRESS", link.mac.hex(":"))])
    try:
        node.namespace.netlink.request(message, f"give {link.name} its parent's MAC back")
    except KernelRefusal as refusal:
        if refusal.errno != errno.EOPNOTSUPP:
            raise
        return False
    return True


def _hand_on(node: Node, datapath: Datapath, host: Node) -> None:
    """Let sub-interfaces follow the links below them, as far as no kernel has done it.

    net/8021q/vlan.c: vlan_device_event hands up and down, a smaller MTU, and the MAC
    where it was inherited.
    """
    views = {view.index: view for view in view_links(node.namespace)}
    for base in [link for link in node.links.values() if link.kind == "wire" and link.index in views]:
        view = views[base.index]
        old, base.mac = base.mac, view.mac
        was_up, base.is_up = base.is_up, view.is_up
        base.mtu = view.mtu
        for above in [link for link in node.links.values() if link.below == base.name]:
            seen = views.get(above.index)
            if seen is None:
                continue
            if view.mac != old == seen.mac:
                carry_out(node, LinkSet(above.name, mac=view.mac.hex(":")), datapath, host)
            if view.mtu < seen.mtu:
                carry_out(node, LinkSet(above.name, mtu=view.mtu), datapath, host)
            if was_up is not view.is_up and seen.is_up is not view.is_up:
                carry_out(node, LinkSet(above.name, is_up=view.is_up), datapath, host)


def _note_addresses(node: Node, link: Link, held: set[Interface], datapath: Datapath, host: Node) -> None:
    for address in [known for known in link.addresses if known not in held]:
        link.addresses.remove(address)
        if not any(other.ip == address.ip for other in held):
            datapath.forget_address(host.namespace, link, address)
    for address in sorted(held - set(link.addresses), key=lambda one: (one.version, one)):
        try:
            datapath.learn_address(host.namespace, link, address)
        except KernelRefusal:
            message = messages.change_address(link.index, address, is_new=False)
            node.namespace.netlink.request(message, f"take {address} away from {link.name}")
        else:
            link.addresses.append(address)
