"""``ipvlab run --keep-on-failure``: each scenario runs in a process that becomes its lab's supervisor."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

from ipvlab.run.batch import exit_code
from ipvlab.run.doctor import choose_name
from ipvlab.run.ground import open_ground
from ipvlab.run.prepare import Prepared
from ipvlab.run.results import ScenarioResult, Seconds
from ipvlab.run.runner import Phases, ScenarioRun
from ipvlab.supervisor.birth import Cradle, taken
from ipvlab.supervisor.life import Life, bear_for, store_of
from ipvlab.supervisor.names import abstract_address, check_name, find_labs
from ipvlab.supervisor.standing import StandingLab
from ipvlab.supervisor.standing_names import StandingNames

#: Passed, or nothing to look into: not supported here.
_NO_FAILURES = (0, 3)


def check_free(names: Iterable[str]) -> None:
    """Raise :class:`LabTaken` where one of these names is held, before anything is run."""
    held = {lab.name for lab in find_labs()}
    for name in names:
        if check_name(name) in held:
            raise taken(name, abstract_address(os.geteuid(), name))


def run_and_keep(prepared: Prepared, datapath: str, capture: Path | None = None) -> ScenarioResult:
    """Run a scenario; where it fails, its lab stays up under its name, as its last step has left it.

    Raises as :func:`ipvlab.run.runner.run_prepared`, and :class:`LabTaken`.
    """
    name = prepared.scenario.name
    # The supervisor has another working directory.
    path = os.path.abspath(prepared.path)
    report = bear_for(datapath, name, lambda cradle: _live(cradle, prepared, path, datapath, capture))
    assert isinstance(report, ScenarioResult)
    return report


def _live(cradle: Cradle, prepared: Prepared, path: str, datapath: str, capture: Path | None) -> None:
    lab = StandingLab(cradle.name, path)
    life = Life(cradle, lab)
    life.begin()
    lab.datapath, lab.why = choose_name(datapath)
    names = StandingNames(prepared.naming)
    phases = Phases()
    with phases.time("build"):
        names.ground = ground = open_ground(datapath, prepared.scenario.name, names.display)
    run = ScenarioRun(prepared, ground, phases, store_of())
    if capture is not None:
        run.record()
    run.go()
    if capture is not None:
        run.write_capture(capture)
    result = run.result(lab.datapath, lab.why)
    if exit_code([result]) in _NO_FAILURES:
        with phases.time("teardown"):
            ground.close()
        cradle.report(dataclasses.replace(result, seconds=Seconds(**phases.seconds)))
        return
    lab.take(ground, run.console)
    stays_up = (
        f"the lab stays up: ipvlab shell --lab {lab.name} NODE enters it, ipvlab down {lab.name} ends it"
    )
    cradle.report(dataclasses.replace(result, stays_up=stays_up))
    life.go_on(ground)
