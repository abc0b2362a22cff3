"""Faults put into the datapaths on purpose must be noticed, each by the check that is said to notice it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci import build_bpf
from ipvlab.errors import EnvironmentUnfit
from tests.selftest.mutants import source
from tests.selftest.mutants.catchers import (
    MUTANTS,
    TRUE_BPF,
    TRUE_SIM,
    catchers,
    catches,
    examine,
    examine_truth,
    troubles,
)
from tests.selftest.mutants.mutant import Mutant
from tests.selftest.mutants.source import Edit, EditMisplaced, NoCompiler, mutate

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = build_bpf.SOURCE.read_text()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_is_caught_by_a_check_that_the_true_datapath_passes(mutant: Mutant) -> None:
    assert troubles(examine_truth(mutant.datapath, mutant.catcher)) == {}
    assert catches(examine(mutant, mutant.catcher)), (
        f"{mutant.name}: {mutant.catcher} does not notice that it {mutant.does}"
    )


@pytest.mark.parametrize(
    ("datapath", "catcher"),
    [(true.datapath, name) for true in (TRUE_BPF, TRUE_SIM) for name in catchers(true)],
)
def test_the_true_datapath_passes_every_check(datapath: str, catcher: str) -> None:
    assert troubles(examine_truth(datapath, catcher)) == {}


def test_a_change_that_changes_nothing_is_caught_by_no_check() -> None:
    """Being caught says something, then: an object that was compiled here is not suspicious by itself."""
    harmless = Mutant(
        "harmless", "says the same in other words", "", (Edit("transmit_l2", "return DROP;", "return 2;"),)
    )
    for catcher in ("01-l2-one-host", "packets", "lab"):
        assert catches(examine(harmless, catcher)) == {}


def test_a_mutant_that_the_kernel_refuses_is_an_error_and_no_catch() -> None:
    endless = Mutant(
        "endless", "reads where it may not", "", (Edit("headers", "? 0 : frame", "? frame : frame"),)
    )
    with pytest.raises(EnvironmentUnfit):
        examine(endless, "01-l2-one-host")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (Edit("transmit_l2", "no such text", ""), "0 times"),
        (Edit("transmit_l2", "return", ""), "[2-9] times"),
        (Edit("no_such_function", "return", ""), "0 functions"),
    ],
)
def test_a_change_whose_text_is_not_there_exactly_once_is_refused(edit: Edit, words: str) -> None:
    with pytest.raises(EditMisplaced, match=words):
        mutate(SOURCE, [edit])


def test_a_change_stays_inside_its_function_and_leaves_the_rest_alone() -> None:
    changed = mutate(SOURCE, [Edit("transmit_l3", "port->flag == PRIVATE ? DROP :", "/* here */")])
    before, after = SOURCE.splitlines(), changed.splitlines()
    assert len(before) == len(after)
    [at] = [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    heads = [text for text in before[:at] if re.match(r"(INLINE|SEC).*\(struct __sk_buff", text)]
    assert "transmit_l3" in heads[-1]


def test_without_a_compiler_mutants_of_the_program_are_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "find_clang", lambda: None)
    edit = Edit("transmit_l2", "return DROP;", "return 1 + 1;")
    with pytest.raises(NoCompiler, match=r"unsupported: .* need clang"):
        examine(Mutant("uncompiled", "is never seen", "", (edit,)), "01-l2-one-host")


def test_names_are_unique_and_the_written_table_has_a_row_for_each() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 25
    rows = re.findall(
        r"^\| ([a-z0-9-]+) \| (?:program|control plane|rules) \|",
        (ROOT / "docs/mutants.md").read_text(),
        re.MULTILINE,
    )
    assert rows == names
