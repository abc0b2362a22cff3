"""Single frames put to the programs: what no scenario can send, because no stack sends it."""

from __future__ import annotations

import dataclasses
import ipaddress
import struct

from ipvlab.datapath.bpf.program import CompiledObject, LoadedObject
from ipvlab.datapath.bpf.tables import Tables
from ipvlab.linux import bpf
from ipvlab.spec.values import Flag, Mode

#: BPF_PROG_TEST_RUN gives a frame to the loopback link: index 1, MAC of zeros.
LINK = 1
HERE, THERE, SOMEWHERE = bytes(6), b"\x02\0\0\0\0\x09", b"\x02\0\0\0\0\x07"
BROADCAST = b"\xff" * 6
PORT = 1
#: The endpoint that sends has no host end of its own here; its sibling has this one.
SIBLING_END, TAP = 7, 8
IN4, IN6 = 4, 8
SIBLING4, SIBLING6 = ipaddress.IPv4Address("10.0.0.2"), ipaddress.IPv6Address("fd00::2")
SENDER4, SENDER6 = ipaddress.IPv4Address("10.0.0.1"), ipaddress.IPv6Address("fd00::1")
ADDRESSES6 = SENDER6.packed + SIBLING6.packed
ANY6 = ipaddress.IPv6Address(0)
#: linux/pkt_cls.h: TC_ACT_UNSPEC, TC_ACT_SHOT, TC_ACT_REDIRECT as test runs return them.
PASS, DROP, REDIRECT = 0xFFFFFFFF, 2, 7


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """One frame, the program that gets it, and what must come of it."""

    name: str
    program: str
    mode: Mode
    frame: bytes
    action: int
    flag: Flag = Flag.BRIDGE
    has_port: bool = True
    #: Bits of ``hooked`` in ``ipvlan.c``: packets that go through the host's netfilter.
    hooked: int = 0


def _ipv4(to: bytes, sender: bytes = HERE, *, excess: int = 0, start: int = 0x45) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", start, 0, 28 + excess, 1, 0, 64, 17, 0, SENDER4.packed, SIBLING4.packed
    )
    return to + sender + b"\x08\x00" + head + bytes(8)


def _solicitation(source: ipaddress.IPv6Address) -> bytes:
    group = b"\xff\x02" + bytes(9) + b"\x01\xff" + SIBLING6.packed[-3:]
    head = struct.pack("!IHBB", 6 << 28, 24, 58, 255) + source.packed + group
    return (
        b"\x33\x33"
        + group[-4:]
        + HERE
        + b"\x86\xdd"
        + head
        + struct.pack("!BBHI", 135, 0, 0, 0)
        + SIBLING6.packed
    )


def _ipv6() -> bytes:
    return HERE + THERE + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, 8, 17, 64) + ADDRESSES6 + bytes(8)


def _other(to: bytes, ethertype: int = 0x88B5) -> bytes:
    return to + HERE + struct.pack("!H", ethertype) + bytes(46)


SHOTS = (
    Shot("l2/sibling", "endpoint_in", Mode.L2, _ipv4(HERE), REDIRECT),
    Shot("l2/pause", "endpoint_in", Mode.L2, _other(b"\x01\x80\xc2\0\0\x01", 0x8808), DROP),
    Shot("l2/other-ethertype", "endpoint_in", Mode.L2, _other(THERE), REDIRECT),
    Shot("l2/nobody's-link", "endpoint_in", Mode.L2, _ipv4(HERE), DROP, has_port=False),
    Shot("l2/private-sibling", "endpoint_in", Mode.L2, _ipv4(HERE), DROP, Flag.PRIVATE),
    Shot("l3/private-sibling", "endpoint_in", Mode.L3, _ipv4(HERE), DROP, Flag.PRIVATE),
    Shot("l3/sibling-in-a-broadcast-frame", "endpoint_in", Mode.L3, _ipv4(BROADCAST), REDIRECT),
    Shot("l3/other-ethertype", "endpoint_in", Mode.L3, _other(THERE), DROP),
    Shot("l3/dad-for-a-sibling", "endpoint_in", Mode.L3, _solicitation(ANY6), REDIRECT),
    Shot("l3/solicitation-of-a-sibling", "endpoint_in", Mode.L3, _solicitation(SENDER6), DROP),
    Shot("rx/own-mac", "parent_in", Mode.L2, _ipv4(HERE, THERE), REDIRECT),
    Shot("rx/foreign-mac", "parent_in", Mode.L2, _ipv4(SOMEWHERE, THERE), REDIRECT),
    Shot("l3s/foreign-mac", "parent_in", Mode.L3S, _ipv4(SOMEWHERE, THERE), PASS),
    Shot("rx/longer-than-its-frame", "parent_in", Mode.L2, _ipv4(HERE, THERE, excess=100), PASS),
    Shot("rx/not-version-4", "parent_in", Mode.L2, _ipv4(HERE, THERE, start=0x65), PASS),
    Shot("rx/header-too-short", "parent_in", Mode.L2, _ipv4(HERE, THERE, start=0x44), PASS),
    Shot("rx/header-too-long", "parent_in", Mode.L2, _ipv4(HERE, THERE, start=0x4F), PASS),
    Shot("rx/no-port", "parent_in", Mode.L2, _ipv4(HERE, THERE), PASS, has_port=False),
    Shot("l3s/ipv4-to-its-hooks", "parent_in", Mode.L3S, _ipv4(HERE, THERE), PASS, hooked=IN4),
    Shot("l3s/ipv4-past-hooks-of-ipv6", "parent_in", Mode.L3S, _ipv4(HERE, THERE), REDIRECT, hooked=IN6),
    Shot("l3s/ipv6-to-its-hooks", "parent_in", Mode.L3S, _ipv6(), PASS, hooked=IN6),
    Shot("l3s/ipv6-past-hooks-of-ipv4", "parent_in", Mode.L3S, _ipv6(), REDIRECT, hooked=IN4),
    Shot("tap/endpoint", "tap_in", Mode.L3S, _ipv4(HERE, THERE), REDIRECT),
    Shot("tap/nobody", "tap_in", Mode.L3S, _ipv4(HERE, THERE, start=0x65), DROP),
    Shot("switch/reserved", "switch_in", Mode.L2, _other(b"\x01\x80\xc2\0\0\x0e"), DROP),
    Shot("switch/not-reserved", "switch_in", Mode.L2, _other(b"\x01\x80\xc2\0\0\x10"), PASS),
)


def shoot(compiled: CompiledObject) -> dict[str, str]:
    """``pass`` or what came instead, for each frame; a fresh object for each, since maps remember."""
    return {shot.name: _shoot(compiled, shot) for shot in SHOTS}


def _shoot(compiled: CompiledObject, shot: Shot) -> str:
    loaded = LoadedObject(compiled)
    try:
        if shot.has_port:
            tables = Tables(loaded)
            tables.set_port(PORT, LINK, 1, 0, shot.mode, shot.flag, HERE, (TAP, shot.hooked))
            tables.set_port_of(LINK, PORT)
            for address in (SIBLING4, SIBLING6):
                tables.set_owner(PORT, address, SIBLING_END)
        action, _ = bpf.test_run(loaded.programs[shot.program], shot.frame)
    finally:
        loaded.close()
    return "pass" if action == shot.action else f"fail: action {action}, not {shot.action}"
