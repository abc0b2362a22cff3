"""Reading the kernel's per-CPU counters, and the filters of packet sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.probe.filters import Instruction, only_at
from ipvlab.probe.lane import KernelTable
from ipvlab.probe.marks import MAGIC


def softnet(tmp_path: Path, *cpus: int, width: int = 15) -> str:
    """A softnet_stat file: for CPU n, 16n dropped and n waiting."""
    rows = []
    for cpu in cpus:
        fields = [0] * width
        fields[1] = cpu * 16
        if width > 12:
            fields[11], fields[12] = cpu, cpu
        rows.append(" ".join(f"{field:08x}" for field in fields) + "\n")
    path = tmp_path / "softnet_stat"
    path.write_text("".join(rows))
    return str(path)


def test_a_cpu_is_found_by_number_where_offline_ones_have_no_line(tmp_path: Path) -> None:
    table = KernelTable(softnet(tmp_path, 0, 2, 5), cpu_column=12)
    assert [table.field(cpu, 11) for cpu in (0, 1, 2, 3, 5)] == [0, None, 2, None, 5]
    assert table.field(5, 1) == 0x50
    table.close()


def test_a_kernel_that_hides_the_backlog_says_so(tmp_path: Path) -> None:
    table = KernelTable(softnet(tmp_path, 0, 1, width=11), cpu_column=12)
    assert table.field(1, 1) == 16
    assert table.field(1, 11) is None
    table.close()


def test_a_table_that_is_not_shown_has_no_counters(tmp_path: Path) -> None:
    assert KernelTable(str(tmp_path / "absent"), cpu_column=None).field(0, 0) is None


def test_a_table_with_a_header_has_its_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "arp_cache"
    path.write_text("entries allocs\n0000000a 00000001\n0000000a 00000002\n")
    table = KernelTable(str(path), cpu_column=None)
    assert [table.field(cpu, 1) for cpu in (0, 1, 2)] == [1, 2, None]
    table.close()


def run(program: list[Instruction], frame: bytes) -> int:
    """Interpret a filter as the kernel does; 0 rejects."""
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = program[position]
        position += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            if len(frame) < operand + 4:
                return 0
            accumulator = int.from_bytes(frame[operand : operand + 4], "big")
        else:
            assert code == 0x15
            position += if_true if accumulator == operand else if_false


@pytest.mark.parametrize("offset", [42, 46, 62, 66])
def test_a_filter_passes_the_magic_at_each_of_its_offsets(offset: int) -> None:
    assert run(only_at(42, 46, 62, 66), bytes(offset) + MAGIC + bytes(20)) > 0


@pytest.mark.parametrize("offset", [0, 41, 43, 50, 67])
def test_a_filter_rejects_the_magic_anywhere_else(offset: int) -> None:
    assert run(only_at(42, 46, 62, 66), bytes(offset) + MAGIC + bytes(40)) == 0


def test_a_filter_finds_the_magic_in_a_frame_that_ends_behind_it() -> None:
    assert run(only_at(42, 46), bytes(42) + MAGIC) > 0
