"""How often every cell was exercised, and how that is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.agreement.cells import (
    CELLS,
    PROBE_KINDS,
    SETTINGS,
    STEP_CELLS,
    STEP_COLUMNS,
    Cell,
    StepCell,
    StepKind,
)
from tests.agreement.labs import Lab

#: The issue's bar: no cell that can exist stays under it.
LEAST = 20


AnyCell = Cell | StepCell


def count_cells(lab: Lab) -> Counter[AnyCell]:
    """How many first probes of a lab count in each cell, and how many steps in each of theirs."""
    counts: Counter[AnyCell] = Counter(cell for probe in lab.probes for cell in probe.cells)
    counts.update(cell for step in lab.steps for cell in step.cells)
    return counts


def find_thin(counts: Counter[AnyCell], least: int = LEAST) -> list[AnyCell]:
    """The cells that can exist and were exercised less often than ``least``."""
    thin: list[AnyCell] = []
    thin += sorted(cell for cell in CELLS if counts[cell] < least)
    thin += sorted(cell for cell in STEP_CELLS if counts[cell] < least)
    return thin


def find_strange(counts: Iterable[AnyCell]) -> list[AnyCell]:
    """Cells that were counted and cannot exist: a fault of the generator."""
    return sorted(set(counts) - CELLS - STEP_CELLS, key=str)


def draw_table(counts: Counter[AnyCell], least: int = LEAST) -> Iterator[str]:
    """The whole table, a line for each kind of parent and a column for each of probe; then the thin cells."""
    columns = [f"{kind[:9]}/{family[-1]}" for kind, family in PROBE_KINDS]
    yield "parent: mode flag link port host-hook".ljust(42) + " ".join(column.rjust(11) for column in columns)
    for setting in SETTINGS:
        row = [counts[Cell(setting, kind, family)] for kind, family in PROBE_KINDS]
        yield str(setting).ljust(42) + " ".join(str(count).rjust(11) for count in row)
    yield "step".ljust(16) + " ".join(_shorten(column).rjust(11) for column in STEP_COLUMNS)
    for kind in StepKind:
        row = [counts[StepCell(kind, column)] for column in STEP_COLUMNS]
        yield str(kind).ljust(16) + " ".join(str(count).rjust(11) for count in row)
    thin = find_thin(counts, least)
    for what, cells in (("probes", CELLS), ("steps", STEP_CELLS)):
        everything = sorted(counts[cell] for cell in cells)
        yield (
            f"{len(cells)} cells of {what}, {sum(everything)} in them; the emptiest has {everything[0]}, "
            f"the median {everything[len(everything) // 2]}"
        )
    yield f"{len(thin)} cells under {least}"
    for cell in thin:
        yield f"  under {least}: {cell} ({counts[cell]})"


def _shorten(column: str) -> str:
    """A column's name in eleven letters: ``l3s private`` as it is, ``broadcast ipv4`` as ``broadcast/4``."""
    words, _, family = column.partition(" ipv")
    return f"{words[:9]}/{family}" if family else column
