"""Bare nodes in real namespaces: no lab, no driver; each test gets its own and leaves none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from ipvlab.datapath.base import Link
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netlink import Netlink
from ipvlab.spec.values import Interface, NodeKind
from tests.netns import topology

NodeMaker = Callable[..., Node]
WireMaker = Callable[[Node, Node], tuple[Link, Link]]

#: No link-local addresses of their own, so that nothing waits for DAD.
SETTINGS = {"ipv6/conf/default/addr_gen_mode": "1", "ipv6/conf/default/accept_ra": "0"}


#: What ipvlan does is asked of the kernel's own as well, in the guest that has it (docs/vm.md).
DATAPATHS = ("bpf", "kernel") if "IPVLAB_GUEST" in os.environ else ("bpf",)


@pytest.fixture(params=DATAPATHS)
def each_datapath(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Labs of ``topology`` and ``hooked`` are of each datapath in turn; its name."""
    name = str(request.param)
    monkeypatch.setattr(topology, "chosen", name)
    return name


@pytest.fixture
def make_node() -> Iterator[NodeMaker]:
    """A function that makes a node with nothing but ``lo``, up."""
    made: list[Node] = []

    def make(name: str = "n1", kind: NodeKind = "host") -> Node:
        [(fd, sock)] = THREAD.create_network(1, SETTINGS)
        node = Node(name, kind, Namespace(name, fd, Netlink(sock, name)), hostname=name)
        made.append(node)
        node.namespace.netlink.request(messages.set_flags(1, messages.IFF_UP, messages.IFF_UP), "lo up")
        return node

    yield make
    for node in made:
        node.namespace.close()


@pytest.fixture
def make_wire() -> WireMaker:
    """A function that joins two nodes by a veth called ``eth0`` at both ends, up, without addresses."""

    def make(left: Node, right: Node) -> tuple[Link, Link]:
        macs = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
        request = messages.add_veth("eth0", 11, macs[0], right.namespace.fd, "eth0", 12, macs[1], 1500)
        left.namespace.netlink.request(request, "add the wire")
        ends = (Link("eth0", 11, macs[0]), Link("eth0", 12, macs[1]))
        for node, link in zip((left, right), ends, strict=True):
            node.links["eth0"] = link
        for node, link in zip((left, right), ends, strict=True):
            up = messages.set_flags(link.index, messages.IFF_UP, messages.IFF_UP)
            node.namespace.netlink.request(up, "eth0 up")
        return ends

    return make


@pytest.fixture
def give() -> Callable[[Node, Interface], None]:
    """A function that gives ``eth0`` of a node an address that is usable at once."""

    def change(node: Node, address: Interface) -> None:
        link = node.links["eth0"]
        node.namespace.netlink.request(messages.change_address(link.index, address), f"add {address}")
        link.addresses.append(address)

    return change
