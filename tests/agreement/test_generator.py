"""The generator: its labs are valid, the same for a seed, and go round all kinds of parents and probes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from ipvlab.run.prepare import prepare_loaded
from ipvlab.spec.load import load_scenario_text
from ipvlab.spec.model import Scenario
from tests.agreement.cells import CELLS, SETTINGS, STEP_CELLS, StepKind
from tests.agreement.coverage import LEAST, AnyCell, count_cells, draw_table, find_strange, find_thin
from tests.agreement.files import write_text
from tests.agreement.labs import MOST_CONTAINERS, Lab, labs, make_lab
from tests.agreement.observe import Text, prepare_text, scenario_of


def _containers(scenario: Text) -> int:
    model = Scenario.model_validate(scenario)
    return sum(len(host.containers) for host in model.hosts.values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(labs())
def test_every_generated_lab_passes_every_check_before_it_is_built(lab: Lab) -> None:
    prepared = prepare_text(scenario_of(lab))

    assert 1 <= len(prepared.scenario.hosts) <= 3
    assert all(1 <= len(host.networks) <= 3 for host in prepared.scenario.hosts.values())
    assert _containers(scenario_of(lab)) <= MOST_CONTAINERS
    assert not find_strange(count_cells(lab))


@pytest.mark.parametrize("number", [0, 7, 300, 1999])
def test_a_seed_and_a_number_make_the_same_lab_every_time(number: int) -> None:
    assert make_lab(3, number) == make_lab(3, number)
    assert make_lab(3, number) != make_lab(4, number)


@pytest.mark.parametrize("number", range(12))
def test_the_text_of_a_lab_reads_back_as_the_lab(number: int) -> None:
    scenario = scenario_of(make_lab(1, number))
    loaded = load_scenario_text(write_text(scenario, [], "ci/agree.py"), "lab.ipvlab.yaml")
    expected = Scenario.model_validate(scenario)

    prepare_loaded(loaded)
    assert loaded.scenario.model_copy(update={"about": expected.about}) == expected


def test_foci_go_round_all_kinds_of_parents() -> None:
    seen = {setting for number in range(len(SETTINGS)) for setting in make_lab(5, number).settings}

    # One lab in fifty has no container at all, so its focus waits for the next round.
    assert len(seen) >= 0.95 * len(SETTINGS)


def test_two_rounds_of_all_foci_leave_no_cell_that_can_exist_empty() -> None:
    # ci/agree.py holds its 2,000 labs against the bar of 20; these are a quarter of them.
    counts: Counter[AnyCell] = Counter()
    for number in range(2 * len(SETTINGS)):
        counts += count_cells(make_lab(1, number))

    assert find_thin(counts, 1) == []
    assert find_strange(counts) == []


def test_the_table_names_every_thin_cell() -> None:
    full: Counter[AnyCell] = Counter(dict.fromkeys(CELLS | STEP_CELLS, LEAST))
    [cell] = sorted(CELLS)[:1]
    full[cell] -= 1
    lines = list(draw_table(full))

    assert find_thin(full) == [cell]
    assert lines[-1] == f"  under {LEAST}: {cell} ({LEAST - 1})"
    assert len(lines) == 1 + len(SETTINGS) + 1 + len(StepKind) + 4
