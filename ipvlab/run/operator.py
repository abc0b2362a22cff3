"""Who makes networks and containers on the hosts of a lab: ipvlab's own driver, or somebody else's."""

from __future__ import annotations

from typing import Protocol

from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, NetworkRequest
from ipvlab.driver.session import Command


class Operator(Protocol):
    """What a scenario asks of whoever runs the hosts of its lab.

    Refusals are :class:`ipvlab.errors.DriverRefusal`; what is not offered at all is
    :class:`ipvlab.errors.FeatureMissing`.
    """

    def start_host(self, host: str) -> None:
        """Start the implementation on a host that has been built."""

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network on a host."""

    def run_container(self, host: str, request: ContainerRequest) -> None:
        """Start a container on its networks."""

    def run(self, node: str, command: Command) -> CommandResult:
        """Carry out one command line typed on a node; what is refused is in the result."""
