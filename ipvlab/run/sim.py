"""A simulated lab as command lines and checks use it; the counterpart of :mod:`ipvlab.run.live`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ipvlab.datapath.sim.machine import Machine
from ipvlab.driver.engine import Engine
from ipvlab.driver.ip_grammar import IpCommand, Ping
from ipvlab.driver.names import NameAnswer, lookup
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.errors import LabError
from ipvlab.lab import sim_tables
from ipvlab.lab.sim_iproute import carry_out
from ipvlab.lab.sim_lab import SimLab
from ipvlab.probe.marks import Marker
from ipvlab.probe.questions import Observation, Question
from ipvlab.probe.sim import Account, SimProber
from ipvlab.probe.sim_recorder import SimRecorder, WitnessedWorld
from ipvlab.run.directory import Directory
from ipvlab.run.pings import ping
from ipvlab.run.recording import Recording
from ipvlab.run.workloads import Interpret, InterpretedWorkloads
from ipvlab.spec.model import HostSpec, RouterSpec, Wire
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Address, Interface

#: In the marks of simulated probes: a capture of the same scenario has the same bytes each time.
_NONCE = b"sim0"


class SimGround:
    """One simulated lab: no namespace, no privilege, no Linux."""

    def __init__(self, name: str, container_name: Callable[[str, str], str]) -> None:
        self._container_name = container_name
        self.lab = SimLab(name, container_name)
        self._prober = SimProber(self.lab.world)
        self._recording: Recording | None = None
        self._batches = 0
        #: Held around decisions and the lab's work.
        self.lock = threading.RLock()

    @property
    def nodes(self) -> Mapping[str, Machine]:
        """The machines that exist now."""
        return self.lab.nodes

    @property
    def directory(self) -> Directory:
        """The machines by every name that may be written for them."""
        return Directory(self.lab.nodes)

    def add_topology(
        self, wires: Mapping[str, Wire], hosts: Mapping[str, HostSpec], routers: Mapping[str, RouterSpec]
    ) -> None:
        """Build wires, hosts and routers, all at once."""
        self.lab.add_topology(wires, hosts, routers)

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> HostPort:
        """What the host's engine acts on."""
        return self.lab.host_port(host, execute)

    def serve_names(self, engine: Engine) -> None:
        """Answer name queries of the host's containers with what its engine knows."""

        def answer(container: str, qname: str, rrtype: str) -> NameAnswer:
            return lookup(engine, container, qname, rrtype)

        self.lab.start_resolver(engine.host, answer)

    def container_name(self, host: str, container: str) -> str:
        """The lab's own name for a host's container."""
        return self._container_name(host, container)

    def carry_out(self, node: str, command: IpCommand) -> CommandResult:
        """Carry out an ``ip`` or ``ping`` command inside a machine."""
        machine = self.lab.nodes[node]
        if isinstance(command, Ping):
            return ping(
                machine,
                command,
                self.directory,
                self,
                lambda name, types: self.lab.resolve(machine, name, types),
            )
        return carry_out(self.lab, machine, command)

    def workloads(
        self, engine: Engine, interpret: Interpret, is_closed: Callable[[], bool]
    ) -> InterpretedWorkloads:
        """What is interpreted in a host's containers; no program runs."""
        return InterpretedWorkloads(interpret, engine.clock)

    def follow_join(self, engine: Engine, container: str) -> None:
        """No files depend on a container's networks here."""

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """Put questions to the prober."""
        prober, recording = self._prober, self._recording
        if recording is None:
            return prober.answer(questions)
        self._batches += 1
        return recording.watch(
            questions, lambda: prober.answer(questions), lambda: self._batches, self.lab.nodes
        )

    def record(self) -> Recording:
        """Capture everything that passes in the lab; to be called while it is empty."""
        if self._recording is None:
            if self.lab.nodes:
                raise LabError("a simulated lab is captured from its beginning or not at all")
            world = self.lab.world = WitnessedWorld()
            self._prober = SimProber(world)
            self._recording = Recording(SimRecorder(world, Marker(_NONCE)))
        return self._recording

    def end_recording(self) -> None:
        """Capture nothing any more."""
        if self._recording is not None:
            self._recording.recorder.close()
        self._recording = None

    def account(self, question: Question) -> Account:
        """Put one question to the prober and get every step that led to the observation."""
        return self._prober.account(question)

    def read_routes(self, node: str, version: Literal[4, 6]) -> list[RouteText]:
        """The main table's routes of a node."""
        return sim_tables.read_routes(self.lab.nodes[node], version)

    def read_addresses(self, node: str) -> dict[str, list[Interface]]:
        """The addresses of every link of a node."""
        return sim_tables.read_addresses(self.lab.nodes[node])

    def read_links(self, node: str) -> list[str]:
        """The names of a node's links."""
        return sim_tables.read_links(self.lab.nodes[node])

    def resolve(self, node: str, name: str) -> list[Address]:
        """What a name means inside a node."""
        return self.lab.resolve(self.lab.nodes[node], name)

    def run_program(
        self,
        node: str,
        argv: Sequence[str],
        engine: Engine | None,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> CommandResult:
        """A simulated machine runs no real program; raises :class:`LabError` that says so."""
        raise LabError(
            f"{node} is simulated, and {argv[0] if argv else 'a program'} needs a real machine",
            hint="use the bpf or kernel datapath to run programs inside a lab",
        )

    def forget_gone(self) -> None:
        """Nothing outlives its node here."""

    def close(self) -> None:
        """End the lab."""
        self.lab.close()
