"""Endpoints follow their parent: MAC, MTU, carrier, mode and flag are the parent's."""

from __future__ import annotations

import os

import pytest

from ipvlab.driver.ip_grammar import parse_ip
from ipvlab.lab import tables
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.probe.prober import Prober
from ipvlab.probe.questions import ReachObservation, ReachQuestion
from ipvlab.spec.values import Flag
from tests.netns.topology import add_container, no_commands, on_each_datapath, running_lab, two_hosts

pytestmark = on_each_datapath


def type_ip(lab: LiveLab, node: str, line: str) -> None:
    place = lab.nodes[node]
    host = lab.nodes[place.host] if place.host else place
    result = carry_out(place, parse_ip(line.split()), lab.datapath, host)
    assert (result.exit_code, result.stderr) == (0, "")


def reaches(lab: LiveLab, source: str, target: str) -> bool:
    """Whether a round trip succeeds; a failure counts only when it is proved."""
    lab.await_ready()
    address = next(lab.nodes[target].addresses()).ip
    prober = Prober(lab.nodes, lab.taps)
    [seen] = prober.answer([ReachQuestion(source, target, address)])
    prober.close()
    assert isinstance(seen, ReachObservation)
    assert seen.is_proved
    return seen.reply


def link(node: Node) -> tables.LinkView:
    [view] = [view for view in tables.view_links(node.namespace) if view.name == "eth0"]
    return view


def pair(lab: LiveLab, parent: str = "eth0", flag: Flag = Flag.BRIDGE) -> tuple[Node, Node]:
    a = add_container(lab, "h1", "a", "10.0.0.1/24", parent=parent, flag=flag)
    b = add_container(lab, "h1", "b", "10.0.0.2/24", parent=parent, flag=flag)
    return a, b


@pytest.mark.parametrize("parent", ["eth0.20", "di-1"])
def test_a_sub_interface_and_an_isolated_parent_take_a_new_mac_and_their_endpoints_have_it(
    parent: str,
) -> None:
    with running_lab(two_hosts()) as lab:
        port = lab.host_port("h1", no_commands)
        port.add_vlan("eth0.20", "eth0", 20)
        port.add_isolated("di-1")
        a, _ = pair(lab, parent)
        type_ip(lab, "h1", f"ip link set {parent} address 02:00:00:00:99:01")
        lab.await_ready()
        assert link(a).mac == bytes.fromhex("020000009901")
        assert reaches(lab, "a", "b")


def test_the_address_of_an_endpoint_that_is_down_is_nobodys_and_nobody_elses() -> None:
    with running_lab(two_hosts()) as lab:
        pair(lab)
        lab.nodes["h1"].namespace.write_sysctls({"ipv4/ip_forward": "1"})
        type_ip(lab, "b", "ip link set eth0 down")
        assert not reaches(lab, "a", "b")
        refused = carry_out(
            lab.nodes["a"],
            parse_ip("ip addr add 10.0.0.2/24 dev eth0".split()),
            lab.datapath,
            lab.nodes["h1"],
        )
        assert "already assigned" in refused.stderr
        type_ip(lab, "b", "ip link set eth0 up")
        assert reaches(lab, "a", "b")


def test_an_endpoint_keeps_ipv6_when_its_parent_gets_an_mtu_below_1280() -> None:
    # ipvlan_main.c: ipvlan_adjust_mtu tells nobody.
    with running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "fd00::1/64")
        add_container(lab, "h1", "b", "fd00::2/64")
        type_ip(lab, "h1", "ip link set eth0 mtu 576")
        assert reaches(lab, "a", "b")


def test_a_new_mac_of_the_parent_is_that_of_its_endpoints_and_they_still_reach_the_wire() -> None:
    with running_lab(two_hosts()) as lab:
        a, _ = pair(lab)
        far = add_container(lab, "h2", "c", "10.0.0.3/24")
        assert reaches(lab, "a", "c")
        type_ip(lab, "h1", "ip link set eth0 address 02:00:00:00:99:01")
        lab.await_ready()
        assert link(a).mac == bytes.fromhex("020000009901")
        type_ip(lab, "c", "ip neigh flush all")
        assert reaches(lab, "a", "b")
        assert reaches(lab, "a", "c")
        assert far.links["eth0"].mac != a.links["eth0"].mac


def test_a_new_mtu_of_the_parent_overwrites_that_of_its_endpoints() -> None:
    with running_lab(two_hosts()) as lab:
        a, b = pair(lab)
        type_ip(lab, "h1", "ip link set eth0 mtu 1300")
        lab.await_ready()
        assert [link(node).mtu for node in (a, b)] == [1300, 1300]


@pytest.mark.parametrize("parent", ["eth0", "eth0.20"])
def test_siblings_stop_while_the_parent_is_down_and_go_on_when_it_is_up(
    parent: str, each_datapath: str
) -> None:
    """As kernels from 6.10 on do; before, only the carrier counts (K-OBJ-023)."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    is_stopped = each_datapath == "bpf" or version >= (6, 10)
    with running_lab(two_hosts()) as lab:
        if parent != "eth0":
            lab.host_port("h1", no_commands).add_vlan(parent, "eth0", 20)
        a, _ = pair(lab, parent)
        assert reaches(lab, "a", "b")
        type_ip(lab, "h1", f"ip link set {parent} down")
        assert reaches(lab, "a", "b") is not is_stopped
        assert link(a).has_carrier is not is_stopped
        type_ip(lab, "h1", f"ip link set {parent} up")
        assert reaches(lab, "a", "b")


@pytest.mark.parametrize("parent", ["eth0", "eth0.20"])
def test_siblings_stop_without_carrier_of_the_parent(parent: str) -> None:
    """The far end of the wire goes down (K-OBJ-022, K-OBJ-024)."""
    with running_lab(two_hosts()) as lab:
        if parent != "eth0":
            lab.host_port("h1", no_commands).add_vlan(parent, "eth0", 20)
        pair(lab, parent)
        assert reaches(lab, "a", "b")
        type_ip(lab, "h2", "ip link set eth0 down")
        assert not reaches(lab, "a", "b")
        type_ip(lab, "h2", "ip link set eth0 up")
        assert reaches(lab, "a", "b")


def test_an_endpoint_made_while_the_parent_is_down_has_no_carrier_until_it_is_up() -> None:
    with running_lab(two_hosts()) as lab:
        type_ip(lab, "h1", "ip link set eth0 down")
        lab.await_ready()
        a, _ = pair(lab)
        lab.await_ready()
        assert not link(a).has_carrier
        type_ip(lab, "h1", "ip link set eth0 up")
        assert reaches(lab, "a", "b")


def test_a_change_of_mode_through_one_endpoint_is_a_change_for_all() -> None:
    with running_lab(two_hosts()) as lab:
        _, b = pair(lab)
        add_container(lab, "h2", "c", "10.0.0.3/24")
        assert reaches(lab, "c", "b")
        type_ip(lab, "a", "ip link set eth0 type ipvlan mode l3")
        type_ip(lab, "c", "ip neigh flush all")
        assert not reaches(lab, "c", "b"), "nobody answers ARP for an endpoint in l3"
        assert not b.links["eth0"].has_arp
        assert reaches(lab, "a", "b")
        type_ip(lab, "b", "ip link set eth0 type ipvlan mode l2 private")
        assert not reaches(lab, "a", "b")
        assert reaches(lab, "c", "b")
        type_ip(lab, "b", "ip link set eth0 type ipvlan mode l2")
        assert reaches(lab, "a", "b"), "a mode without a flag resets the flag to bridge"


def test_private_drops_between_siblings_only() -> None:
    with running_lab(two_hosts()) as lab:
        pair(lab, flag=Flag.PRIVATE)
        add_container(lab, "h2", "c", "10.0.0.3/24")
        assert not reaches(lab, "a", "b")
        assert reaches(lab, "a", "c")
        assert reaches(lab, "c", "b")


@pytest.mark.parametrize("has_hairpin", [True, False])
def test_vepa_reaches_a_sibling_through_a_reflective_relay_only(has_hairpin: bool) -> None:
    hosts = two_hosts()
    port = {"hairpin": True} if has_hairpin else {}
    hosts["h1"]["interfaces"] = {"eth0": {"wire": "lan", "port": port}}
    with running_lab(hosts) as lab:
        pair(lab, flag=Flag.VEPA)
        add_container(lab, "h2", "c", "10.0.0.3/24")
        assert reaches(lab, "a", "b") is has_hairpin
        assert reaches(lab, "a", "c")
