"""A run without a machine: the same driver, the same lines, on a lab in memory.

It finds before anything is built what the driver will refuse, which nodes there
will be and what they will be called, and which expectations ask for the impossible.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from ipvlab.driver.engine import Engine
from ipvlab.driver.ip_grammar import IpCommand
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.driver.requests import container_request, network_request
from ipvlab.errors import DriverRefusal, KernelRefusal, Position
from ipvlab.run.console import Console
from ipvlab.run.directory import Directory, Naming
from ipvlab.run.expand import expand
from ipvlab.run.record import RecordedLab
from ipvlab.run.record_commands import record_command
from ipvlab.run.stages import Stage, forgives
from ipvlab.run.workloads import Interpret, InterpretedWorkloads
from ipvlab.spec.load import LoadedScenario


class RecordGround:
    """A recorded lab as command lines act on it."""

    def __init__(self) -> None:
        # Which bare names are unique shows only at the end, so all are written in full.
        self.lab = RecordedLab(self.container_name)
        self.lock = threading.RLock()

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> HostPort:
        """What the host's engine acts on."""
        return self.lab.host_port(host, execute)

    def workloads(
        self, engine: Engine, interpret: Interpret, is_closed: Callable[[], bool]
    ) -> InterpretedWorkloads:
        """What is interpreted in a host's containers."""
        return InterpretedWorkloads(interpret, engine.clock)

    def follow_join(self, engine: Engine, container: str) -> None:
        """No files depend on a container's networks here."""

    def container_name(self, host: str, container: str) -> str:
        """``host/container``."""
        return f"{host}/{container}"

    def serve_names(self, engine: Engine) -> None:
        """Nobody asks for names in a recorded lab."""

    def carry_out(self, node: str, command: IpCommand) -> CommandResult:
        """Record an ``ip`` command; a ``ping`` is taken to be answered."""
        if node not in self.lab.nodes:
            return CommandResult(1, stderr=f"there is no node {node}\n")
        return record_command(self.lab, self.lab.nodes[node], command)


class DryRun:
    """One scenario on a lab in memory."""

    def __init__(self, loaded: LoadedScenario) -> None:
        self._loaded = loaded
        self.ground = RecordGround()
        self.console = Console(self.ground, loaded.scenario.dialect)
        #: Whether a line failed that no expectation says must fail: what follows may be amiss then.
        self.has_failed = False

    @property
    def lab(self) -> RecordedLab:
        """The nodes that exist at this point."""
        return self.ground.lab

    @property
    def engines(self) -> dict[str, Engine]:
        """Each host's engine."""
        return self.console.engines

    def build(self) -> None:
        """Everything but command lines; raises at the network or container that the driver refuses."""
        scenario = self._loaded.scenario
        self.lab.add_topology(scenario.hosts, scenario.routers)
        for host, spec in scenario.hosts.items():
            engine = self.console.add_host(host)
            for name, network in spec.networks.items():
                with self._refusals_at("hosts", host, "networks", name):
                    engine.create_network(network_request(name, network))
            for name, container in spec.containers.items():
                with self._refusals_at("hosts", host, "containers", name):
                    engine.run_container(container_request(name, container))

    @contextlib.contextmanager
    def _refusals_at(self, *keys: str) -> Iterator[None]:
        """Give what the driver refuses the place in the file that asks for it."""
        try:
            yield
        except DriverRefusal as refusal:
            refusal.where = self._loaded.key_position(*keys)
            raise
        except KernelRefusal as refusal:
            raise DriverRefusal(refusal.what, where=self._loaded.key_position(*keys)) from refusal

    def go_through(self, stage: Stage) -> None:
        """Carry out a stage's lines, and see whether its expectations can be asked at all.

        Raises :class:`NodeNotFound`, :class:`FamilyMissing` and the like at
        the expectation; not after a line failed, which is then the thing to see.
        """
        for line in stage.lines:
            result = self.console.run(self._node_name(line.node, line.where), line.parsed.command)
            if result.exit_code != 0 and not forgives(stage, line):
                self.has_failed = True
        for claimed in stage.claims:
            if not self.has_failed:
                expand(claimed.expectation, claimed.id, Directory(self.lab.nodes), claimed.where)
            if claimed.line is not None:
                name = self._node_name(claimed.line.node, claimed.line.where)
                self.console.run(name, claimed.line.parsed.command)

    def _node_name(self, written: str, where: Position) -> str:
        if self.has_failed and written not in self.lab.nodes:
            return written
        return Directory(self.lab.nodes).find(written, where).name

    def naming(self) -> Naming:
        """What containers are called, once all that will ever exist have been seen."""
        scenario = self._loaded.scenario
        return Naming([*scenario.hosts, *scenario.routers], self.lab.containers)
