"""Real commands inside a node, with its own /etc/hosts, /etc/resolv.conf, hostname and process table.

A node's *sandbox* (mount, uts and pid namespaces) is made at its first command
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
import re
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from ipvlab.driver.port import CommandResult
from ipvlab.errors import LabError
from ipvlab.lab.nodes import Node
from ipvlab.linux.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    MS_BIND,
    MS_MOVE,
    MS_PRIVATE,
    MS_REC,
    THREAD,
    Namespace,
    mount,
    setns,
    unmount,
    unshare,
)

Stream = int | IO[bytes] | None

#: Ends when its standard input does, and reaps what others leave behind while it waits.
#: Only a process inside the pid namespace can mount its /proc (proc_init_fs_context);
#: inside containers with a masked /proc even that is refused, and the machine's stays.
_WAIT_FOR_END = (
    'trap "" HUP INT TERM; mount -t proc proc /proc 2>/dev/null; echo;'
    " exec 3<&0 >/dev/null; cat <&3 & wait $!"
)
_FIRST_PROCESS = ("ipvlab-init", "-c", _WAIT_FOR_END)

_SANDBOX = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID
_LIBRARIES_THAT_ASK_THE_MACHINE = ("/run/nscd", "/var/run/nscd")

_making = threading.Lock()


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

    def __init__(self, namespace: Namespace, files: NodeFiles, *, with_overlay: bool = True) -> None:
        """Make the namespaces; ``with_overlay`` False is for kernels without overlayfs.

        Raises :class:`LabError` when the machine refuses a step; nothing is left then.
        """
        self._namespace = namespace
        self._files = files
        self._pidfd: int | None = None
        #: Touched on the namespace thread only.
        self._spawned: list[subprocess.Popen[bytes]] = []
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
        _make_etc_private({**self._files.written(), "nsswitch.conf": _nsswitch()}, with_overlay)
        for path in _LIBRARIES_THAT_ASK_THE_MACHINE:
            with contextlib.suppress(OSError):
                mount("ipvlab", path, "tmpfs")
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

    def call(self, work: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a process inside: ``work`` runs on the namespace thread, in all of the node's namespaces."""

        def visit() -> subprocess.Popen[bytes]:
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
        """Give later reads of /etc/hosts, /etc/resolv.conf and the hostname a new content."""
        if files == self._files:
            return
        for name, content in files.written().items():
            _write(name, content, self._etc)
        if files.hostname != self._files.hostname:
            self._rename(files.hostname)
        self._files = files

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
        first.wait()

    def close(self) -> None:
        """Kill all processes inside and let go of the namespaces; returns when they are gone."""
        self._pidfd = None
        self._ending.close()


def run_command(
    node: Node, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str | bytes | None = None
) -> CommandResult:
    """Run a command inside a node to its end and return what it printed.

    ``env`` None is the supervisor's own environment; ``stdin`` None is empty. A
    command that does not exist ends with 127, one that may not be run with 126, one
    killed by signal n with 128 + n, as in a shell. Raises :class:`LabError` when
    the node's namespaces cannot be made.
    """
    sent = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        process = spawn(node, argv, env=env, stdin=subprocess.DEVNULL if sent is None else subprocess.PIPE)
    except FileNotFoundError:
        return CommandResult(127, stderr=f"{argv[0]}: not found\n")
    except PermissionError:
        return CommandResult(126, stderr=f"{argv[0]}: cannot be executed\n")
    with process:
        try:
            stdout, stderr = process.communicate(sent)
        except BaseException:
            process.kill()
            raise
    code = process.returncode
    return CommandResult(
        128 - code if code < 0 else code, stdout.decode(errors="replace"), stderr.decode(errors="replace")
    )


def spawn(
    node: Node,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.PIPE,
    stderr: Stream = subprocess.PIPE,
    has_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a command inside a node and return while it runs; its working directory is ``/``.

    ``has_session`` False leaves it in the supervisor's session, so that a terminal's
    signals reach it. Raises OSError like :class:`subprocess.Popen`, and
    :class:`LabError` when the node's namespaces cannot be made.
    """
    sandbox = sandbox_of(node)
    return sandbox.call(
        lambda: subprocess.Popen(
            list(argv), stdin=stdin, stdout=stdout, stderr=stderr, env=env, start_new_session=has_session
        )
    )


def sandbox_of(node: Node) -> Sandbox:
    """The node's sandbox, made when there is none yet; it ends with the node's namespace."""
    with _making:
        files = node.files or NodeFiles.of_machine(node.hostname or node.name)
        if node.sandbox is None:
            node.sandbox = Sandbox(node.namespace, files)
            node.namespace.at_close(node.sandbox.close)
        node.sandbox.replace_files(files)
        return node.sandbox


def set_files(node: Node, files: NodeFiles) -> None:
    """Decide what the node's commands read below /etc; those that run see it at their next read."""
    node.files = files
    if node.sandbox is not None:
        sandbox_of(node)


def _make_etc_private(files: Mapping[str, str], with_overlay: bool) -> None:
    """Put a private /etc, with ``files`` in it, over the machine's in this mount namespace.

    The directory is covered, not the files: a bind mount on a file needs the file
    to exist, follows a symlink to wherever systemd-resolved points it, and falls
    away when the machine replaces the file by rename (``detach_mounts``).
    """
    # /proc is the one directory that is there for certain; the new one comes later.
    mount("ipvlab", "/proc", "tmpfs", options="mode=755")
    if with_overlay:
        for part in ("upper", "scratch"):
            os.mkdir(f"/proc/{part}")
        # The upper folder's mode becomes that of /etc, whatever the umask is.
        shutil.copymode("/etc", "/proc/upper")
        _write_all(files, "/proc/upper")
        folders = "lowerdir=/etc,upperdir=/proc/upper,workdir=/proc/scratch"
        try:
            mount("ipvlab", "/etc", "overlay", options=folders)
        except OSError:
            with_overlay = False
            for part in ("upper", "scratch"):
                shutil.rmtree(f"/proc/{part}")
    if with_overlay:
        unmount("/proc")
    else:
        _copy_etc(set(files))
        _write_all(files, "/proc")
        mount("/proc", "/etc", flags=MS_MOVE)


def _copy_etc(left_out: set[str]) -> None:
    """Rebuild /etc on the file system at /proc: links as they are, files copied, folders bound."""
    for entry in os.scandir("/etc"):
        if entry.name in left_out:
            continue
        copy = f"/proc/{entry.name}"
        with contextlib.suppress(OSError):
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), copy)
            elif entry.is_dir():
                os.mkdir(copy)
                mount(entry.path, copy, flags=MS_BIND | MS_REC)
            elif entry.is_file():
                about = entry.stat()
                shutil.copyfile(entry.path, copy)
                os.chown(copy, about.st_uid, about.st_gid)
                os.chmod(copy, stat.S_IMODE(about.st_mode))


def _write_all(files: Mapping[str, str], folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, content in files.items():
            _write(name, content, fd)
    finally:
        os.close(fd)


def _write(name: str, content: str, folder: int) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, content.encode())
    finally:
        os.close(fd)


def _nsswitch() -> str:
    """The machine's name service switch with ``hosts: files dns``.

    Other sources (nss-resolve, mdns, nscd) reach the machine's own daemons through
    sockets in the file system, past the network namespace.
    """
    try:
        text = Path("/etc/nsswitch.conf").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        text = ""
    kept = re.sub(r"(?m)^[ \t]*hosts:.*\n?", "", text)
    return f"{kept.rstrip()}\nhosts: files dns\n".lstrip()
