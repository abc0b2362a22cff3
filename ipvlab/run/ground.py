"""What a run needs of a lab, live or simulated, and the way to open one.

Nothing here loads Linux: the live ground is imported when it is opened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from ipvlab.driver.engine import Engine
from ipvlab.driver.ip_grammar import IpCommand
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.driver.workloads import Workloads
from ipvlab.probe.questions import Observation, Question
from ipvlab.run.directory import Directory, NodeView
from ipvlab.run.doctor import choose_datapath, choose_name
from ipvlab.run.recording import Recording
from ipvlab.run.workloads import Interpret
from ipvlab.spec.model import HostSpec, RouterSpec, Wire
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Address, Family, Interface


class Place(NodeView, Protocol):
    """A node as the handles of a lab show it."""

    def addresses(self, family: Family | None = None) -> Iterator[Interface]:
        """Its addresses in the order they were given, link-local ones left out."""


class ProbedGround(Protocol):
    """A lab that can be built, given commands, asked and read."""

    @property
    def lock(self) -> threading.RLock:
        """Held around decisions and the lab's work, never while a program is waited for."""

    @property
    def nodes(self) -> Mapping[str, Place]:
        """The nodes that exist now."""

    @property
    def directory(self) -> Directory:
        """The nodes by every name that may be written for them."""

    def add_topology(
        self, wires: Mapping[str, Wire], hosts: Mapping[str, HostSpec], routers: Mapping[str, RouterSpec]
    ) -> None:
        """Build wires, hosts and routers, all at once."""

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> HostPort:
        """What the host's engine acts on."""

    def serve_names(self, engine: Engine) -> None:
        """Answer name queries of the host's containers with what its engine knows."""

    def workloads(self, engine: Engine, interpret: Interpret, is_closed: Callable[[], bool]) -> Workloads:
        """What runs in the containers of an engine's host.

        ``interpret`` carries out a command of the closed grammar in a container;
        while ``is_closed()`` nothing else may be run.
        """

    def follow_join(self, engine: Engine, container: str) -> None:
        """Bring up to date what depends on a container's networks; ``container`` is its id."""

    def container_name(self, host: str, container: str) -> str:
        """The lab's own name for a host's container."""

    def carry_out(self, node: str, command: IpCommand) -> CommandResult:
        """Carry out an ``ip`` or ``ping`` command inside a node."""

    def run_program(
        self,
        node: str,
        argv: Sequence[str],
        engine: Engine | None,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> CommandResult:
        """Run a real program inside a node; raises :class:`LabError` where it cannot be started."""

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """Put questions to the prober, all together."""

    def read_routes(self, node: str, version: Literal[4, 6]) -> list[RouteText]:
        """The main table's routes of a node."""

    def read_addresses(self, node: str) -> Mapping[str, Sequence[Interface]]:
        """The addresses of every link of a node."""

    def read_links(self, node: str) -> list[str]:
        """The names of a node's links."""

    def resolve(self, node: str, name: str) -> list[Address]:
        """What a name means inside a node."""

    def record(self) -> Recording:
        """Capture everything that passes from now on; to be called while the lab is empty."""

    def end_recording(self) -> None:
        """Capture nothing any more."""

    def forget_gone(self) -> None:
        """Let go of what belongs to nodes that are gone."""

    def close(self) -> None:
        """End the lab; nothing of it is left."""


def open_ground(datapath: str, name: str, container_name: Callable[[str, str], str]) -> ProbedGround:
    """An empty lab on a datapath; raises :class:`EnvironmentUnfit` as :func:`choose_name` does."""
    chosen, _ = choose_name(datapath)
    if chosen == "sim":
        from ipvlab.run.sim import SimGround

        return SimGround(name, container_name)
    from ipvlab.run.live import LiveGround

    return LiveGround(name, choose_datapath(datapath)[0], container_name)
