"""How a supervisor comes into being: forked before any thread exists, in a session of its own.

The caller waits for one report, which is an answer or an error of
:mod:`ipvlab.errors`; a supervisor that has not reported when its caller goes away ends at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Pipe
from typing import NoReturn

from ipvlab.errors import IpvlabError, LabLost, LabTaken
from ipvlab.supervisor.channel import peer_of
from ipvlab.supervisor.names import abstract_address, check_name
from ipvlab.supervisor.shelter import LOG, make_shelter

#: Connections that the kernel lets wait; it caps the number at net.core.somaxconn.
_BACKLOG = 4096


class Cradle:
    """What a supervisor is born with: its name, its socket, and the line to its caller."""

    def __init__(self, name: str, listener: socket.socket, line: Connection) -> None:
        self.name = name
        self.listener = listener
        self._line = line
        self._has_reported = False

    def report(self, answer: object) -> None:
        """Tell the caller that all is well; from now on the caller may go away."""
        self._has_reported = True
        self._line.send((answer, None))

    def watch_caller(self) -> None:
        """End this process when its caller goes away before it has a report."""

        def watch() -> None:
            with contextlib.suppress(OSError, EOFError):
                self._line.recv()
            if not self._has_reported:
                os._exit(1)
            self._line.close()

        threading.Thread(target=watch, name="caller", daemon=True).start()


def bear(name: str, live: Callable[[Cradle], None], *, is_simulated: bool, enters: bool) -> object:
    """Fork a supervisor that holds the name of a lab, and return what it reports.

    ``live`` is its whole life, in the new process; ``is_simulated`` says that it needs no /run of its
    own, ``enters`` that it first becomes root of namespaces of its own. Raises the
    error that it reports, :class:`LabTaken` where the name is held, and :class:`LabLost` where it
    ends without a word; it is gone then, and everything that it had made.
    """
    address = abstract_address(os.geteuid(), check_name(name))
    here, there = Pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        here.close()
        _begin(name, address, there, live, is_simulated=is_simulated, enters=enters)
    there.close()
    with contextlib.closing(here):
        os.waitpid(child, 0)
        try:
            answer, error = here.recv()
        except EOFError:
            raise LabLost(f"the supervisor of {name} ended while it built the lab") from None
        except BaseException:
            # It ends when it sees that nobody waits; its end of the line closes with it.
            here.send("end")
            with contextlib.suppress(EOFError, OSError):
                here.recv()
            raise
    if error is not None:
        raise error
    return answer


def _begin(
    name: str,
    address: bytes,
    line: Connection,
    live: Callable[[Cradle], None],
    *,
    is_simulated: bool,
    enters: bool,
) -> NoReturn:
    """Take the name, fork once more, and live in the grandchild, which nobody has to wait for."""
    with _telling(line):
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        listener = _take_name(name, address)
        if enters:
            from ipvlab.linux.rootless import make_namespaces

            # The socket stays in the namespace that it was made in, where clients look for it.
            make_namespaces()
        if os.fork() != 0:
            os._exit(0)
        if enters:
            from ipvlab.linux.rootless import mount_proc

            mount_proc()
        if not is_simulated:
            make_shelter()
        _leave_caller({line.fileno(), listener.fileno()}, is_simulated=is_simulated)
        # Whoever calls this is who clients find at the other end (net/unix/af_unix.c: unix_listen).
        listener.listen(_BACKLOG)
        cradle = Cradle(name, listener, line)
        cradle.watch_caller()
        live(cradle)
    os._exit(0)


@contextlib.contextmanager
def _telling(line: Connection) -> Iterator[None]:
    """Report what goes wrong, and end this process then."""
    try:
        yield
    except IpvlabError as error:
        _send_error(line, error)
    except BaseException as error:  # noqa: BLE001 - a forked process must not return into its parent's code
        traceback.print_exc()
        told = LabLost(f"the supervisor failed, which is a defect of ipvlab: {type(error).__name__}: {error}")
        _send_error(line, told)


def _send_error(line: Connection, error: IpvlabError) -> NoReturn:
    with contextlib.suppress(OSError):
        line.send((None, error))
    os._exit(1)


def _take_name(name: str, address: bytes) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(address)
    except OSError as refusal:
        if refusal.errno != errno.EADDRINUSE:
            raise
        raise taken(name, address) from None
    return listener


def taken(name: str, address: bytes) -> LabTaken:
    """The error of a name that is held, with the pid of its holder where that can be found out."""
    holder = ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, contextlib.suppress(OSError):
        sock.settimeout(1.0)
        sock.connect(address)
        holder = f", its supervisor is process {peer_of(sock)[0]}"
    return LabTaken(
        f"a lab {name} is up already{holder}",
        hint=f"end it with ipvlab down {name}, or give the new one another name (ipvlab up --name NAME)",
    )


def _leave_caller(kept: set[int], *, is_simulated: bool) -> None:
    """Let go of the caller's terminal and files; what is printed from now on goes to the log.

    Where there is no folder for it, the log is a file without a name that ends with the process.
    """
    os.chdir("/")
    log = (
        os.memfd_create("log")
        if is_simulated
        else os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    )
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for entry in os.listdir("/proc/self/fd"):
        fd = int(entry)
        if fd > 2 and fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - they live as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115 - same
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115 - same
