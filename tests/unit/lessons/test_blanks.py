"""What is the student's in an exercise, and what is given."""

from __future__ import annotations

import pytest

from ipvlab.run.blanks import fill, find_changes, write_text
from ipvlab.spec.load import load_scenario_text
from ipvlab.spec.source import Plain, read_source

GIVEN: Plain = {
    "name": "x",
    "about": "why",
    "hosts": {"h1": {"commands": "a\n", "interfaces": {"eth0.20": {"vlan": 20}}}},
    "expect": [
        {"broadcast": {"from": "a", "heard_by": []}},
        {"reach": {"from": "a", "to": "b"}},
    ],
}
BLANKS = ("hosts/h1/commands", "expect/0/broadcast/heard_by", "expect/1/*")


def answer(**changes: Plain) -> Plain:
    assert isinstance(GIVEN, dict)
    return {**GIVEN, **changes}


def test_the_places_of_the_student_are_filled_and_nothing_else() -> None:
    written = answer(
        hosts={"h1": {"commands": "b\n", "interfaces": {}}},
        expect=[{"broadcast": {"from": "z", "heard_by": ["b"]}}, {"blocked": {"from": "b", "to": "a"}}],
    )
    assert fill(GIVEN, written, BLANKS) == answer(
        hosts={"h1": {"commands": "b\n", "interfaces": {"eth0.20": {"vlan": 20}}}},
        expect=[{"broadcast": {"from": "a", "heard_by": ["b"]}}, {"blocked": {"from": "a", "to": "b"}}],
    )


def test_what_was_changed_outside_of_the_blanks_is_named() -> None:
    written = answer(
        hosts={"h1": {"commands": "b\n", "interfaces": {}, "forwarding": True}},
        expect=[{"broadcast": {"from": "z", "heard_by": ["b"]}}, {"blocked": {"from": "b", "to": "a"}}],
    )
    assert sorted(find_changes(GIVEN, written, BLANKS)) == [
        "expect/0/broadcast/from was changed",
        "expect/1/blocked/from was changed",
        "expect/1/blocked/to was changed",
        "hosts/h1/forwarding was added",
        "hosts/h1/interfaces/eth0.20 is missing",
    ]


def test_an_expectation_that_was_taken_out_is_named_and_the_given_one_stays() -> None:
    written = answer(expect=[{"broadcast": {"from": "a", "heard_by": ["b"]}}])
    assert find_changes(GIVEN, written, BLANKS) == ["expect/1 is missing"]
    filled = fill(GIVEN, written, BLANKS)
    assert isinstance(filled, dict)
    assert isinstance(filled["expect"], list)
    assert filled["expect"][1] == {"reach": {"from": "a", "to": "b"}}


def test_more_expectations_behind_and_other_prose_are_no_change() -> None:
    assert isinstance(GIVEN, dict)
    assert isinstance(GIVEN["expect"], list)
    written = answer(about="mine", title="My answer", expect=[*GIVEN["expect"], {"links": {"in": "h1"}}])
    assert find_changes(GIVEN, written, BLANKS) == []


def test_a_choice_is_one_of_the_four_kinds() -> None:
    for kind in ("reach", "blocked", "delivers", "undelivered"):
        written = answer(
            expect=[{"broadcast": {"from": "a", "heard_by": []}}, {kind: {"from": "a", "to": "b"}}]
        )
        assert find_changes(GIVEN, written, BLANKS) == []
    written = answer(expect=[{"broadcast": {"from": "a", "heard_by": []}}, {"links": {"in": "a"}}])
    assert find_changes(GIVEN, written, BLANKS) == ["expect/1/reach is missing", "expect/1/links was added"]


def test_true_is_not_one() -> None:
    assert find_changes({"a": {"b": 1}}, {"a": {"b": True}}, ()) == ["a/b was changed"]


@pytest.mark.parametrize("written", [None, [], "text", 3, {"hosts": []}, {"expect": {"0": {}}}])
def test_an_answer_of_any_shape_is_compared(written: Plain) -> None:
    assert fill(GIVEN, written, BLANKS) == GIVEN
    assert find_changes(GIVEN, written, BLANKS)


def test_the_text_of_plain_values_is_yaml_that_means_the_same() -> None:
    content: Plain = {
        "name": "x",
        "title": 'an "é" \\ \U0001f600 0x1f',
        "expect": [{"a": [None, True, 1.5, "1"]}],
    }
    tree, repeated = read_source(write_text(content), "x")
    assert (tree.plain, repeated) == (content, [])
    assert load_scenario_text(write_text({"name": "x"}), "x").scenario.name == "x"
