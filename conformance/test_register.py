"""The register and the suite against each other: no requirement without a test, and no test without one."""

from __future__ import annotations

from conformance.layouts import all_layouts
from conformance.page import read_register, settled_by

REGISTER = read_register()


def test_every_requirement_in_force_has_a_test() -> None:
    tested = settled_by()
    assert [each.id for each in REGISTER.in_force() if each.id not in tested] == []


def test_every_test_names_a_requirement_of_the_register() -> None:
    assert set(settled_by()) <= set(REGISTER.requirements)


def test_a_lab_needs_what_its_requirements_need() -> None:
    for layout in all_layouts():
        for requirement in layout.requirements():
            missing = set(REGISTER.requirements[requirement].features) - layout.features
            assert not missing, (layout.name, requirement)


def test_labs_have_names_of_their_own() -> None:
    names = [layout.name for layout in all_layouts()]
    assert len(names) == len(set(names))
