"""The register itself: ids are unique and well formed, and what they cite exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypedDict, cast

import pytest
from ruamel.yaml import YAML

HERE = Path(__file__).parent
SCENARIOS = HERE.parent / "scenarios"
ID = re.compile(r"(L2|L3|L3S|VLAN|DRV|IPAM|NAME)-[A-Z0-9]{3,9}-[0-9]{3}")


class Requirement(TypedDict):
    """One entry of the register."""

    id: str
    statement: str
    source: str
    checked_by: dict[str, list[str]]


def read_requirements() -> list[Requirement]:
    """The register, in its order."""
    register = YAML(typ="safe").load(HERE / "requirements.yaml")
    return cast("list[Requirement]", register["requirements"])


def kinds_in(scenario: str) -> set[str]:
    """The kinds of expectation that a scenario file holds, those of its steps included."""
    written = YAML(typ="safe").load(SCENARIOS / f"{scenario}.ipvlab.yaml")
    expectations = [
        *written["expect"],
        *(each for step in written.get("steps", []) for each in step["expect"]),
    ]
    return {kind for expectation in expectations for kind in expectation}


def test_no_id_is_given_twice() -> None:
    ids = [requirement["id"] for requirement in read_requirements()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("requirement", read_requirements(), ids=lambda requirement: requirement["id"])
def test_a_requirement_is_well_formed_and_its_checks_exist(requirement: Requirement) -> None:
    assert set(requirement) == {"id", "statement", "source", "checked_by"}
    assert ID.fullmatch(requirement["id"])
    assert requirement["statement"].endswith(".")
    assert requirement["source"]
    assert requirement["checked_by"]
    for scenario, kinds in requirement["checked_by"].items():
        assert kinds
        assert set(kinds) <= kinds_in(scenario), scenario
