"""A host in memory: what the driver asked for, and links and containers as they would then be."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import ipaddress
from collections.abc import Mapping, Sequence

from ipvlab.driver.commands import execute
from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.engine import Engine
from ipvlab.driver.port import CommandResult, EndpointPlan, RoutePlan
from ipvlab.driver.session import parse_command
from ipvlab.driver.state import Container
from ipvlab.driver.workloads import PortWorkloads
from ipvlab.errors import KernelRefusal
from ipvlab.spec.values import Dialect, Subnet


@dataclasses.dataclass
class RecordingPort:
    """Implements HostPort; ``refusing`` names the methods that the machine refuses."""

    links: dict[str, bool] = dataclasses.field(default_factory=lambda: {"lo": True, "eth0": True})
    vlans: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)
    containers: dict[str, dict[str, EndpointPlan]] = dataclasses.field(default_factory=dict)
    hostnames: dict[str, str] = dataclasses.field(default_factory=dict)
    sysctls: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    on_link: tuple[Subnet, ...] = ()
    executed: list[tuple[str, tuple[str, ...]]] = dataclasses.field(default_factory=list)
    refusing: set[str] = dataclasses.field(default_factory=set)
    #: The errno of its refusals.
    refusal: int = errno.EBUSY
    #: How many calls of ``attach`` succeed before ``refusing`` counts for it.
    attaches_allowed: int = 0
    answer: CommandResult = dataclasses.field(default_factory=lambda: CommandResult(0, "pong\n"))

    def has_link(self, name: str) -> bool:
        return name in self.links

    def is_up(self, name: str) -> bool:
        return self.links[name]

    def on_link_subnets(self) -> Sequence[Subnet]:
        return self.on_link

    def add_vlan(self, name: str, base: str, vlan: int) -> None:
        self._refuse("add_vlan")
        assert name not in self.links
        assert base in self.links
        self.links[name] = True
        self.vlans[name] = (base, vlan)

    def add_isolated(self, name: str) -> None:
        self._refuse("add_isolated")
        assert name not in self.links
        assert len(name) == 15
        self.links[name] = True

    def remove_link(self, name: str) -> None:
        self._refuse("remove_link")
        del self.links[name]
        self.vlans.pop(name, None)

    def add_container(self, name: str, hostname: str) -> None:
        self._refuse("add_container")
        assert name not in self.containers
        self.containers[name] = {}
        self.hostnames[name] = hostname

    def remove_container(self, name: str) -> None:
        del self.containers[name]

    def rename_container(self, name: str, new: str) -> None:
        self._refuse("rename_container")
        assert new not in self.containers
        self.containers[new] = self.containers.pop(name)
        self.hostnames[new] = self.hostnames.pop(name)

    def set_sysctls(self, container: str, sysctls: Mapping[str, str]) -> None:
        self._refuse("set_sysctls")
        assert container in self.containers
        self.sysctls.setdefault(container, {}).update(sysctls)

    def change_routes(self, container: str, gone: Sequence[RoutePlan], new: Sequence[RoutePlan]) -> None:
        self._refuse("change_routes")
        for interface, plan in self.containers[container].items():
            kept = [route for route in plan.routes if route not in gone]
            here = [route for route in new if route.dev == interface]
            self.containers[container][interface] = dataclasses.replace(plan, routes=(*kept, *here))

    def attach(self, container: str, endpoint: EndpointPlan) -> None:
        if self.attaches_allowed == 0:
            self._refuse("attach")
        self.attaches_allowed = max(0, self.attaches_allowed - 1)
        assert endpoint.parent in self.links
        assert endpoint.interface not in self.containers[container]
        self.containers[container][endpoint.interface] = endpoint

    def detach(self, container: str, interface: str) -> None:
        del self.containers[container][interface]

    def execute(self, container: str, argv: Sequence[str]) -> CommandResult:
        self._refuse("execute")
        assert container in self.containers
        self.executed.append((container, tuple(argv)))
        return self.answer

    def snapshot(self) -> object:
        """Everything that exists on the machine, as a value to compare."""
        return dict(self.links), dict(self.vlans), {name: dict(c) for name, c in self.containers.items()}

    def _refuse(self, method: str) -> None:
        if method in self.refusing:
            raise KernelRefusal(f"{method} failed", errno=self.refusal)


class Host:
    """An engine on a recording port, driven by command lines."""

    def __init__(self, *links: str, name: str = "h1", dialect: Dialect = Dialect.DOCS) -> None:
        self.port = RecordingPort()
        self.port.links.update(dict.fromkeys(links, True))
        self.now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self.engine = Engine(name, self.port, dialect, clock=lambda: self.now)
        self.docker_host = DockerHost(self.engine, PortWorkloads(self.port.execute, lambda: self.now))

    def docker(self, line: str) -> CommandResult:
        """Carry out ``docker LINE``, whatever becomes of it."""
        command = parse_command(f"docker {line}")
        return execute(self.docker_host, command)  # type: ignore[arg-type]  # the line begins with docker

    def ok(self, line: str) -> str:
        """Carry out ``docker LINE``, which must succeed; its standard output without the last newline."""
        result = self.docker(line)
        assert (result.exit_code, result.stderr) == (0, ""), result
        return result.stdout.rstrip("\n")

    def refused(self, line: str) -> str:
        """The engine's text for ``docker LINE``, which it must refuse without leaving a trace."""
        before = (self.port.snapshot(), self.state())
        known = set(self.engine.containers)
        result = self.docker(line)
        assert result.exit_code in (1, 125), result
        for name in self.engine.containers.keys() - known:
            # A container that did not start stays as created, and its id was printed if it was detached.
            container = self.engine.containers[name]
            assert container.state == "created"
            assert result.stdout in ("", f"{container.id}\n")
            self.ok(f"rm {name}")
            break
        else:
            assert result.stdout == ""
        assert (self.port.snapshot(), self.state()) == before
        text = result.stderr.removeprefix("docker: ")
        assert text.startswith("Error response from daemon: "), text
        text = text.removeprefix("Error response from daemon: ")
        return text.removesuffix("\n").removesuffix("\n\nRun 'docker run --help' for more information")

    def run(self, line: str) -> Container:
        """Start a detached container with ``docker run LINE`` and the image ``alpine``."""
        self.ok(f"run -itd {line} alpine /bin/sh")
        assert self.engine.last_started is not None
        return self.engine.containers[self.engine.last_started]

    def state(self) -> object:
        """Everything that the engine knows and holds, as a value to compare."""
        return (
            {name: sorted(network.endpoints) for name, network in self.engine.networks.items()},
            {name: (c.state, len(c.endpoints)) for name, c in self.engine.containers.items()},
            self.engine.held_addresses(),
        )


def addresses(container: Container) -> list[str]:
    """The addresses that the datapath was told, all interfaces in order, with prefix lengths."""
    return [str(address) for endpoint in container.endpoints for address in endpoint.plan.addresses]


def routes(container: Container) -> list[str]:
    """The routes that the datapath was told, in iproute2's words, IPv4 and IPv6 together."""
    return [
        f"{route.to}{f' via {route.via}' if route.via else ''} dev {route.dev}"
        for endpoint in container.endpoints
        for route in endpoint.plan.routes
    ]


def net(text: str) -> Subnet:
    """A subnet from its text."""
    return ipaddress.ip_network(text)
