"""TCP at full size on every path of the bpf datapath: GSO, checksums, MTU."""

from __future__ import annotations

import hashlib
import socket
import threading

import pytest

from ipvlab.lab.nodes import Node
from ipvlab.spec.values import Mode
from tests.netns.topology import add_container, on_each_datapath, running_lab, two_hosts

pytestmark = on_each_datapath

SIZE = 3_000_000


def transfer(source: Node, target: Node, address: str) -> tuple[str, str]:
    """Send SIZE bytes over one TCP connection; digests of what was sent and what arrived."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = target.namespace.socket(family, socket.SOCK_STREAM)
    sender = source.namespace.socket(family, socket.SOCK_STREAM)
    body = hashlib.shake_128(address.encode()).digest(SIZE)
    arrived = hashlib.sha256()

    def receive() -> None:
        connection, _ = listener.accept()
        with connection:
            while chunk := connection.recv(1 << 16):
                arrived.update(chunk)

    with listener, sender:
        listener.bind(("", 5001))
        listener.listen()
        receiver = threading.Thread(target=receive)
        receiver.start()
        sender.connect((address, 5001))
        sender.sendall(body)
        sender.shutdown(socket.SHUT_WR)
        receiver.join()
    return hashlib.sha256(body).hexdigest(), arrived.hexdigest()


def first(node: Node, version: int) -> str:
    return str(next(a.ip for a in node.addresses() if a.version == version))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("parent", ["eth0", "eth0.20"])
def test_l2_carries_tcp_at_full_size_between_siblings_and_hosts(parent: str, version: int) -> None:
    with running_lab(two_hosts()) as lab:
        for host in ("h1", "h2"):
            if parent != "eth0":
                lab.host_port(host, lambda *_: pytest.fail("no commands")).add_vlan(parent, "eth0", 20)
        a = add_container(lab, "h1", "a", "10.0.0.1/24", "fd00::1/64", parent=parent)
        b = add_container(lab, "h1", "b", "10.0.0.2/24", "fd00::2/64", parent=parent)
        c = add_container(lab, "h2", "c", "10.0.0.3/24", "fd00::3/64", parent=parent)
        lab.await_ready()
        for source, target in ((a, b), (a, c), (c, b)):
            sent, arrived = transfer(source, target, first(target, version))
            assert sent == arrived


@pytest.mark.parametrize("version", [4, 6])
def test_l3_carries_tcp_at_full_size_between_siblings_and_routed_hosts(version: int) -> None:
    hosts = two_hosts()
    hosts["h1"]["routes"] = [
        {"to": "10.2.0.0/24", "via": "192.168.1.251"},
        {"to": "fd02::/64", "via": "fd01::251"},
    ]
    hosts["h2"]["routes"] = [
        {"to": "10.1.0.0/24", "via": "192.168.1.250"},
        {"to": "fd11::/64", "via": "fd01::250"},
    ]
    with running_lab(hosts) as lab:
        a = add_container(lab, "h1", "a", "10.1.0.1/24", "fd11::1/64", mode=Mode.L3)
        b = add_container(lab, "h1", "b", "10.1.0.2/24", "fd11::2/64", mode=Mode.L3)
        c = add_container(lab, "h2", "c", "10.2.0.1/24", "fd02::1/64", mode=Mode.L3)
        lab.await_ready()
        for source, target in ((a, b), (a, c), (c, b)):
            sent, arrived = transfer(source, target, first(target, version))
            assert sent == arrived


def test_a_datagram_of_the_full_mtu_crosses_a_sub_interface_and_a_larger_one_is_refused() -> None:
    with running_lab(two_hosts()) as lab:
        for host in ("h1", "h2"):
            lab.host_port(host, lambda *_: pytest.fail("no commands")).add_vlan("eth0.20", "eth0", 20)
        a = add_container(lab, "h1", "a", "10.0.0.1/24", parent="eth0.20")
        b = add_container(lab, "h2", "b", "10.0.0.2/24", parent="eth0.20")
        lab.await_ready()
        listener = b.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender = a.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with listener, sender:
            listener.bind(("", 5001))
            # IP_MTU_DISCOVER = IP_PMTUDISC_DO: never fragment.
            sender.setsockopt(socket.IPPROTO_IP, 10, 2)
            sender.sendto(b"x" * 1472, ("10.0.0.2", 5001))
            assert len(listener.recv(2000)) == 1472
            with pytest.raises(OSError, match="too long"):
                sender.sendto(b"x" * 1473, ("10.0.0.2", 5001))


def test_an_endpoint_has_the_mtu_and_mac_of_its_parent() -> None:
    hosts = two_hosts()
    interfaces = {"eth0": {"wire": "lan", "mtu": 1400, "mac": "02:00:00:00:0a:01"}}
    hosts["h1"] = {"interfaces": interfaces}
    with running_lab(hosts) as lab:
        a = add_container(lab, "h1", "a", "10.0.0.1/24")
        assert a.links["eth0"].mtu == 1400
        assert a.links["eth0"].mac == bytes.fromhex("020000000a01")
