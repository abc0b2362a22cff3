"""The root file system of a node: the machine's own files, private where they must be.

Everybody has an /etc of their own. A container has its own, at first empty, /tmp, /var/tmp, /run
and /dev/shm besides. Everything happens in the mount namespace of the calling thread.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ipvlab.linux.namespaces import MS_BIND, MS_MOVE, MS_REC, mount, unmount

_LIBRARIES_THAT_ASK_THE_MACHINE = ("/run/nscd", "/var/run/nscd")
#: What a container has for itself alone, and the mode of each.
_PRIVATE = {"/tmp": "1777", "/var/tmp": "1777", "/run": "755", "/dev/shm": "1777"}  # noqa: S108 - mount points

#: The folder of what ipvlab brings for machines without it: last on a node's PATH.
OWN_PROGRAMS = "/etc/ipvlab/bin"
_APPLETS = "/etc/ipvlab/busybox"
_LIBRARY = "/etc/ipvlab/lib"
_OWN = {"ip": "ip", "ping": "ping", "ping6": "ping", "nslookup": "nslookup"}
#: What a container of Alpine has, and many machines lack.
_WANTED_APPLETS = ("ash", "arp", "arping", "nc", "route", "telnet", "traceroute", "traceroute6", "vi", "wget")
#: What Docker gives a container (moby daemon/pkg/oci/defaults.go), and then what a machine may lack.
DOCKER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATH = f"{DOCKER_PATH}:{_APPLETS}:{OWN_PROGRAMS}"


def furnish_root(
    files: Mapping[str, str], *, is_container: bool, run_folder: str | None, with_overlay: bool
) -> None:
    """Make the calling thread's root file system that of a node.

    ``files`` are those of its /etc, by name; ``run_folder`` is what is seen as
    /run, where None is the caller's, and in a container an empty one. Raises OSError.
    """
    _make_etc_private({**files, "nsswitch.conf": _nsswitch()}, with_overlay)
    _bring_programs()
    if run_folder is not None:
        mount(run_folder, "/run", flags=MS_BIND)
    if is_container:
        _empty_folders([path for path in _PRIVATE if path != "/run" or run_folder is None])
    for path in _LIBRARIES_THAT_ASK_THE_MACHINE:
        with contextlib.suppress(OSError):
            mount("ipvlab", path, "tmpfs")


def _empty_folders(private: Sequence[str]) -> None:
    """Put an empty file system over each folder that a container has for itself.

    ipvlab's own interpreter, which runs the programs that it brings, stays where it is.
    """
    with contextlib.ExitStack() as held:
        kept: dict[str, int] = {}
        for path in _interpreter_folders():
            kept[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
            held.callback(os.close, kept[path])
        for path in private:
            # A link, such as /var/tmp to /tmp, is private by what it leads to.
            if os.path.isdir(path) and not os.path.islink(path):
                mount("ipvlab", path, "tmpfs", options=f"mode={_PRIVATE[path]}")
        for path, fd in kept.items():
            os.makedirs(path, exist_ok=True)
            mount(f"/proc/thread-self/fd/{fd}", path, flags=MS_BIND | MS_REC)


@functools.cache
def _interpreter_folders() -> tuple[str, ...]:
    """The folders of Python that would be hidden."""
    # The package may be a checkout that is installed as editable, anywhere.
    package = str(Path(__file__).resolve().parents[2])
    folders = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), package}
    hidden = [path for path in sorted(folders) if any(path.startswith(f"{over}/") for over in _PRIVATE)]
    return tuple(path for path in hidden if not any(path.startswith(f"{outer}/") for outer in hidden))


def _bring_programs() -> None:
    """Put ``ip``, ``ping`` and ``nslookup`` of our own, and links to busybox, below the private /etc."""
    for folder in (OWN_PROGRAMS, _APPLETS, f"{_LIBRARY}/ipvlab"):
        os.makedirs(folder, exist_ok=True)
    package = Path(__file__).parents[1]
    mount(str(package), f"{_LIBRARY}/ipvlab", flags=MS_BIND)
    for name, text in _own_scripts():
        path = f"{OWN_PROGRAMS}/{name}"
        Path(path).write_text(text, encoding="utf-8")
        os.chmod(path, 0o755)  # noqa: S103 - a program, which everybody may run
    for name, target in _applets():
        with contextlib.suppress(FileExistsError):
            os.symlink(target, f"{_APPLETS}/{name}")


@functools.cache
def _own_scripts() -> tuple[tuple[str, str], ...]:
    """Name and text of each program: the interpreter without any library but its own, on our code."""
    python = os.path.realpath(sys.executable)
    scripts = []
    for name, module in _OWN.items():
        code = (
            f"import sys; sys.path.insert(0, {_LIBRARY!r}); sys.argv[0] = {name!r}; "
            f"from ipvlab.lab.own_programs.{module} import main; sys.exit(main())"
        )
        scripts.append((name, f'#!/bin/sh\nexec {shlex.join([python, "-BISc", code])} "$@"\n'))
    return tuple(scripts)


@functools.cache
def _applets() -> tuple[tuple[str, str], ...]:
    """Name and target of each link that the machine has a use for."""
    busybox = shutil.which("busybox", path=DOCKER_PATH)
    wanted = [name for name in _WANTED_APPLETS if shutil.which(name, path=DOCKER_PATH) is None]
    if busybox is not None:
        return tuple((name, busybox) for name in wanted)
    return (("ash", "/bin/sh"),) if "ash" in wanted else ()


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
            write_file(name, content, fd)
    finally:
        os.close(fd)


def write_file(name: str, content: str, folder: int) -> None:
    """Write a file that everybody may read, in the folder behind a descriptor."""
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
