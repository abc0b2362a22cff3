"""Whatever a file holds, it is a scenario or it is refused with a place: nothing else is raised."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipvlab.errors import SpecError
from ipvlab.spec.check import check_scenario
from ipvlab.spec.load import load_scenario, load_scenario_text
from ipvlab.spec.routes import parse_route

REFERENCE = (Path(__file__).parents[2] / "scenarios" / "reference.ipvlab.yaml").read_text(encoding="utf-8")

#: Pieces that damage YAML and scenarios in interesting ways.
PIECES = st.sampled_from(
    [
        *"{}[]:,-#&*!|>'\"%@`?~\t\n\r \\\0\x07é\u2028\ufeff",
        *(
            "null",
            "true",
            "0",
            "4095",
            "1e999",
            ".nan",
            "<<: *a",
            "&a ",
            "*a ",
            "!!binary ",
            "---\n",
            "...\n",
        ),
        *(
            '"\\uD800"',
            '"\\UFFFFFFFF"',
            "%YAML 9.9\n",
            "%TAG ! x\n",
            "? ",
            "- ",
            ": ",
            "|9\n",
            ">-\n",
            "fe80::1%x",
        ),
        *("from: a1", "to: [a1]", "wire: lan", "eth0.20", "10.0.0.0/8", "256.1.1.1", "h1/a1/::1", "lo", "'"),
    ]
)


def _refusals(text: str) -> list[SpecError]:
    """Load and check a text; any error of another class ends the test."""
    try:
        check_scenario(load_scenario_text(text, "x.yaml"))
    except SpecError as error:
        return [error, *error.others]
    return []


def _load(text: str) -> None:
    refusals = _refusals(text)
    lines = text.count("\n") + text.count("\r") + 2
    for each in refusals:
        assert each.where is not None
        assert 1 <= each.where.line <= lines
        assert each.where.column >= 1
        assert str(each.where) in str(refusals[0])


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.lists(PIECES, max_size=12).map("".join))
@example('name: "\\UFFFFFFFF"')
@example('name: "\\uD800"')
@example("%YAML 9.9\n---\nname: x")
@example("%TAG ! tag:x\n---\nname: !y x")
@example("name: x\nhosts: {h1: {interfaces: {'\\udcff': {}}}}")
@example("&a [*a]")
@example("? ? ? ?")
@example("name: x\nexpect: [{reach: {from: a, to: b, ttl: 0x" + "F" * 300 + "}}]")
@example("name: " + "9" * 5000)
def test_garbage_is_refused_with_a_place(text: str) -> None:
    _load(text)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(REFERENCE)), st.integers(0, 40), PIECES)
def test_a_damaged_scenario_is_read_or_refused_with_a_place(start: int, length: int, piece: str) -> None:
    _load(REFERENCE[:start] + piece + REFERENCE[start + length :])


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=80))
def test_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.ipvlab.yaml"
    path.write_bytes(content)
    try:
        load_scenario(path)
    except SpecError as error:
        told = str(error)
    else:
        told = str(path)
    assert str(path) in told


WORDS = st.sampled_from(
    [
        "default",
        "10.0.0.0/8",
        "::/0",
        "via",
        "10.0.0.1",
        "::1",
        "dev",
        "eth0",
        "metric",
        "5",
        "proto",
        "scope",
        "pref",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=30), st.sampled_from([None, 4, 6]))
def test_a_route_that_is_read_says_itself_again_and_matches_itself(text: str, version: int | None) -> None:
    try:
        route = parse_route(text, version)
    except ValueError:
        return
    again = parse_route(str(route), route.version)
    assert again == route
    assert again.matches(route)
