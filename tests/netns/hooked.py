"""Labs for tests of the host's netfilter: l3 and l3s endpoints, rules at hooks, packets with a fence."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator

from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.linux import netfilter
from ipvlab.linux.namespaces import Namespace
from ipvlab.linux.netfilter import HOOKS, text
from ipvlab.linux.netlink import attributes
from ipvlab.probe.prober import Prober
from ipvlab.probe.questions import ReachObservation, ReachQuestion
from ipvlab.run.live import LiveGround
from ipvlab.spec.model import HostSpec, Wire
from ipvlab.spec.values import Mode
from tests.netns.topology import add_container, make_datapath, running_lab, two_hosts

PROBE, FENCE = 4711, 4712
ADDRESSES = {
    "a": {4: "10.1.0.1", 6: "fd11::1"},
    "b": {4: "10.1.0.2", 6: "fd11::2"},
    "c": {4: "10.1.0.3"},
    "h1": {4: "192.168.1.250", 6: "fd01::250"},
    "h2": {4: "192.168.1.251", 6: "fd01::251"},
}
DROP = netfilter.decide(netfilter.NF_DROP)
COUNT = ("counter", b"")


@contextlib.contextmanager
def on_one_cpu() -> Iterator[None]:
    """One CPU delivers in order, for the pump as well: what comes after the fence came after the probe."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@contextlib.contextmanager
def routed_lab(mode: Mode, parent: str = "eth0") -> Iterator[LiveLab]:
    """Endpoints a and b on h1; h2 has routes to them. The parent ``eth0.20`` is a sub-interface."""
    with on_one_cpu(), running_lab(routed_hosts(parent)) as lab:
        add_endpoints(lab, mode, parent)
        # Addresses of IPv6 take packets only some time after they were set; the prober waits for that.
        assert reaches(lab, "a", "b", 6)
        yield lab


def routed_hosts(parent: str = "eth0") -> dict[str, dict[str, object]]:
    hosts = two_hosts()
    if parent != "eth0":
        for name, host in hosts.items():
            held = {
                "parent": "eth0",
                "vlan": 20,
                "addresses": [f"{ADDRESSES[name][4]}/24", f"{ADDRESSES[name][6]}/64"],
            }
            host["interfaces"] = {"eth0": {"wire": "lan"}, parent: held}
    hosts["h2"]["routes"] = [
        {"to": "10.1.0.0/24", "via": "192.168.1.250"},
        {"to": "fd11::/64", "via": "fd01::250"},
    ]
    return hosts


def add_endpoints(lab: LiveLab, mode: Mode, parent: str = "eth0") -> None:
    for name in ("a", "b"):
        held = ADDRESSES[name]
        add_container(lab, "h1", name, f"{held[4]}/24", f"{held[6]}/64", parent=parent, mode=mode)
    lab.await_ready()


@contextlib.contextmanager
def ground_of(mode: Mode | None) -> Iterator[LiveGround]:
    """A lab that can run programs; without endpoints if there is no mode."""
    ground = LiveGround("test", make_datapath(), lambda _, container: container)
    with on_one_cpu(), contextlib.closing(ground):
        hosts = {name: HostSpec.model_validate(spec) for name, spec in routed_hosts().items()}
        ground.add_topology({"lan": Wire()}, hosts, {})
        if mode is not None:
            add_endpoints(ground.lab, mode)
        yield ground


def run_batch(ground: LiveGround, requests: list[tuple[int, bytes]]) -> None:
    """Have a program in h1 change the rules."""
    script = (
        "import socket, sys; s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12);"
        "s.bind((0, 0)); s.send(bytes.fromhex(sys.argv[1]))"
    )
    argv = [sys.executable, "-c", script, netfilter.batch(requests).hex()]
    assert ground.run_program("h1", argv, None).exit_code == 0


def reaches(lab: LiveLab, source: str, target: str, version: int) -> bool:
    """Whether a round trip succeeds; either answer is proved."""
    lab.await_ready()
    question = ReachQuestion(source, target, ipaddress.ip_address(ADDRESSES[target][version]))
    prober = Prober(lab.nodes, lab.taps, lab.datapath.held_pump)
    [seen] = prober.answer([question])
    prober.close()
    assert isinstance(seen, ReachObservation)
    assert seen.is_proved
    return seen.reply


def commit(namespace: Namespace, *requests: tuple[int, bytes]) -> None:
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER) as sock:
        sock.bind((0, 0))
        netfilter.commit(sock, requests)


def add_rule(
    lab: LiveLab, hook: str, *statements: tuple[str, bytes], port: int = PROBE, kind: str = "filter"
) -> None:
    """``udp dport PORT STATEMENTS`` at a hook of h1, in a table named like the hook."""
    commit(
        lab.nodes["h1"].namespace,
        (netfilter.NEW_TABLE, text(1, hook)),
        (netfilter.NEW_CHAIN, netfilter.chain(hook, "c", HOOKS[hook], kind=kind)),
        (netfilter.NEW_RULE, netfilter.rule(hook, "c", [*of_udp(port), *statements])),
    )
    lab.await_ready()


def remove_rule(lab: LiveLab, hook: str) -> None:
    commit(lab.nodes["h1"].namespace, (netfilter.DELETE_TABLE, text(1, hook)))
    lab.await_ready()


def of_udp(port: int) -> list[tuple[str, bytes]]:
    l4proto = [netfilter.load_meta(16), netfilter.equals(bytes([socket.IPPROTO_UDP]))]
    return [*l4proto, netfilter.load_payload(2, 2, 2), netfilter.equals(port.to_bytes(2, "big"))]


def counts(lab: LiveLab, node: str = "h1") -> dict[str, int]:
    """Packets that each hook's counter has seen."""
    found = {}
    namespace = lab.nodes[node].namespace
    with namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, netfilter.NETLINK_NETFILTER) as sock:
        flags = netfilter.NLM_F_REQUEST | netfilter.NLM_F_DUMP
        sock.send(netfilter.message(netfilter.GET_RULE, flags, 1, b"\0\0\0\0"))
        for _, _, body in netfilter.read_messages(sock):
            rule = attributes(body, 4)
            for name, held in expressions(rule[4]):
                if name == "counter":
                    found[rule[1].rstrip(b"\0").decode()] = int.from_bytes(attributes(held)[2], "big")
    return found


def expressions(listed: bytes) -> Iterator[tuple[str, bytes]]:
    offset = 0
    while offset < len(listed):
        (length,) = struct.unpack_from("=H", listed, offset)
        one = attributes(listed[offset + 4 : offset + length])
        yield one[1].rstrip(b"\0").decode(), one.get(2, b"")
        offset += (length + 3) & ~3


def datagram(node: Node, version: int, port: int = 0) -> socket.socket:
    sock = node.namespace.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind(("", port))
    return sock


def holds(sock: socket.socket) -> int:
    count = 0
    with contextlib.suppress(BlockingIOError):
        while sock.recv(100, socket.MSG_DONTWAIT):
            count += 1
    return count


def arrives(lab: LiveLab, source: str, target: str, version: int) -> int:
    """Copies of a datagram that arrive; none is proved by a fence on the same way."""
    address = ADDRESSES[target][version]
    with (
        datagram(lab.nodes[source], version) as sender,
        datagram(lab.nodes[target], version, PROBE) as ear,
        datagram(lab.nodes[target], version, FENCE) as fence,
    ):
        sender.sendto(b"probe", (address, PROBE))
        sender.sendto(b"fence", (address, FENCE))
        assert fence.recv(100) == b"fence"
        return holds(ear)
