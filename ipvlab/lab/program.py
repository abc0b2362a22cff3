"""One program in a node: what it writes goes to whoever listens, what is sent goes to it, its end is told.

Most of it happens on the programs' thread (:mod:`ipvlab.lab.programs`), which must not wait.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ipvlab.lab.program_log import ProgramLog, Stream

if TYPE_CHECKING:
    from ipvlab.driver.workloads import LogEntry, ProgramRequest
    from ipvlab.linux.spawn import Process

_CHUNK = 1 << 16
#: What may still be unread when a program ends: a pipe holds 64 KiB, or what F_SETPIPE_SZ allows, a
#: terminal less. What somebody else goes on writing is not waited for.
_UNREAD_MOST = 1 << 20

OnOutput = Callable[[int, bytes], None]
OnExit = Callable[[int], None]
OnRoom = Callable[[], None]
AtStart = Callable[["Program"], None]
AtEnd = Callable[["Program"], None]


class ProgramsThread(Protocol):
    """Who calls programs when there is something to read or to write."""

    #: Touched on the programs' thread only.
    selector: selectors.BaseSelector

    def order(self, work: Callable[[], None]) -> None:
        """Have work done on the programs' thread."""

    def order_ending(self, work: Callable[[], None]) -> None:
        """Have work done on the thread of ends, which may wait."""


class _Listener:
    """Somebody who hears a program, until they stop or break."""

    def __init__(self, on_output: OnOutput, on_exit: OnExit, on_room: OnRoom | None = None) -> None:
        self._on_output, self._on_exit, self._on_room = on_output, on_exit, on_room
        self.is_active = True

    def stop(self) -> None:
        self.is_active = False

    def hear(self, stream: int, content: bytes) -> None:
        self._tell(lambda: self._on_output(stream, content))

    def hear_room(self) -> None:
        if self._on_room is not None:
            self._tell(self._on_room)

    def hear_exit(self, code: int) -> None:
        self._tell(lambda: self._on_exit(code))
        self.is_active = False

    def _tell(self, call: Callable[[], None]) -> None:
        if not self.is_active:
            return
        try:
            call()
        except Exception:  # noqa: BLE001 - one listener that breaks must not end all programs' output
            self.is_active = False


class Program:
    """A program in a node: a container's main one, or one that ``exec`` started."""

    def __init__(
        self,
        request: ProgramRequest,
        process: Process,
        thread: ProgramsThread,
        outputs: dict[int, Stream],
        inlet: int | None,
        at_end: AtEnd | None,
    ) -> None:
        self.request = request
        self.pid = process.pid
        #: 0 to 255; 128 + n where signal n ended it. None while it runs.
        self.exit_code: int | None = None
        self._process = process
        self._thread = thread
        self._selector = thread.selector
        self._is_watched = False
        self._outputs = outputs
        self._inlet = inlet
        self._at_end = at_end
        self._log = ProgramLog()
        self._listeners: list[_Listener] = []
        self._ended = threading.Event()
        self._unsent: deque[bytes] = deque()
        self._room = threading.Condition()
        self._waiting = 0
        self._is_closing = False
        self._holds = 0

    @property
    def log(self) -> list[LogEntry]:
        """The lines that it has written, as far as they are kept."""
        return self._log.entries()

    @property
    def waiting(self) -> int:
        """How many bytes of input it has not taken yet."""
        return self._waiting

    def listen(
        self,
        on_output: OnOutput,
        on_exit: OnExit,
        *,
        replays_log: bool = False,
        on_room: OnRoom | None = None,
    ) -> Callable[[], None]:
        """Hear its output (1 stdout, 2 stderr; a terminal is all 1) and its end; returns the way to stop.

        Both are called on the programs' thread, in order, and must not block; a program
        that has ended tells so at once. ``replays_log`` begins with what is kept;
        ``on_room`` hears whenever it has taken input.
        """
        listener = _Listener(on_output, on_exit, on_room)

        def begin() -> None:
            if replays_log:
                for stream, content in self._log.replay():
                    listener.hear(stream, content)
            if self.exit_code is not None:
                listener.hear_exit(self.exit_code)
            else:
                self._listeners.append(listener)

        self._thread.order(begin)
        return listener.stop

    def hold(self) -> None:
        """Read no more of its output until as many calls of :meth:`release`: full pipes make it wait."""
        self._thread.order(lambda: self._change_holds(1))

    def release(self) -> None:
        """Take back one :meth:`hold`."""
        self._thread.order(lambda: self._change_holds(-1))

    def write(self, content: bytes) -> None:
        """Send to its standard input; never blocks. Without one, or after its end, it goes nowhere."""
        if self._inlet is None or not content:
            return
        with self._room:
            self._unsent.append(content)
            self._waiting += len(content)
        self._thread.order(self._send)

    def await_room(self, most: int, seconds: float | None = None) -> bool:
        """Wait until no more than ``most`` bytes of input are still to be taken; False after the time."""
        with self._room:
            return self._room.wait_for(lambda: self._waiting <= most, seconds)

    def close_stdin(self) -> None:
        """End its standard input once it has taken what was sent; a terminal has no such end."""
        if not self.request.has_tty:
            self._thread.order(self._begin_closing)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, which it hears of by SIGWINCH."""
        self._thread.order(lambda: self._set_size(rows, columns))

    def signal(self, number: int) -> None:
        """Send it a signal; a program that has ended hears nothing."""
        self._process.send_signal(number)

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, once it has ended and everything was noted; None when the time is over first."""
        self._ended.wait(seconds)
        return self.exit_code

    def await_end(self, seconds: float | None = None) -> bool:
        """Wait for the process alone, whatever else its end brings; False when the time is over first."""
        return self._process.wait(seconds) is not None

    # What follows happens on the programs' thread.

    def watch(self) -> None:
        """Begin to hear the program."""
        self._is_watched = True
        self._selector.register(self._process.pidfd, selectors.EVENT_READ, self._notice_end)
        self._change_holds(0)

    def _change_holds(self, difference: int) -> None:
        self._holds += difference
        for fd in self._outputs if self._is_watched else ():
            is_watched = fd in self._selector.get_map()
            if self._holds > 0 and is_watched:
                self._selector.unregister(fd)
            elif self._holds == 0 and not is_watched:
                self._selector.register(fd, selectors.EVENT_READ, lambda fd=fd: self._read(fd))

    def _read(self, fd: int) -> int:
        """Read once; how much, and 0 where nothing is left to come or to read now."""
        try:
            content = os.read(fd, _CHUNK)
        except BlockingIOError:
            return 0
        except OSError:
            content = b""  # EIO: nobody has the terminal open any more
        if not content:
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
            del self._outputs[fd]
            os.close(fd)
            return 0
        if self.exit_code is None:
            stream = self._outputs[fd]
            self._log.add(stream, content)
            for listener in self._listeners:
                listener.hear(stream, content)
            self._listeners = [each for each in self._listeners if each.is_active]
        return len(content)

    def _notice_end(self) -> None:
        self._selector.unregister(self._process.pidfd)
        self._process.poll()
        for fd in list(self._outputs):
            left = _UNREAD_MOST
            while left > 0 and (read := self._read(fd)):
                left -= read
        self._drop_inlet()
        self._log.finish()
        self._thread.order_ending(self._end)

    def _end(self) -> None:
        """On the thread of ends: what has to be noted, before anybody hears of the end."""
        try:
            if self._at_end is not None:
                self._at_end(self)
        finally:
            self._thread.order(self._tell_end)

    @property
    def status(self) -> int | None:
        """As ``exit_code``, from the moment that the process has ended."""
        code = self._process.returncode
        return 128 - code if code is not None and code < 0 else code

    def _tell_end(self) -> None:
        code = self.status
        assert code is not None
        self._process.release()
        self.exit_code = code
        self._ended.set()
        for listener in self._listeners:
            listener.hear_exit(code)
        self._listeners = []

    def _send(self) -> None:
        while self._inlet is not None and self._unsent:
            content = self._unsent[0]
            try:
                sent = os.write(self._inlet, content)
            except BlockingIOError:
                self._await_inlet(is_wanted=True)
                return
            except OSError:
                self._drop_inlet()
                return
            with self._room:
                self._waiting -= sent
                if sent == len(content):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = content[sent:]
                self._room.notify_all()
            for listener in self._listeners:
                listener.hear_room()
        self._await_inlet(is_wanted=False)
        if self._is_closing or self._inlet is None:
            self._drop_inlet()

    def _await_inlet(self, *, is_wanted: bool) -> None:
        is_watched = self._inlet is not None and self._inlet in self._selector.get_map()
        if is_wanted and not is_watched and self._inlet is not None:
            self._selector.register(self._inlet, selectors.EVENT_WRITE, self._send)
        elif is_watched and not is_wanted and self._inlet is not None:
            self._selector.unregister(self._inlet)

    def _begin_closing(self) -> None:
        self._is_closing = True
        self._send()

    def _drop_inlet(self) -> None:
        self._await_inlet(is_wanted=False)
        inlet, self._inlet = self._inlet, None
        with self._room:
            self._unsent.clear()
            self._waiting = 0
            self._room.notify_all()
        if inlet is not None:
            os.close(inlet)

    def _set_size(self, rows: int, columns: int) -> None:
        if self.request.has_tty and self._outputs:
            set_size(next(iter(self._outputs)), rows, columns)

    def drop(self) -> None:
        """Let go of what the program still holds after its end."""
        for fd in list(self._outputs):
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
            os.close(fd)
        self._outputs.clear()


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set the size of a terminal; one that has a program tells it by SIGWINCH."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0))
