"""ipvlab itself as an implementation under test: its Docker driver on each of its datapaths."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping

from ipvlab import __version__
from ipvlab.driver.api_json import network_json
from ipvlab.driver.requests import ContainerRequest, NetworkRequest
from ipvlab.implementations.port import About, Feature
from ipvlab.run.console import Console
from ipvlab.run.ground import ProbedGround, open_ground
from ipvlab.spec.values import Dialect

DATAPATHS = ("sim", "bpf", "kernel")


class OwnPort:
    """One lab of ipvlab."""

    def __init__(self, ground: ProbedGround) -> None:
        self._ground = ground
        self._console = Console(ground, Dialect.DOCS)

    @property
    def ground(self) -> ProbedGround:
        """The lab."""
        return self._ground

    def start(self, host: str) -> None:
        """Start a host's Docker."""
        self._ground.serve_names(self._console.add_host(host))

    def create_network(self, host: str, request: NetworkRequest) -> None:
        """Create a network on a host."""
        self._console.hosts[host].create_network(request)

    def remove_network(self, host: str, network: str) -> None:
        """Remove a network of a host."""
        self._console.hosts[host].remove_network(network)

    def attach(self, host: str, request: ContainerRequest) -> None:
        """Start a container on its networks."""
        self._console.hosts[host].run(request)

    def detach(self, host: str, container: str) -> None:
        """Remove a container and its endpoints."""
        self._console.hosts[host].remove(container, force=True)
        self._ground.forget_gone()

    def inspect(self, host: str, network: str) -> Mapping[str, object]:
        """The network as ``docker network inspect`` shows it."""
        engine = self._console.hosts[host].engine
        return network_json(engine.inspect_network(network), engine, with_containers=True)

    def close(self) -> None:
        """End the lab."""
        self._ground.close()


class OwnImplementation:
    """ipvlab on one datapath; it offers everything."""

    def __init__(self, datapath: str) -> None:
        self.name = datapath
        missing = {Feature.TRAFFIC} if datapath == "sim" else set()
        self.features = frozenset(set(Feature) - missing)

    def about(self) -> About:
        """This version of ipvlab, on this kernel."""
        kernel = "none" if self.name == "sim" else platform.release()
        return About(self.name, __version__, kernel, organization="ipvlab")

    def open(self, name: str, container_name: Callable[[str, str], str]) -> OwnPort:
        """An empty lab; raises :class:`EnvironmentUnfit` where the datapath cannot work."""
        return OwnPort(open_ground(self.name, name, container_name))
