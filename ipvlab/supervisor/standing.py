"""A lab that stays up, as its supervisor holds it: its nodes, its engines, and one lock for all of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipvlab.driver.port import CommandResult
from ipvlab.errors import CommandUnknown, KernelUnfit, LabError, NodeNotFound
from ipvlab.run.console import Console
from ipvlab.run.ground import Place, ProbedGround
from ipvlab.run.workloads import read_closed
from ipvlab.supervisor import shelter
from ipvlab.supervisor.link_lines import read_link_line

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost
    from ipvlab.driver.engine import Engine
    from ipvlab.driver.state import Container
    from ipvlab.engine_api.attached import Attached
    from ipvlab.lab.nodes import Node
    from ipvlab.lab.sandbox import Sandbox
    from ipvlab.run.live import LiveGround
    from ipvlab.supervisor.docker_lines import Outcome


#: Connections that may wait to be accepted, as dockerd's socket lets them.
_BACKLOG = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """Descriptors that lead into a node: those of :class:`ipvlab.supervisor.entering.Door`."""

    descriptors: tuple[int, ...]
    kind: str
    #: Whether ``ip`` and, on a host, ``docker`` of the lab's own lie in /run/ipvlab/bin.
    has_shims: bool


class StandingLab:
    """One lab that is up; every method may be called from any thread.

    ``ground`` and ``console`` are None until the lab is being built.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.datapath = ""
        self.why = ""
        #: ``building`` or ``up``.
        self.state = "building"
        self.lock = threading.RLock()
        self.ground: ProbedGround | None = None
        self.console: Console | None = None
        #: Serves one more listening socket; None where there is no server.
        self.serve: Callable[[socket.socket], None] | None = None
        #: Containers that have the lab's own ``ip``.
        self._with_shims: list[Sandbox] = []
        self._attached: dict[str, Attached] = {}

    def take(self, ground: ProbedGround, console: Console) -> None:
        """Hold a lab that is built; from now on its nodes can be entered."""
        self.lock = ground.lock
        with self.lock:
            self.ground, self.console = ground, console
            # What follows is typed by people, who may run any program.
            console.is_closed = False
            if self.is_live and shelter.has_shelter():
                for host, docker in console.hosts.items():
                    self._start_api(host, docker)
                for node in self._live().lab.nodes.values():
                    if node.kind != "container":
                        node.run_folder = str(shelter.furnish_room(node.name, has_engine=node.kind == "host"))
            self.state = "up"

    def _start_api(self, host: str, docker: DockerHost) -> None:
        """Serve a host's Engine API on its own socket."""
        from ipvlab.engine_api.served import About
        from ipvlab.engine_api.server import EngineApi
        from ipvlab.run.workloads import LiveWorkloads

        assert isinstance(docker.workloads, LiveWorkloads)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(shelter.socket_of(host)))
        listener.listen(_BACKLOG)
        api = EngineApi(docker, docker.workloads, listener, About(lab=self.name, datapath=self.datapath))
        api.start()

    def await_ready(self) -> None:
        """Return once every link of the lab carries frames; raises :class:`NotReady` otherwise."""
        if self.is_live:
            with self.lock:
                self._live().lab.await_ready()

    @property
    def is_live(self) -> bool:
        """Whether its nodes are real namespaces."""
        return self.datapath != "sim"

    def _live(self) -> LiveGround:
        """The live lab; raises :class:`KernelUnfit` where nodes are simulated."""
        if not self.is_live:
            raise self._unfit()
        from ipvlab.run.live import LiveGround

        ground = self._ground()
        assert isinstance(ground, LiveGround)
        return ground

    def _ground(self) -> ProbedGround:
        if self.ground is None:
            raise LabError(f"the lab {self.name} is still being built", hint="ipvlab ps tells when it is up")
        return self.ground

    def find(self, name: str) -> Place:
        """The node of that name, ``host/container`` included; raises :class:`NodeNotFound`."""
        ground = self._ground()
        return ground.nodes[ground.directory.find(name).name]

    def _find_live(self, name: str) -> Node:
        live = self._live()
        return live.lab.nodes[live.directory.find(name).name]

    def about(self) -> dict[str, object]:
        """What ``ps`` tells; never waits for the lock."""
        nodes = list(self.ground.nodes.values()) if self.ground is not None else []
        return {
            "name": self.name,
            "pid": os.getpid(),
            "datapath": self.datapath,
            "why": self.why,
            "scenario": self.path,
            "state": self.state,
            "log": str(shelter.LOG) if shelter.has_shelter() else "",
            "nodes": [self._describe(node) for node in nodes],
        }

    def _describe(self, node: Place) -> dict[str, object]:
        about: dict[str, object] = {
            "name": node.name,
            "kind": str(node.kind),
            "host": node.host,
            "addresses": [str(address) for address in list(node.addresses())],
        }
        if self.is_live:
            live = self._live().lab.nodes.get(node.name)
            about["descriptor"] = live.namespace.fd if live is not None else None
            if node.kind == "host" and shelter.has_shelter() and shelter.socket_of(node.name).exists():
                about["api"] = str(shelter.socket_of(node.name))
        return about

    def enter(self, name: str, *, wants_shims: bool = False) -> Way:
        """Make a node ready for programs, and the way into it; the descriptors stay the lab's own.

        With ``wants_shims`` a container gets the lab's own ``ip``, which hosts and routers have.
        """
        from ipvlab.lab.sandbox import sandbox_of

        with self.lock:
            node = self._find_live(name)
            live = self._live()
            live.prepare_program(node, self._engine_of(node))
            sandbox = sandbox_of(node)
            pidfd, root = sandbox.way_in()
            if wants_shims and node.kind == "container" and sandbox not in self._with_shims:
                self._bring_shims(node, sandbox, root)
            has_shims = node.run_folder is not None or sandbox in self._with_shims
            return Way((pidfd, root, node.namespace.fd), node.kind, has_shims)

    def _bring_shims(self, node: Node, sandbox: Sandbox, root: int) -> None:
        """Put the lab's own ``ip``, and the socket that it speaks to, into a container's /run."""
        if self.serve is None or not shelter.has_shelter():
            return
        folder = Path(f"/proc/self/fd/{root}/run/ipvlab")
        shelter.furnish_shims(folder, node.name, is_host=False)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(folder / "control.sock"))
        listener.listen()
        node.namespace.at_close(functools.partial(_stop_listening, listener))
        self.serve(listener)
        self._with_shims.append(sandbox)
        node.namespace.at_close(functools.partial(self._with_shims.remove, sandbox))

    def _engine_of(self, node: Node) -> Engine | None:
        if node.host is None or self.console is None:
            return None
        return self.console.engines[node.host]

    def interpret(self, name: str, argv: Sequence[str]) -> CommandResult:
        """Carry out a command of the closed grammar in a node that is simulated.

        Raises :class:`KernelUnfit` for any other: no program runs there.
        """
        node = self.find(name)
        command = read_closed(argv)
        if command is None:
            raise self._unfit()
        with self.lock:
            return self._ground().carry_out(node.name, command)

    def _unfit(self) -> KernelUnfit:
        return KernelUnfit(
            f"the nodes of {self.name} are simulated: they know ip and ping, and run no program",
            hint="bring it up with --datapath kernel or bpf (ipvlab doctor tells which works)",
        )

    def leave(self, name: str) -> None:
        """Take note of what programs changed in a node; one that is gone is no matter."""
        with self.lock, contextlib.suppress(NodeNotFound):
            self._live().settle_program(self._find_live(name))

    def carry_out_ip(self, name: str, arguments: Sequence[str]) -> CommandResult | None:
        """Carry out an ``ip`` line that is the lab's, or None for one that the machine's ``ip`` does.

        What the lab cannot do is a result as ``ip`` would print it.
        """
        with self.lock:
            ground = self._ground()
            node = self.find(name)
            try:
                command = read_link_line(arguments, node.links)
            except CommandUnknown as unknown:
                return CommandResult(1, stderr=f"{unknown.what}\n")
            return None if command is None else ground.carry_out(node.name, command)

    def docker(
        self,
        host: str,
        argv: Sequence[str],
        *,
        has_terminal: bool,
        can_enter: bool,
        size: tuple[int, int] | None,
    ) -> Outcome:
        """Carry out a Docker command on a host, or begin one that goes on.

        Raises :class:`NodeNotFound` where the lab has no such host.
        """
        from ipvlab.supervisor.docker_lines import begin_docker

        return begin_docker(
            self._host(host),
            argv,
            self._attached_of(host),
            has_terminal=has_terminal,
            can_enter=can_enter,
            size=size,
        )

    def _host(self, name: str) -> DockerHost:
        self._ground()
        assert self.console is not None
        docker = self.console.hosts.get(name)
        if docker is None:
            known = ", ".join(self.console.hosts) or "none"
            raise NodeNotFound(f"{name} is no host of the lab {self.name}", hint=f"hosts: {known}")
        return docker

    def restart_docker(self, host: str) -> None:
        """Drop a host's engine and load it again from its state, as ``restart docker`` does.

        Raises :class:`NodeNotFound` where the lab has no such host.
        """
        self._host(host).restart_engine()

    def _attached_of(self, host: str) -> Attached | None:
        """Those who wait for the start of a host's containers; nobody where nodes are simulated."""
        if not self.is_live:
            return None
        from ipvlab.engine_api.attached import Attached
        from ipvlab.run.workloads import LiveWorkloads

        with self.lock:
            if host not in self._attached:
                assert self.console is not None
                docker = self.console.hosts[host]
                assert isinstance(docker.workloads, LiveWorkloads)
                self._attached[host] = Attached(docker, docker.workloads)
            return self._attached[host]

    def node_of(self, container: Container) -> str:
        """The lab's own name for a container that exists; raises :class:`NodeNotFound`."""
        ground = self._ground()
        assert self.console is not None
        for name, host in self.console.hosts.items():
            if host.engine.containers.get(container.name) is container:
                return ground.container_name(name, container.name)
        raise NodeNotFound(f"the container {container.name} is gone")

    def open_capture(self, name: str, interface: str) -> socket.socket:
        """A packet socket on a node's interface, the caller's to close.

        Raises :class:`LabError` where the node has no such interface.
        """
        from ipvlab.supervisor.capturing import open_socket

        with self.lock:
            return open_socket(self._find_live(name), interface)

    @contextlib.contextmanager
    def held(self) -> Iterator[tuple[ProbedGround, Console]]:
        """Keep everybody else out while something is decided or changed."""
        with self.lock:
            ground = self._ground()
            assert self.console is not None
            yield ground, self.console


def _stop_listening(listener: socket.socket) -> None:
    # Closing alone would not wake the thread that waits for connections.
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
