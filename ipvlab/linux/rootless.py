"""Labs without root: the process becomes root of namespaces of its own before it starts a thread.

A thread can come home only to namespaces that its user namespace owns (setns(2)),
so user, mount, uts, network and pid namespaces are made together.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

from ipvlab.errors import PrivilegeMissing
from ipvlab.linux.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    MS_PRIVATE,
    MS_REC,
    mount,
    unshare,
)

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
#: The same from a shell, for programs that do not do it themselves.
SHELL_COMMAND = "unshare -Urnmup --fork --mount-proc"
#: The last group that ``ping_group_range`` takes (net/ipv4/ping.c: GID_T_MAX cut to int).
LAST_GROUP = 2147483647

#: Sysctls that forbid user namespaces, the value that allows them, and whose they are.
_FORBIDDING = (
    ("kernel/apparmor_restrict_unprivileged_userns", "0"),  # Ubuntu 23.10 and later
    ("kernel/unprivileged_userns_clone", "1"),  # Debian
    ("user/max_user_namespaces", "10000"),  # everybody; 0 on some hardened machines
)

_SYSCTLS = Path("/proc/sys")

#: What a lab needs: mounts and namespaces, and links (linux/capability.h).
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
#: Signals that ask for an end.
_ENDS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)

_libc = ctypes.CDLL(None, use_errno=True)


def lacks_privileges() -> bool:
    """Whether this process could not make a lab as it is, by its capabilities (proc(5): CapEff)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            held = int(value, 16)
            return not (held >> CAP_NET_ADMIN & 1 and held >> CAP_SYS_ADMIN & 1)
    return os.geteuid() != 0


def enter_user_namespace() -> None:
    """Make this process root of user, mount, uts, network and pid namespaces of its own.

    Returns in a grandchild, process 2 of the new pid namespace; process 1 reaps
    for it, and the caller's process waits and ends with its status. Signals that
    ask for an end are passed on, and SIGKILL of any of them ends them all.

    Raises :class:`PrivilegeMissing` where this machine forbids it, and RuntimeError
    when the process has more than one thread (unshare(2): EINVAL).
    """
    make_namespaces()
    _continue_in_child()
    mount_proc()
    _continue_in_child()


def make_namespaces() -> None:
    """Make this process root of new user, mount, uts and network namespaces; its next child is process 1.

    That child is to call :func:`mount_proc`. Raises as :func:`enter_user_namespace`.
    """
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process enters its user namespace before it starts a thread")
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWPID)
        _map_ids(user, group)
    except OSError as error:
        raise _refusal(error) from error


def mount_proc() -> None:
    """Show process 1 of a new pid namespace its own processes; raises :class:`PrivilegeMissing`."""
    try:
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("proc", "/proc", "proc")
    except OSError as error:
        # Containers cover parts of /proc, and then no fuller one may be mounted
        # (fs/namespace.c: mount_too_revealing).
        raise _refusal(error) from error


def _map_ids(user: int, group: int) -> None:
    """Map this user and group to 0; without setgroups, which an unprivileged map rules out."""
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"0 {user} 1")
    (own / "gid_map").write_text(f"0 {group} 1")


def _refusal(error: OSError) -> PrivilegeMissing:
    hint = "run as root, for example: sudo ipvlab run …"
    for path, allowing in _FORBIDDING:
        sysctl = _SYSCTLS / path
        if not sysctl.exists():
            continue
        value = sysctl.read_text().strip()
        if value == "0" if allowing != "0" else value != "0":
            hint = f"sudo sysctl -w {path.replace('/', '.')}={allowing}"
            break
    words = os.strerror(error.errno or 0)
    return PrivilegeMissing(f"this user may not have a user namespace ({words})", hint=hint)


def _continue_in_child() -> None:
    """Fork; the child goes on, and the parent stays until it has ended."""
    parent = os.getpid()
    # Blocked before the fork, so that none is lost. A blocked signal stays pending even for process 1
    # of a pid namespace, which drops those without a handler (kernel/signal.c: sig_ignored).
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDS, signal.SIGCHLD))
    child = os.fork()
    if child == 0:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent of process 1 is outside of its pid namespace and looks like 0.
        if os.getppid() not in (0, parent):
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        heard = signal.sigwaitinfo((*_ENDS, signal.SIGCHLD))
        if heard.si_signo == signal.SIGCHLD:
            _end_with(child)
        # A key goes to the whole foreground group, so the child has heard it: from the kernel (sigaction(2)).
        elif heard.si_code <= 0:
            os.kill(child, heard.si_signo)


def _end_with(child: int) -> None:
    """Reap what has ended; where the child has, end as it did."""
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            os._exit(1)
        if ended == 0:
            return
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def last_mapped_group() -> int:
    """The highest group of the map that begins with 0: only mapped ones may stand in ``ping_group_range``."""
    for line in Path("/proc/self/gid_map").read_text().splitlines():
        inside, _, count = (int(part) for part in line.split())
        if inside == 0:
            return min(count - 1, LAST_GROUP)
    return LAST_GROUP
