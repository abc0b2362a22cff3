"""Matrices of verdicts: what was seen, what was proved absent, and what differs from what was expected."""

from __future__ import annotations

from ipvlab.report.matrix import WIDEST, matrices
from ipvlab.run.results import Outcome, Verdict


def pair(kind: str, from_: str, to: str, outcome: Outcome, *, arrived: bool) -> Verdict:
    seen = {"round_trip": arrived, "request": arrived, "reply": arrived, "ttl": None}
    name = f"expect[0]:{from_}->{to}/ipv4"
    return Verdict(name, kind, outcome, None, seen, from_=from_, to=to, family="ipv4")


def broadcast(heard: list[str], expected: list[str], silent: list[str]) -> Verdict:
    is_right = set(heard) == set(expected)
    outcome = Outcome.PASS if is_right else Outcome.FAIL
    proof = {"silent": silent}
    return Verdict("expect[3]:a1", "broadcast", outcome, expected, heard, proof=proof, from_="a1")


def test_a_round_trip_that_differs_is_marked_where_it_stands() -> None:
    lines = matrices(
        [
            pair("reach", "a1", "b1", Outcome.PASS, arrived=True),
            pair("blocked", "a1", "h1", Outcome.PASS, arrived=False),
            pair("reach", "h1", "b1", Outcome.FAIL, arrived=False),
        ]
    )
    assert lines[0].startswith("round trips, ipv4")
    assert lines[1:] == ["    b1   h1", "a1   +    -", "h1   -!   ."]


def test_what_was_not_proved_is_neither_yes_nor_no() -> None:
    lines = matrices([pair("blocked", "a1", "h1", Outcome.UNOBSERVED, arrived=False)])
    assert lines[2] == "a1   ?"


def test_a_broadcast_tells_hearers_silent_ones_and_surprises() -> None:
    lines = matrices([broadcast(["b1", "h1"], ["b1", "c1"], ["c1", "d1"])])
    columns, row = lines[1].split(), lines[2].split()
    told = dict(zip(sorted(columns), sorted(columns), strict=True))
    assert set(told) == {"b1", "c1", "d1", "h1"}
    cells = dict(zip(columns, row[2:], strict=True))
    assert cells == {"b1": "+", "h1": "+!", "c1": "-!", "d1": "-"}


def test_a_listener_that_was_not_proved_silent_is_unsure() -> None:
    lines = matrices([broadcast(["b1"], ["b1", "x1"], [])])
    assert dict(zip(lines[1].split(), lines[2].split()[2:], strict=True)) == {"b1": "+", "x1": "?"}


def test_nothing_probed_is_no_matrix_and_neither_is_a_crowd() -> None:
    assert matrices([]) == []
    crowd = [f"n{number}" for number in range(WIDEST + 1)]
    assert matrices([broadcast(crowd, crowd, [])]) == []
