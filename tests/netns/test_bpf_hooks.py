"""What the host's netfilter sees of l3 and l3s endpoints on the bpf datapath: what ipvlan shows it."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import ipaddress
import socket
import struct
import sys

import pytest

from ipvlab.datapath.bpf import detour
from ipvlab.driver.ip_grammar import parse_ip
from ipvlab.lab import firewall, tables
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.live import LiveLab
from ipvlab.linux import netfilter
from ipvlab.linux.netfilter import HOOKS
from ipvlab.linux.netlink import attributes
from ipvlab.probe.prober import Prober
from ipvlab.probe.questions import ReachObservation, ReachQuestion
from ipvlab.spec.model import Firewall
from ipvlab.spec.values import Mode
from tests.netns.hooked import (
    ADDRESSES,
    COUNT,
    DROP,
    PROBE,
    add_endpoints,
    add_rule,
    arrives,
    counts,
    datagram,
    reaches,
    remove_rule,
    routed_lab,
)
from tests.netns.test_bpf_tcp import transfer
from tests.netns.topology import add_container, on_each_datapath, running_lab, two_hosts

#: linux/in.h; the socket module has it from Python 3.14 only.
IP_RECVTTL = 12
RTM_GETROUTE, RTM_GETRULE = 26, 34
#: main and local.
KERNEL_TABLES = (254, 255)
OUT, UP = {"output", "postrouting"}, {"prerouting", "input"}
#: Sender, receiver, and which hooks of h1 see the packet (reference: ipvlan_core.c, ipvlan_l3s.c).
FLOWS = {
    Mode.L3: {("a", "h2"): OUT, ("h2", "a"): set(), ("a", "b"): set(), ("a", "h1"): OUT | UP},
    Mode.L3S: {("a", "h2"): OUT, ("h2", "a"): UP, ("a", "b"): set(), ("a", "h1"): OUT | UP},
}
CASES = [(mode, *flow) for mode, flows in FLOWS.items() for flow in flows]


@on_each_datapath
@pytest.mark.parametrize("parent", ["eth0", "eth0.20"])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("mode", "source", "target"), CASES)
def test_a_packet_is_counted_once_at_just_the_hooks_that_ipvlan_leads_it_through(
    mode: Mode, source: str, target: str, version: int, parent: str
) -> None:
    with routed_lab(mode, parent) as lab:
        for hook in HOOKS:
            add_rule(lab, hook, COUNT)
        assert arrives(lab, source, target, version) == 1
        crossed = FLOWS[mode][source, target]
        assert counts(lab) == {hook: int(hook in crossed) for hook in HOOKS}


@on_each_datapath
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("mode", FLOWS)
def test_a_drop_rule_stops_what_crosses_its_hook_until_it_is_removed(
    mode: Mode, hook: str, version: int
) -> None:
    with routed_lab(mode) as lab:
        add_rule(lab, hook, DROP)
        stopped = {flow: not arrives(lab, *flow, version) for flow in FLOWS[mode]}
        assert stopped == {flow: hook in crossed for flow, crossed in FLOWS[mode].items()}
        remove_rule(lab, hook)
        assert all(arrives(lab, *flow, version) == 1 for flow in FLOWS[mode])


def links(lab: LiveLab) -> set[str]:
    return set(tables.read_links(lab.nodes["h1"].namespace))


def policies(lab: LiveLab) -> list[tuple[int, int, bytes]]:
    """Rules of h1 and routes of tables that no kernel fills by itself: kind, family, destination or table."""
    found: list[tuple[int, int, bytes]] = []
    netlink = lab.nodes["h1"].namespace.netlink
    for kind, table, shown in ((RTM_GETROUTE, 15, 1), (RTM_GETRULE, 15, 15)):
        for family in (socket.AF_INET, socket.AF_INET6):
            header = struct.pack("=IHHII", 28, kind, netfilter.NLM_F_REQUEST | netfilter.NLM_F_DUMP, 0, 0)
            answer = netlink.dump(bytearray(header + bytes([family]) + bytes(11)), "dump")
            while answer:
                (length,) = struct.unpack_from("=I", answer)
                held = attributes(answer[:length], 28)
                if kind == RTM_GETRULE or int.from_bytes(held[table], sys.byteorder) not in KERNEL_TABLES:
                    found.append((kind, family, held.get(shown, b"")))
                answer = answer[(length + 3) & ~3 :]
    return found


@pytest.mark.parametrize("mode", FLOWS)
def test_nothing_of_a_detour_is_left_in_the_host_once_no_rule_hangs_there(mode: Mode) -> None:
    with routed_lab(mode) as lab:
        before = links(lab), policies(lab)
        add_rule(lab, "input", COUNT)
        assert links(lab) != before[0]
        assert (policies(lab) == before[1]) is (mode is Mode.L3)
        remove_rule(lab, "input")
        assert (links(lab), policies(lab)) == before


@pytest.mark.parametrize("mode", FLOWS)
def test_nothing_of_a_detour_is_left_in_the_host_when_the_last_endpoint_goes(mode: Mode) -> None:
    with running_lab(two_hosts()) as lab:
        lab.await_ready()
        before = links(lab), policies(lab)
        add_container(lab, "h1", "a", "10.1.0.1/24", "fd11::1/64", mode=mode)
        add_rule(lab, "input", COUNT)
        lab.remove_container("h1", "a")
        assert {link for link in links(lab) if link.startswith("ipvtap")} == set()
        assert policies(lab) == before[1]
        [left] = netfilter.read_hooks(lab.nodes["h1"].namespace) - {(6, "input")}
        assert left == (4, "input")


@on_each_datapath
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("mode", FLOWS)
def test_the_prober_proves_what_gets_through_and_what_does_not(mode: Mode, hook: str, version: int) -> None:
    with routed_lab(mode) as lab:
        # A request crosses the hooks of its way, and its answer those of the way back.
        way, back = FLOWS[mode]["a", "h2"], FLOWS[mode]["h2", "a"]
        firewall.install(lab.nodes["h1"].namespace, Firewall.model_validate({hook: "drop"}))
        assert reaches(lab, "a", "h2", version) is (hook not in way | back)
        assert reaches(lab, "h2", "a", version) is (hook not in way | back)
        assert reaches(lab, "a", "b", version)


@on_each_datapath
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mode", FLOWS)
def test_tcp_of_full_size_crosses_the_detour_both_ways(mode: Mode, version: int) -> None:
    with routed_lab(mode) as lab:
        add_rule(lab, "input", COUNT)
        add_rule(lab, "output", COUNT)
        for source, target in (("a", "h2"), ("h2", "a"), ("a", "b")):
            nodes = lab.nodes[source], lab.nodes[target]
            sent, arrived = transfer(*nodes, ADDRESSES[target][version])
            assert sent == arrived


@on_each_datapath
@pytest.mark.parametrize("size", [1472, 1473, 9000])
@pytest.mark.parametrize("mode", FLOWS)
def test_datagrams_in_one_piece_and_in_fragments_cross_the_detour(mode: Mode, size: int) -> None:
    with routed_lab(mode) as lab:
        add_rule(lab, "input", COUNT)
        for source, target in (("a", "h2"), ("h2", "a")):
            with datagram(lab.nodes[source], 4) as sender, datagram(lab.nodes[target], 4, PROBE) as ear:
                body = hashlib.shake_128(target.encode()).digest(size)
                sender.sendto(body, (ADDRESSES[target][4], PROBE))
                assert ear.recv(65535) == body


@on_each_datapath
@pytest.mark.parametrize("mode", FLOWS)
@pytest.mark.parametrize("ttl", [1, 64, 255])
def test_the_detour_leaves_the_ttl_alone_both_ways(mode: Mode, ttl: int) -> None:
    with routed_lab(mode) as lab:
        add_rule(lab, "input", COUNT)
        for source, target in (("a", "h2"), ("h2", "a")):
            with datagram(lab.nodes[source], 4) as sender, datagram(lab.nodes[target], 4, PROBE) as ear:
                ear.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
                sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
                sender.sendto(b"probe", (ADDRESSES[target][4], PROBE))
                _, [(_, _, seen)], *_ = ear.recvmsg(100, 100)
                assert int.from_bytes(seen, sys.byteorder) == ttl


@on_each_datapath
def test_an_endpoint_and_a_mode_of_later_are_led_through_the_hooks_as_well() -> None:
    with routed_lab(Mode.L3) as lab:
        add_rule(lab, "input", DROP)
        assert arrives(lab, "h2", "a", 4) == 1
        host = lab.nodes["h1"]
        for mode, arriving in (("l3s", 0), ("l2", 1), ("l3s", 0), ("l3", 1)):
            line = f"ip link set eth0 type ipvlan mode {mode}"
            assert carry_out(lab.nodes["a"], parse_ip(line.split()), lab.datapath, host).exit_code == 0
            lab.await_ready()
            assert arrives(lab, "h2", "a", 4) == arriving
        add_container(lab, "h1", "c", "10.1.0.3/24", mode=Mode.L3S)
        lab.await_ready()
        assert arrives(lab, "h2", "c", 4) == 0
        remove_rule(lab, "input")
        assert arrives(lab, "h2", "c", 4) == 1


def test_packets_lost_on_a_detour_prove_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tap with room for one: what it refused was neither blocked nor silent."""
    monkeypatch.setattr(detour, "_QUEUE", 1)
    with routed_lab(Mode.L3) as lab:
        add_rule(lab, "input", COUNT)
        prober = Prober(lab.nodes, lab.taps, lab.datapath.held_pump)
        questions = [ReachQuestion("a", "h2", ipaddress.ip_address(ADDRESSES["h2"][4]))] * 20
        with contextlib.closing(prober):
            seen = [one for one in prober.answer(questions) if isinstance(one, ReachObservation)]
        lost = [one for one in seen if not one.reply]
        assert lost
        assert not any(one.is_proved for one in lost)


def test_a_table_of_the_old_iptables_counts_for_all_hooks() -> None:
    """The kernel makes it when somebody first asks for it (xt_find_table_lock), and shows no rules of it."""
    with routed_lab(Mode.L3) as lab:
        namespace = lab.nodes["h1"].namespace
        assert netfilter.read_hooks(namespace) == set()
        with namespace.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
            # IPT_SO_GET_INFO with struct ipt_getinfo (linux/netfilter_ipv4/ip_tables.h).
            info = ctypes.create_string_buffer(b"filter", 84)
            length = ctypes.c_uint32(84)
            libc = ctypes.CDLL(None, use_errno=True)
            refusal = libc.getsockopt(sock.fileno(), socket.IPPROTO_IP, 64, info, ctypes.byref(length))
        # A kernel without that table refuses, and then there is none to be seen.
        assert netfilter.read_hooks(namespace) == (set() if refusal else {(4, hook) for hook in HOOKS})


@on_each_datapath
@pytest.mark.parametrize("has_rule", [False, True])
@pytest.mark.parametrize("mode", FLOWS)
def test_the_host_answers_no_arp_for_its_endpoints_though_they_are_local_to_the_detour(
    mode: Mode, has_rule: bool
) -> None:
    """K-L3-013 and K-L3S-008: without a route by the host nobody reaches an endpoint."""
    hosts = two_hosts()
    hosts["h2"]["routes"] = [
        {"to": "10.1.0.1/32", "dev": "eth0"},
        {"to": "10.1.0.2/32", "via": "192.168.1.250"},
    ]
    with running_lab(hosts) as lab:
        add_endpoints(lab, mode)
        if has_rule:
            add_rule(lab, "input", COUNT)
        assert not reaches(lab, "h2", "a", 4)
        assert reaches(lab, "h2", "b", 4)
        assert reaches(lab, "h2", "h1", 4)
