"""A terminal that a test types on and reads, as a person would."""

from __future__ import annotations

import os
import pty
import select
import signal
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.netns.traces import PROJECT, command

#: How long anything may take to appear, in seconds; it takes a fraction of one.
PATIENCE = 30.0


class Screen:
    """A command of ours, or another ``program``, on a terminal of its own."""

    def __init__(self, *arguments: str, program: Sequence[str] = ()) -> None:
        argv = list(program) or command(*arguments)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(PROJECT)
            os.environ["TERM"] = "dumb"
            # Python ignores what would tell of a lost reader; programs expect it.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvp(argv[0], argv)
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def read_until(self, text: str) -> str:
        """What appears up to ``text``, which what is typed must not hold as it is."""
        while text not in self.shown:
            ready, _, _ = select.select([self._fd], [], [], PATIENCE)
            assert ready, f"{text!r} does not appear after {self.shown!r}"
            try:
                piece = os.read(self._fd, 4096).decode(errors="replace")
            except OSError:
                piece = ""
            assert piece, f"the program ended before {text!r}: {self.shown!r}"
            self.shown += piece
        before, _, self.shown = self.shown.partition(text)
        return before

    def wait(self) -> int:
        """The status of the command, once it has ended; what it shows meanwhile is read."""
        while True:
            try:
                piece = os.read(self._fd, 4096)
            except OSError:
                break
            if not piece:
                break
            self.shown += piece.decode(errors="replace")
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("=HHHH", rows, columns, 0, 0))
