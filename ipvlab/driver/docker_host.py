"""One host's Docker as its users have it: the engine's decisions and the programs, under one lock.

Every caller (command lines, the HTTP API, the Python API, scenarios) goes
through :class:`DockerHost`. The lock is held around decisions and the kernel's
work, and never while a program is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from ipvlab.driver.engine import Engine
from ipvlab.driver.events import ContainerEvent, Watcher
from ipvlab.driver.port import CommandResult
from ipvlab.driver.pruning import read_prune_filters
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.driver.state import Container, ContainerState, Network
from ipvlab.driver.workloads import KILLED, LogEntry, ProgramRequest, Workloads, start_exit_code
from ipvlab.errors import DriverRefusal, LabError

__all__ = ["PATIENCE", "ContainerEvent", "DockerHost", "Watcher"]

#: How long a program may take to end after SIGTERM, in seconds (moby ``daemon/container``: StopTimeout).
PATIENCE = 10.0
_SIGTERM, _SIGKILL = 15, 9
#: How many containers the end of an engine ends at a time.
_SIDE_BY_SIDE = 32


class DockerHost:
    """The Docker of one host.

    Refusals are :class:`DriverRefusal` with Docker's text and status, and
    :class:`KernelRefusal` where the machine refuses a step.
    """

    def __init__(self, engine: Engine, workloads: Workloads, lock: threading.RLock | None = None) -> None:
        self.engine = engine
        self.workloads = workloads
        #: One for all hosts of a lab.
        self.lock = lock or threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._watchers: list[Watcher] = []
        #: Output of containers that ``run_attached`` waits for, kept past their removal.
        self._outputs: dict[str, list[LogEntry] | None] = {}
        #: The container whose program is being started, and how that ended, if it did meanwhile.
        self._starting: Container | None = None
        self._early_code: int | None = None
        workloads.on_exit = self._program_ended

    # Networks

    def create_network(self, request: NetworkRequest) -> Network:
        """Create a network; see :meth:`Engine.create_network`."""
        with self.lock:
            network = self.engine.create_network(request)
            self._tell_network("create", network)
            return network

    def remove_network(self, ref: str) -> None:
        """Remove a network; see :meth:`Engine.remove_network`."""
        with self.lock:
            self._tell_network("destroy", self.engine.remove_network(ref))

    def connect(self, network: str, container: str, request: EndpointRequest) -> None:
        """Put a container on one network more; a running one gets the interface at once."""
        with self.lock:
            place = self.engine.connect(network, container, request)
            self._tell_joined("connect", place)

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Take a container off a network."""
        with self.lock:
            place = self.engine.disconnect(network, container, force=force)
            self._tell_joined("disconnect", place)

    def prune_networks(self, filters: Mapping[str, Collection[str]] | None = None) -> list[str]:
        """Remove the networks that no running container is on; the names of those removed.

        Filters are Docker's ``label``, ``label!`` and ``until``.
        """
        with self.lock:
            takes = read_prune_filters(filters or {}, self.engine.clock())
            pruned = self.engine.prune_networks(takes)
            for network in pruned:
                self._tell_network("destroy", network)
            return [network.name for network in pruned]

    # Containers

    def create(self, request: ContainerRequest) -> Container:
        """Create a container; an unknown network is no fault until it starts (404 then)."""
        with self.lock:
            container = self.engine.create_container(request)
            self._tell(container, "create")
            return container

    def start(self, ref: str) -> Container:
        """Start a container: networks first, then its program; nothing for a running one.

        One that fails stays ``Created`` (or exited) with exit code 128, 127 or
        126; with ``--rm`` it is removed.
        """
        with self.lock:
            container = self.engine.find_container(ref)
            if container.is_running:
                return container
            before = container.state
            try:
                self.engine.start_container(container.id)
                self._start_program(container, before)
            except (DriverRefusal, LabError):
                if container.request.is_auto_remove:
                    self._remove(container)
                self._changed.notify_all()
                raise
            return container

    def run(self, request: ContainerRequest) -> Container:
        """Create a container and start it, as ``docker run -d`` does."""
        with self.lock:
            return self.start(self.create(request).id)

    def run_attached(self, request: ContainerRequest) -> tuple[Container, CommandResult]:
        """Run a container to the end of its program, with what that has written (``docker run``).

        Not for idle containers, whose end somebody else has to bring about.
        """
        with self.lock:
            container = self.create(request)
            self._outputs[container.id] = None
        try:
            self.start(container.id)
            code = self._await_end(container)
            with self.lock:
                log = self._outputs[container.id]
                if log is None:
                    log = self.workloads.logs(container)
        finally:
            self._outputs.pop(container.id, None)
        stdout, stderr = (
            b"".join(entry.content for entry in log if entry.stream == stream).decode(errors="replace")
            for stream in (1, 2)
        )
        return container, CommandResult(code, stdout, stderr)

    def stop(self, ref: str, patience: float = PATIENCE, signal: int = _SIGTERM) -> Container:
        """Stop a container: the signal, at most ``patience`` seconds, SIGKILL; nothing for a stopped one."""
        container = self._find(ref)
        if container.is_running:
            with self.lock:
                self._tell(container, "kill", signal=str(signal))
            self._end(container, signal, patience)
            with self.lock:
                self._tell(container, "stop")
        return container

    def restart(self, ref: str, patience: float = PATIENCE, signal: int = _SIGTERM) -> Container:
        """Stop a container as :meth:`stop` does, if it runs, and start it; ``--rm`` does not remove it."""
        container = self._find(ref)
        if container.is_running:
            self._end(container, signal, patience, is_restarting=True)
        with self.lock:
            self.start(container.id)
            self._tell(container, "restart")
        return container

    def kill(self, ref: str, signal: int = _SIGKILL) -> Container:
        """Send a container's program a signal; an idle shell ends by SIGKILL and heeds no other.

        Raises :class:`DriverRefusal` (409) for a container that does not run.
        """
        with self.lock:
            container = self.engine.find_container(ref)
            if not container.is_running:
                raise DriverRefusal(
                    f"cannot kill container: {ref}: container {container.id} is not running", status=409
                )
            self._tell(container, "kill", signal=str(signal))
        if signal == _SIGKILL:
            self._end(container, signal, 0.0)
        else:
            self.workloads.kill(container, signal)
        return container

    def remove(self, ref: str, *, force: bool = False) -> None:
        """Remove a container; a running one only with ``force`` (409 else), which kills it."""
        with self.lock:
            container = self.engine.find_container(ref)
            if not container.is_running or not force:
                self._remove(container)
                return
        self._end(container, _SIGKILL, 0.0)
        with self.lock:
            now = self._now(container)
            if now is not None:
                self._remove(now)

    def rename(self, ref: str, name: str) -> None:
        """Give a container another name, running or not; its old name resolves no more."""
        with self.lock:
            container = self.engine.find_container(ref)
            old = container.name
            self.engine.rename_container(container.id, name)
            self._tell(container, "rename", oldName=f"/{old}")

    def wait(self, ref: str) -> int:
        """The exit code of a container, once it does not run."""
        return self._await_end(self._find(ref))

    def execute(self, ref: str, program: ProgramRequest, stdin: bytes | None = None) -> CommandResult:
        """Run a program in a running container to its end (409 for one that does not run)."""
        with self.lock:
            container = self.engine.find_container(ref)
            if not container.is_running:
                raise DriverRefusal(f"container {container.id} is not running", status=409)
        return self.workloads.execute(container, program, stdin)

    # The host

    def listen(self, watcher: Watcher) -> Callable[[], None]:
        """Hear of everything that happens from now on; returns the way to stop.

        The watcher is called with the lock held and must not block.
        """
        with self.lock:
            self._watchers.append(watcher)

        def stop() -> None:
            with self.lock, suppress(ValueError):
                self._watchers.remove(watcher)

        return stop

    def restart_engine(self, *, keeps_running: bool = False) -> None:
        """Do what ``restart docker`` does: stop every container, drop the engine's state, load it again.

        Containers stay stopped, and those with ``--rm`` are gone, as a lab's have
        no restart policy. With ``keeps_running`` it is as with Docker's
        ``live-restore``: containers run on, and their addresses are taken before
        any other. Raises :class:`DriverRefusal`, and loads nothing, where the
        state cannot be written down.
        """
        if not keeps_running:
            with self.lock:
                running = [each for each in self.engine.containers.values() if each.is_running]
            self._end_all(running)
        with self.lock:
            self.engine.restart()
            self._changed.notify_all()

    # What goes on inside

    def _find(self, ref: str) -> Container:
        with self.lock:
            return self.engine.find_container(ref)

    def _now(self, container: Container) -> Container | None:
        """A container as it is now, which is another object after a restart of the engine."""
        with suppress(DriverRefusal):
            return self.engine.find_container(container.id)
        return None

    def _end_all(self, containers: Sequence[Container]) -> None:
        """End many containers side by side: one that ignores the signal costs its patience once."""

        def end(container: Container) -> None:
            with suppress(DriverRefusal, LabError):
                self._end(container, _SIGTERM, PATIENCE)

        with ThreadPoolExecutor(max_workers=min(_SIDE_BY_SIDE, len(containers)) or 1) as pool:
            list(pool.map(end, containers))

    def _start_program(self, container: Container, before: ContainerState) -> None:
        self._starting, self._early_code = container, None
        try:
            self.workloads.start(container)
        except DriverRefusal as refusal:
            self.engine.undo_start(container, before, refusal.what, start_exit_code(refusal.what))
            raise
        finally:
            self._starting = None
        self._tell(container, "start")
        self._settle_early(container)

    def _settle_early(self, container: Container) -> None:
        """An interpreted program has ended already; its start is told before its end."""
        if self._early_code is not None:
            self._settle(container, self._early_code)

    def _end(
        self, container: Container, signal: int, patience: float, *, is_restarting: bool = False
    ) -> None:
        """End a container's program, which is waited for without the lock, and then the container."""
        self.workloads.end(container, signal, patience)
        code = self.workloads.wait(container)
        with self.lock:
            self._settle(container, KILLED if code is None else code, is_restarting=is_restarting)

    def _program_ended(self, container: Container, code: int) -> None:
        with self.lock:
            if self._starting is not None and container.id == self._starting.id:
                self._early_code = code
                return
            try:
                self._settle(container, code)
            except (DriverRefusal, LabError) as refusal:
                # Nobody is there to be told; a stop finds it running, and tries again.
                container.error = refusal.what

    def _settle(self, container: Container, code: int, *, is_restarting: bool = False) -> None:
        """Note that a container's program has ended, whoever notices it first."""
        now = self._now(container)
        if now is None or not now.is_running:
            return
        if now.id in self._outputs:
            self._outputs[now.id] = self.workloads.logs(now)
        self.engine.stop_container(now.id, code, keeps=True)
        self._tell(now, "die", exit_code=code, exitCode=str(code))
        if now.request.is_auto_remove and not is_restarting:
            self._remove(now)
        self._changed.notify_all()

    def _remove(self, container: Container) -> None:
        self.engine.remove_container(container.id)
        self.workloads.forget(container)
        self._tell(container, "destroy")
        self._changed.notify_all()

    def _await_end(self, container: Container) -> int:
        with self.lock:
            now: Container | None = container
            while now is not None and now.is_running:
                container = now
                self._changed.wait()
                now = self._now(container)
            return (now or container).exit_code or 0

    def _tell(
        self, container: Container, action: str, *, exit_code: int | None = None, **attributes: str
    ) -> None:
        about = {"image": container.request.image, "name": container.name, **container.request.labels}
        self._announce(
            ContainerEvent(
                "container", action, container.id, self.engine.clock(), about | attributes, exit_code
            )
        )

    def _tell_network(self, action: str, network: Network, **attributes: str) -> None:
        about = {"name": network.name, "type": network.request.driver, **attributes}
        self._announce(ContainerEvent("network", action, network.id, self.engine.clock(), about))

    def _tell_joined(self, action: str, place: tuple[Network | None, Container]) -> None:
        network, container = place
        if network is not None:
            self._tell_network(action, network, container=container.id)

    def _announce(self, event: ContainerEvent) -> None:
        for watcher in tuple(self._watchers):
            watcher(event)
