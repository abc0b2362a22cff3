"""The programs that ``exec`` has created in a host's containers, by id."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import threading

from ipvlab.driver.json_text import JsonObject
from ipvlab.driver.state import Container
from ipvlab.driver.workloads import ProgramRequest
from ipvlab.engine_api.programs import RunningProgram
from ipvlab.errors import DriverRefusal

#: Ended ones that are remembered; the engine forgets them after five minutes.
_KEPT = 1_000


@dataclasses.dataclass(slots=True, eq=False)
class Exec:
    """One program of ``exec``: created, then started once."""

    id: str
    container: Container
    request: ProgramRequest
    streams: frozenset[int]
    program: RunningProgram | None = None
    is_started: bool = False
    #: Set where the program could not be started.
    failure_code: int | None = None

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None before."""
        return self.failure_code if self.program is None else self.program.exit_code

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.is_started and self.exit_code is None

    def as_json(self) -> JsonObject:
        """The answer to ``GET /exec/X/json``."""
        path, *arguments = self.request.argv
        return {
            "ID": self.id,
            "Running": self.is_running,
            "ExitCode": self.exit_code,
            "ProcessConfig": {
                "tty": self.request.has_tty,
                "entrypoint": path,
                "arguments": arguments,
                "privileged": False,
                **({"user": self.request.user} if self.request.user else {}),
            },
            "OpenStdin": self.request.has_stdin,
            "OpenStderr": 2 in self.streams,
            "OpenStdout": 1 in self.streams,
            "CanRemove": not self.is_running and self.exit_code is not None,
            "ContainerID": self.container.id,
            "DetachKeys": "",
            "Pid": self.program.pid if self.program is not None else 0,
        }


class Execs:
    """All of one host's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Exec] = {}

    def add(self, container: Container, request: ProgramRequest, streams: frozenset[int]) -> Exec:
        """Create one."""
        exec_id = hashlib.sha256(container.id.encode() + secrets.token_bytes(16)).hexdigest()
        made = Exec(exec_id, container, request, streams)
        with self._lock:
            over = len(self._known) - _KEPT
            if over > 0:
                ended = [key for key, each in self._known.items() if each.exit_code is not None]
                for key in ended[:over]:
                    del self._known[key]
            self._known[exec_id] = made
        return made

    def find(self, reference: str) -> Exec:
        """The one of that id; raises :class:`DriverRefusal` (404)."""
        with self._lock:
            known = self._known.get(reference)
        if known is None:
            raise DriverRefusal(f"No such exec instance: {reference}", status=404)
        return known

    def claim(self, made: Exec) -> None:
        """Take one for its only start; raises :class:`DriverRefusal` (409) for a second."""
        with self._lock:
            if made.is_started:
                ending = "has already run" if made.exit_code is not None else "is already running"
                raise DriverRefusal(f"Error: Exec command {made.id} {ending}", status=409)
            made.is_started = True

    def ids_of(self, container: Container) -> list[str]:
        """The ids of those that run in a container."""
        with self._lock:
            running = [each for each in self._known.values() if each.is_running]
        return [each.id for each in running if each.container.id == container.id]

    def release(self, made: Exec) -> None:
        """Take back a claim that led to no start: its client was gone before."""
        with self._lock:
            if made.program is None and made.failure_code is None:
                made.is_started = False
