"""The bench that holds the BPF programs against the rules notices a program that differs by a word."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ipvlab.rules.packets import Arp, ArpKind, Frame, OtherPayload, Packet, PacketKind, Payload
from ipvlab.spec.values import Flag, Mode
from tests.property import bpf_bench
from tests.property import frame_bytes as write
from tests.property import frame_grid as grid
from tests.property.bpf_bench import PORT_MAC, SENDER_LINK, Bench, Shot, compile_recorder
from tests.property.bpf_worlds import World, disagreements
from tests.selftest.mutants.source import Edit, mutate

#: Enough of the grid that each fault shows.
FRAMES = list(grid.frames())[::13]
L2, L3, L3S = (grid.world(mode, Flag.BRIDGE) for mode in (Mode.L2, Mode.L3, Mode.L3S))
PRIVATE, VEPA = grid.world(Mode.L2, Flag.PRIVATE), grid.world(Mode.L3, Flag.VEPA)
HOOKED = dataclasses.replace(L3, hooked=2)
CROWD = grid.world(Mode.L2, Flag.BRIDGE, 40)

FAULTS = {
    "equal MACs are mistaken for the port's own": (
        L2,
        Edit("transmit_l2", "is_same(frame->to, frame->from)", "is_same(frame->to, (u16 *)port->mac)"),
    ),
    "groups come before equal MACs": (
        L2,
        Edit("transmit_l2", "if (port->flag != VEPA &&", "if (!is_group(frame) &&"),
    ),
    "private drops what is for the parent": (
        PRIVATE,
        Edit("transmit_l2", "if (!host_end)", "if (!host_end && port->flag != PRIVATE)"),
    ),
    "the owner gets a frame that vepa sends out": (
        VEPA,
        Edit("transmit_l3", "if (port->flag != VEPA)", "if (port->flag != PRIVATE)"),
    ),
    "a frame leaves by another link": (
        L2,
        Edit("transmit_l2", "return redirect(port->parent, 0)", "return redirect(port->parent + 1, 0)"),
    ),
    "a packet goes up where it should go out": (
        L2,
        Edit(
            "transmit_l2", "return redirect(port->parent, 0)", "return redirect(port->parent, BPF_F_INGRESS)"
        ),
    ),
    "the host's addresses are those of one family": (
        L3,
        Edit("is_local", "if (version == 6)", "if (version == 5)"),
    ),
    "a route look-up reads a solicitation's target": (L3, Edit("is_local", "frame, 0, 0,", "frame, 0, 1,")),
    "IPv6 of another version is read": (L2, Edit("key_of", "|| *(u8 *)packet >> 4 != 6", "")),
    "any ICMPv6 message without a source has a target": (
        L3,
        Edit("key_of", "|| message->type != NEIGHBOUR_SOLICITATION", ""),
    ),
    "the source decides": (
        L3,
        Edit("key_of", "by_source ? packet->from : packet->to; return 4;", "packet->from; return 4;"),
    ),
    "the detour is taken by the other family": (HOOKED, Edit("transmit_l3", "OUT4 : OUT6", "OUT6 : OUT4")),
    "ARP is diverted in L3S": (L3S, Edit("parent_in", "port->mode == L3S && frame->type == ETH_ARP", "0")),
    "the fan-out passes one by at each batch": (
        CROWD,
        Edit("fanout", "cb[NEXT] = at.number", "cb[NEXT] = at.number + 1"),
    ),
}


@pytest.mark.parametrize(("world", "fault"), FAULTS.values(), ids=FAULTS)
def test_a_fault_shows_in_the_world_where_it_matters(world: World, fault: Edit, tmp_path: Path) -> None:
    with Bench(compile_recorder(lambda source: mutate(source, [fault]), tmp_path)) as bench:
        assert disagreements(bench, world, FRAMES) != []


def test_the_same_frames_show_nothing_where_nothing_is_changed(tmp_path: Path) -> None:
    with Bench(compile_recorder(lambda source: source + "\n/* as it was */\n", tmp_path)) as bench:
        for world in (L2, L3, L3S, PRIVATE, VEPA, HOOKED, CROWD):
            assert disagreements(bench, world, FRAMES) == []


def test_a_record_that_is_too_small_is_an_error_and_no_agreement() -> None:
    crowd = grid.world(Mode.L2, Flag.BRIDGE, 300)
    broadcast = write.ethernet(b"\xff" * 6, PORT_MAC, 0x88B5, bytes(46))
    shots = [Shot("endpoint_in", broadcast, SENDER_LINK)]
    with Bench(compile_recorder()) as bench:
        crowd.state(bench.tables)
        with pytest.raises(AssertionError, match="the recorder is full"):
            bench.run(shots)


def test_a_machine_without_clang_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf_bench, "find_clang", lambda: None)
    with pytest.raises(pytest.fail.Exception, match="apt-get install clang-14"):
        compile_recorder()


A4, B4, A6, B6, ANY6 = grid.A4, grid.B4, grid.A6, grid.B6, grid.ANY6
UNREADABLE4 = Packet(PacketKind.OTHER, grid.ANY4, grid.ANY4, is_sound=False)
UNREADABLE6 = Packet(PacketKind.OTHER, ANY6, ANY6, is_sound=False)

READINGS: list[tuple[int, bytes, Payload]] = [
    (write.ARP, write.arp(1, A4, B4), Arp(ArpKind.REQUEST, b"\2\0\0\0\0\1", A4, B4)),
    (write.ARP, write.arp(2, A4, B4) + bytes(18), Arp(ArpKind.REPLY, b"\2\0\0\0\0\1", A4, B4)),
    (write.ARP, write.arp(1, A4, B4)[:27], OtherPayload(write.ARP)),
    (write.IPV4, write.ipv4(A4, B4), Packet(PacketKind.UDP, A4, B4)),
    (write.IPV4, write.ipv4(A4, B4, words=6, options=bytes(4)), Packet(PacketKind.UDP, A4, B4)),
    (write.IPV4, write.ipv4(A4, B4, words=8), Packet(PacketKind.UDP, A4, B4, is_sound=False)),
    (write.IPV4, write.ipv4(A4, B4, words=7), Packet(PacketKind.UDP, A4, B4)),
    (write.IPV4, write.ipv4(A4, B4, words=4), Packet(PacketKind.UDP, A4, B4, is_sound=False)),
    (write.IPV4, write.ipv4(A4, B4, version=5), Packet(PacketKind.UDP, A4, B4, is_sound=False)),
    (write.IPV4, write.ipv4(A4, B4, excess=1), Packet(PacketKind.UDP, A4, B4, is_sound=False)),
    (write.IPV4, write.ipv4(A4, B4)[:19], UNREADABLE4),
    (write.IPV6, write.ipv6(A6, B6, write.UDP, bytes(8)), Packet(PacketKind.UDP, A6, B6, 255)),
    (write.IPV6, write.ipv6(A6, B6, write.UDP, bytes(8), version=4), UNREADABLE6),
    (write.IPV6, write.ipv6(A6, B6, write.UDP, b"")[:39], UNREADABLE6),
    (
        write.IPV6,
        write.ipv6(ANY6, A6, write.ICMPV6, write.icmpv6(135, B6)),
        Packet(PacketKind.SOLICITATION, ANY6, A6, 255, B6),
    ),
    (
        write.IPV6,
        write.ipv6(ANY6, A6, write.ICMPV6, write.icmpv6(135, B6))[:63],
        Packet(PacketKind.SOLICITATION, ANY6, A6, 255),
    ),
    (
        write.IPV6,
        write.ipv6(ANY6, A6, write.ICMPV6, write.icmpv6(133)),
        Packet(PacketKind.ECHO, ANY6, A6, 255),
    ),
    (0x88B5, bytes(46), OtherPayload(0x88B5)),
]


@pytest.mark.parametrize(("ethertype", "body", "payload"), READINGS)
def test_a_frame_is_read_as_what_it_was_written_as(ethertype: int, body: bytes, payload: Payload) -> None:
    frame = write.ethernet(grid.THERE, PORT_MAC, ethertype, body)
    assert write.read_frame(frame) == Frame(grid.THERE, PORT_MAC, payload)
