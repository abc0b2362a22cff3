"""Command lines of a scenario, carried out through the port of an implementation under test."""

from __future__ import annotations

from collections.abc import Callable

from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.grammar import (
    ContainerRemove,
    ContainerRun,
    DockerCommand,
    NetworkCreate,
    NetworkRemove,
)
from ipvlab.driver.ip_grammar import Exit, RestartDocker
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, NetworkRequest
from ipvlab.driver.session import Command
from ipvlab.errors import DriverRefusal, FeatureMissing, KernelRefusal
from ipvlab.implementations.port import Port


class PortOperator:
    """An :class:`ipvlab.run.operator.Operator` on a :class:`Port`."""

    def __init__(self, port: Port) -> None:
        self._port = port

    def start_host(self, host: str) -> None:
        """Start the implementation on a host that has been built."""
        self._port.start(host)

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network on a host."""
        self._port.create_network(host, request)

    def run_container(self, host: str, request: ContainerRequest) -> None:
        """Start a container on its networks."""
        self._port.attach(host, request)

    def run(self, node: str, command: Command) -> CommandResult:
        """Carry out one command line: networks and containers by the port, links by ipvlab."""
        match command:
            case ClientRefusal():
                return CommandResult(command.exit_code, stderr=f"{command.text}\n")
            case NetworkCreate():
                return _refused(lambda: self._port.create_network(node, command.request))
            case NetworkRemove():
                return _each(command.names, lambda name: self._port.remove_network(node, name))
            case ContainerRun() if command.inner is None:
                return _refused(lambda: self._port.attach(node, command.request), exit_code=125)
            case ContainerRemove():
                return _each(command.names, lambda name: self._port.detach(node, name))
        if isinstance(command, DockerCommand | RestartDocker | Exit):
            raise FeatureMissing("implementations under test are asked for networks and containers only")
        return self._port.ground.carry_out(node, command)


def _refused(act: Callable[[], None], exit_code: int = 1) -> CommandResult:
    try:
        act()
    except (DriverRefusal, KernelRefusal) as refusal:
        return CommandResult(exit_code, stderr=f"{refusal.what}\n")
    return CommandResult(0)


def _each(names: tuple[str, ...], act: Callable[[str], None]) -> CommandResult:
    results = [_refused(lambda name=name: act(name)) for name in names]  # type: ignore[misc]
    return CommandResult(max(r.exit_code for r in results), stderr="".join(r.stderr for r in results))
