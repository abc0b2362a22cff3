"""The host's netfilter and routes in l3 and l3s on ``bpf``: what differs from Linux (docs/deviations.md)."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from ipvlab import Lab
from ipvlab.datapath.bpf import detour
from ipvlab.errors import KernelUnfit
from ipvlab.lab import tables
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages, netfilter
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netfilter import HOOKS, text
from ipvlab.run.live import LiveGround
from ipvlab.spec.values import Mode
from tests.netns.hooked import (
    ADDRESSES,
    COUNT,
    DROP,
    PROBE,
    add_rule,
    arrives,
    commit,
    counts,
    datagram,
    ground_of,
    of_udp,
    routed_lab,
)
from tests.netns.test_bpf_ports import udp
from tests.netns.test_bpf_tcp import SIZE, transfer
from tests.netns.topology import add_container, running_lab, two_hosts

UDP_SEGMENT, IP_TOS, IP_MTU_DISCOVER, NEVER, ALWAYS = 103, 1, 10, 0, 2
META_SKUID = 10
RULES = pytest.mark.parametrize("has_rule", [False, True])


def counting(where: Namespace, hook: str) -> None:
    """Count probes at a hook of any namespace, in a table named like the hook."""
    commit(
        where,
        (netfilter.NEW_TABLE, text(1, hook)),
        (netfilter.NEW_CHAIN, netfilter.chain(hook, "c", HOOKS[hook])),
        (netfilter.NEW_RULE, netfilter.rule(hook, "c", [*of_udp(PROBE), COUNT])),
    )


def type_program(ground: LiveGround, node: str, line: str) -> None:
    result = ground.run_program(node, line.split(), None)
    assert (result.exit_code, result.stderr) == (0, "")


def taps(lab: LiveLab) -> set[str]:
    return {name for name in tables.read_links(lab.nodes["h1"].namespace) if name.startswith("ipvtap")}


@RULES
def test_an_l3s_endpoints_own_hooks_see_what_comes_in(has_rule: bool) -> None:
    """DEV-01"""
    with routed_lab(Mode.L3S) as lab:
        if has_rule:
            add_rule(lab, "input", COUNT)
        for hook in ("prerouting", "input"):
            counting(lab.nodes["a"].namespace, hook)
        assert arrives(lab, "h2", "a", 4) == 1
        assert counts(lab, "a") == {"prerouting": 1, "input": 1}


def test_a_rule_of_a_program_that_goes_on_running_holds_from_the_next_look_on() -> None:
    """DEV-02"""
    with routed_lab(Mode.L3) as lab:
        commit(
            lab.nodes["h1"].namespace,
            (netfilter.NEW_TABLE, text(1, "output")),
            (netfilter.NEW_CHAIN, netfilter.chain("output", "c", HOOKS["output"])),
            (netfilter.NEW_RULE, netfilter.rule("output", "c", [*of_udp(PROBE), DROP])),
        )
        assert arrives(lab, "a", "h2", 4) == 1
        lab.await_ready()
        assert arrives(lab, "a", "h2", 4) == 0


def test_a_mac_set_by_a_program_that_goes_on_running_is_its_endpoints_from_the_next_look_on() -> None:
    """DEV-02"""
    new = b"\x02\0\0\0\x99\x01"
    with routed_lab(Mode.L3) as lab:
        h1, a = lab.nodes["h1"], lab.nodes["a"]
        h1.namespace.netlink.request(
            messages.set_link(h1.links["eth0"].index, [("IFLA_ADDRESS", new.hex(":"))]), "set a MAC"
        )
        assert mac_of(a) != new
        lab.await_ready()
        assert mac_of(a) == new


def mac_of(node: Node) -> bytes:
    [view] = [view for view in tables.view_links(node.namespace) if view.name == "eth0"]
    return view.mac


def test_the_hosts_hooks_count_tcp_by_segments_of_the_mtu() -> None:
    """DEV-03"""
    with routed_lab(Mode.L3) as lab:
        all_of_tcp = [netfilter.load_meta(16), netfilter.equals(bytes([socket.IPPROTO_TCP])), COUNT]
        commit(
            lab.nodes["h1"].namespace,
            (netfilter.NEW_TABLE, text(1, "output")),
            (netfilter.NEW_CHAIN, netfilter.chain("output", "c", HOOKS["output"])),
            (netfilter.NEW_RULE, netfilter.rule("output", "c", all_of_tcp)),
        )
        lab.await_ready()
        sent, arrived = transfer(lab.nodes["a"], lab.nodes["h2"], ADDRESSES["h2"][4])
        assert sent == arrived
        assert counts(lab)["output"] >= SIZE // 1448


def test_the_hosts_hooks_take_an_endpoints_packets_for_roots() -> None:
    """DEV-03"""
    root = [netfilter.load_meta(META_SKUID), netfilter.equals(bytes(4))]
    with routed_lab(Mode.L3) as lab:
        add_rule(lab, "output", *root, COUNT)
        assert arrives(lab, "a", "h2", 4) == 1
        assert counts(lab) == {"output": 1}


@RULES
def test_datagrams_of_one_super_packet_run_together_on_the_way_into_l3s(has_rule: bool) -> None:
    """DEV-04"""
    with routed_lab(Mode.L3S) as lab:
        if has_rule:
            add_rule(lab, "input", COUNT)
        with datagram(lab.nodes["h2"], 4) as sender, datagram(lab.nodes["a"], 4, PROBE) as ear:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 400)
            sender.sendto(b"x" * 1200, (ADDRESSES["a"][4], PROBE))
            assert len(ear.recv(65535)) == (1200 if has_rule else 400)


@pytest.mark.parametrize("mode", [Mode.L3, Mode.L3S])
def test_rules_of_the_host_bring_a_tap_and_in_l3s_routing_of_their_own(mode: Mode) -> None:
    """DEV-05"""
    with routed_lab(mode) as lab:
        namespace = lab.nodes["h1"].namespace
        last = {(4, "input"), (6, "input")} if mode is Mode.L3S else set()
        assert netfilter.read_hooks(namespace) == last
        assert taps(lab) == set()
        add_rule(lab, "output", COUNT)
        assert len(taps(lab)) == 1
        setting = Path("/proc/sys/net/ipv4/conf/eth0/arp_ignore")
        assert int(namespace.call(setting.read_text)) == (3 if mode is Mode.L3S else 0)


@RULES
def test_the_host_fills_in_what_a_packet_of_an_endpoint_leaves_open(has_rule: bool) -> None:
    """DEV-06"""
    packet = bytearray(udp("0.0.0.0", ADDRESSES["h2"][4]))
    head, rest = packet[2:22], packet[22:]
    head[4:6] = bytes(2)
    head[10:12] = bytes(2)
    head[10:12] = checksum(head).to_bytes(2)
    with routed_lab(Mode.L3) as lab:
        if has_rule:
            add_rule(lab, "output", COUNT)
        a, h2 = lab.nodes["a"], lab.nodes["h2"]
        own = a.links["eth0"].mac
        with (
            a.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender,
            h2.namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as wire,
        ):
            sender.bind(("eth0", 0))
            wire.bind(("eth0", 0x0800))
            sender.send(own + own + b"\x08\0" + bytes(head) + bytes(rest))
            seen = wire.recv(2000)
        assert (seen[4:6] != bytes(2)) is has_rule
        assert socket.inet_ntoa(seen[12:16]) == (ADDRESSES["h1"][4] if has_rule else "0.0.0.0")


def checksum(head: bytearray) -> int:
    total = sum(int.from_bytes(head[at : at + 2]) for at in range(0, len(head), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def test_a_kernel_without_taps_is_unfit_once_rules_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit, no difference: it says so instead of giving false verdicts."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(detour, "open_tap", refuse)
    with routed_lab(Mode.L3) as lab:
        assert arrives(lab, "a", "h2", 4) == 1
        with pytest.raises(KernelUnfit, match="no tap links"):
            add_rule(lab, "output", COUNT)


@RULES
def test_the_mtu_of_a_route_counts_for_l3_endpoints(has_rule: bool) -> None:
    """No difference any more."""
    with ground_of(Mode.L3) as ground:
        type_program(ground, "h1", "ip route add 192.168.1.251/32 dev eth0 mtu 1000")
        nodes = ground.lab.nodes
        target = ADDRESSES["h2"][4], PROBE
        with datagram(nodes["h2"], 4, PROBE) as ear, datagram(nodes["a"], 4) as sender:
            if has_rule:
                add_rule(ground.lab, "output", COUNT)
            # Where it may not be fragmented it is lost, and where it may be it comes in one piece again.
            for length, discovery in ((1401, ALWAYS), (1402, NEVER)):
                sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, discovery)
                sender.sendto(b"x" * length, target)
            assert len(ear.recv(2000)) == 1402


@RULES
def test_the_tos_of_a_packet_counts_in_the_hosts_look_up(has_rule: bool) -> None:
    """No difference any more."""
    with ground_of(Mode.L3) as ground:
        # Nobody is .99. To prohibit would not do: a look-up bound to a link falls back to "on that link".
        type_program(ground, "h1", "ip route add 192.168.1.251/32 via 192.168.1.99 dev eth0 table 100")
        type_program(ground, "h1", "ip rule add tos 0x10 lookup 100")
        lab = ground.lab
        if has_rule:
            add_rule(lab, "output", COUNT)
        with datagram(lab.nodes["h2"], 4, PROBE) as ear, datagram(lab.nodes["a"], 4) as sender:
            for tos, body in ((0x10, b"marked"), (0, b"plain")):
                sender.setsockopt(socket.IPPROTO_IP, IP_TOS, tos)
                sender.sendto(body, (ADDRESSES["h2"][4], PROBE))
            assert ear.recv(100) == b"plain"


def test_ipv6_of_a_host_with_routes_by_several_links_takes_a_tap() -> None:
    """A limit, no difference: only slower."""
    hosts = two_hosts()
    wan = {"wire": "wan", "addresses": ["fd05::1/64"]}
    hosts["h1"]["interfaces"]["eth1"] = wan  # type: ignore[index]  # plain YAML values
    with running_lab(hosts, wires=("lan", "wan")) as lab:
        add_container(lab, "h1", "a", "10.1.0.1/24", mode=Mode.L3)
        lab.await_ready()
        assert taps(lab) == set()
        add_container(lab, "h1", "b", "fd11::2/64", mode=Mode.L3)
        lab.await_ready()
        assert len(taps(lab)) == 1


def test_a_host_without_neighbour_tells_itself_as_on_linux() -> None:
    """No difference: its error is for the endpoint, of which it knows nothing, and so asks the wire."""
    hosts = two_hosts()
    hosts["h1"]["routes"] = [{"to": "10.1.0.0/24", "dev": "eth0"}]
    with running_lab(hosts) as lab:
        a = add_container(lab, "h1", "a", "10.1.0.1/24", mode=Mode.L3)
        lab.await_ready()
        wire = lab.nodes["h2"].namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        with wire, datagram(a, 4) as sender:
            wire.bind(("eth0", 0x0806))
            sender.sendto(b"probe", ("192.168.1.99", PROBE))
            asked = {socket.inet_ntoa(wire.recv(100)[24:28])}
            while "10.1.0.1" not in asked:
                asked.add(socket.inet_ntoa(wire.recv(100)[24:28]))
        assert asked == {"192.168.1.99", "10.1.0.1"}


def test_netdev_hooks_of_a_parent_see_what_is_its_own_and_not_what_is_its_endpoints() -> None:
    """DEV-13"""
    family, ingress = 5, 0
    with routed_lab(Mode.L3) as lab:
        h1 = lab.nodes["h1"]
        where = netfilter.nested(
            4,
            netfilter.number(1, ingress)
            + netfilter.attribute(2, bytes(4))
            + netfilter.attribute(3, b"eth0\0"),
        )
        requests = [
            (netfilter.NEW_TABLE, text(1, "t")),
            (netfilter.NEW_CHAIN, text(1, "t") + text(3, "c") + where + text(7, "filter")),
            (netfilter.NEW_RULE, netfilter.rule("t", "c", [*of_udp(PROBE), COUNT])),
        ]
        with h1.namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER) as sock:
            sock.bind((0, 0))
            netfilter.commit(sock, requests, family)
        assert arrives(lab, "h2", "a", 4) == 1
        assert counts(lab) == {"t": 0}
        assert arrives(lab, "h2", "h1", 4) == 1
        assert counts(lab) == {"t": 1}


def test_what_ipvlan_would_refuse_a_program_in_a_container_is_taken_back_when_it_has_ended() -> None:
    """DEV-14"""
    with Lab(datapath="bpf") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        h2 = lab.host("h2", eth0=lan.port("192.168.1.251/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n")
        a = h1.container("a", network="n", ip="192.168.1.10")
        b = h1.container("b", network="n", ip="192.168.1.11")
        assert b.execute("ip address add 192.168.1.10/24 dev eth0".split()).exit_code == 0
        assert h2.reaches(a), "it stays with the sibling"
        assert "192.168.1.10/" not in b.execute("ip address show dev eth0".split()).stdout
        assert b.execute("ip link set eth0 address 02:00:00:00:77:01".split()).exit_code == 0
        assert "02:00:00:00:77:01" not in b.execute("ip link show eth0".split()).stdout
        assert h2.reaches(b)
