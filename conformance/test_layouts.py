"""Every requirement in every lab that has something to say on it."""

from __future__ import annotations

import pytest

from conformance.facts import FactReader
from conformance.layouts import all_layouts
from conformance.layouts.layout import Layout
from ipvlab.pytest_plugin import Bench

LAYOUTS = all_layouts()


def cases() -> list[object]:
    """One parameter set for each lab and requirement."""
    return [
        pytest.param(
            layout,
            requirement,
            id=f"{layout.name}-{requirement}",
            marks=[pytest.mark.requirement(requirement), pytest.mark.xdist_group(layout.name)],
        )
        for layout in LAYOUTS
        for requirement in layout.requirements()
    ]


@pytest.mark.parametrize(("layout", "requirement"), cases())
def test_a_requirement_holds(bench: Bench, layout: Layout, requirement: str) -> None:
    trial = bench.try_lab(
        layout.name, layout.text, layout.labels, layout.features, lambda: FactReader(layout)
    )
    bench.settle(trial, requirement, layout.title)
