"""Command lines on the nodes of a lab, live or recorded: whose they are, and who carries them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ipvlab.driver.commands import execute
from ipvlab.driver.engine import Engine
from ipvlab.driver.grammar import DockerCommand
from ipvlab.driver.ip_grammar import Exit, IpCommand, RestartDocker, parse_ip
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.driver.session import Command, Session
from ipvlab.errors import CommandUnknown
from ipvlab.spec.values import Dialect


class Ground(Protocol):
    """What command lines act on: a live lab, or one in memory."""

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> HostPort:
        """What the host's engine acts on; ``execute`` interprets a command in one of its containers."""

    def container_name(self, host: str, container: str) -> str:
        """The lab's own name for a host's container."""

    def carry_out(self, node: str, command: IpCommand) -> CommandResult:
        """Carry out an ``ip`` or ``ping`` command inside a node."""


class Console:
    """The engines of a lab's hosts, and for each host a terminal."""

    def __init__(self, ground: Ground, dialect: Dialect) -> None:
        self._ground = ground
        self._dialect = dialect
        self.engines: dict[str, Engine] = {}
        self._sessions: dict[str, Session] = {}

    def add_host(self, host: str) -> Engine:
        """Start a host's engine; raises :class:`DialectUnbuilt` for a dialect without rules."""

        def execute_in(container: str, argv: Sequence[str]) -> CommandResult:
            return self._execute_in(host, container, argv)

        engine = Engine(host, self._ground.host_port(host, execute_in), self._dialect)
        self.engines[host] = engine
        self._sessions[host] = Session(engine)
        return engine

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
            result = execute(self.engines[node], command)
        elif isinstance(command, RestartDocker):
            result = CommandResult(1, stderr="restart docker: not built yet\n")
        elif container is not None:
            result = self._ground.carry_out(self._ground.container_name(node, container), command)
        else:
            result = self._ground.carry_out(node, command)
        session.settle(command, result)
        return result

    def _run_on_machine(self, node: str, command: Command) -> CommandResult:
        """A line on a router or in a container, where no engine runs."""
        if isinstance(command, DockerCommand | RestartDocker):
            return CommandResult(127, stderr=f"docker: command not found on {node}\n")
        if isinstance(command, Exit):
            return CommandResult(0)
        return self._ground.carry_out(node, command)

    def _execute_in(self, host: str, container: str, argv: Sequence[str]) -> CommandResult:
        """What an engine's ``exec`` and ``run … IMAGE COMMAND`` come to."""
        try:
            command = parse_ip(argv)
        except CommandUnknown as unknown:
            return CommandResult(127, stderr=f"{unknown.what}\n")
        if isinstance(command, Exit | RestartDocker):
            return CommandResult(0)
        return self._ground.carry_out(self._ground.container_name(host, container), command)
