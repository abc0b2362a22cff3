"""The life of a supervisor: it builds a lab, says so, serves it, and takes it down."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ipvlab.run.doctor import choose_name
from ipvlab.run.ground import open_ground
from ipvlab.run.prepare import Prepared
from ipvlab.run.runner import ScenarioRun
from ipvlab.supervisor import shelter
from ipvlab.supervisor.birth import Cradle, bear
from ipvlab.supervisor.names import CONTROL
from ipvlab.supervisor.serving import Server
from ipvlab.supervisor.standing import StandingLab
from ipvlab.supervisor.standing_names import StandingNames

if TYPE_CHECKING:
    from ipvlab.driver.store import Store
    from ipvlab.run.ground import ProbedGround

#: How long taking a lab down in order may take, in seconds; the kernel does the rest when the process ends.
_PATIENCE = 4.0


def bring_up(prepared: Prepared, name: str, datapath: str) -> str:
    """Bring a scenario's lab up under a name, and return why it has the datapath that it has.

    The lab is built as far as the beginning of the scenario, its command lines
    included, and proved ready; steps and expectations are left to ``ipvlab run``. Raises
    :class:`LabTaken` where the name is held, and whatever building raises; nothing is left then.
    """
    # The supervisor has another working directory.
    path = os.path.abspath(prepared.path)
    return str(bear_for(datapath, name, lambda cradle: _live(cradle, prepared, path, datapath)))


def bear_for(datapath: str, name: str, live: Callable[[Cradle], None]) -> object:
    """Fork a supervisor for a lab on a datapath: as it is, root of its own namespaces, or without any.

    Returns and raises as :func:`bear`.
    """
    from ipvlab.datapath.kernel.fitness import is_fit_without_root
    from ipvlab.linux.rootless import lacks_privileges

    lacks = lacks_privileges()
    enters = lacks and datapath in ("auto", "kernel") and is_fit_without_root()
    return bear(name, live, is_simulated=datapath == "sim" or (lacks and not enters), enters=enters)


def _live(cradle: Cradle, prepared: Prepared, path: str, datapath: str) -> None:
    lab = StandingLab(cradle.name, path)
    life = Life(cradle, lab)
    life.begin()
    lab.datapath, lab.why = choose_name(datapath)
    names = StandingNames(prepared.naming)
    names.ground = ground = open_ground(datapath, prepared.scenario.name, names.display)
    run = ScenarioRun(prepared, ground, store_of=store_of())
    run.stand()
    lab.take(ground, run.console)
    lab.await_ready()
    cradle.report(lab.why)
    life.go_on(ground)


def store_of() -> Callable[[str], Store] | None:
    """Where each host's engine keeps its state; None is in memory, for a process without its own /run."""
    if not shelter.has_shelter():
        return None
    from ipvlab.lab.store import FolderStore

    return lambda host: FolderStore(shelter.state_of(host))


class Life:
    """One supervisor's own business: its server, its signals, its end."""

    def __init__(self, cradle: Cradle, lab: StandingLab) -> None:
        self._cradle = cradle
        self._lab = lab
        self._is_over = threading.Event()
        self._is_up = False

    def begin(self) -> None:
        """Serve from now on, and end when asked: at once while the lab is being built."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())
        server = Server(self._lab, self.end)
        self._lab.serve = server.listen
        server.listen(self._cradle.listener)
        if shelter.has_shelter():
            control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            control.bind(CONTROL)
            control.listen()
            server.listen(control)

    def end(self) -> None:
        """Let the lab end."""
        if not self._is_up:
            os._exit(0)
        self._is_over.set()

    def go_on(self, ground: ProbedGround, *endings: Callable[[], None]) -> None:
        """Return once the lab is to end and is taken down; ``endings`` come before it, the last one first."""
        self._is_up = True
        self._is_over.wait()
        # Everything that a lab is ends with its process, however far this gets.
        threading.Timer(_PATIENCE, os._exit, (0,)).start()
        with contextlib.ExitStack() as stack:
            stack.callback(ground.close)
            for ending in endings:
                stack.callback(ending)
        os._exit(0)
