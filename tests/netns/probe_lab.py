"""Plain labs for the prober: namespaces, veths and bridges, no datapath and no driver."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from ipvlab.datapath.base import Link
from ipvlab.lab.links import Pending, await_links
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.linux import messages
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netlink import Netlink
from ipvlab.probe.prober import Prober
from ipvlab.spec.values import NodeKind

#: No DAD, so that addresses are usable at once; nothing else is touched.
SETTINGS = {
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}
UP = messages.IFF_UP


class PlainLab:
    """Nodes on wires, and a prober over them."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.taps: list[WireTap] = []
        self._namespaces: list[Namespace] = []
        self._indexes = iter(range(10, 10_000))
        self.prober = Prober(self.nodes, self.taps)

    def namespace(self, name: str) -> Namespace:
        """A namespace with ``lo`` up."""
        [(fd, sock)] = THREAD.create_network(1, SETTINGS)
        namespace = Namespace(name, fd, Netlink(sock, name))
        self._namespaces.append(namespace)
        namespace.netlink.request(messages.set_flags(1, UP, UP), "lo up")
        return namespace

    def add(self, *names: str, kind: NodeKind = "host") -> None:
        """Nodes without links."""
        for name in names:
            self.nodes[name] = Node(name, kind, self.namespace(name), hostname=name)

    def router(self, name: str) -> None:
        """A node that forwards both families."""
        self.add(name, kind="router")
        self.nodes[name].namespace.write_sysctls({"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"})

    def join(self, wire: str, *ends: str) -> None:
        """A wire between ``node.interface`` ends: a bare veth for two, a switch for more."""
        if len(ends) == 2:
            left, right = (end.split(".", 1) for end in ends)
            self._veth(wire, self.nodes[left[0]], left[1], self.nodes[right[0]], right[1])
            ends_up = [self._end(left[0], left[1]), self._end(right[0], right[1])]
            await_links([Pending(*ends_up[0], peer=ends_up[1]), Pending(*ends_up[1], peer=ends_up[0])])
            link = self.nodes[left[0]].links[left[1]]
            self.taps.append(WireTap(wire, self.nodes[left[0]].namespace, link.index))
            return
        switch = self.namespace(wire)
        switch.netlink.request(messages.add_link("bridge", "br0", 2, b"\x02\xbb\0\0\0\x01", 1500), "bridge")
        switch.netlink.request(messages.set_flags(2, UP, UP), "bridge up")
        pending: list[Pending] = []
        for end in ends:
            name, interface = end.split(".", 1)
            port = self._veth(wire, self.nodes[name], interface, switch, f"p{next(self._indexes)}")
            switch.netlink.request(messages.enslave(port, 2), "port")
            switch.netlink.request(messages.set_flags(port, UP, UP), "port up")
            far, near = (switch, port), self._end(name, interface)
            pending += [Pending(*far, peer=near, is_switch_port=True), Pending(*near, peer=far)]
        await_links(pending)
        self.taps.append(WireTap(wire, switch, None))

    def _end(self, name: str, interface: str) -> tuple[Namespace, int]:
        node = self.nodes[name]
        return node.namespace, node.links[interface].index

    def _veth(self, wire: str, node: Node, name: str, other: Node | Namespace, peer_name: str) -> int:
        index, peer_index = next(self._indexes), next(self._indexes)
        mac, peer_mac = (b"\x02\0\0\0" + number.to_bytes(2, "big") for number in (index, peer_index))
        far = other.namespace if isinstance(other, Node) else other
        request = messages.add_veth(name, index, mac, far.fd, peer_name, peer_index, peer_mac, 1500)
        node.namespace.netlink.request(request, "veth")
        node.links[name] = Link(name, index, mac, wire=wire)
        if isinstance(other, Node):
            other.links[peer_name] = Link(peer_name, peer_index, peer_mac, wire=wire)
            far.netlink.request(messages.set_flags(peer_index, UP, UP), "peer up")
        node.namespace.netlink.request(messages.set_flags(index, UP, UP), "up")
        return peer_index

    def give(self, end: str, *addresses: str) -> None:
        """Addresses for an interface, usable at once."""
        name, interface = end.split(".", 1)
        node = self.nodes[name]
        for text in addresses:
            address = ipaddress.ip_interface(text)
            node.links[interface].addresses.append(address)
            request = messages.change_address(node.links[interface].index, address)
            node.namespace.netlink.request(request, f"add {address}")

    def route(self, name: str, to: str, via: str) -> None:
        """A route of a node's main table."""
        subnet = None if to == "default" else ipaddress.ip_network(to)
        gateway = ipaddress.ip_address(via)
        request = messages.change_route(gateway.version, subnet, gateway, None)
        self.nodes[name].namespace.netlink.request(request, f"route to {to}")

    def flat(self, names: Sequence[str]) -> None:
        """Nodes on one switch, 10.0.0.1 up and fd00::1 up in their order."""
        self.add(*names)
        self.join("lan", *(f"{name}.eth0" for name in names))
        for number, name in enumerate(names, 1):
            self.give(f"{name}.eth0", f"10.0.0.{number}/24", f"fd00::{number:x}/64")

    def close(self) -> None:
        """End everything."""
        self.prober.close()
        for namespace in self._namespaces:
            namespace.close()
