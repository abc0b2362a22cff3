"""A live lab as command lines and checks use it: the lab room, the prober and the resolver together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ipvlab.datapath.base import Datapath
from ipvlab.driver.engine import Engine
from ipvlab.driver.ip_grammar import IpCommand, LinkDelete, Ping
from ipvlab.driver.names import NameAnswer, hosts_file, lookup, resolv_conf
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.lab import tables
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.lab.notice import take_note
from ipvlab.lab.processes import NodeFiles, run_command, set_files
from ipvlab.probe.prober import Prober
from ipvlab.probe.questions import Observation, Question
from ipvlab.run.directory import Directory, bare_name
from ipvlab.run.names import resolve
from ipvlab.run.pings import ping
from ipvlab.spec.model import HostSpec, RouterSpec, Wire
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Address, Interface


class LiveGround:
    """One live lab; :meth:`close` leaves nothing of it."""

    def __init__(self, name: str, datapath: Datapath, container_name: Callable[[str, str], str]) -> None:
        self._container_name = container_name
        self.lab = LiveLab(name, datapath, container_name)
        self._taps: list[WireTap] = []
        self._prober: Prober | None = None
        self._known: dict[str, Node] = {}

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes that exist now."""
        return self.lab.nodes

    @property
    def directory(self) -> Directory:
        """The nodes by every name that may be written for them."""
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
        """Carry out an ``ip`` or ``ping`` command inside a node."""
        place = self.lab.nodes[node]
        if isinstance(command, Ping):
            return ping(place, command, self.directory, self, lambda name, types: resolve(place, name, types))
        host = self.lab.nodes[place.host] if place.host is not None else place
        result = carry_out(place, command, self.lab.datapath, host)
        if isinstance(command, LinkDelete):
            self.lab.drop_orphans(host)
        return result

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """Put questions to the prober, all together, once the lab is ready to carry frames."""
        self.lab.await_ready()
        self._taps[:] = self.lab.taps
        if self._prober is None:
            self._prober = Prober(self.lab.nodes, self._taps, self.lab.datapath.held_pump)
        self._known = dict(self.lab.nodes)
        return self._prober.answer(questions)

    def forget_gone(self) -> None:
        """Let go of sockets in nodes that are gone, which would keep their namespaces alive."""
        gone = [name for name, node in self._known.items() if self.lab.nodes.get(name) is not node]
        for name in gone:
            del self._known[name]
            if self._prober is not None:
                self._prober.forget(name)

    def run_program(
        self,
        node: str,
        argv: Sequence[str],
        engine: Engine | None,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> CommandResult:
        """Run a real program inside a node, once the lab is ready, and wait for it.

        It reads the /etc files that ``engine`` would have written for a container.
        Raises :class:`LabError` where the program cannot be started.
        """
        place = self.lab.nodes[node]
        self.lab.await_ready()
        if engine is not None and place.host is not None:
            container = engine.containers[bare_name(place)]
            set_files(place, NodeFiles(hosts_file(container), resolv_conf(), container.hostname))
        if place.kind == "host":
            self.lab.datapath.expect_rules(place.namespace)
        try:
            return run_command(place, argv, env=env, stdin=stdin)
        finally:
            host = self.lab.nodes[place.host] if place.host is not None else place
            take_note(place, self.lab.datapath, host)
            # What it did to netfilter holds before anybody hears that it has ended.
            self.lab.follow()

    def read_routes(self, node: str, version: Literal[4, 6]) -> list[RouteText]:
        """The main table's routes of a node."""
        return tables.read_routes(self.lab.nodes[node].namespace, version)

    def read_addresses(self, node: str) -> dict[str, list[Interface]]:
        """The addresses of every link of a node."""
        return tables.read_addresses(self.lab.nodes[node].namespace)

    def read_links(self, node: str) -> list[str]:
        """The names of a node's links."""
        return tables.read_links(self.lab.nodes[node].namespace)

    def resolve(self, node: str, name: str) -> list[Address]:
        """What a name means inside a node, asked of its own resolver."""
        return resolve(self.lab.nodes[node], name)

    def close(self) -> None:
        """End the lab: sockets first, then namespaces, links and programs."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.lab.close)
            if self._prober is not None:
                stack.callback(self._prober.close)
            self._prober = None
