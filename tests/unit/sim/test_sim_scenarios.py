"""Every scenario of the folder ends on the simulated lab as it ends on a live one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.run.prepare import prepare
from ipvlab.run.results import Outcome
from ipvlab.run.runner import run_on
from ipvlab.run.sim import SimGround

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.ipvlab.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name.partition(".")[0])
def test_every_expectation_of_a_scenario_holds_on_the_simulated_lab(path: Path) -> None:
    prepared = prepare(path)
    verdicts = run_on(prepared, SimGround, "sim", "").verdicts
    failed = [(verdict.id, verdict.reason) for verdict in verdicts if verdict.outcome is not Outcome.PASS]
    assert verdicts
    assert failed == []
