"""Command lines on the nodes of a lab, live or recorded: whose they are, and who carries them out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from ipvlab.driver.commands import execute
from ipvlab.driver.docker_host import ContainerEvent, DockerHost
from ipvlab.driver.engine import Engine
from ipvlab.driver.grammar import DockerCommand
from ipvlab.driver.ip_grammar import Exit, IpCommand, RestartDocker, parse_ip
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.driver.requests import ContainerRequest, NetworkRequest
from ipvlab.driver.session import Command, Session
from ipvlab.driver.store import Store
from ipvlab.driver.workloads import Workloads
from ipvlab.errors import CommandUnknown, DriverRefusal
from ipvlab.run.workloads import Interpret
from ipvlab.spec.values import Dialect

if TYPE_CHECKING:
    from ipvlab.driver.state import Container


class Ground(Protocol):
    """What command lines act on: a live lab, or one in memory."""

    @property
    def lock(self) -> threading.RLock:
        """Held around decisions and the lab's work, never while a program is waited for."""

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> HostPort:
        """What the host's engine acts on; ``execute`` interprets a command in one of its containers."""

    def workloads(self, engine: Engine, interpret: Interpret, is_closed: Callable[[], bool]) -> Workloads:
        """What runs in the containers of an engine's host; see :class:`ipvlab.run.ground.ProbedGround`."""

    def follow_join(self, engine: Engine, container: str) -> None:
        """Bring up to date what depends on a container's networks; ``container`` is its id."""

    def serve_names(self, engine: Engine) -> None:
        """Answer name queries of the host's containers with what its engine knows."""

    def container_name(self, host: str, container: str) -> str:
        """The lab's own name for a host's container."""

    def carry_out(self, node: str, command: IpCommand) -> CommandResult:
        """Carry out an ``ip`` or ``ping`` command inside a node."""


class Console:
    """The Docker of each of a lab's hosts, and for each host a terminal."""

    def __init__(
        self,
        ground: Ground,
        dialect: Dialect,
        *,
        is_closed: bool = True,
        store_of: Callable[[str], Store] | None = None,
    ) -> None:
        """``is_closed`` keeps containers to commands that every datapath can interpret, as in scenarios.

        ``store_of`` gives each host's engine a place for its state; without one it is kept in memory.
        """
        self._store_of = store_of
        self._ground = ground
        self._dialect = dialect
        #: May be opened once a scenario stands and people go on by hand.
        self.is_closed = is_closed
        self.hosts: dict[str, DockerHost] = {}
        self._sessions: dict[str, Session] = {}

    @property
    def engines(self) -> dict[str, Engine]:
        """Each host's engine."""
        return {name: host.engine for name, host in self.hosts.items()}

    def add_host(self, host: str) -> Engine:
        """Start a host's Docker."""

        def execute_in(container: str, argv: Sequence[str]) -> CommandResult:
            return self._execute_in(host, container, argv)

        def interpret(container: Container, command: IpCommand) -> CommandResult:
            with self._ground.lock:
                name = self._ground.container_name(host, container.name)
                return self._ground.carry_out(name, command)

        port = self._ground.host_port(host, execute_in)
        store = self._store_of(host) if self._store_of is not None else None
        engine = Engine(host, port, self._dialect, store=store)
        workloads = self._ground.workloads(engine, interpret, lambda: self.is_closed)
        docker = self.hosts[host] = DockerHost(engine, workloads, self._ground.lock)
        docker.listen(lambda event: self._follow(engine, event))
        self._sessions[host] = Session(engine, self.hosts[host].stop)
        return engine

    def start_host(self, host: str) -> None:
        """Start a host's Docker, its names included."""
        self._ground.serve_names(self.add_host(host))

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network on a host."""
        self.hosts[host].create_network(request)

    def run_container(self, host: str, request: ContainerRequest) -> None:
        """Start a container on its networks."""
        self.hosts[host].run(request)

    def _follow(self, engine: Engine, event: ContainerEvent) -> None:
        if event.kind == "network" and event.action in {"connect", "disconnect"}:
            self._ground.follow_join(engine, event.attributes["container"])

    def run(self, node: str, command: Command) -> CommandResult:
        """Carry out one command line typed on a node.

        On a host a line that is neither ``docker`` nor ``ip link`` goes to the
        container that was entered last with ``-it``.
        """
        session = self._sessions.get(node)
        if session is None:
            return self._run_on_machine(node, command)
        container = session.place(command)
        if isinstance(command, Exit):
            return session.leave()
        if isinstance(command, DockerCommand):
            result = execute(self.hosts[node], command)
        elif isinstance(command, RestartDocker):
            result = self._restart_docker(node)
        elif container is not None:
            result = self._carry_out(self._ground.container_name(node, container), command)
        else:
            result = self._carry_out(node, command)
        session.settle(command, result)
        return result

    def _restart_docker(self, host: str) -> CommandResult:
        try:
            self.hosts[host].restart_engine()
        except DriverRefusal as refusal:
            return CommandResult(1, stderr=f"restart docker: {refusal.what}\n")
        return CommandResult(0)

    def _run_on_machine(self, node: str, command: Command) -> CommandResult:
        """A line on a router or in a container, where no engine runs."""
        if isinstance(command, DockerCommand | RestartDocker):
            return CommandResult(127, stderr=f"docker: command not found on {node}\n")
        if isinstance(command, Exit):
            return CommandResult(0)
        return self._carry_out(node, command)

    def _carry_out(self, node: str, command: IpCommand) -> CommandResult:
        with self._ground.lock:
            return self._ground.carry_out(node, command)

    def _execute_in(self, host: str, container: str, argv: Sequence[str]) -> CommandResult:
        """What an engine's ``exec`` and ``run … IMAGE COMMAND`` come to."""
        try:
            command = parse_ip(argv)
        except CommandUnknown as unknown:
            return CommandResult(127, stderr=f"{unknown.what}\n")
        if isinstance(command, Exit | RestartDocker):
            return CommandResult(0)
        return self._carry_out(self._ground.container_name(host, container), command)
