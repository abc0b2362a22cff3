"""The scenario folder gives the same verdicts on real ipvlan as outside of the guest, on another kernel."""

from __future__ import annotations

import pytest

from ipvlab.spec.load import load_scenario
from tests.guest.verdicts import SCENARIOS, Verdicts, observed, recorded

NATIVE = recorded()
PATHS = {load_scenario(path).scenario.name: path for path in SCENARIOS}


@pytest.mark.parametrize(("datapath", "scenario"), sorted(NATIVE))
def test_real_links_give_the_verdicts_of_the_machine_outside(datapath: str, scenario: str) -> None:
    native: Verdicts = NATIVE[datapath, scenario]
    assert native
    assert observed(PATHS[scenario], "kernel") == native


def test_every_scenario_was_run_outside_on_every_datapath_there() -> None:
    datapaths = {datapath for datapath, _ in NATIVE}
    assert "bpf" in datapaths
    assert set(NATIVE) == {(datapath, name) for datapath in datapaths for name in PATHS}
