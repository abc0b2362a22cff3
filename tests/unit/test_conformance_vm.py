"""What ``ci/conformance_vm.py`` does outside of the guest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ci import conformance_vm
from ci.conformance_vm import BEGIN, END, Separator
from ci.guest import engines


@pytest.mark.parametrize("width", [1, 7, 1000])
def test_results_are_told_from_output_however_they_are_cut(
    width: int, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    sent = b"1 passed" + BEGIN + b'{"a": 1}\n' + END + b"bye\n"
    separator = Separator()
    for start in range(0, len(sent), width):
        separator.write(sent[start : start + width])
    separator.end()
    assert separator.results == b'{"a": 1}\n'
    assert capfdbinary.readouterr().out == b"1 passedbye\n"


def test_output_without_results_is_passed_on_whole(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    separator = Separator()
    separator.write(b"usage: \n--- results be")
    separator.end()
    assert separator.results == b""
    assert capfdbinary.readouterr().out == b"usage: \n--- results be"


def test_what_follows_two_dashes_is_pytests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--kernel", "6.1", "docker", "cni", "--", "-k", "l2 or l3"])
    parsed = conformance_vm.parse()
    assert (parsed.implementations, parsed.kernel) == (["docker", "cni"], "6.1")
    assert parsed.arguments == ["-k", "l2 or l3"]


def test_the_marks_of_the_guest_are_those_that_are_looked_for() -> None:
    for mark in (BEGIN, END):
        assert repr(mark)[1:].strip("'") in conformance_vm._IN_GUEST


def test_engines_that_are_unpacked_are_used_again(tmp_path: Path) -> None:
    tree = tmp_path / "engines" / engines.SUITE
    tree.mkdir(parents=True)
    assert engines.find_engines(tmp_path) == tree


def test_an_unpacked_folder_is_completed_as_installing_would(tmp_path: Path) -> None:
    (tmp_path / "usr" / "sbin").mkdir(parents=True)
    engines._complete(tmp_path)
    assert (tmp_path / "sbin").resolve() == tmp_path / "usr" / "sbin"
    assert (tmp_path / "usr" / "sbin" / "iptables").readlink() == Path("xtables-nft-multi")
    assert (tmp_path / "var" / "tmp").is_dir()
