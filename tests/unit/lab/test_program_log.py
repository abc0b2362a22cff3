"""The log of a program: lines with their times, whole, in order, and bounded."""

from __future__ import annotations

import datetime

import pytest

from ipvlab.lab.program_log import LONGEST_LINE, MOST_KEPT, ProgramLog


def texts(log: ProgramLog) -> list[tuple[int, bytes]]:
    return [(entry.stream, entry.content) for entry in log.entries()]


def test_a_line_is_an_entry_however_it_was_cut_by_reading() -> None:
    log = ProgramLog()
    for part in (b"on", b"e\ntw", b"o\n", b"\n", b"rest"):
        log.add(1, part)
    assert texts(log) == [(1, b"one\n"), (1, b"two\n"), (1, b"\n")]
    log.finish()
    assert texts(log)[-1] == (1, b"rest")
    log.finish()
    assert len(texts(log)) == 4


def test_streams_do_not_mix_within_a_line() -> None:
    log = ProgramLog()
    log.add(1, b"out ")
    log.add(2, b"err\n")
    log.add(1, b"put\n")
    assert texts(log) == [(2, b"err\n"), (1, b"out put\n")]


def test_a_replay_holds_a_begun_line_that_the_entries_leave_out() -> None:
    log = ProgramLog()
    log.add(1, b"one\n$ ")
    log.add(2, b"?")
    assert texts(log) == [(1, b"one\n")]
    assert log.replay() == [(1, b"one\n"), (1, b"$ "), (2, b"?")]


def test_a_line_without_an_end_counts_as_lines_of_the_longest_length() -> None:
    log = ProgramLog()
    log.add(1, bytes(2 * LONGEST_LINE + 5))
    assert [len(content) for _, content in texts(log)] == [LONGEST_LINE, LONGEST_LINE]
    log.add(1, b"\n")
    assert texts(log)[-1] == (1, bytes(5) + b"\n")


@pytest.mark.parametrize("size", [1, 100, LONGEST_LINE - 1])
def test_the_oldest_lines_go_when_the_bound_is_reached(size: int) -> None:
    log = ProgramLog()
    line = b"x" * size + b"\n"
    for _ in range(2 * MOST_KEPT // len(line) // 100 + 1):
        log.add(1, line * 100)
    kept = sum(len(content) for _, content in texts(log))
    assert MOST_KEPT - len(line) < kept <= MOST_KEPT
    log.add(2, b"newest\n")
    assert texts(log)[-1] == (2, b"newest\n")


def test_entries_carry_the_time_at_which_they_were_read() -> None:
    log = ProgramLog()
    before = datetime.datetime.now(datetime.UTC)
    log.add(1, b"now\n")
    [entry] = log.entries()
    assert before <= entry.time <= datetime.datetime.now(datetime.UTC)
