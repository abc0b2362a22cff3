"""Wires: two plain ends are a bare veth pair, anything else is a learning switch.

A switch is a bridge in a namespace of its own. The kernel may lack bridge VLAN
filtering, so access and trunk ports are the datapath's programs on its ports.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ipvlab.datapath.base import Datapath, Link, PortFilter
from ipvlab.errors import LabError
from ipvlab.lab.links import Pending
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.linux import messages
from ipvlab.linux.namespaces import Namespace
from ipvlab.rules.identifiers import derived_mac
from ipvlab.spec.model import InterfaceSpec, Port

DEFAULT_MTU = 1500


@dataclasses.dataclass(frozen=True, slots=True)
class Plug:
    """One end of a wire: the interface of a node that goes into it."""

    node: Node
    name: str
    spec: InterfaceSpec
    mac: bytes

    @property
    def mtu(self) -> int:
        """The MTU of the interface, in bytes."""
        return self.spec.mtu or DEFAULT_MTU


@dataclasses.dataclass(slots=True)
class Wire:
    """A wire that exists now: its ends, and where a capture of it listens."""

    name: str
    #: The switch's namespace and bridge, or None for a bare pair.
    switch: Namespace | None
    bridge: int | None
    tap: WireTap
    ends: int = 0


def needs_switch(plugs: Sequence[Plug]) -> bool:
    """Whether a wire with these ends is more than a bare pair."""
    return len(plugs) != 2 or any(plug.spec.port is not None for plug in plugs)


def build_pair(name: str, plugs: Sequence[Plug], datapath: Datapath, pending: list[Pending]) -> Wire:
    """Make a wire of two plain ends: one veth pair, both ends placed at birth."""
    near, far = plugs
    links = [_link(plug, name, datapath) for plug in plugs]
    message = messages.add_veth(
        near.name,
        links[0].index,
        near.mac,
        far.node.namespace.fd,
        far.name,
        links[1].index,
        far.mac,
        min(near.mtu, far.mtu),
    )
    near.node.namespace.netlink.request(message, f"add wire {name} between {_names(plugs)}")
    ends = [(plug.node.namespace, link.index) for plug, link in zip(plugs, links, strict=True)]
    for plug, link, end, other in zip(plugs, links, ends, reversed(ends), strict=True):
        if plug.mtu > min(near.mtu, far.mtu):
            mtu = messages.set_link(link.index, [("IFLA_MTU", plug.mtu)])
            plug.node.namespace.netlink.request(mtu, f"set mtu of {plug.name}")
        plug.node.links[plug.name] = link
        pending.append(Pending(*end, peer=other))
    return Wire(name, None, None, WireTap(name, near.node.namespace, links[0].index), ends=2)


def build_switch(lab: str, name: str, namespace: Namespace, datapath: Datapath) -> Wire:
    """Make the switch of a wire, still without ports."""
    index = datapath.new_index()
    mac = derived_mac(lab, f"wire:{name}", "bridge")
    namespace.netlink.request(
        messages.add_link("bridge", "switch", index, mac, DEFAULT_MTU), f"add the switch of wire {name}"
    )
    namespace.netlink.request(
        messages.set_flags(index, messages.IFF_UP, messages.IFF_UP), f"set the switch of wire {name} up"
    )
    return Wire(name, namespace, index, WireTap(name, namespace, None))


def plug_in(wire: Wire, plug: Plug, datapath: Datapath, pending: list[Pending]) -> None:
    """Add one port to a switch, with the interface of a node at its other end."""
    if wire.switch is None or wire.bridge is None:
        raise LabError(
            f'wire "{wire.name}" is a bare pair with both ends in use',
            hint="declare all interfaces of a wire before the lab is built",
        )
    link = _link(plug, wire.name, datapath)
    port = datapath.new_index()
    wire.ends += 1
    netlink = wire.switch.netlink
    words = f"plug {plug.name} of {plug.node.name} into wire {wire.name}"
    mac = derived_mac(wire.name, "port", str(port))
    plug_end = messages.add_veth(
        f"port{wire.ends}", port, mac, plug.node.namespace.fd, plug.name, link.index, plug.mac, plug.mtu
    )
    netlink.request(plug_end, words)
    netlink.request(messages.enslave(port, wire.bridge), words)
    spec = plug.spec.port or Port()
    if spec.hairpin:
        netlink.request(messages.set_hairpin(port), words)
    datapath.filter_port(wire.switch, port, _filter(spec))
    netlink.request(messages.set_flags(port, messages.IFF_UP, messages.IFF_UP), words)
    plug.node.links[plug.name] = link
    ends = (plug.node.namespace, link.index), (wire.switch, port)
    pending.append(Pending(*ends[0], peer=ends[1]))
    pending.append(Pending(*ends[1], peer=ends[0], is_switch_port=True))


def _filter(port: Port) -> PortFilter | None:
    if not port.is_vlan_aware:
        return None
    return PortFilter(access=port.access, trunk=port.trunk or (), native=port.native)


def _link(plug: Plug, wire: str, datapath: Datapath) -> Link:
    return Link(plug.name, datapath.new_index(), plug.mac, plug.mtu, is_up=False, wire=wire)


def _names(plugs: Sequence[Plug]) -> str:
    return " and ".join(f"{plug.name} of {plug.node.name}" for plug in plugs)
