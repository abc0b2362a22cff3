"""A file made ready to run: loaded, checked, parsed, and dry-run; nothing is built before all of it holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ipvlab.run.directory import Naming
from ipvlab.run.dry_run import DryRun
from ipvlab.run.stages import Stage, lay_out
from ipvlab.spec.check import check_scenario
from ipvlab.spec.load import LoadedScenario, load_scenario
from ipvlab.spec.model import Scenario
from ipvlab.spec.values import Mode


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario of which everything is known that can be known without a machine."""

    loaded: LoadedScenario
    beginning: Stage
    steps: tuple[Stage, ...]
    naming: Naming
    warnings: tuple[str, ...]
    #: The modes that its networks use, for notes on what a datapath does differently.
    modes: frozenset[Mode]

    @property
    def path(self) -> str:
        """The file."""
        return self.loaded.path

    @property
    def scenario(self) -> Scenario:
        """The scenario as written."""
        return self.loaded.scenario


def prepare(path: Path) -> Prepared:
    """Load, check and dry-run one scenario file.

    Raises :class:`SpecError` or :class:`DriverRefusal` with the position of
    what is wrong; a *command line* that Docker refuses is no such error but a
    verdict of the run.
    """
    return prepare_loaded(load_scenario(path))


def prepare_loaded(loaded: LoadedScenario) -> Prepared:
    """Check and dry-run a scenario that is loaded, from a file or not; raises as :func:`prepare`."""
    check_scenario(loaded)
    beginning, steps = lay_out(loaded)
    dry_run = DryRun(loaded)
    dry_run.build()
    dry_run.go_through(beginning)
    warnings = find_warnings(dry_run)
    modes = _modes(dry_run)
    for step in steps:
        dry_run.go_through(step)
        modes |= _modes(dry_run)
    return Prepared(loaded, beginning, steps, dry_run.naming(), warnings, frozenset(modes))


def _modes(dry_run: DryRun) -> set[Mode]:
    return {
        network.options.mode for engine in dry_run.engines.values() for network in engine.networks.values()
    }


def find_warnings(dry_run: DryRun) -> tuple[str, ...]:
    """What is allowed, and probably not meant."""
    warnings: list[str] = []
    for host, engine in dry_run.engines.items():
        for network in engine.networks.values():
            link = dry_run.lab.nodes[host].links.get(network.parent.link)
            if link is None or network.options.mode is Mode.L2:
                continue
            held = [address.network for address in link.addresses]
            warnings += [
                f"{host}: network {network.name} ({network.options.mode}) uses {pool.subnet}, "
                f"a subnet of its parent {link.name}; routed modes want a subnet of their own"
                for pool in network.pools
                if any(pool.subnet.version == other.version and pool.subnet.overlaps(other) for other in held)
            ]
    return tuple(warnings)
