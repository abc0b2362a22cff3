"""Real ipvlan links, made and unmade by the kernel datapath, and read back from the kernel."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import struct
from collections.abc import Iterator, Mapping

import pytest

from ipvlab.datapath.base import Link, PortFilter
from ipvlab.datapath.kernel.datapath import KernelDatapath
from ipvlab.driver.port import EndpointPlan
from ipvlab.errors import KernelRefusal
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.lab.tables import view_addresses, view_links
from ipvlab.linux import messages
from ipvlab.linux.netlink import attributes
from ipvlab.rules.identifiers import endpoint_link_local
from ipvlab.spec.model import HostSpec, Wire
from ipvlab.spec.values import Flag, Mode
from tests.netns.topology import no_commands

HOST = {"interfaces": {"eth0": {"wire": "lan", "addresses": ["192.168.1.250/24", "fd01::250/64"]}}}
PEER = {"interfaces": {"eth0": {"wire": "lan", "addresses": ["192.168.1.251/24"]}}}
TAGGED = {"interfaces": {"eth0": {"wire": "lan", "port": {"trunk": [20, 30]}}}}
ACCESS = {"interfaces": {"eth0": {"wire": "lan", "port": {"access": 20}}}}


@contextlib.contextmanager
def running_lab(**hosts: Mapping[str, object]) -> Iterator[LiveLab]:
    lab = LiveLab("test", KernelDatapath())
    try:
        lab.add_topology(
            {"lan": Wire()}, {name: HostSpec.model_validate(spec) for name, spec in hosts.items()}, {}
        )
        yield lab
    finally:
        lab.close()


def add(lab: LiveLab, name: str, *addresses: str, mode: Mode = Mode.L2, flag: Flag = Flag.BRIDGE) -> Node:
    port = lab.host_port("h1", no_commands)
    port.add_container(name, name)
    held = tuple(ipaddress.ip_interface(address) for address in addresses)
    port.attach(name, EndpointPlan("net", "eth0", "eth0", mode, flag, held, ()))
    return lab.nodes[name]


def ipvlan_settings(node: Node) -> tuple[str, int, int]:
    """The kind of a container's eth0, its mode and its flags, as the kernel has them."""
    link = node.links["eth0"]
    body = node.namespace.netlink.get(messages.get_link(link.index), "read eth0")
    info = attributes(attributes(body, 16)[18])
    settings = attributes(info[2])
    mode, flags = (struct.unpack("=H", settings[number])[0] for number in (1, 2))
    return info[1].rstrip(b"\0").decode(), mode, flags


def names(node: Node) -> set[str]:
    return {link.name for link in view_links(node.namespace)}


@pytest.mark.parametrize(("mode", "number"), [(Mode.L2, 0), (Mode.L3, 1), (Mode.L3S, 2)])
@pytest.mark.parametrize(("flag", "bits"), [(Flag.BRIDGE, 0), (Flag.PRIVATE, 1), (Flag.VEPA, 2)])
def test_the_kernel_has_the_mode_and_flag_that_were_asked_for(
    mode: Mode, number: int, flag: Flag, bits: int
) -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        node = add(lab, "c1", "192.168.1.5/24", mode=mode, flag=flag)
        assert ipvlan_settings(node) == ("ipvlan", number, bits)
        [view] = [each for each in view_links(node.namespace) if each.name == "eth0"]
        assert bool(view.flags & messages.IFF_NOARP) is (mode is not Mode.L2)
        assert (view.index, view.mac, view.is_up) == (node.links["eth0"].index, node.links["eth0"].mac, True)


def test_nothing_but_the_endpoint_is_made_and_the_host_gets_no_second_link() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        node = add(lab, "c1", "192.168.1.5/24")
        assert names(node) == {"lo", "eth0"}
        assert names(lab.nodes["h1"]) == {"lo", "eth0"}


def test_link_local_addresses_carry_the_number_of_the_endpoint_and_are_usable_at_once() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        for number in (1, 2, 3):
            node = add(lab, f"c{number}", f"fd01::{number}/64")
            link = node.links["eth0"]
            views = [each for each in view_addresses(node.namespace) if each.index == link.index]
            assert {each.address for each in views} == set(link.addresses)
            assert endpoint_link_local(link.mac, number) in link.addresses
            assert [each for each in views if each.is_tentative] == []


@pytest.mark.parametrize(("has_sibling", "number"), [(True, 3), (False, 1)])
def test_numbers_of_endpoints_count_on_until_the_parent_has_none_left(has_sibling: bool, number: int) -> None:
    """The allocator belongs to the port, which is freed with its last endpoint (ipvlan_main.c)."""
    with running_lab(h1=HOST, h2=PEER) as lab:
        add(lab, "c1", "fd01::1/64")
        if has_sibling:
            add(lab, "c2", "fd01::2/64")
        lab.host_port("h1", no_commands).detach("c1", "eth0")
        node = add(lab, "c3", "fd01::1/64")
        assert endpoint_link_local(node.links["eth0"].mac, number) in node.links["eth0"].addresses


def test_addresses_of_a_container_that_went_can_be_given_again_at_once() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        port = lab.host_port("h1", no_commands)
        for number in range(20):
            add(lab, f"c{number}", "192.168.1.5/24", "fd01::5/64")
            port.remove_container(f"c{number}")
        assert set(lab.nodes) == {"h1", "h2"}


def test_a_siblings_address_is_refused_and_no_link_is_left() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        add(lab, "c1", "192.168.1.5/24")
        port = lab.host_port("h1", no_commands)
        port.add_container("c2", "c2")
        held = (ipaddress.ip_interface("192.168.1.5/24"),)
        with pytest.raises(KernelRefusal) as caught:
            port.attach("c2", EndpointPlan("net", "eth0", "eth0", Mode.L2, Flag.BRIDGE, held, ()))
        assert caught.value.errno == errno.EADDRINUSE
        assert caught.value.explanation == "Address already assigned to an ipvlan device"
        assert names(lab.nodes["c2"]) == {"lo"}


def test_a_mode_set_through_one_endpoint_is_that_of_all() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        nodes = [add(lab, f"c{number}", f"192.168.1.{number}/24", flag=Flag.PRIVATE) for number in (1, 2)]
        host = lab.nodes["h1"]
        lab.datapath.set_mode(host.namespace, host.links["eth0"], Mode.L3, None)
        assert [ipvlan_settings(node) for node in nodes] == [("ipvlan", 1, 0)] * 2
        assert [node.links["eth0"].has_arp for node in nodes] == [False, False]


def test_the_parents_mac_and_mtu_reach_endpoints_and_records() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        node, host = add(lab, "c1", "192.168.1.5/24"), lab.nodes["h1"]
        changed: list[tuple[str, object]] = [("IFLA_ADDRESS", "02:00:00:00:00:77"), ("IFLA_MTU", 1400)]
        host.namespace.netlink.request(messages.set_link(host.links["eth0"].index, changed), "change")
        lab.await_ready()
        link = node.links["eth0"]
        [view] = [each for each in view_links(node.namespace) if each.name == "eth0"]
        assert (view.mac, view.mtu) == (link.mac, link.mtu) == (b"\x02\0\0\0\0\x77", 1400)


def test_deleting_a_parent_deletes_its_endpoints_everywhere() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        host = lab.nodes["h1"]
        port = lab.host_port("h1", no_commands)
        port.add_vlan("eth0.20", "eth0", 20)
        port.add_container("c1", "c1")
        held = (ipaddress.ip_interface("192.168.20.5/24"),)
        port.attach("c1", EndpointPlan("net", "eth0", "eth0.20", Mode.L2, Flag.BRIDGE, held, ()))
        port.remove_link("eth0.20")
        assert names(lab.nodes["c1"]) == {"lo"}
        assert names(host) == {"lo", "eth0"}


def test_a_vlan_that_the_base_has_already_is_refused() -> None:
    with running_lab(h1=HOST, h2=PEER) as lab:
        host = lab.nodes["h1"]
        base: Link = host.links["eth0"]
        lab.datapath.add_vlan(host.namespace, "eth0.20", base, 20)
        with pytest.raises(KernelRefusal) as caught:
            lab.datapath.add_vlan(host.namespace, "other", base, 20)
        assert caught.value.errno == errno.EEXIST


def test_switch_ports_are_filtered_by_the_bridge_itself() -> None:
    with running_lab(h1=TAGGED, h2=ACCESS, h3=PEER) as lab:
        switch = lab.wires["lan"].switch
        assert switch is not None
        views = {view.name: view.index for view in view_links(switch)}
        body = switch.netlink.get(messages.get_link(views["switch"]), "read the switch")
        settings = attributes(attributes(attributes(body, 16)[18])[2])
        assert settings[7] == b"\1"
        lab.datapath.filter_port(switch, views["port1"], PortFilter(access=30))
        with pytest.raises(KernelRefusal):
            lab.datapath.filter_port(switch, views["port1"], PortFilter(access=4095))
