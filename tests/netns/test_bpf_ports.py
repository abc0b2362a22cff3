"""Ports, slots and addresses of the bpf datapath: what its control plane refuses and cleans up."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from ipvlab.errors import KernelRefusal
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.linux import bpf
from ipvlab.spec.values import Mode
from tests.netns.topology import add_container, no_commands, on_each_datapath, running_lab, two_hosts

PORT = 5001
#: linux/in.h; the socket module has it from Python 3.14 only.
IP_RECVTTL = 12
DROP, REDIRECT = 2, 7


def listen(node: Node) -> socket.socket:
    listener = node.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("", PORT))
    listener.setblocking(False)
    return listener


def copies(listener: socket.socket) -> int:
    """How many datagrams lie in a socket; what was sent has arrived when the sender returned."""
    count = 0
    while True:
        try:
            listener.recv(100)
        except BlockingIOError:
            return count
        count += 1


def broadcast(node: Node) -> None:
    with node.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0\0")
        sender.sendto(b"hello", ("255.255.255.255", PORT))


def link_names(node: Node) -> set[str]:
    return node.namespace.call(lambda: {name for _, name in socket.if_nameindex()})


@on_each_datapath
def test_a_broadcast_reaches_each_of_a_hundred_siblings_exactly_once() -> None:
    """More endpoints than one batch of the fan-out: the programs call themselves again."""
    with running_lab(two_hosts()) as lab:
        nodes = [add_container(lab, "h1", f"c{n}", f"10.0.0.{n}/24") for n in range(1, 101)]
        lab.await_ready()
        listeners = [listen(node) for node in (*nodes, lab.nodes["h2"], lab.nodes["h1"])]
        broadcast(nodes[40])
        counts = [copies(listener) for listener in listeners]
        for listener in listeners:
            listener.close()
        assert counts[:40] + counts[41:101] == [1] * 100
        assert counts[101] == 0, "the host hears its own container"


def test_a_slot_that_was_freed_is_used_again_and_hears_once() -> None:
    with running_lab(two_hosts()) as lab:
        a, *_ = [add_container(lab, "h1", f"c{n}", f"10.0.0.{n}/24") for n in range(1, 5)]
        lab.remove_container("h1", "c2")
        lab.remove_container("h1", "c3")
        new = add_container(lab, "h1", "c5", "10.0.0.2/24")
        lab.await_ready()
        with listen(new) as listener:
            broadcast(a)
            assert copies(listener) == 1


@on_each_datapath
def test_an_address_of_a_sibling_is_refused_and_nothing_is_left_of_the_endpoint() -> None:
    with running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.0.0.1/24")
        before = link_names(lab.nodes["h1"])
        with pytest.raises(KernelRefusal, match="Address already assigned to an ipvlan device") as refusal:
            add_container(lab, "h1", "b", "10.0.0.1/24")
        assert refusal.value.errno == errno.EADDRINUSE
        assert link_names(lab.nodes["h1"]) == before
        assert "eth0" not in link_names(lab.nodes["b"])


@on_each_datapath
def test_the_address_of_a_removed_container_can_be_given_again() -> None:
    with running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.0.0.1/24", "fd00::1/64")
        lab.remove_container("h1", "a")
        assert add_container(lab, "h1", "b", "10.0.0.1/24", "fd00::1/64").links["eth0"].is_up


@on_each_datapath
def test_endpoints_of_one_parent_have_link_locals_that_carry_their_device_number() -> None:
    interfaces = {"eth0": {"wire": "lan", "mac": "02:00:00:00:00:fe"}}
    with running_lab({**two_hosts(), "h1": {"interfaces": interfaces}}) as lab:
        a = add_container(lab, "h1", "a", "fd00::1/64")
        b = add_container(lab, "h1", "b", "fd00::2/64")
        assert [str(n.links["eth0"].addresses[-1]) for n in (a, b)] == [
            "fe80::200:0:100:fe/64",
            "fe80::200:0:200:fe/64",
        ]


@on_each_datapath
def test_a_vlan_that_a_link_has_already_is_refused() -> None:
    with running_lab(two_hosts()) as lab:
        port = lab.host_port("h1", no_commands)
        port.add_vlan("eth0.20", "eth0", 20)
        with pytest.raises(KernelRefusal, match="File exists"):
            port.add_vlan("other", "eth0", 20)
        port.remove_link("eth0.20")
        port.add_vlan("other", "eth0", 20)
        named = {name for name in link_names(lab.nodes["h1"]) if not name.startswith("ipv")}
        assert named == {"lo", "eth0", "other"}


@on_each_datapath
def test_a_sub_interface_of_a_link_that_is_down_is_refused_and_not_left_behind() -> None:
    with running_lab(two_hosts()) as lab:
        lab.nodes["h1"].links["eth0"].is_up = False
        with pytest.raises(KernelRefusal, match="Network is down"):
            lab.host_port("h1", no_commands).add_vlan("eth0.20", "eth0", 20)
        assert "eth0.20" not in link_names(lab.nodes["h1"])


@on_each_datapath
def test_a_frame_with_a_tag_that_no_sub_interface_takes_reaches_nobody() -> None:
    with running_lab(two_hosts()) as lab:
        a = add_container(lab, "h1", "a", "10.0.0.1/24")
        lab.await_ready()
        mac = lab.nodes["h1"].links["eth0"].mac
        sender = lab.nodes["h2"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with sender, listen(a) as listener:
            sender.bind(("eth0", 0))
            for tag in (b"", b"\x81\0\0\0", b"\x81\0\0\x05"):
                sender.send(mac + b"\x02\0\0\0\0\x09" + tag + udp("10.0.0.9", "10.0.0.1"))
                # Untagged and priority-tagged (VLAN 0) frames arrive, VLAN 5 does not (K-VLAN-001, -003).
                assert copies(listener) == (0 if tag.endswith(b"\x05") else 1)


def udp(source: str, target: str) -> bytes:
    """An IPv4 packet with its ethertype: a datagram of five bytes to PORT, without a checksum."""
    body = struct.pack("!HHHH", 9, PORT, 13, 0) + b"hello"
    head = struct.pack(
        "!BBHHHBBH4s4s",
        0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target),
    )  # fmt: skip
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return b"\x08\0" + head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:] + body


@on_each_datapath
def test_l3_sends_a_ttl_of_one_on_untouched() -> None:
    hosts = two_hosts()
    hosts["h2"]["routes"] = [{"to": "10.1.0.0/24", "via": "192.168.1.250"}]
    with running_lab(hosts) as lab:
        a = add_container(lab, "h1", "a", "10.1.0.1/24", mode=Mode.L3)
        lab.await_ready()
        listener = lab.nodes["h2"].namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender = a.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with listener, sender:
            listener.bind(("", PORT))
            listener.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            sender.sendto(b"hello", ("192.168.1.251", PORT))
            _, ancillary, _, _ = listener.recvmsg(100, 100)
            assert int.from_bytes(ancillary[0][2], "little") == 1


def frame(to: str, source: str = "02:00:00:00:0a:01", rest: bytes = b"\x08\x06" + bytes(46)) -> bytes:
    return bytes.fromhex((to + source).replace(":", "")) + rest


def test_an_unknown_host_end_lets_nothing_pass() -> None:
    """The programs drop what comes from a link that no port claims (a container that is going)."""
    with running_lab(two_hosts()) as lab:
        fd = program(lab, "endpoint_in")
        assert bpf.test_run(fd, frame("ff:ff:ff:ff:ff:ff"))[0] == DROP


def test_reserved_addresses_of_802_1d_do_not_cross_a_switch() -> None:
    with running_lab(two_hosts()) as lab:
        fd = program(lab, "switch_in")
        assert bpf.test_run(fd, frame("01:80:c2:00:00:00"))[0] == DROP
        assert bpf.test_run(fd, frame("01:80:c2:00:00:0e"))[0] == DROP
        assert bpf.test_run(fd, frame("01:80:c2:00:00:10"))[0] != DROP


def program(lab: LiveLab, name: str) -> int:
    """The fd of a loaded program of a lab on the bpf datapath."""
    datapath = lab.datapath
    return int(getattr(datapath, "_object").programs[name])  # noqa: B009 - mypy knows the port only


@on_each_datapath
def test_device_numbers_begin_again_when_the_last_endpoint_of_a_parent_has_gone() -> None:
    with running_lab(two_hosts()) as lab:
        first = add_container(lab, "h1", "a", "fd00::1/64").links["eth0"].addresses[-1]
        second = add_container(lab, "h1", "b", "fd00::2/64").links["eth0"].addresses[-1]
        lab.remove_container("h1", "b")
        third = add_container(lab, "h1", "c", "fd00::3/64").links["eth0"].addresses[-1]
        assert len({first, second, third}) == 3, "numbers go on while the parent has an endpoint"
        lab.remove_container("h1", "a")
        lab.remove_container("h1", "c")
        assert add_container(lab, "h1", "d", "fd00::4/64").links["eth0"].addresses[-1] == first
