"""The firewall drops echo and UDP at the hooks that it names, and nothing else."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from ipvlab.datapath.base import Link
from ipvlab.errors import KernelRefusal, LabError
from ipvlab.lab import firewall
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages, netfilter
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netlink import attributes
from ipvlab.spec.model import Firewall

NodeMaker = Callable[..., Node]
WireMaker = Callable[[Node, Node], tuple[Link, Link]]

PORT = 4711
#: Whose way crosses which hooks of the router in the middle.
WAYS = {
    "to the router": {"prerouting", "input"},
    "from the router": {"output", "postrouting"},
    "through the router": {"prerouting", "forward", "postrouting"},
}
V4 = {"left": "192.0.2.1", "near": "192.0.2.254", "far": "198.51.100.254", "right": "198.51.100.1"}
V6 = {"left": "2001:db8:1::1", "near": "2001:db8:1::fe", "far": "2001:db8:2::fe", "right": "2001:db8:2::1"}


class Line:
    """left - router - right, both families; TCP is the fence, since no rule drops it."""

    def __init__(self, make_node: NodeMaker) -> None:
        self.left, self.router, self.right = make_node("left"), make_node("router"), make_node("right")
        forwarding = {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1"}
        self.router.namespace.write_sysctls(forwarding)
        self._join(self.left, "left", "near", "a", 21)
        self._join(self.right, "right", "far", "b", 31)
        for node, gateway in ((self.left, "near"), (self.right, "far")):
            for addresses, version in ((V4, 4), (V6, 6)):
                via = ipaddress.ip_address(addresses[gateway])
                node.namespace.netlink.request(
                    messages.change_route(version, None, via, None), "default route"
                )

    def _join(self, node: Node, end: str, gateway: str, name: str, index: int) -> None:
        macs = (bytes([2, 0, 0, 0, index, 1]), bytes([2, 0, 0, 0, index, 2]))
        fd = self.router.namespace.fd
        request = messages.add_veth("eth0", index, macs[0], fd, name, index + 1, macs[1], 1500)
        node.namespace.netlink.request(request, "add a wire")
        for owner, place, number in ((node, end, index), (self.router, gateway, index + 1)):
            netlink = owner.namespace.netlink
            netlink.request(messages.set_flags(number, messages.IFF_UP, messages.IFF_UP), "up")
            for addresses, length in ((V4, 24), (V6, 64)):
                address = ipaddress.ip_interface(f"{addresses[place]}/{length}")
                netlink.request(messages.change_address(number, address), "add an address")
            link_local = ipaddress.ip_interface(f"fe80::{number}/64")
            netlink.request(messages.change_address(number, link_local), "add a link-local address")

    def ends(self, way: str, version: int) -> tuple[Node, Node, str]:
        """Sender, receiver and the receiver's address."""
        addresses = V4 if version == 4 else V6
        return {
            "to the router": (self.left, self.router, addresses["near"]),
            "from the router": (self.router, self.left, addresses["left"]),
            "through the router": (self.left, self.right, addresses["right"]),
        }[way]


@pytest.fixture
def line(make_node: NodeMaker) -> Iterator[Line]:
    # Frames of one CPU are delivered in order, so what comes after the fence came after the probe.
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield Line(make_node)
    os.sched_setaffinity(0, before)


def family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def fence(sender: Node, receiver: Node, address: str, version: int) -> None:
    """A TCP connection, which needs ARP or ND, both ways and the routes."""
    with (
        receiver.namespace.socket(family(version), socket.SOCK_STREAM) as listener,
        sender.namespace.socket(family(version), socket.SOCK_STREAM) as sock,
    ):
        listener.bind((address, 0))
        listener.listen()
        sock.connect(listener.getsockname())
        taken, _ = listener.accept()
        taken.close()


def udp_arrives(sender: Node, receiver: Node, address: str, version: int) -> bool:
    with (
        receiver.namespace.socket(family(version), socket.SOCK_DGRAM) as ear,
        sender.namespace.socket(family(version), socket.SOCK_DGRAM) as sock,
    ):
        ear.bind((address, PORT))
        try:
            sock.sendto(b"probe", (address, PORT))
        except PermissionError:  # the output hook tells the sender at once
            return False
        fence(sender, receiver, address, version)
        return holds(ear, b"probe")


def echo_returns(sender: Node, receiver: Node, address: str, version: int) -> bool:
    kind = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    # The kernel fills in the checksum of ICMPv6 only.
    request = struct.pack("!BBHHH", 8, 0, 0xE5CA, 0x1234, 1)
    if version == 6:
        request = struct.pack("!BBHHH", 128, 0, 0, 0x1234, 1)
    with sender.namespace.socket(family(version), socket.SOCK_RAW, kind) as sock:
        sock.connect((address, 0))
        try:
            sock.send(request)
        except PermissionError:
            return False
        fence(sender, receiver, address, version)
        return holds(sock, b"\x12\x34\0\1", reply=0 if version == 4 else 129)


def holds(sock: socket.socket, mark: bytes, reply: int | None = None) -> bool:
    """Whether a datagram with the mark (and ICMP type) has arrived already."""
    while True:
        try:
            packet = sock.recv(65535, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        body = packet[20:] if reply == 0 else packet
        if mark in body and (reply is None or body[0] == reply):
            return True


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("hook", [None, *netfilter.HOOKS])
def test_udp_dies_at_the_named_hook_and_nowhere_else(line: Line, hook: str | None, version: int) -> None:
    firewall.install(line.router.namespace, Firewall.model_validate({hook: "drop"} if hook else {}))
    arrives = {way: udp_arrives(*line.ends(way, version), version) for way in WAYS}
    assert arrives == {way: hook not in hooks for way, hooks in WAYS.items()}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("hook", [None, *netfilter.HOOKS])
def test_echo_dies_at_the_named_hook_on_its_way_there_or_back(
    line: Line, hook: str | None, version: int
) -> None:
    firewall.install(line.router.namespace, Firewall.model_validate({hook: "drop"} if hook else {}))
    returns = {way: echo_returns(*line.ends(way, version), version) for way in WAYS}
    both_ways = WAYS["to the router"] | WAYS["from the router"]
    crossed = dict.fromkeys(WAYS, both_ways) | {"through the router": WAYS["through the router"]}
    assert returns == {way: hook not in hooks for way, hooks in crossed.items()}


def test_all_hooks_at_once_leave_tcp_arp_and_nd_alone(line: Line) -> None:
    firewall.install(line.router.namespace, Firewall.model_validate(dict.fromkeys(netfilter.HOOKS, "drop")))
    for version in (4, 6):
        for way in WAYS:
            fence(*line.ends(way, version), version)
            assert not udp_arrives(*line.ends(way, version), version)


def test_a_second_firewall_takes_the_place_of_the_first(line: Line) -> None:
    firewall.install(line.router.namespace, Firewall(input="drop"))
    firewall.install(line.router.namespace, Firewall(output="drop"))
    assert udp_arrives(*line.ends("to the router", 4), 4)
    assert not udp_arrives(*line.ends("from the router", 4), 4)


def test_it_is_one_inet_table_named_ipvlab(make_node: NodeMaker) -> None:
    node = make_node()
    firewall.install(node.namespace, Firewall(input="drop", forward="drop"))
    firewall.install(node.namespace, Firewall(input="drop", forward="drop"))
    get_tables = struct.pack("=IHHII", 20, 10 << 8 | 1, 0x301, 1, 0) + b"\0\0\0\0"
    with node.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER) as sock:
        sock.send(get_tables)
        answer = sock.recv(65535)
    names = []
    while len(answer) >= 20:
        length, kind = struct.unpack_from("=IH", answer)
        if kind == 10 << 8:
            names.append((answer[16], attributes(answer[:length], 20)[1]))
        answer = answer[length:]
    assert names == [(1, b"ipvlab\0")]


def test_a_kernel_without_nf_tables_is_a_lab_error_with_a_next_step(make_node: NodeMaker) -> None:
    node = make_node("h3")

    class Without(Namespace):
        def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
            raise OSError(93, "Protocol not supported")

    namespace = Without("h3", os.dup(node.namespace.fd), node.namespace.netlink)
    with pytest.raises(LabError, match=r"h3.*Protocol not supported") as caught:
        firewall.install(namespace, Firewall(input="drop"))
    assert "nf_tables" in caught.value.hint
    os.close(namespace.fd)


def test_a_refused_batch_is_an_error_with_the_kernels_errno(
    make_node: NodeMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewall, "HOOKS", {"input": 99})
    with pytest.raises(KernelRefusal) as caught:
        firewall.install(make_node().namespace, Firewall(input="drop"))
    assert caught.value.errno != 0
