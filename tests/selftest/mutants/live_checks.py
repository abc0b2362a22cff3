"""Checks of a live lab for what the scenario file has no word for: an MTU, a sender's own ears."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator, Mapping

from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.datapath.bpf.program import CompiledObject
from ipvlab.driver.ip_grammar import parse_ip
from ipvlab.lab import tables
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.live import LiveLab, bare_name
from ipvlab.linux import netfilter
from ipvlab.probe.questions import ReachObservation, ReachQuestion
from ipvlab.run.live import LiveGround
from ipvlab.spec.model import HostSpec, Wire
from ipvlab.spec.values import Mode
from tests.netns.test_bpf_ports import broadcast, copies, listen, udp
from tests.netns.topology import add_container, two_hosts

#: linux/if_ether.h
ETH_P_ALL, ETH_P_IP, ETH_P_PAUSE, ETH_P_802_EX1 = 0x0003, 0x0800, 0x8808, 0x88B5
#: linux/netfilter/nf_tables.h: NFT_META_L4PROTO
META_L4PROTO = 16
PRIORITY_TAG = b"\x81\0\0\0"
FAR_MAC = b"\x02\0\0\0\0\x09"

Check = Callable[[LiveLab], str]


def check_lab(compiled: CompiledObject) -> dict[str, str]:
    """``pass`` or what was seen instead, for each check, in a lab of two hosts and two containers."""
    found = {name: _run(compiled, check) for name, check in CHECKS.items()}
    found["priority-tag-at-a-switch"] = _run(compiled, _priority_tag, port={"access": 1})
    found["ipv4-rule"] = _drop_ipv4(compiled)
    return found


def _run(compiled: CompiledObject, check: Check, port: Mapping[str, int] | None = None) -> str:
    lab = LiveLab("mutant", BpfDatapath(compiled))
    try:
        specs = two_hosts()
        if port is not None:
            interface = {"wire": "lan", "addresses": ["192.168.1.250/24"], "port": port}
            specs["h1"]["interfaces"] = {"eth0": interface}
        hosts = {name: HostSpec.model_validate(spec) for name, spec in specs.items()}
        lab.add_topology({"lan": Wire()}, hosts, {})
        for number, name in enumerate("ab", 1):
            add_container(lab, "h1", name, f"10.0.0.{number}/24")
        lab.await_ready()
        return check(lab)
    finally:
        lab.close()


def _mtu(lab: LiveLab) -> str:
    host = lab.nodes["h1"]
    carry_out(host, parse_ip("ip link set eth0 mtu 1300".split()), lab.datapath, host)
    lab.await_ready()
    seen = [view.mtu for view in tables.view_links(lab.nodes["a"].namespace) if view.name == "eth0"]
    return "pass" if seen == [1300] else f"fail: {seen}"


def _own_ears(lab: LiveLab) -> str:
    """No socket of the sender would tell: its stack takes a packet from its own address for a martian."""
    tap = lab.nodes["a"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    tap.bind(("eth0", ETH_P_IP))
    tap.setblocking(False)
    with tap, listen(lab.nodes["b"]) as sibling:
        broadcast(lab.nodes["a"])
        heard = sum(kind != socket.PACKET_OUTGOING for kind in _kinds(tap)), copies(sibling)
    return "pass" if heard == (0, 1) else f"fail: sender and sibling got {heard}"


def _nobody_s_address(lab: LiveLab) -> str:
    """Unicast for nobody's address is the host's alone; a broadcast shows that the tap hears."""
    host = lab.nodes["h1"].links["eth0"].mac
    tap = lab.nodes["a"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    tap.bind(("eth0", ETH_P_IP))
    tap.setblocking(False)
    sender = lab.nodes["h2"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with tap, sender:
        sender.bind(("eth0", 0))
        sender.send(host + FAR_MAC + udp("192.168.1.251", "10.0.0.99"))
        unicast = len(list(_kinds(tap)))
        sender.send(b"\xff" * 6 + FAR_MAC + udp("192.168.1.251", "10.0.0.99"))
        group = len(list(_kinds(tap)))
    return "pass" if (unicast, group) == (0, 1) else f"fail: an endpoint got {unicast} and {group}"


def _own_mac(lab: LiveLab) -> str:
    """A frame with the sender's own MAC and no sibling's address goes to the parent's stack (K-L2-005)."""
    mac = lab.nodes["a"].links["eth0"].mac
    sender = lab.nodes["a"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with sender, listen(lab.nodes["h1"]) as host:
        sender.bind(("eth0", 0))
        sender.send(mac + mac + udp("10.0.0.1", "192.168.1.250"))
        heard = copies(host)
    return "pass" if heard == 1 else f"fail: the host heard {heard}"


def _pause(lab: LiveLab) -> str:
    """A PAUSE frame from the wire goes to no endpoint; another group frame shows that the tap hears."""
    tap = lab.nodes["a"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    tap.bind(("eth0", ETH_P_ALL))
    tap.setblocking(False)
    counts = []
    sender = lab.nodes["h2"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with tap, sender:
        sender.bind(("eth0", 0))
        list(_kinds(tap))
        for ethertype in (ETH_P_PAUSE, ETH_P_802_EX1):
            sender.send(b"\xff" * 6 + FAR_MAC + ethertype.to_bytes(2, "big") + bytes(46))
            counts.append(len(list(_kinds(tap))))
    return "pass" if counts == [0, 1] else f"fail: an endpoint got {counts}"


def _priority_tag(lab: LiveLab) -> str:
    """VLAN 0 is no VLAN (K-VLAN-003): with its tag and with none, a packet reaches the endpoint."""
    host = lab.nodes["h1"].links["eth0"].mac
    sender = lab.nodes["h2"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with sender, listen(lab.nodes["a"]) as endpoint:
        sender.bind(("eth0", 0))
        for tag in (b"", PRIORITY_TAG):
            sender.send(host + FAR_MAC + tag + udp("192.168.1.251", "10.0.0.1"))
        heard = copies(endpoint)
    return "pass" if heard == 2 else f"fail: the endpoint heard {heard} of 2"


def _priority_tag_in_l3s(lab: LiveLab) -> str:
    host = lab.nodes["h1"]
    words = "ip link set eth0 type ipvlan mode l3s".split()
    carry_out(lab.nodes["a"], parse_ip(words), lab.datapath, host)
    lab.await_ready()
    return _priority_tag(lab)


def _foreign_mac(lab: LiveLab) -> str:
    """A frame for another machine, flooded by a switch, is for taps: no socket of the endpoint gets it."""
    host = lab.nodes["h1"].links["eth0"].mac
    sender = lab.nodes["h2"].namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with sender, listen(lab.nodes["a"]) as endpoint:
        sender.bind(("eth0", 0))
        for to in (FAR_MAC, host):
            sender.send(to + FAR_MAC[:5] + b"\x0a" + udp("192.168.1.251", "10.0.0.1"))
        heard = copies(endpoint)
    return "pass" if heard == 1 else f"fail: the endpoint heard {heard} of 1"


def _drop_ipv4(compiled: CompiledObject) -> str:
    """A rule of family ip at the host's OUTPUT stops IPv4 of an endpoint in L3, and no IPv6."""
    ground = LiveGround("mutant", BpfDatapath(compiled), bare_name)
    try:
        hosts = {name: HostSpec.model_validate(spec) for name, spec in two_hosts().items()}
        ground.add_topology({"lan": Wire()}, hosts, {})
        add_container(ground.lab, "h1", "a", "10.1.0.1/24", "fd11::1/64", mode=Mode.L3)
        icmp = [netfilter.load_meta(META_L4PROTO), netfilter.equals(bytes([socket.IPPROTO_ICMP]))]
        table = netfilter.text(1, "check")
        requests = [
            (netfilter.NEW_TABLE, table),
            (netfilter.NEW_CHAIN, netfilter.chain("check", "out", netfilter.HOOKS["output"])),
            (
                netfilter.NEW_RULE,
                netfilter.rule("check", "out", [*icmp, netfilter.decide(netfilter.NF_DROP)]),
            ),
        ]
        host = ground.lab.nodes["h1"].namespace
        with host.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER) as sock:
            sock.bind((0, 0))
            netfilter.commit(sock, requests, netfilter.NFPROTO_IPV4)
        far = (ipaddress.ip_address("192.168.1.251"), ipaddress.ip_address("fd01::251"))
        seen = ground.answer([ReachQuestion("a", "h2", address) for address in far])
        arrived = [each.is_proved and each.request for each in seen if isinstance(each, ReachObservation)]
        return "pass" if arrived == [False, True] else f"fail: IPv4 and IPv6 arrived: {arrived}"
    finally:
        ground.close()


def _kinds(tap: socket.socket) -> Iterator[int]:
    while True:
        with contextlib.suppress(BlockingIOError):
            _, (_, _, kind, *_) = tap.recvfrom(2048)
            yield kind
            continue
        return


CHECKS: Mapping[str, Check] = {
    "mtu": _mtu,
    "own-ears": _own_ears,
    "nobody's-address": _nobody_s_address,
    "own-mac": _own_mac,
    "pause": _pause,
    "priority-tag": _priority_tag,
    "priority-tag-in-l3s": _priority_tag_in_l3s,
    "foreign-mac": _foreign_mac,
}
