"""Packets as pcapng, read back by somebody else's reader."""

from __future__ import annotations

import io
import struct
from pathlib import Path

from scapy.layers.l2 import Ether
from scapy.utils import PcapNgReader

from ipvlab.probe.pcapng import INBOUND, PcapngWriter, read_packets

FRAMES = [bytes(12) + b"\x08\x00" + bytes(range(length)) for length in (1, 2, 3, 4, 60)]


def test_frames_come_back_with_their_times_interfaces_and_comments(tmp_path: Path) -> None:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, "ipvlab")
    for number, frame in enumerate(FRAMES):
        moment = (1_700_000_000 + number) * 1_000_000_000 + 123_456_789
        writer.add(
            f"h{number % 2}:eth0", moment, frame, direction=INBOUND, comment="ä word" if number else ""
        )
    file = tmp_path / "x.pcapng"
    file.write_bytes(stream.getvalue())
    with PcapNgReader(str(file)) as reader:
        packets = list(reader)
    assert [bytes(packet) for packet in packets] == FRAMES
    assert all(isinstance(packet, Ether) for packet in packets)
    assert [int(packet.time) for packet in packets] == [1_700_000_000 + number for number in range(5)]
    assert [packet.sniffed_on for packet in packets] == [
        "h0:eth0",
        "h1:eth0",
        "h0:eth0",
        "h1:eth0",
        "h0:eth0",
    ]
    assert [packet.comment for packet in packets] == [None, *["ä word".encode()] * 4]


def test_every_block_is_of_a_length_that_divides_by_four() -> None:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, "x")
    before = stream.tell()
    for frame in FRAMES:
        writer.add("i", 0, frame)
        assert (stream.tell() - before) % 4 == 0
        before = stream.tell()


def test_packets_are_numbered_and_read_back() -> None:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, "ipvlab", comment="a lab", is_followed=False)
    writer.declare("wire lan", "never used")
    numbers = [
        writer.add(f"i{number % 2}", number << 33, frame, comment=f"of {number}" if number else "")
        for number, frame in enumerate(FRAMES)
    ]
    writer.tell_losses("i0", 1 << 33, 3)
    read = list(read_packets(stream.getvalue()))
    assert [each.number for each in read] == numbers == [1, 2, 3, 4, 5]
    assert [each.frame for each in read] == FRAMES
    assert [each.interface for each in read] == ["i0", "i1", "i0", "i1", "i0"]
    assert [each.nanoseconds for each in read] == [number << 33 for number in range(5)]
    assert [each.comment for each in read] == ["", "of 1", "of 2", "of 3", "of 4"]


def test_a_comment_that_is_too_long_for_its_option_is_cut_between_characters() -> None:
    stream = io.BytesIO()
    PcapngWriter(stream, "x").add("i", 0, FRAMES[0], comment="a" + "ä" * 40_000)
    [read] = read_packets(stream.getvalue())
    assert read.comment == "a" + "ä" * 32_767


def test_a_capture_that_nobody_follows_is_not_flushed_at_each_packet() -> None:
    flushes = []

    class Counting(io.BytesIO):
        def flush(self) -> None:
            flushes.append(self.tell())

    writer = PcapngWriter(Counting(), "x", is_followed=False)
    for frame in FRAMES:
        writer.add("i", 0, frame)
    assert flushes == []


def test_lost_packets_are_told_in_an_interface_statistics_block() -> None:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, "x")
    writer.declare("i")
    start = stream.tell()
    writer.tell_losses("i", 5, 3)
    kind, length = struct.unpack_from("=II", stream.getvalue(), start)
    assert (kind, start + length) == (5, stream.tell())
    assert struct.unpack_from("=HHQ", stream.getvalue(), start + 20) == (5, 8, 3)
