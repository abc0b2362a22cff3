"""A live lab as command lines and checks use it: the lab room, the prober and the resolver together."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ipvlab.datapath.base import Datapath
from ipvlab.driver.engine import Engine
from ipvlab.driver.ip_grammar import IpCommand, LinkDelete, Ping
from ipvlab.driver.names import NameAnswer, hosts_file, lookup, resolv_conf
from ipvlab.driver.port import CommandResult, HostPort
from ipvlab.driver.resolv_conf import EMPTY, ResolvConf
from ipvlab.lab import tables
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node, WireTap
from ipvlab.lab.notice import take_note
from ipvlab.lab.processes import NodeFiles, run_command, set_files
from ipvlab.lab.program import AtEnd, AtStart, Program
from ipvlab.lab.programs import Programs
from ipvlab.probe.prober import Prober
from ipvlab.probe.questions import Observation, Question
from ipvlab.probe.recorder import LiveRecorder
from ipvlab.run.directory import Directory, bare_name
from ipvlab.run.names import resolve
from ipvlab.run.pings import ping
from ipvlab.run.recording import Recording
from ipvlab.run.workloads import Interpret, LiveWorkloads
from ipvlab.spec.model import HostSpec, RouterSpec, Wire
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Address, Interface

if TYPE_CHECKING:
    from ipvlab.driver.state import Container
    from ipvlab.driver.workloads import ProgramRequest


class LiveGround:
    """One live lab; :meth:`close` leaves nothing of it."""

    def __init__(self, name: str, datapath: Datapath, container_name: Callable[[str, str], str]) -> None:
        self._container_name = container_name
        self.lab = LiveLab(name, datapath, container_name)
        self._taps: list[WireTap] = []
        self._prober: Prober | None = None
        self._recording: Recording | None = None
        self._known: dict[str, Node] = {}
        #: Held around decisions and the kernel's work, never while a program is waited for.
        self.lock = self.lab.lock
        self._programs = Programs()
        self._engines: dict[str, Engine] = {}
        self._running: dict[Program, Node] = {}
        self._is_closing = False
        _allow_many_files()

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
        if self._recording is not None:
            self._recording.recorder.look()

    def host_port(self, host: str, execute: Callable[[str, Sequence[str]], CommandResult]) -> HostPort:
        """What the host's engine acts on."""
        return self.lab.host_port(host, execute)

    def serve_names(self, engine: Engine) -> None:
        """Answer name queries of the host's containers with what its engine knows."""

        def answer(container: str, qname: str, rrtype: str) -> NameAnswer:
            return lookup(engine, container, qname, rrtype, lambda: self._resolv_conf(engine.host))

        self.lab.start_resolver(engine.host, answer)

    def _resolv_conf(self, host: str) -> ResolvConf:
        """What a host's /etc/resolv.conf says now; nothing until something runs there and writes it."""
        sandbox = self.lab.nodes[host].sandbox
        return EMPTY if sandbox is None else ResolvConf.parse(sandbox.read_file("resolv.conf"))

    def container_name(self, host: str, container: str) -> str:
        """The lab's own name for a host's container."""
        return self._container_name(host, container)

    def carry_out(self, node: str, command: IpCommand) -> CommandResult:
        """Carry out an ``ip`` or ``ping`` command inside a node."""
        place = self.lab.nodes[node]
        if isinstance(command, Ping):
            return ping(place, command, self.directory, self, lambda name, types: resolve(place, name, types))
        host = self._host_of(place)
        result = carry_out(place, command, self.lab.datapath, host)
        if isinstance(command, LinkDelete):
            self.lab.drop_orphans(host)
        return result

    def workloads(self, engine: Engine, interpret: Interpret, is_closed: Callable[[], bool]) -> LiveWorkloads:
        """The programs of a host's containers."""
        self._engines[engine.host] = engine
        return LiveWorkloads(self, engine.host, interpret, is_closed)

    def answer(self, questions: Sequence[Question]) -> list[Observation]:
        """Put questions to the prober, all together, once the lab is ready to carry frames."""
        with self.lock:
            return self._answer(questions)

    def _answer(self, questions: Sequence[Question]) -> list[Observation]:
        self.forget_gone()
        recording = self._recording
        for place in {id(node): node for node in list(self._running.values())}.values():
            take_note(place, self.lab.datapath, self._host_of(place))
        self.lab.await_ready()
        prober = self._prober_of_lab()
        self._known = dict(self.lab.nodes)
        if recording is None:
            return prober.answer(questions)
        return recording.watch(
            questions, lambda: prober.answer(questions), lambda: prober.batch, self.lab.nodes
        )

    def _prober_of_lab(self) -> Prober:
        self._taps[:] = self.lab.taps
        if self._prober is None:
            self._prober = Prober(self.lab.nodes, self._taps, self.lab.datapath.held_pump)
        return self._prober

    def record(self) -> Recording:
        """Capture, from now on, everything that passes in the lab."""
        with self.lock:
            if self._recording is None:
                marker = self._prober_of_lab().marker
                recorder = LiveRecorder(self.lab.nodes, lambda: self.lab.taps, marker)
                self._recording = Recording(recorder)
            return self._recording

    def end_recording(self) -> None:
        """Capture nothing any more."""
        with self.lock:
            if self._recording is not None:
                self._recording.recorder.close()
            self._recording = None

    def forget_gone(self) -> None:
        """Let go of sockets in nodes that are gone, which would keep their namespaces alive."""
        gone = [name for name, node in self._known.items() if self.lab.nodes.get(name) is not node]
        for name in gone:
            del self._known[name]
            if self._prober is not None:
                self._prober.forget(name)
        if self._recording is not None:
            self._recording.recorder.forget(list(self.lab.nodes.values()))

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
        self.prepare_program(place, engine)
        try:
            return run_command(place, argv, env=env, stdin=stdin)
        finally:
            self.settle_program(place)

    def prepare_program(self, place: Node, engine: Engine | None) -> None:
        """Make a node ready for a program: links, /etc files, and for a host its netfilter."""
        with self.lock:
            self.lab.await_ready()
            if engine is not None and place.host is not None:
                self._write_files(place, engine, engine.containers[bare_name(place)])
            if place.kind == "host":
                self.lab.datapath.expect_rules(place.namespace)

    def _write_files(self, place: Node, engine: Engine, container: Container) -> None:
        conf = resolv_conf(container, self._resolv_conf(engine.host), engine.row)
        set_files(place, NodeFiles(hosts_file(container, engine.row), conf, container.hostname))

    def follow_join(self, engine: Engine, container: str) -> None:
        """Let the programs that run in a container read of the networks that it has now."""
        with self.lock:
            joined = engine.find_container(container)
            if joined.is_running:
                place = self.lab.container(engine.host, joined.name)
                if place.sandbox is not None:
                    self._write_files(place, engine, joined)

    def settle_program(self, place: Node) -> None:
        """Take note of what a program did to a node's links and netfilter."""
        with self.lock:
            if self.lab.nodes.get(place.name) is not place:
                return
            take_note(place, self.lab.datapath, self._host_of(place))
            # What it did to netfilter holds before anybody hears that it has ended.
            self.lab.follow()

    def _host_of(self, place: Node) -> Node:
        return self.lab.nodes[place.host] if place.host is not None else place

    def start_program(
        self,
        container: Container,
        host: str,
        request: ProgramRequest,
        at_end: AtEnd | None = None,
        at_start: AtStart | None = None,
    ) -> Program:
        """Start a program in a host's container, once the lab is ready, and return while it runs.

        What it does to links and netfilter is noted before each probe and at its
        end, before ``at_end``; ``at_start`` may listen before its output is read.
        Raises :class:`DriverRefusal` (400) in runc's words.
        """

        def begin(program: Program) -> None:
            self._running[program] = place
            if at_start is not None:
                at_start(program)

        def note(program: Program) -> None:
            del self._running[program]
            if self._is_closing:
                return
            try:
                self.settle_program(place)
            finally:
                if at_end is not None:
                    at_end(program)

        with self.lock:
            place = self.lab.container(host, container.name)
            self.prepare_program(place, self._engines[host])
            return self._programs.start(place, request, at_end=note, at_start=begin)

    def forget_program(self, program: Program) -> None:
        """Let go of a program that has ended."""
        self._programs.forget(program)

    def read_routes(self, node: str, version: Literal[4, 6]) -> list[RouteText]:
        """The main table's routes of a node."""
        return tables.read_routes(self.lab.nodes[node].namespace, version)

    def read_addresses(self, node: str) -> dict[str, list[Interface]]:
        """The addresses of every link of a node."""
        return tables.read_addresses(self.lab.nodes[node].namespace)

    def read_links(self, node: str) -> list[str]:
        """The names of a node's links, without those that only the datapath needs."""
        links = tables.view_links(self.lab.nodes[node].namespace)
        return [link.name for link in links if not self.lab.datapath.is_means(link.index)]

    def resolve(self, node: str, name: str) -> list[Address]:
        """What a name means inside a node, asked of its own resolver."""
        return resolve(self.lab.nodes[node], name)

    def close(self) -> None:
        """End the lab: programs first, then sockets, namespaces and links.

        The caller does not hold the lock, which the ends of programs may need.
        """
        self._is_closing = True
        with contextlib.ExitStack() as stack:
            stack.callback(self.lab.close)
            stack.callback(self._programs.close)
            if self._prober is not None:
                stack.callback(self._prober.close)
            stack.callback(self.end_recording)
            self._prober = None


def _allow_many_files() -> None:
    """Let this process hold as many files as it may: a container takes some ten."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
