"""A node's own file system, hostname and process table: its *sandbox*.

A sandbox (mount, uts and pid namespaces) is made at the node's first command
and kept. Its first process is a shell that does nothing but wait for the end of a pipe of which
the supervisor holds the other end. When the supervisor dies, even by kill -9,
the kernel closes that end, the shell ends, and the end of a pid namespace's
first process kills everything else in it, grandchildren included
(``zap_pid_ns_processes``). ``PR_SET_PDEATHSIG`` would not reach grandchildren, and
would need ``setpriv`` before every command.

A later command is spawned from the namespace thread after one ``setns`` of that
process's pidfd into all of the sandbox, so with vfork. Measured for ``/bin/true``:
0.8 ms so, 0.7 ms outside of any sandbox, 1.7 ms behind ``setpriv``, 1.8 ms with a
``preexec_fn``, which turns vfork into fork; 4 to 5 ms for a node's first command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import select
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from ipvlab.driver.names import rejoin_hosts
from ipvlab.errors import LabError
from ipvlab.lab.nodes import Node
from ipvlab.lab.rootfs import furnish_root
from ipvlab.linux.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    MS_PRIVATE,
    MS_REC,
    THREAD,
    Namespace,
    mount,
    setns,
    unshare,
)

#: Ends when its standard input does, and reaps what others leave behind while it waits.
#: Only a process inside the pid namespace can mount its /proc (proc_init_fs_context);
#: inside containers with a masked /proc even that is refused, and the machine's stays.
_WAIT_FOR_END = (
    'trap "" HUP INT TERM; mount -n -t proc proc /proc 2>/dev/null; echo;'
    " exec 3<&0 >/dev/null; cat <&3 & wait $!"
)
_FIRST_PROCESS = ("ipvlab-init", "-c", _WAIT_FOR_END)

_SANDBOX = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID
#: Nobody's resolv.conf or hosts file is longer than this, in bytes.
_FILE_MOST = 1 << 20

#: How long the first process may take to go once it is killed, in seconds; it takes milliseconds.
_PATIENCE = 2.0

_making = threading.Lock()


class Child(Protocol):
    """A process that was started in a sandbox and is this process's to reap."""

    returncode: int | None

    def wait(self) -> object:
        """Return once it has ended and is reaped."""


_Child = TypeVar("_Child", bound=Child)


@dataclasses.dataclass(frozen=True, slots=True)
class NodeFiles:
    """What a node's commands read as /etc/hosts, /etc/resolv.conf and /etc/hostname."""

    hosts: str
    resolv_conf: str
    hostname: str

    @classmethod
    def of_machine(cls, hostname: str) -> NodeFiles:
        """The files of a host or router: it knows localhost and itself, and has no DNS server."""
        hosts = f"127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        return cls(hosts=hosts, resolv_conf="", hostname=hostname)

    def written(self) -> dict[str, str]:
        """File name below /etc to content."""
        return {"hosts": self.hosts, "resolv.conf": self.resolv_conf, "hostname": f"{self.hostname}\n"}


class Sandbox:
    """The mount, uts and pid namespaces of one node, and the processes in them."""

    def __init__(
        self,
        namespace: Namespace,
        files: NodeFiles,
        *,
        with_overlay: bool = True,
        is_container: bool = False,
        run_folder: str | None = None,
    ) -> None:
        """Make the namespaces; ``with_overlay`` False is for kernels without overlayfs.

        ``run_folder`` is what is seen as /run; None leaves the caller's.

        Raises :class:`LabError` when the machine refuses a step; nothing is left then.
        """
        self._namespace = namespace
        self._files = files
        self._is_container = is_container
        self._run_folder = run_folder
        self._pidfd: int | None = None
        #: Touched on the namespace thread only.
        self._spawned: list[Child] = []
        self._ending = contextlib.ExitStack()
        try:
            self._pidfd = THREAD.call_apart(lambda: self._make(with_overlay))
        except OSError as error:
            self.close()
            raise LabError(
                f"{namespace.name}: cannot make the namespaces of its processes: {error}",
                hint="commands in a node need the right to mount; run as root",
            ) from error
        except BaseException:
            self.close()
            raise

    def _make(self, with_overlay: bool) -> int:
        setns(self._namespace.fd, CLONE_NEWNET)
        unshare(_SANDBOX)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        socket.sethostname(self._files.hostname)
        furnish_root(
            self._files.written(),
            is_container=self._is_container,
            run_folder=self._run_folder,
            with_overlay=with_overlay,
        )
        self._etc = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._ending.callback(os.close, self._etc)
        self._root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._ending.callback(os.close, self._root)
        first = subprocess.Popen(
            _FIRST_PROCESS,
            executable="/bin/sh",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath + ":/sbin:/usr/sbin"},
            start_new_session=True,
        )
        self._ending.callback(self._end_processes, first)
        pidfd = os.pidfd_open(first.pid)
        self._ending.callback(os.close, pidfd)
        assert first.stdout is not None
        with first.stdout as ready:
            if not ready.read(1):
                raise OSError(errno.ECHILD, "their first process ended at once", "/bin/sh")
        return pidfd

    def way_in(self) -> tuple[int, int]:
        """A pidfd of its first process and its root folder, for a program that enters by itself.

        They stay the sandbox's own. Raises :class:`LabError` when it has ended.
        """
        if self._pidfd is None:
            raise LabError(f"{self._namespace.name} has ended, no command can run in it")
        return self._pidfd, self._root

    def call(self, work: Callable[[], _Child]) -> _Child:
        """Start a process inside: ``work`` runs on the namespace thread, in all of the node's namespaces."""

        def visit() -> _Child:
            name = self._namespace.name
            if self._pidfd is None:
                raise LabError(f"{name} has ended, no command can run in it")
            try:
                setns(self._pidfd, _SANDBOX)
            except ProcessLookupError as error:
                raise LabError(f"{name}: its first process was killed, no command can run") from error
            # Entering a mount namespace makes its root ours (fs/namespace.c: mntns_install); where
            # ipvlab itself runs in a chroot that would be the machine's, with the machine's /etc.
            os.fchdir(self._root)
            os.chroot(".")
            process = work()
            self._spawned = [one for one in self._spawned if one.returncode is None]
            self._spawned.append(process)
            return process

        return self._namespace.call(visit)

    def replace_files(self, files: NodeFiles) -> None:
        """Give later reads of /etc/hosts, /etc/resolv.conf and the hostname a new content.

        As with Docker, what was written inside the node stays: lines of
        /etc/hosts, and the whole of a /etc/resolv.conf that is not as it was made.
        """
        if files == self._files:
            return
        if files.hosts != self._files.hosts:
            old, new = self._files.hosts.splitlines(), files.hosts.splitlines()
            gone, come = ([line for line in a if line not in b] for a, b in ((old, new), (new, old)))
            self._rewrite("hosts", rejoin_hosts(self.read_file("hosts"), gone, come))
        if self.read_file("resolv.conf") == self._files.resolv_conf:
            self._rewrite("resolv.conf", files.resolv_conf)
        if files.hostname != self._files.hostname:
            self._rewrite("hostname", f"{files.hostname}\n")
            self._rename(files.hostname)
        self._files = files

    def _rewrite(self, name: str, content: str) -> None:
        """Write a file below /etc in place; what the node has made of something else is left alone."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, 0o644, dir_fd=self._etc)
        except OSError:
            return
        with open(fd, "w", encoding="utf-8") as file:
            file.write(content)

    def read_file(self, name: str) -> str:
        """The text of a file directly below the node's /etc as it is now; empty where there is none to read.

        Links are not followed: they would lead into the caller's own file system.
        """
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._etc)
        except OSError:
            return ""
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return ""
            return file.read(_FILE_MOST).decode(errors="replace")

    def _rename(self, hostname: str) -> None:
        def visit() -> None:
            if self._pidfd is not None:
                setns(self._pidfd, CLONE_NEWUTS)
                socket.sethostname(hostname)

        self._namespace.call(visit)

    def _end_processes(self, first: subprocess.Popen[bytes]) -> None:
        first.kill()
        # The kernel lets the first process go only when processes that entered
        # from outside are gone, and those are ours to reap (zap_pid_ns_processes).
        for process in self._spawned:
            process.wait()
        assert first.stdin is not None
        first.stdin.close()
        if first.poll() is not None:
            return
        # Those of a program that a person started (`ipvlab exec`) are that one's, who may be stopped.
        pidfd = os.pidfd_open(first.pid)
        try:
            is_gone = select.select([pidfd], [], [], _PATIENCE)[0]
        finally:
            os.close(pidfd)
        if is_gone:
            first.wait()
        else:
            threading.Thread(target=first.wait, name="reaper", daemon=True).start()

    def close(self) -> None:
        """Kill all processes inside and let go of the namespaces; returns when they are gone."""
        self._pidfd = None
        self._ending.close()


def sandbox_of(node: Node) -> Sandbox:
    """The node's sandbox, made when there is none yet; it ends with the node's namespace."""
    with _making:
        files = node.files or NodeFiles.of_machine(node.hostname or node.name)
        if node.sandbox is None:
            node.sandbox = Sandbox(
                node.namespace, files, is_container=node.kind == "container", run_folder=node.run_folder
            )
            node.namespace.at_close(node.sandbox.close)
        node.sandbox.replace_files(files)
        return node.sandbox


def set_files(node: Node, files: NodeFiles) -> None:
    """Decide what the node's commands read below /etc; those that run see it at their next read."""
    node.files = files
    if node.sandbox is not None:
        sandbox_of(node)
