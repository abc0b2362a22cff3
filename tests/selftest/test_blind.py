"""Blind instruments through the command line: nothing that could not be observed is called a pass.

Each fault makes a claim of silence look true that is false. ``ipvlab run`` must say
``unobserved`` and exit with 4. Each is tried as well with the one guard taken out
that stands against it: then the false claim passes, so the fault is real and the
guard is what notices it.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ipvlab.cli import run_command_line
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.probe import batch as batch_room
from ipvlab.probe import posts as posts_room
from ipvlab.probe.batch import Batch
from ipvlab.probe.ears import Ear, Heard, open_ear
from ipvlab.probe.filters import attach, nothing
from ipvlab.probe.lane import Lane, Pulse
from ipvlab.probe.layers import PROBE_PORT, EarKind
from ipvlab.probe.marks import Marker, Role
from ipvlab.probe.posts import Post
from ipvlab.probe.questions import Observation, Question
from ipvlab.run.live import LiveGround

LAB = """
name: blind
title: One wire, and claims that are false
wires: {lan: {}}
hosts:
  h1:
    interfaces: {eth0: {wire: lan}}
    networks:
      net: {driver: ipvlan, driver_opts: {parent: eth0}, ipam: {config: [{subnet: 10.9.0.0/24}]}}
    containers: {a1: {networks: [net]}, a2: {networks: [net]}}
  h2:
    interfaces: {eth0: {wire: lan, addresses: [10.9.0.200/24]}}
expect:
  - CLAIM
"""
#: A datagram to everybody is heard by both.
HOST_SILENT = "broadcast: {from: a1, heard_by: [a2]}"
CONTAINER_SILENT = "broadcast: {from: a1, heard_by: [h2]}"
#: They reach each other.
CONTAINER_BLOCKED = "blocked: {from: a1, to: a2}"
#: Lets one frame pass and keeps the rest for hours.
TRICKLE = ["tbf", "rate", "8bit", "burst", "100", "mtu", "100", "limit", "100000"]

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclasses.dataclass(frozen=True)
class Fault:
    """An instrument that is blind, the guard against it, and a false claim that it would let pass."""

    name: str
    claim: str
    blind: Patch
    unguard: Patch
    reason: str


def change_ear(name: str, change: Callable[[Ear], None]) -> Patch:
    """Change the sockets of one node as soon as they are open."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def opened(node: Node, kind: EarKind) -> Ear:
            ear = open_ear(node, kind)
            if node.name == name:
                change(ear)
            return ear

        monkeypatch.setattr(posts_room, "open_ear", opened)

    return patch


def deafen(ear: Ear) -> None:
    """Let the socket get nothing."""
    attach(ear.sock, nothing())


def lose(name: str, *roles: Role) -> Patch:
    """Let packets of these roles never come to the sockets of one node, and nothing count them."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        hear = Ear.hear

        def heard(ear: Ear, marker: Marker, buffer: bytearray) -> Iterator[Heard]:
            for each in hear(ear, marker, buffer):
                if ear.node.name != name or each.role not in roles:
                    yield each

        monkeypatch.setattr(Ear, "hear", heard)

    return patch


def before_each_batch(change: Callable[[LiveGround], None]) -> Patch:
    """Do something to the lab each time before it is asked."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        answer = LiveGround.answer

        def changed(ground: LiveGround, questions: Sequence[Question]) -> list[Observation]:
            change(ground)
            return answer(ground, questions)

        monkeypatch.setattr(LiveGround, "answer", changed)

    return patch


def kill_container(ground: LiveGround) -> None:
    """Take down every link of a2, ``lo`` included: what is left of a container whose stack is gone."""
    node = ground.lab.nodes["a2"]
    for index in (1, *(link.index for link in node.links.values())):
        node.namespace.netlink.request(messages.set_flags(index, 0, messages.IFF_UP), "set it down")


def pause(name: str) -> Callable[[LiveGround], None]:
    """Keep what a node sends by eth0 in a queue."""

    def change(ground: LiveGround) -> None:
        tc = shutil.which("tc")
        assert tc is not None, "iproute2 is needed to pause a link"
        done = ground.run_program(name, [tc, "qdisc", "replace", "dev", "eth0", "root", *TRICKLE], None)
        assert done.exit_code == 0, done.stderr
        node = ground.lab.nodes[name]
        # What may pass at once is used up by frames of nobody's.
        for _ in range(4):
            node.namespace.call(lambda: waste(100))

    return change


def waste(length: int) -> None:
    """Send a frame that nobody takes by eth0 of this namespace."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.sendto(b"\x02\0\0\0\0\x77" + b"\x02\0\0\0\0\x78\x88\xb6" + bytes(length - 14), ("eth0", 0))


def overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the socket of h2 between canary and probe, so that the probe finds no room."""
    send_all = Batch._send_all

    def stuffed(self: Batch, *arguments: Any) -> None:
        post: Post = self._posts["h2"]
        ear = post.ears[EarKind.UDP4]
        ear.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        with post.node.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(16):
                sock.sendto(b"nothing of ours", ("127.0.0.1", PROBE_PORT))
        send_all(self, *arguments)

    monkeypatch.setattr(Batch, "_send_all", stuffed)


def stop_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no beat of the barrier arrive, and the probe be late for h2."""
    monkeypatch.setattr(Pulse, "beat", lambda _pulse: False)
    lose("h2", Role.PROBE)(monkeypatch)


def trust(condition: Callable[[Ear], bool]) -> Patch:
    """Let an ear vouch for its silence on this condition alone."""
    return lambda monkeypatch: monkeypatch.setattr(Ear, "is_sound", property(condition))


def trust_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the barrier for passed."""
    monkeypatch.setattr(Lane, "drain", lambda _lane, _pulses, _count: 1)


def trust_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every queue for empty."""
    monkeypatch.setattr(batch_room, "await_queues", lambda _posts, _go_on: "")


without_canary = trust(lambda ear: ear.has_fence and not ear.dropped)
without_fence = trust(lambda ear: ear.has_canary and not ear.dropped)
#: What a filter keeps from a socket is counted as lost (sk_filter), so a deaf one is noticed twice.
unconditionally = trust(lambda _ear: True)
without_drops = trust(lambda ear: ear.has_canary and ear.has_fence)

FAULTS = (
    Fault(
        "deaf-listener-of-a-host",
        HOST_SILENT,
        change_ear("h2", deafen),
        unconditionally,
        "h2 heard nothing of its canary",
    ),
    Fault(
        "deaf-listener-of-a-container",
        CONTAINER_SILENT,
        change_ear("a2", deafen),
        unconditionally,
        "a2 heard nothing of its canary",
    ),
    Fault(
        "deaf-end-of-a-round-trip",
        CONTAINER_BLOCKED,
        change_ear("a1", deafen),
        unconditionally,
        "a1 heard nothing of its canary",
    ),
    Fault(
        "lost-canary",
        HOST_SILENT,
        lose("h2", Role.PROBE, Role.CANARY),
        without_canary,
        "h2 heard nothing of its canary",
    ),
    Fault(
        "lost-fence",
        HOST_SILENT,
        lose("h2", Role.PROBE, Role.FENCE),
        without_fence,
        "h2 heard nothing of its fence",
    ),
    Fault(
        "dead-container",
        CONTAINER_SILENT,
        before_each_batch(kill_container),
        unconditionally,
        "a2 heard nothing of its canary",
    ),
    Fault(
        "paused-wire", HOST_SILENT, before_each_batch(pause("h1")), trust_queues, "a queue of h1:eth0 (tbf)"
    ),
    Fault(
        "paused-container",
        CONTAINER_BLOCKED,
        before_each_batch(pause("a2")),
        trust_queues,
        "a queue of a2:eth0 (tbf)",
    ),
    Fault("full-socket", HOST_SILENT, overrun, without_drops, "the udp4 listener of h2 lost"),
    Fault("stuck-barrier", HOST_SILENT, stop_barrier, trust_barrier, "not proved to be at rest"),
)
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])


def run(claim: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """Run the lab with one claim on ``bpf``: exit code, and the claim's verdict."""
    scenario, results = folder / "blind.ipvlab.yaml", folder / "results.json"
    scenario.write_text(LAB.replace("CLAIM", claim))
    code = run_command_line(["run", str(scenario), "--datapath", "bpf", "--json", str(results)])
    [verdict] = json.loads(results.read_text())["verdicts"]
    return code, verdict


@pytest.mark.parametrize("claim", [HOST_SILENT, CONTAINER_SILENT, CONTAINER_BLOCKED])
def test_with_sound_instruments_the_false_claim_fails(claim: str, tmp_path: Path) -> None:
    code, verdict = run(claim, tmp_path)
    assert (code, verdict["verdict"]) == (1, "fail")


@each_fault
def test_a_blind_instrument_is_unobserved_and_exits_with_4(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault.blind(monkeypatch)
    code, verdict = run(fault.claim, tmp_path)
    assert (code, verdict["verdict"]) == (4, "unobserved"), verdict
    assert fault.reason in verdict["reason"]


@each_fault
def test_without_its_guard_the_blind_instrument_would_let_the_false_claim_pass(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault.blind(monkeypatch)
    fault.unguard(monkeypatch)
    code, verdict = run(fault.claim, tmp_path)
    assert (code, verdict["verdict"]) == (0, "pass"), verdict
