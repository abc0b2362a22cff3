"""A scenario played on the simulated lab, up to any of its steps: what explanations are made from."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ipvlab.driver.requests import container_request, network_request
from ipvlab.errors import IpvlabError, ValueInvalid
from ipvlab.run.console import Console
from ipvlab.run.prepare import Prepared
from ipvlab.run.sim import SimGround
from ipvlab.run.stages import Stage


def stages_of(prepared: Prepared) -> tuple[Stage, ...]:
    """The beginning and the steps, in order."""
    return (prepared.beginning, *prepared.steps)


def replay(prepared: Prepared, steps: int = 0) -> SimGround:
    """The lab of a scenario after its beginning and so many of its steps, simulated.

    Lines that fail are passed over, as a run goes on after them. Raises
    :class:`ValueInvalid` for more steps than there are, and what the driver
    refuses to build.
    """
    if not 0 <= steps <= len(prepared.steps):
        raise ValueInvalid(
            f"the scenario has {len(prepared.steps)} steps, not {steps}",
            hint="0 is the lab before the first step",
        )
    scenario = prepared.scenario
    ground = SimGround(scenario.name, prepared.naming.display)
    console = Console(ground, scenario.dialect)
    ground.add_topology(scenario.wires, scenario.hosts, scenario.routers)
    for host, spec in scenario.hosts.items():
        engine = console.add_host(host)
        ground.serve_names(engine)
        for name, network in spec.networks.items():
            engine.create_network(network_request(name, network))
        for name, container in spec.containers.items():
            engine.run_container(container_request(name, container))
    _type(ground, console, stages_of(prepared)[: steps + 1])
    return ground


def _type(ground: SimGround, console: Console, stages: Sequence[Stage]) -> None:
    for stage in stages:
        for line in stage.lines:
            with contextlib.suppress(IpvlabError):
                node = ground.directory.find(line.node, line.where)
                console.run(node.name, line.parsed.command)
