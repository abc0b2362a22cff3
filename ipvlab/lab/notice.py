"""Taking note of what a real program changed on a node's links, as ipvlan's notifiers would.

The kernel's ipvlan learns addresses at the moment they are set
(ipvlan_main.c: ipvlan_addr4_event); the ``bpf`` datapath is told by whoever
changes them, and a program such as ``ip`` tells nobody. So a node is read again
when a program that ran in it has ended.
"""

from __future__ import annotations

import contextlib

from ipvlab.datapath.base import Datapath, Link
from ipvlab.errors import KernelRefusal
from ipvlab.lab.nodes import Node
from ipvlab.lab.tables import read_addresses, view_links
from ipvlab.spec.values import Interface


def take_note(node: Node, datapath: Datapath, host: Node) -> None:
    """Make the records of a node's links what the kernel holds, and let the datapath know.

    An address that a sibling has already stays with the sibling; the kernel's
    ipvlan would have refused the program (docs/deviations.md).
    """
    views = {view.index: view for view in view_links(node.namespace)}
    held = read_addresses(node.namespace)
    for link in node.links.values():
        view = views.get(link.index)
        if view is None:
            continue
        link.is_up, link.mtu, link.mac = view.is_up, view.mtu, view.mac
        _note_addresses(link, set(held.get(view.name, [])), datapath, host)


def _note_addresses(link: Link, held: set[Interface], datapath: Datapath, host: Node) -> None:
    for address in [known for known in link.addresses if known not in held]:
        link.addresses.remove(address)
        if not any(other.ip == address.ip for other in held):
            datapath.forget_address(host.namespace, link, address)
    for address in sorted(held - set(link.addresses), key=lambda one: (one.version, one)):
        link.addresses.append(address)
        with contextlib.suppress(KernelRefusal):
            datapath.learn_address(host.namespace, link, address)
