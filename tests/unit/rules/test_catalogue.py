"""Every rule says what it is, where it is written, and is used."""

from __future__ import annotations

import re
from pathlib import Path

from ipvlab.rules import catalogue, catalogue_ipvlan, catalogue_linux
from ipvlab.rules.rule import Rule

ROOMS = Path(catalogue.__file__).parents[1]


def test_every_rule_is_one_plain_sentence_with_a_source() -> None:
    for rule in catalogue.CATALOGUE.values():
        assert re.fullmatch(r"[A-Z0-9]+(-[A-Z0-9]+)*", rule.id), rule
        assert rule.sentence.endswith("."), rule
        assert rule.sentence[0].isupper() or rule.sentence.startswith("802"), rule
        assert rule.source, rule


def test_the_catalogue_holds_all_rules_under_their_ids() -> None:
    stated = [
        value
        for part in (catalogue_ipvlan, catalogue_linux)
        for value in vars(part).values()
        if isinstance(value, Rule)
    ]
    assert sorted(catalogue.CATALOGUE) == sorted(rule.id for rule in stated)
    assert all(catalogue.CATALOGUE[rule.id] is rule for rule in stated)


def test_facts_are_numbers_of_the_collection() -> None:
    facts = [fact for rule in catalogue.CATALOGUE.values() for fact in rule.facts]
    assert facts
    assert [fact for fact in facts if not re.fullmatch(r"K-[A-Z0-9]+-\d{3}", fact)] == []


def test_every_rule_decides_something() -> None:
    names = {
        name
        for part in (catalogue_ipvlan, catalogue_linux)
        for name, value in vars(part).items()
        if isinstance(value, Rule)
    }
    text = "\n".join(
        path.read_text() for path in ROOMS.rglob("*.py") if not path.name.startswith("catalogue")
    )
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()
