"""Tagged frames on real wires through a real switch: who gets which, with which tag, as the rules say.

Raw frames, so that a tag may be any; a fence that every port lets through proves that nothing else
is still to come.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from itertools import product

import pytest

from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.rules.packets import BROADCAST_MAC, Frame, OtherPayload
from ipvlab.rules.switching import SwitchPort, forward
from tests.netns.topology import on_each_datapath, running_lab

pytestmark = on_each_datapath

#: linux/if_packet.h, linux/if_ether.h
SOL_PACKET, PACKET_AUXDATA, PACKET_OUTGOING, TP_STATUS_VLAN_VALID = 263, 8, 4, 1 << 4
ETH_P_ALL = 0x0003
PROBE, FENCE = 0x88B5, 0x88B6
AUXDATA = struct.Struct("=IIIHHHH")

PORTS: dict[str, dict[str, object]] = {
    "h1": {"trunk": [10, 20, 30], "native": 10},
    "h2": {"access": 20},
    "h3": {"trunk": [10, 20, 30]},
    "h4": {"access": 20, "hairpin": True},
    "h5": {"trunk": [1, 20]},
    "h6": {"trunk": [20], "native": 1},
    "h7": {},
}
#: VLAN 20 is every port's; as whom a fence must be sent to be of it.
COMMON = 20
FENCE_TAGS = {name: () if "access" in words else (COMMON,) for name, words in PORTS.items()}
TAGS: list[tuple[int, ...]] = [
    (),
    (0,),
    (1,),
    (10,),
    (20,),
    (30,),
    (4094,),
    (20, 30),
    (0, 30),
    (1, 30),
    (1, 1),
]
TARGETS = [BROADCAST_MAC, bytes.fromhex("02000a0b0c77"), bytes.fromhex("0180c200000e")]


@pytest.fixture
def pinned() -> Iterator[None]:
    """One CPU for the thread: what it sends goes through one queue, in order."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def open_tap(node: Node) -> socket.socket:
    """A socket for whole frames of a host's ``eth0``, sent and received."""
    tap = node.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    tap.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    tap.bind(("eth0", ETH_P_ALL))
    return tap


def write(frame: Frame) -> bytes:
    """A frame as it is on a wire."""
    tags = b"".join(struct.pack("!HH", 0x8100, tag) for tag in frame.tags)
    assert isinstance(frame.payload, OtherPayload)
    return frame.to + frame.sender + tags + struct.pack("!H", frame.payload.ethertype) + bytes(46)


def read(tap: socket.socket) -> Frame | None:
    """The next frame that came in from the wire; None for one that went out."""
    body, ancillary, _, source = tap.recvmsg(2000, 200)
    if source[2] == PACKET_OUTGOING:
        return None
    tags: list[int] = []
    for level, kind, words in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, _ = AUXDATA.unpack(words)
            if status & TP_STATUS_VLAN_VALID:
                tags.append(tci & 0xFFF)
    at = 12
    while body[at : at + 2] == b"\x81\0":
        tags.append(int.from_bytes(body[at + 2 : at + 4]) & 0xFFF)
        at += 4
    return Frame(body[:6], body[6:12], OtherPayload(int.from_bytes(body[at : at + 2])), tuple(tags))


def read_until_fence(tap: socket.socket) -> list[Frame]:
    """The probes that came in before the fence."""
    found: list[Frame] = []
    while True:
        frame = read(tap)
        if frame is None or not isinstance(frame.payload, OtherPayload):
            continue
        if frame.payload.ethertype == FENCE:
            return found
        if frame.payload.ethertype == PROBE:
            found.append(frame)


def send_and_listen(lab: LiveLab, sender: str, frame: Frame) -> dict[str, list[Frame]]:
    """What each host gets of a frame."""
    taps = {name: open_tap(lab.nodes[name]) for name in PORTS}
    fence = Frame(BROADCAST_MAC, frame.sender, OtherPayload(FENCE), FENCE_TAGS[sender])
    # The sender's own port lets the fence come back only where it is a hairpin port.
    hearing = [name for name in PORTS if name != sender or PORTS[name].get("hairpin")]
    try:
        taps[sender].send(write(frame))
        taps[sender].send(write(fence))
        return {name: read_until_fence(taps[name]) for name in hearing}
    finally:
        for tap in taps.values():
            tap.close()


def rules_of(words: dict[str, object]) -> SwitchPort:
    """A port of the scenario file as the rules know it."""
    access, trunk, native = (words.get(word) for word in ("access", "trunk", "native"))
    assert access is None or isinstance(access, int)
    assert native is None or isinstance(native, int)
    members = tuple(trunk) if isinstance(trunk, list) else None
    return SwitchPort(access, members, native, is_hairpin=bool(words.get("hairpin")))


@pytest.mark.usefixtures("pinned")
def test_a_switch_treats_raw_tagged_frames_as_the_rules_say() -> None:
    names = list(PORTS)
    ports = [rules_of(words) for words in PORTS.values()]
    hosts = {name: {"interfaces": {"eth0": {"wire": "lan", "port": words}}} for name, words in PORTS.items()}
    met = set()
    with running_lab(hosts) as lab:
        lab.await_ready()
        for number, (sender, to, tags) in enumerate(product(names, TARGETS, TAGS)):
            # A MAC of its own for each frame: the switch learns senders and must not know the target.
            frame = Frame(to, b"\x02\0\0\x55\0" + bytes([number]), OtherPayload(PROBE), tags)
            decision = forward(ports, names.index(sender), frame, {})
            met.add(decision.rule.id)
            expected: dict[str, list[Frame]] = {name: [] for name in names}
            for port, copy in decision.copies:
                expected[names[port]].append(copy)
            heard = send_and_listen(lab, sender, frame)
            assert heard == {name: expected[name] for name in heard}, f"{sender} sends {tags} to {to.hex()}"
    assert met == {"SWITCH-FLOOD", "SWITCH-FILTERED", "SWITCH-RESERVED"}
