"""Processes that are started without a copy of this one, held by a pidfd, and reaped from any thread.

``posix_spawn`` is vfork and exec in one (clone with CLONE_VM | CLONE_VFORK), also with a
new session and with files that the child opens itself. The child opens its
terminal as a session leader without one, and so it becomes its controlling
terminal (drivers/tty/tty_jobctrl.c: tty_open_proc_set_tty); :mod:`subprocess` would need a
``preexec_fn`` for that, and with it a fork of the whole supervisor.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence

#: Python ignores or handles these; a program begins with the kernel's own defaults for all.
_RESET = tuple(
    number
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP) and number < signal.SIGRTMIN
)
FileAction = tuple[int, int, int] | tuple[int, int, str, int, int]


class Process:
    """A child process; whoever waits for it first reaps it, and everybody learns its status."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        #: Readable when the process has ended.
        self.pidfd = os.pidfd_open(pid)
        #: Its exit status, or minus the signal that ended it; None until it was waited for.
        self.returncode: int | None = None
        self._lock = threading.Lock()
        self._is_held = True

    def poll(self) -> int | None:
        """The status of a process that has ended, which reaps it; None while it runs."""
        with self._lock:
            if self.returncode is None:
                seen = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)
                if seen is not None:
                    is_own = seen.si_code == os.CLD_EXITED
                    self.returncode = seen.si_status if is_own else -seen.si_status
            return self.returncode

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end, at most for so many seconds, and reap it; None if it still runs."""
        if self.returncode is not None:
            return self.returncode
        deadline = None if seconds is None else time.monotonic() + seconds
        # A descriptor of its own: another thread may let go of ours at any moment.
        with self._lock:
            if not self._is_held:
                return self.returncode
            mine = os.dup(self.pidfd)
        try:
            ear = select.poll()
            ear.register(mine, select.POLLIN)
            while self.poll() is None:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if left == 0.0 or not ear.poll(None if left is None else left * 1000):
                    return self.poll()
        finally:
            os.close(mine)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens to a process that has ended."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._is_held and self.returncode is None:
                signal.pidfd_send_signal(self.pidfd, number)

    def release(self) -> None:
        """Let go of the pidfd of a process that was reaped."""
        with self._lock:
            if self._is_held:
                self._is_held = False
                os.close(self.pidfd)


def spawn_on_files(
    path: str, argv: Sequence[str], env: Mapping[str, str], *, stdin: int, stdout: int, stderr: int
) -> Process:
    """Start a program in a session of its own, with these descriptors as its standard files.

    Raises OSError when it cannot be executed. It inherits the calling thread's
    namespaces, root and working directory.
    """
    files: list[FileAction] = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((stdin, stdout, stderr))]
    return _spawn(path, argv, env, files)


def spawn_on_terminal(path: str, argv: Sequence[str], env: Mapping[str, str], terminal: str) -> Process:
    """Start a program in a session of its own whose terminal is the tty at a path; else as above."""
    files: list[FileAction] = [
        (os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, 0, 2),
    ]
    return _spawn(path, argv, env, files)


def _spawn(path: str, argv: Sequence[str], env: Mapping[str, str], files: Sequence[FileAction]) -> Process:
    pid = os.posix_spawn(
        path, list(argv), dict(env), file_actions=files, setsid=True, setsigmask=(), setsigdef=_RESET
    )
    return Process(pid)
