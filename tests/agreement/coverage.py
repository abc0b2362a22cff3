"""How often every cell was exercised, and how that is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.agreement.cells import CELLS, PROBE_KINDS, SETTINGS, Cell
from tests.agreement.labs import Lab

#: The issue's bar: no cell that can exist stays under it.
LEAST = 20


def count_cells(lab: Lab) -> Counter[Cell]:
    """How many probes of a lab count in each cell."""
    return Counter(cell for probe in lab.probes for cell in probe.cells)


def find_thin(counts: Counter[Cell], least: int = LEAST) -> list[Cell]:
    """The cells that can exist and were exercised less often than ``least``."""
    return sorted(cell for cell in CELLS if counts[cell] < least)


def find_strange(counts: Iterable[Cell]) -> list[Cell]:
    """Cells that were counted and cannot exist: a fault of the generator."""
    return sorted(set(counts) - CELLS)


def draw_table(counts: Counter[Cell], least: int = LEAST) -> Iterator[str]:
    """The whole table, a line for each kind of parent and a column for each of probe; then the thin cells."""
    columns = [f"{kind[:9]}/{family[-1]}" for kind, family in PROBE_KINDS]
    yield "parent: mode flag link port host-hook".ljust(42) + " ".join(column.rjust(11) for column in columns)
    for setting in SETTINGS:
        row = [counts[Cell(setting, kind, family)] for kind, family in PROBE_KINDS]
        yield str(setting).ljust(42) + " ".join(str(count).rjust(11) for count in row)
    thin = find_thin(counts, least)
    everything = sorted(counts[cell] for cell in CELLS)
    yield (
        f"{len(CELLS)} cells, {sum(everything)} probes in them; the emptiest has {everything[0]}, the median "
        f"{everything[len(everything) // 2]}; {len(thin)} under {least}"
    )
    for cell in thin:
        yield f"  under {least}: {cell} ({counts[cell]})"
