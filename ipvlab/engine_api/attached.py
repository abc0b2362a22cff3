"""Clients that are attached to containers: to a program that runs, or to one that will."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from ipvlab.driver.docker_host import ContainerEvent, DockerHost
from ipvlab.driver.state import Container
from ipvlab.engine_api.programs import Programs, RunningProgram
from ipvlab.engine_api.streams import Wiring
from ipvlab.errors import IpvlabError


class Attached:
    """Those who wait for the start of a container of one host.

    The client attaches before it starts a container. Its main program is connected
    before any of its output is read, so that nothing is lost however fast it ends.
    A container without a process gets one as soon as somebody is attached to it.
    """

    def __init__(self, host: DockerHost, programs: Programs) -> None:
        self._host = host
        self._programs = programs
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Wiring]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._stops = (programs.listen_starts(self._hear_program), host.listen(self._hear))

    def close(self) -> None:
        """Hear of nothing more."""
        for stop in self._stops:
            stop()

    def add(self, container: Container, wiring: Wiring, *, has_past: bool) -> Callable[[], None]:
        """Connect a client now, or at the container's start; returns the way to forget it.

        ``has_past`` sends first what was written before.
        """
        with self._host.lock:
            program = self._programs.program(container)
            if container.is_running and program is not None:
                wiring.plug(program, replays_log=has_past)
                return lambda: None
            with self._lock:
                self._waiting.setdefault(container.id, []).append(wiring)
            if container.is_running:
                self._begin(container)
        return lambda: self._drop(container, wiring)

    def note_size(self, container: Container, size: tuple[int, int]) -> None:
        """Take note of the size of the terminal on which a container's program is to begin."""
        with self._lock:
            self._sizes[container.id] = size

    def end(self, container: Container) -> None:
        """End those who wait for a container: it will not start."""
        for wiring in self._take(container.id):
            wiring.end()

    def _hear_program(self, container: Container, program: RunningProgram) -> None:
        with self._lock:
            size = self._sizes.get(container.id)
        if size is not None:
            program.resize(*size)
        for wiring in self._take(container.id):
            wiring.plug(program)

    def _hear(self, event: ContainerEvent) -> None:
        """Called with the host's lock held."""
        if event.action == "start" and event.id in self._waiting:
            # Its program would have been heard of by now: it has none.
            self._begin(self._host.engine.find_container(event.id))
        elif event.action == "destroy":
            with self._lock:
                self._sizes.pop(event.id, None)
            for wiring in self._take(event.id):
                wiring.end()

    def _begin(self, container: Container) -> None:
        try:
            self._programs.attach(container)
        except IpvlabError as error:
            for wiring in self._take(container.id):
                wiring.say(f"{error.what}\r\n")
                wiring.end()

    def _take(self, container_id: str) -> list[Wiring]:
        with self._lock:
            return self._waiting.pop(container_id, [])

    def _drop(self, container: Container, wiring: Wiring) -> None:
        with self._lock, suppress(KeyError, ValueError):
            self._waiting[container.id].remove(wiring)
            if not self._waiting[container.id]:
                del self._waiting[container.id]
