"""The comparison itself: a datapath with one rule changed is noticed, and what shows it is made small."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from ipvlab.datapath.sim.machine import SimLink
from ipvlab.rules.ports import Port
from ipvlab.run.ground import ProbedGround
from ipvlab.run.prepare import Prepared, prepare_loaded
from ipvlab.run.sim import SimGround
from ipvlab.spec.load import load_scenario_text
from ipvlab.spec.model import Scenario
from ipvlab.spec.values import Flag, Mode
from tests.agreement.batch import Order, compare_labs
from tests.agreement.observe import GroundMaker, open_datapath

Fault = Callable[[Port], Port]


def _break_ports(fault: Fault) -> GroundMaker:
    """Labs in which every port of the datapath called ``broken`` has a fault."""

    def open_lab(datapath: str, prepared: Prepared) -> ProbedGround:
        if datapath != "broken":
            return open_datapath(datapath, prepared)
        ground = SimGround(prepared.scenario.name, prepared.naming.display)
        whole = ground.lab.world.port

        def port(parent: SimLink) -> Port | None:
            found = whole(parent)
            return fault(found) if found is not None else None

        ground.lab.world.port = port  # type: ignore[method-assign]  # the fault that must be noticed
        return ground

    return open_lab


FAULTS: dict[str, Fault] = {
    "private is bridge": lambda port: (
        dataclasses.replace(port, flag=Flag.BRIDGE) if port.flag is Flag.PRIVATE else port
    ),
    "vepa switches locally": lambda port: (
        dataclasses.replace(port, flag=Flag.BRIDGE) if port.flag is Flag.VEPA else port
    ),
    "bridge is vepa": lambda port: (
        dataclasses.replace(port, flag=Flag.VEPA) if port.flag is Flag.BRIDGE else port
    ),
    "l3 is l2": lambda port: dataclasses.replace(port, mode=Mode.L2) if port.mode is Mode.L3 else port,
    "l3s is l3": lambda port: dataclasses.replace(port, mode=Mode.L3) if port.mode is Mode.L3S else port,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_one_changed_rule_is_noticed(fault: Fault) -> None:
    order, broken = Order(1, ("sim", "broken"), most_tries=0), _break_ports(fault)

    assert any(compare_labs(order, [number], broken).disagreements for number in range(25))


def test_an_unbroken_stand_in_is_not_blamed() -> None:
    tally = compare_labs(
        Order(1, ("sim", "broken"), most_tries=0), range(10), _break_ports(lambda port: port)
    )

    assert not tally.disagreements


def test_a_crash_is_a_disagreement_and_not_the_end_of_the_batch() -> None:
    def crash(port: Port) -> Port:
        raise LookupError(f"no rule for {port.mode}")

    tally = compare_labs(Order(1, ("sim", "broken"), most_tries=0), range(2), _break_ports(crash))

    assert len(tally.disagreements) == tally.labs == 2
    assert "LookupError: no rule for" in tally.disagreements[0].text


def test_a_disagreement_is_shrunk_to_a_file_that_still_runs() -> None:
    order = Order(1, ("sim", "broken"), most_tries=300, most_shrunk=1)
    broken = _break_ports(FAULTS["private is bridge"])
    first = next(each for number in range(25) for each in compare_labs(order, [number], broken).disagreements)
    loaded = load_scenario_text(first.text, "disagreement.ipvlab.yaml")

    prepare_loaded(loaded)
    assert len(loaded.scenario.expect) == 1
    assert _count(loaded.scenario) == (1, 0, 2)
    assert first.differences


def _count(scenario: Scenario) -> tuple[int, int, int]:
    """Hosts, routers and containers."""
    containers = sum(len(host.containers) for host in scenario.hosts.values())
    return len(scenario.hosts), len(scenario.routers), containers
