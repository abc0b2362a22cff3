"""A program in a node, started by the client itself, so that terminal, job control and signals are its own.

The supervisor hands over descriptors of the node's namespaces and steps aside.
The program is a child of the client in the pid namespace of the node, and ends with either: with the
node's first process, which dies with the supervisor, and with the client (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from ipvlab.errors import LabLost, PrivilegeMissing
from ipvlab.linux.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    setns,
)

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
#: What a program that could not be started, was not found, or may not be executed ends with.
OWN_FAILURE, NOT_FOUND, NOT_EXECUTABLE = 125, 127, 126
#: Signals that ask for an end, and are passed on.
_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_TERMINAL = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Door:
    """The way into a node: a pidfd of its first process, its root folder, its network namespace."""

    pidfd: int
    root: int
    network: int
    #: The inode of the user namespace that owns them.
    user_namespace: int

    def close(self) -> None:
        """Let go of the descriptors."""
        for fd in (self.pidfd, self.root, self.network):
            os.close(fd)


def run_inside(door: Door, argv: Sequence[str], environment: Mapping[str, str], workdir: str = "/") -> int:
    """Run a program behind a door to its end and return its status as a shell would tell it.

    127 where it does not exist, 126 where it may not be executed, 128 + n where
    signal n ended it. The calling process can have no other children afterwards: what it
    forks lands in the node. Raises :class:`LabLost` when the node is gone and
    :class:`PrivilegeMissing` when this user may not enter.
    """
    is_foreground = _is_foreground()
    kinds = CLONE_NEWPID
    if os.stat("/proc/self/ns/user").st_ino != door.user_namespace:
        kinds |= CLONE_NEWUSER
    try:
        setns(door.pidfd, kinds)
    except ProcessLookupError as gone:
        raise LabLost("the node ended before the program could start") from gone
    except PermissionError as refusal:
        raise PrivilegeMissing(
            "this user may not enter the lab's namespaces", hint="be the user who started the lab"
        ) from refusal
    sys.stdout.flush()
    sys.stderr.flush()
    # Blocked before the fork, so that none is lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDS, signal.SIGCHLD))
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(door, argv, environment, workdir, parent, before, is_foreground)
    try:
        return _Watch(child, is_foreground).wait()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_foreground() -> bool:
    """Whether a terminal is the input, and its keys are for this program."""
    try:
        return os.tcgetpgrp(_TERMINAL) == os.getpgrp()
    except OSError:
        return False


def _become(
    door: Door,
    argv: Sequence[str],
    environment: Mapping[str, str],
    workdir: str,
    parent: int,
    mask: set[int],
    is_foreground: bool,
) -> None:
    """Turn this child into the program; never returns."""
    status = OWN_FAILURE
    try:
        # The parent is outside of this pid namespace and looks like 0.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() not in (0, parent):
            os._exit(status)
        if is_foreground:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.setpgid(0, 0)
            # A group leader of this pid namespace, so that a shell can read the terminal's group.
            os.tcsetpgrp(_TERMINAL, os.getpid())
        setns(door.pidfd, CLONE_NEWNS | CLONE_NEWUTS)
        setns(door.network, CLONE_NEWNET)
        os.fchdir(door.root)
        os.chroot(".")
        os.chdir(workdir)
        for number in (*_ENDS, signal.SIGTTOU, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606 - a program of the user's own choice
    except (FileNotFoundError, NotADirectoryError):
        status = NOT_FOUND
        _tell(f"{argv[0]}: not found")
    except PermissionError as refusal:
        status = NOT_EXECUTABLE
        _tell(f"{argv[0]}: cannot be executed: {refusal.strerror}")
    except BaseException as error:  # noqa: BLE001 - a child must end here, whatever happens
        _tell(f"{argv[0]}: cannot be started: {error}")
    finally:
        os._exit(status)


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"ipvlab: {text}\n".encode(errors="replace"))


class _Watch:
    """Waits for a program, passes signals on, and stops when the program is stopped."""

    def __init__(self, child: int, is_foreground: bool) -> None:
        self._child = child
        self._is_foreground = is_foreground

    def wait(self) -> int:
        """The status of the program, once it has ended."""
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            if self._is_foreground:
                # As the child does; whoever comes first.
                with contextlib.suppress(OSError):
                    os.setpgid(self._child, self._child)
            while True:
                status = self._look()
                if status is not None:
                    return status
                heard = signal.sigwaitinfo((*_ENDS, signal.SIGCHLD))
                # A key goes to the whole foreground group, the program included: the kernel sends it.
                if heard.si_signo != signal.SIGCHLD and heard.si_code <= 0:
                    os.kill(self._child, heard.si_signo)
        finally:
            self._take_terminal()
            signal.signal(signal.SIGTTOU, before)

    def _look(self) -> int | None:
        """The program's status if it has ended; a stop is shared, and over when this returns."""
        ended, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
        if ended == 0:
            return None
        if os.WIFSTOPPED(status):
            self._stop_along()
            return None
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def _stop_along(self) -> None:
        """Stop as the program has, so that the shell that started us gets its terminal back."""
        if not self._is_foreground:
            return
        self._take_terminal()
        os.kill(os.getpid(), signal.SIGSTOP)
        if _is_foreground():
            os.tcsetpgrp(_TERMINAL, self._child)
        os.killpg(self._child, signal.SIGCONT)

    def _take_terminal(self) -> None:
        if self._is_foreground:
            with contextlib.suppress(OSError):
                os.tcsetpgrp(_TERMINAL, os.getpgrp())
