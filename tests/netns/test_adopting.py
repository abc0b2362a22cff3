"""Namespaces that somebody else made, taken into a lab as they are, and hosts that outlive a lab."""

from __future__ import annotations

import os
import socket

import pytest

from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.errors import LabError
from ipvlab.lab import tables
from ipvlab.lab.adopting import clear, make_namespace, open_namespace
from ipvlab.lab.live import LiveLab
from ipvlab.linux import messages
from ipvlab.spec.model import Firewall, HostSpec, InterfaceSpec, Wire

WIRES = {"lan": Wire()}


def host(**more: object) -> HostSpec:
    interface = InterfaceSpec.model_validate({"wire": "lan", "addresses": ["10.1.0.1/24"]})
    return HostSpec.model_validate({"interfaces": {"eth0": interface}, **more})


def test_an_adopted_container_has_the_links_and_addresses_that_its_namespace_has() -> None:
    lab = LiveLab("adopting", BpfDatapath())
    try:
        lab.add_topology(WIRES, {"h1": host()}, {})
        fd = make_namespace()
        maker = open_namespace("maker", os.dup(fd))
        mac, peer = b"\2\0\0\0\0\7", b"\2\0\0\0\0\10"
        pair = messages.add_veth("eth0", 7, mac, maker.fd, "peer", 8, peer, 1400)
        maker.netlink.request(pair, "add a pair")
        maker.close()
        node = lab.adopt_container("h1", "a1", "a1", fd)
        assert {(link.name, link.index, link.mtu) for link in node.links.values()} == {
            ("eth0", 7, 1400),
            ("peer", 8, 1400),
        }
        assert lab.container("h1", "a1") is node
    finally:
        lab.close()


def test_a_second_container_of_a_name_is_refused_and_its_namespace_let_go() -> None:
    lab = LiveLab("adopting", BpfDatapath())
    try:
        lab.add_topology(WIRES, {"h1": host()}, {})
        lab.adopt_container("h1", "a1", "a1", make_namespace())
        second = make_namespace()
        with pytest.raises(LabError, match='a node called "a1" already'):
            lab.adopt_container("h1", "a1", "a1", second)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(second)
    finally:
        lab.close()


def test_a_lent_namespace_is_the_hosts_and_is_empty_for_the_next_lab() -> None:
    fd = make_namespace()
    kept = open_namespace("kept", os.dup(fd))
    try:
        for forwarding in (True, False):
            lab = LiveLab("lending", BpfDatapath())
            lab.lend_host = lambda _: os.dup(fd)
            spec = host(forwarding=forwarding, firewall=Firewall(output="drop"))
            try:
                lab.add_topology(WIRES, {"h1": spec}, {})
                assert tables.read_links(kept) == ["lo", "eth0"]
                assert kept.call(lambda: _read("ipv4/ip_forward")) == str(int(forwarding))
            finally:
                lab.close()
            clear(kept)
            assert tables.read_links(kept) == ["lo"]
            with kept.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", 0))
                # With `output: drop` left behind this would be EPERM.
                free.sendto(b"x", free.getsockname())
    finally:
        kept.close()
        os.close(fd)


def _read(path: str) -> str:
    with open(f"/proc/sys/net/{path}") as sysctl:
        return sysctl.read().strip()
