"""Programs that run inside containers: on a terminal or on pipes, heard by whoever listens.

One thread for each lab reads what all programs write, and another takes care of
their ends, which may need the lab's lock. A program is held by a
pidfd; what it leaves behind goes with its container's pid namespace.
"""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import selectors
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ipvlab.lab.launch import Given, launch
from ipvlab.lab.program import AtEnd, AtStart, Program, set_size
from ipvlab.lab.program_log import Stream
from ipvlab.lab.sandbox import NodeFiles, set_files

if TYPE_CHECKING:
    from ipvlab.driver.workloads import ProgramRequest
    from ipvlab.lab.nodes import Node


class Programs:
    """All programs of a lab that somebody may listen to."""

    def __init__(self) -> None:
        #: Touched on the programs' thread only.
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._endings: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.selector.register(self._bell, selectors.EVENT_READ, self._obey)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._programs: set[Program] = set()
        self._is_open = True
        self._is_serving = True

    def start(
        self,
        node: Node,
        request: ProgramRequest,
        files: NodeFiles | None = None,
        at_end: AtEnd | None = None,
        at_start: AtStart | None = None,
    ) -> Program:
        """Start a program in a node and return while it runs.

        ``at_start`` is called before any of its output is read; what it lets listen misses
        nothing. ``at_end`` is called, on a thread that may wait, when it has ended and before
        anybody else hears of it. Raises :class:`DriverRefusal` (400), with the words of
        runc, when it cannot be executed.
        """
        if files is not None:
            set_files(node, files)
        self._wake()
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            outputs, inlet, given = _open_files(request, ours, theirs)
            process = launch(node, request, given)
            ours.pop_all()
        program = Program(request, process, self, outputs, inlet, at_end)
        if at_start is not None:
            at_start(program)
        with self._lock:
            self._programs.add(program)
        self.order(program.watch)
        return program

    def forget(self, program: Program) -> None:
        """Let go of a program that has ended; who still holds it can read it."""
        with self._lock:
            self._programs.discard(program)
        self.order(program.drop)

    def order(self, work: Callable[[], None]) -> None:
        """Have work done on the programs' thread; after the lab's end it is not done."""
        self._orders.put(work)
        with self._lock:
            if self._is_open:
                os.eventfd_write(self._bell, 1)

    def order_ending(self, work: Callable[[], None]) -> None:
        """Have work done on the thread of ends, which may wait."""
        self._endings.put(work)

    def close(self) -> None:
        """Kill all programs and return when everybody has heard of it; a second time does nothing."""
        with self._lock:
            programs, threads = list(self._programs), list(self._threads)
            self._threads = []
        for program in programs:
            program.signal(signal.SIGKILL)
        if threads:
            for program in programs:
                program.wait()
            self._endings.put(None)
            self.order(self._stop)
            for thread in threads:
                thread.join()
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            self.selector.close()
            os.close(self._bell)

    def _wake(self) -> None:
        with self._lock:
            if self._threads or not self._is_open:
                return
            serves = (("programs", self._serve), ("programs' ends", self._serve_endings))
            self._threads = [threading.Thread(target=serve, name=name, daemon=True) for name, serve in serves]
            for thread in self._threads:
                thread.start()

    def _serve(self) -> None:
        while self._is_serving:
            for key, _ in self.selector.select():
                # What an earlier event of this round closed is no longer registered, or is another's.
                if self.selector.get_map().get(key.fd) is key:
                    key.data()

    def _serve_endings(self) -> None:
        while (work := self._endings.get()) is not None:
            _attempt(work)

    def _obey(self) -> None:
        os.eventfd_read(self._bell)
        while not self._orders.empty():
            _attempt(self._orders.get())

    def _stop(self) -> None:
        for program in self._programs:
            program.drop()
        self._is_serving = False


def _attempt(work: Callable[[], None]) -> None:
    """Do work for one program; what goes wrong is told, and the others are still served."""
    try:
        work()
    except Exception:  # noqa: BLE001 - as if this piece of work had a thread of its own
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


def _open_files(
    request: ProgramRequest, ours: contextlib.ExitStack, theirs: contextlib.ExitStack
) -> tuple[dict[int, Stream], int | None, Given]:
    """What we read by stream, what we write to, and what the program gets; each stack closes its side."""
    if request.has_tty:
        master, slave = pty.openpty()
        ours.callback(os.close, master)
        theirs.callback(os.close, slave)
        if request.size is not None:
            set_size(master, *request.size)
        os.set_blocking(master, False)
        inlet = _keep(os.dup(master), ours) if request.has_stdin else None
        return {master: 1}, inlet, os.ttyname(slave)
    if request.has_stdin:
        stdin, inlet = os.pipe2(os.O_CLOEXEC)
        ours.callback(os.close, inlet)
        os.set_blocking(inlet, False)
    else:
        stdin, inlet = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), None
    theirs.callback(os.close, stdin)
    outputs: dict[int, Stream] = {}
    written: list[int] = []
    streams: Sequence[Stream] = (1, 2)
    for stream in streams:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        outputs[_keep(read, ours)] = stream
        written.append(_keep(write, theirs))
    return outputs, inlet, (stdin, written[0], written[1])


def _keep(fd: int, stack: contextlib.ExitStack) -> int:
    stack.callback(os.close, fd)
    return fd
