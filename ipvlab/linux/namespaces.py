"""The one module that enters namespaces, on one thread that never comes home to a wrong one.

``setns`` and ``unshare`` act on the calling thread. Everything that must happen
inside a namespace is therefore sent to one worker thread, which unshares
``CLONE_FS`` once (or entering a mount namespace fails with EINVAL) and which no
other code runs on. Sockets stay in the namespace that they were opened in, so
they are opened there once and then used from anywhere.
"""

from __future__ import annotations

import ctypes
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from ipvlab.errors import KernelRefusal, PrivilegeMissing

if TYPE_CHECKING:
    from ipvlab.linux.netlink import Netlink

T = TypeVar("T")

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def setns(fd: int, kind: int = 0) -> None:
    """Enter the namespace behind ``fd`` (setns(2)); ``os.setns`` exists from 3.12 only."""
    if _libc.setns(fd, kind) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), "setns")


def unshare(kinds: int) -> None:
    """Give the calling thread new namespaces (unshare(2))."""
    if _libc.unshare(kinds) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount in the mount namespace of the calling thread (mount(2))."""
    if (
        _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
        != 0
    ):
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), target)


def unmount(target: str) -> None:
    """Take a mount out of the tree; what still uses it keeps it (umount2(2) with MNT_DETACH)."""
    if _libc.umount2(target.encode(), MNT_DETACH) != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, os.strerror(errno), target)


class NamespaceThread:
    """The worker that enters namespaces; one per process, started at the first use."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def call(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the thread and return its result or raise its exception."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="namespaces", daemon=True)
                self._thread.start()
        future: Future[T] = Future()
        self._jobs.put((work, future))
        return future.result()

    def call_in(self, fds: Sequence[int], work: Callable[[], T]) -> T:
        """Run ``work`` inside the namespaces behind ``fds``, then go home; one hop there and back."""

        def visit() -> T:
            for fd in fds:
                setns(fd)
            return work()

        return self.call(self._returning(visit))

    def call_apart(self, work: Callable[[], T]) -> T:
        """Run ``work`` on a thread of its own that ends with it and so never has to come home.

        For ``unshare(CLONE_NEWPID)``: a thread can do that once only, and a
        thread that has done it cannot start threads (copy_process: EINVAL).
        """

        def visit() -> T:
            unshare(CLONE_FS)
            return work()

        with ThreadPoolExecutor(1, "namespaces-apart") as threads:
            return threads.submit(visit).result()

    def call_each(self, visits: Iterable[tuple[int, Callable[[], T]]]) -> list[T]:
        """Run many pieces of work, each in the network namespace of its fd, in one trip."""

        def tour() -> list[T]:
            results = []
            for fd, work in visits:
                setns(fd, CLONE_NEWNET)
                results.append(work())
            return results

        return self.call(self._returning(tour))

    def _returning(self, work: Callable[[], T]) -> Callable[[], T]:
        def visit() -> T:
            try:
                return work()
            finally:
                for fd in self._home:
                    setns(fd)

        return visit

    def create_network(self, count: int, settings: Mapping[str, str]) -> list[tuple[int, socket.socket]]:
        """Make ``count`` network namespaces; for each its fd and a route netlink socket in it.

        ``settings`` are sysctl paths below ``/proc/sys/net/`` and their values.
        Raises :class:`PrivilegeMissing` when the user may not make namespaces.
        """

        def make() -> list[tuple[int, socket.socket]]:
            made: list[tuple[int, socket.socket]] = []
            try:
                for _ in range(count):
                    unshare(CLONE_NEWNET)
                    fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                    made.append((fd, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)))
                    for path, value in settings.items():
                        write_sysctl(path, value)
            except BaseException:
                for fd, netlink in made:
                    netlink.close()
                    os.close(fd)
                raise
            return made

        try:
            return self.call(self._returning(make))
        except PermissionError as error:
            raise PrivilegeMissing(
                f"this user may not make network namespaces ({error.strerror})",
                hint="run as root, for example: sudo ipvlab run …",
            ) from error

    def _serve(self) -> None:
        unshare(CLONE_FS)
        # Mount and uts first: /proc must still be this machine's own.
        self._home = tuple(
            os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
            for kind in ("mnt", "uts", "pid", "net")
        )
        while True:
            work, future = self._jobs.get()
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
                future.set_exception(error)
            del work, future


def write_sysctl(path: str, value: str) -> None:
    """Write one sysctl of the calling thread's network namespace; absent ones are left out."""
    try:
        fd = os.open(f"/proc/sys/net/{path}", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise KernelRefusal(
            f"net/{path} = {value}: {os.strerror(error.errno or 0)}", errno=error.errno or 0
        ) from error
    finally:
        os.close(fd)


#: The process's own worker.
THREAD = NamespaceThread()


class Namespace:
    """A network namespace without a name, held open by its fd; it ends with the process."""

    def __init__(self, name: str, fd: int, netlink: Netlink) -> None:
        self.name = name
        self.fd = fd
        self.netlink = netlink
        self._endings: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"Namespace({self.name!r})"

    def call(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the namespace thread, inside this network namespace."""
        return THREAD.call_in((self.fd,), work)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a socket that stays in this namespace and can be used from any thread."""
        return self.call(lambda: socket.socket(family, kind, protocol))

    def write_sysctls(self, settings: Mapping[str, str]) -> None:
        """Write sysctls (paths below ``/proc/sys/net/``) of this namespace."""

        def write() -> None:
            for path, value in settings.items():
                write_sysctl(path, value)

        self.call(write)

    def at_close(self, ending: Callable[[], None]) -> None:
        """Have ``ending`` called when the namespace is let go of, the last one first."""
        self._endings.append(ending)

    def close(self) -> None:
        """Let go of the namespace; the kernel frees it when nothing else is left in it."""
        while self._endings:
            self._endings.pop()()
        self.netlink.close()
        os.close(self.fd)
