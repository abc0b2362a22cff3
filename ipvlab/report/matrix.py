"""Verdicts as matrices: who reaches whom, and who hears whose broadcast; differences stand out.

::

    round trips, ipv4         + yes   - no   ? not proved   ! not as expected
          a1   a2   h1
    a1     .    +    -
    h1     -    -!   .

    broadcasts                + heard   - proved silent   ? not proved   ! not as expected
            a2   gw   h1
    a1 [3]   +    +    -
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ipvlab.run.results import Outcome, Verdict

YES, NO, UNSURE, WRONG, NOBODY = "+", "-", "?", "!", "."
_ROUND_TRIPS, _ONE_WAY = ("reach", "blocked"), ("delivers", "undelivered")
#: How many columns a matrix may have; a wider one says less than the verdicts themselves.
WIDEST = 40

Cells = dict[tuple[str, str], str]


def matrices(verdicts: Sequence[Verdict]) -> list[str]:
    """The matrices of one stage's verdicts as lines; none where nothing was probed."""
    lines: list[str] = []
    for title, kinds in (("round trips", _ROUND_TRIPS), ("one way", _ONE_WAY)):
        pairs = [verdict for verdict in verdicts if verdict.kind in kinds and verdict.to]
        for family in sorted({str(verdict.family) for verdict in pairs}):
            mine = [verdict for verdict in pairs if str(verdict.family) == family]
            cells = {(str(v.from_), str(v.to)): _pair_cell(v) for v in mine}
            lines += _draw(f"{title}, {family}", f"{YES} yes   {NO} no", cells)
    heard = [verdict for verdict in verdicts if verdict.kind == "broadcast"]
    cells = {key: cell for verdict in heard for key, cell in _broadcast_cells(verdict).items()}
    return lines + _draw("broadcasts", f"{YES} heard   {NO} proved silent", cells)


def _pair_cell(verdict: Verdict) -> str:
    mark = WRONG if verdict.outcome is Outcome.FAIL else ""
    seen = verdict.observed
    if verdict.outcome in (Outcome.UNOBSERVED, Outcome.UNSUPPORTED, Outcome.ERROR) or not isinstance(
        seen, dict
    ):
        return UNSURE
    arrived = seen.get("round_trip") if verdict.kind in _ROUND_TRIPS else seen.get("request")
    return (YES if arrived else NO) + mark


def _broadcast_cells(verdict: Verdict) -> Cells:
    """One row: the sender and the id of the expectation, since one may send several kinds."""
    row = f"{verdict.from_} {verdict.id.partition(':')[0].rpartition('expect')[2]}".strip()
    expected, heard = set(verdict.expected or ()), set(verdict.observed or ())
    silent = set(verdict.proof.get("silent", ()))
    cells = {}
    for name in expected | heard | silent:
        shown = YES if name in heard else NO if name in silent else UNSURE
        is_wrong = shown != UNSURE and (name in heard) != (name in expected)
        cells[row, name] = shown + (WRONG if is_wrong else "")
    return cells


def _draw(title: str, legend: str, cells: Cells) -> list[str]:
    if not cells:
        return []
    rows = _ordered(row for row, _ in cells)
    columns = _ordered(column for _, column in cells)
    if len(columns) > WIDEST:
        return []
    width = max(map(len, rows))
    # A sign stands under the last letter of its column's name, the mark of a difference behind it.
    lines = [f"{title}   {legend}   {UNSURE} not proved   {WRONG} not as expected"]
    lines.append(" " * width + "".join(f"  {column} " for column in columns).rstrip())
    for row in rows:
        shown = ""
        for column in columns:
            cell = cells.get((row, column), NOBODY)
            shown += cell[0].rjust(len(column) + 2) + (cell[1:] or " ")
        lines.append(f"{row.ljust(width)}{shown}".rstrip())
    return lines


def _ordered(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
