"""How a program of a container is started: its environment, its executable, its user, its folder.

What cannot be started is refused in the words of runc, which Docker's client reads
(``executable file not found`` becomes exit code 127, ``permission denied`` 126).
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import stat
import sys
from typing import TYPE_CHECKING

from ipvlab.driver.workloads import SHELLS
from ipvlab.errors import DriverRefusal
from ipvlab.lab.rootfs import PATH
from ipvlab.lab.sandbox import sandbox_of
from ipvlab.linux.spawn import Process, spawn_on_files, spawn_on_terminal

if TYPE_CHECKING:
    from ipvlab.driver.workloads import ProgramRequest
    from ipvlab.lab.nodes import Node

#: Becomes a user and then the program; only root can, and posix_spawn has no way to.
_BECOME = """
import os, sys
uid, gid = int(sys.argv[1]), int(sys.argv[2])
try:
    os.setgroups([gid]); os.setgid(gid); os.setuid(uid)
except OSError as error:
    sys.exit(f"cannot become user {uid} of group {gid}: {error.strerror}")
os.execv(sys.argv[3], sys.argv[4:])
"""

#: What a program is started with: the path of its terminal, or its three standard files.
Given = str | tuple[int, int, int]


def launch(node: Node, request: ProgramRequest, given: Given) -> Process:
    """Start a program in a node, in a session of its own.

    Raises :class:`DriverRefusal` (400) when it cannot be executed, and
    :class:`LabError` when the node's namespaces cannot be made.
    """
    if not request.argv:
        raise DriverRefusal("no command specified", status=400)

    def start() -> Process:
        user = _find_user(request.user)
        env = environment(request, node.hostname or node.name, user.home)
        _enter(request.workdir)
        path, argv = find_executable(request.argv[0], env["PATH"]), request.argv
        if user.uid or user.gid:
            python = os.path.realpath(sys.executable)
            argv = (python, "-BISc", _BECOME, str(user.uid), str(user.gid), path, *argv)
            path = python
        try:
            if isinstance(given, str):
                return spawn_on_terminal(path, argv, env, given)
            stdin, stdout, stderr = given
            return spawn_on_files(path, argv, env, stdin=stdin, stdout=stdout, stderr=stderr)
        except OSError as error:
            raise DriverRefusal(f"exec {path}: {_words(error)}", status=400) from error

    return sandbox_of(node).call(start)


def environment(request: ProgramRequest, hostname: str, home: str = "/root") -> dict[str, str]:
    """What a container's program finds in its environment (moby container/env.go, daemon/oci_linux.go)."""
    given = {"PATH": PATH, "HOSTNAME": hostname}
    if request.has_tty:
        given["TERM"] = "xterm"
    return {**given, "HOME": home, **request.env}


def find_executable(name: str, path: str) -> str:
    """The file that a name stands for, in the calling thread's root; raises :class:`DriverRefusal`.

    As Go's exec.LookPath, which runc uses: a name with a slash is a path. A
    shell that the machine has not is the one that it has.
    """
    if name.rpartition("/")[2] in SHELLS and not os.path.exists(name):
        name = shutil.which(name.rpartition("/")[2], path=path) or "/bin/sh"
    if "/" not in name:
        found = shutil.which(name, path=path)
        if found is None:
            raise DriverRefusal(f'exec: "{name}": executable file not found in $PATH', status=400)
        return found
    try:
        about = os.stat(name)
    except OSError as error:
        raise DriverRefusal(f'exec: "{name}": stat {name}: {_words(error)}', status=400) from error
    if stat.S_ISDIR(about.st_mode):
        raise DriverRefusal(f'exec: "{name}": is a directory', status=400)
    if not about.st_mode & 0o111:
        raise DriverRefusal(f'exec: "{name}": permission denied', status=400)
    return name


def _enter(folder: str) -> None:
    """Make a folder the working directory."""
    try:
        os.chdir(folder or "/")
    except OSError as error:
        raise DriverRefusal(
            f'chdir to cwd ("{folder}") set in config.json failed: {_words(error)}',
            status=400,
            hint="a container has the machine's own files, and no folder is made in them: use one below /tmp",
        ) from error


class _User:
    def __init__(self, uid: int = 0, gid: int = 0, home: str = "/root") -> None:
        self.uid, self.gid, self.home = uid, gid, home


def _find_user(text: str) -> _User:
    """The user of ``-u NAME|UID[:GROUP|GID]``, by the machine's own lists."""
    if not text:
        return _User()
    name, _, group = text.partition(":")
    user = _look_up_user(name)
    if group:
        user.gid = _look_up_group(group)
    return user


def _look_up_user(name: str) -> _User:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit():
            return _User(int(name), 0, "/")
        raise DriverRefusal(
            f"unable to find user {name}: no matching entries in passwd file", status=400
        ) from None
    return _User(entry.pw_uid, entry.pw_gid, entry.pw_dir)


def _look_up_group(name: str) -> int:
    if name.isdigit():
        return int(name)
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise DriverRefusal(
            f"unable to find group {name}: no matching entries in group file", status=400
        ) from None


def _words(error: OSError) -> str:
    """An error as Go writes it: in lower case."""
    if error.errno == errno.ENOEXEC:
        return "exec format error"
    return os.strerror(error.errno or 0).lower()


def with_prefix(refusal: DriverRefusal, *, is_exec: bool) -> DriverRefusal:
    """The refusal as Docker tells it: through containerd and runc (moby daemon/start.go, exec.go)."""
    if is_exec:
        words = "OCI runtime exec failed: exec failed: unable to start container process"
    else:
        words = (
            "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            "runc create failed: unable to start container process: error during container init"
        )
    return DriverRefusal(f"{words}: {refusal.what}: unknown", status=400, hint=refusal.hint)
