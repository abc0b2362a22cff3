"""A lab by hand: what scenario files say, as Python says it.

::

    with Lab() as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 db_net")
        c1 = h1.container("c1", network="db_net")
        assert not c1.reaches(h1)

What is declared is built in bulk at the first command or probe, or by
:meth:`Lab.up`. Leaving the ``with`` tears everything down.

Containers of a live lab run any program of the machine::

    h1.docker("run -d --net db_net --name web alpine python3 -m http.server 80")
    c1.execute(["wget", "-qO-", "http://web/"])  # a program in a node, waited for
    h1.docker("exec web sh -c 'ps; ls /tmp'")  # a program beside the main one
    h1.docker("exec web ip route")  # interpreted, as in scenario files
    h1.docker("logs web")
    h1.docker("rm -f web")

A container that only waits (``alpine``, ``sh``, ``sleep``, ``tail -f``) has no process
until somebody attaches to it. On ``sim``, ``ip`` and ``ping`` are interpreted and other
programs refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest
from ipvlab.driver.session import parse_command
from ipvlab.errors import LabError, NameTaken, NodeNotFound
from ipvlab.run.console import Console
from ipvlab.run.ground import Place, ProbedGround, open_ground
from ipvlab.run.handles import LabContainer, LabHost, LabNode, LabRouter
from ipvlab.spec.model import HostSpec, InterfaceSpec, Port, RouterSpec, Wire
from ipvlab.spec.values import Dialect


class LabWire:
    """An Ethernet segment that interfaces plug into."""

    def __init__(self, name: str) -> None:
        self.name = name

    def port(
        self,
        *addresses: str,
        mac: str | None = None,
        access: int | None = None,
        trunk: Sequence[int] | None = None,
        native: int | None = None,
        hairpin: bool = False,
    ) -> InterfaceSpec:
        """An interface on this wire, with its addresses (``192.168.1.250/24``).

        ``access``, ``trunk``, ``native`` and ``hairpin`` make the wire a switch
        with that kind of port. Raises ValueError for an address, MAC or VLAN id
        that is none.
        """
        is_plain = access is None and trunk is None and native is None and not hairpin
        port = Port(
            access=access, trunk=None if trunk is None else tuple(trunk), native=native, hairpin=hairpin
        )
        return InterfaceSpec(
            wire=self.name,
            addresses=tuple(ipaddress.ip_interface(address) for address in addresses),
            mac=mac,
            port=None if is_plain else port,
        )


class Lab:
    """Hosts, routers, wires and containers that exist for as long as the ``with``.

    Raises :class:`EnvironmentUnfit` at the first build where the datapath cannot
    work here.
    """

    def __init__(self, datapath: str = "auto", dialect: str = "docs", *, name: str = "lab") -> None:
        self.name = name
        self.dialect = Dialect(dialect)
        self._datapath = datapath
        self._wires: dict[str, Wire] = {}
        self._handles: dict[str, LabNode] = {}
        self._new_hosts: dict[str, HostSpec] = {}
        self._new_routers: dict[str, RouterSpec] = {}
        self._new_containers: list[tuple[LabContainer, ContainerRequest]] = []
        #: (host, container) -> the lab's name for it, bare for whoever came first.
        self._container_names: dict[tuple[str, str], str] = {}
        self._ground: ProbedGround | None = None
        self._console: Console | None = None
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wire(self, name: str) -> LabWire:
        """Declare a wire; raises :class:`NameTaken` for one that is there already."""
        if name in self._wires:
            raise NameTaken(f"the lab has a wire {name!r} already")
        self._wires[name] = Wire()
        return LabWire(name)

    def host(self, name: str, **interfaces: InterfaceSpec) -> LabHost:
        """Declare a host with Docker and its interfaces; raises :class:`NameTaken`."""
        self._claim(name)
        self._new_hosts[name] = HostSpec(interfaces=interfaces)
        host = LabHost(self, name)
        self._handles[name] = host
        return host

    def router(self, name: str, **interfaces: InterfaceSpec) -> LabRouter:
        """Declare a router, which forwards, and its interfaces; raises :class:`NameTaken`."""
        self._claim(name)
        self._new_routers[name] = RouterSpec(interfaces=interfaces)
        router = LabRouter(self, name)
        self._handles[name] = router
        return router

    def _claim(self, name: str) -> None:
        if name in self._handles or name in self._container_names.values():
            raise NameTaken(f"the lab has a node {name!r} already")

    def declare_container(self, host: LabHost, request: ContainerRequest) -> LabContainer:
        """Declare a container of a host; :meth:`LabHost.container` is the way to it."""
        assert request.name is not None
        if (host.name, request.name) in self._container_names:
            raise NameTaken(f"{host.name} has a container {request.name!r} already")
        container = LabContainer(self, self.container_name(host.name, request.name), host)
        self._handles[container.name] = container
        self._new_containers.append((container, request))
        return container

    def container_name(self, host: str, container: str) -> str:
        """The lab's own name for a container: bare, or ``host/name`` where the bare one is taken."""
        known = self._container_names.get((host, container))
        if known is not None:
            return known
        is_taken = container in self._handles or container in self._container_names.values()
        name = f"{host}/{container}" if is_taken else container
        self._container_names[host, container] = name
        return name

    def node(self, name: str) -> LabNode:
        """The node of that name, a container that ``docker run`` started included.

        Raises :class:`NodeNotFound`.
        """
        self.up()
        return self.handle_of(self._ground_up().directory.find(name).name)

    def handle_of(self, name: str) -> LabNode:
        """The handle of a node by the lab's own name for it."""
        if name not in self._handles:
            live = self.live(name)
            host = self._handles.get(live.host or "")
            if not isinstance(host, LabHost):
                raise NodeNotFound(f"there is no node {name!r}")
            self._handles[name] = LabContainer(self, name, host)
        return self._handles[name]

    def live(self, name: str) -> Place:
        """The live node of that name; raises :class:`NodeNotFound` for one that is gone."""
        self.up()
        node = self._ground_up().nodes.get(name)
        if node is None:
            raise NodeNotFound(f"the node {name!r} does not exist (any more)")
        return node

    def up(self) -> None:
        """Build what has been declared and not yet built: hosts and routers, then containers, in order.

        Raises :class:`DriverRefusal` at the container that the driver refuses.
        """
        ground = self._ground_up()
        console = self._console
        assert console is not None
        if self._new_hosts or self._new_routers:
            hosts, routers = self._new_hosts, self._new_routers
            self._new_hosts, self._new_routers = {}, {}
            ground.add_topology(self._wires, hosts, routers)
            for host in hosts:
                ground.serve_names(console.add_host(host))
        while self._new_containers:
            container, request = self._new_containers.pop(0)
            try:
                with ground.lock:
                    console.engines[container.host.name].run_container(request)
            except BaseException:
                self._handles.pop(container.name, None)
                self._container_names.pop((container.host.name, request.name or ""), None)
                raise

    def docker_host(self, host: str) -> DockerHost:
        """The Docker of a host: its engine, and what runs in its containers; raises KeyError for no host."""
        self.up()
        assert self._console is not None
        return self._console.hosts[host]

    def ground(self) -> ProbedGround:
        """The live lab, with everything built that has been declared."""
        self.up()
        return self._ground_up()

    def type(self, node: str, text: str) -> CommandResult:
        """Carry out one command line on a node: of the closed grammar, or Docker's with any program.

        Raises :class:`CommandUnknown` for a line outside of both; a command that
        fails says so in its result.
        """
        command = parse_command(text, allows_programs=True, dialect=self.dialect)
        ground = self.ground()
        assert self._console is not None
        try:
            return self._console.run(node, command)
        finally:
            ground.forget_gone()
            for gone in [key for key, name in self._container_names.items() if name not in ground.nodes]:
                self._handles.pop(self._container_names.pop(gone), None)

    def run_program(
        self, node: str, argv: Sequence[str], env: Mapping[str, str] | None, stdin: bytes | None
    ) -> CommandResult:
        """Run a real program inside a node, with the /etc files of its engine; as :meth:`LabNode.execute`."""
        place = self.live(node)
        assert self._console is not None
        engine = self._console.engines[place.host] if place.host is not None else None
        return self.ground().run_program(node, argv, engine, env=env, stdin=stdin)

    def close(self) -> None:
        """Tear everything down; safe to call twice."""
        self._is_closed = True
        ground, self._ground = self._ground, None
        if ground is not None:
            ground.close()

    def _ground_up(self) -> ProbedGround:
        if self._is_closed:
            raise LabError("the lab is closed", hint="declare a new one: with Lab() as lab: …")
        if self._ground is None:
            self._ground = open_ground(self._datapath, self.name, self.container_name)
            self._console = Console(self._ground, self.dialect, is_closed=False)
        return self._ground
