"""Other implementations of ipvlan networking, from Debian: fetched, unpacked, and put in place in a guest.

Docker Engine, Podman with netavark and the CNI plugins are those of Debian 13, with all the libraries
that they need, in a folder of the cache; nothing is installed on this machine. In a guest that folder is
their `/`. As a program, in the guest, this module mounts it and becomes the command that follows.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))

from ci.guest.needs import VmUnfitError, debian_archive, say  # noqa: E402 - found by the line above

SUITE = "trixie"
PACKAGES = (
    "containerd",
    "containernetworking-plugins",
    "conmon",
    "crun",
    "docker.io",
    "iptables",
    "netavark",
    "podman",
    "runc",
)
#: One more than a package: the containers' file system, and a shell for scripts of the engines.
EXTRAS = ("busybox-static",)
#: Where the folder is mounted in the guest, and the variable by which the adapters find it.
PLACE, ENGINES = "/run/engines", "IPVLAB_ENGINES"
#: Merged /usr, which the package base-files makes when it is installed.
_MERGED = ("bin", "sbin", "lib", "lib64")
_FOLDERS = ("dev", "etc", "proc", "root", "run", "sys", "tmp", "var/lib", "var/tmp")
#: What update-alternatives makes when iptables is installed.
_ALTERNATIVES = ("iptables", "ip6tables", "iptables-save", "iptables-restore", "ip6tables-restore")

_MS_BIND, _MS_REC = 0x1000, 0x4000


def find_engines(cache: Path) -> Path:
    """The folder of the engines: from the cache, else fetched and unpacked into it.

    Raises :class:`VmUnfitError` when Debian's archive cannot be had. It is used again without asking the
    network; deleting it gets newer ones.
    """
    place = cache / "engines"
    tree = place / SUITE
    if not tree.is_dir():
        place.mkdir(exist_ok=True)
        say(f"fetching {', '.join(PACKAGES)} of Debian {SUITE} (130 MB)")
        with tempfile.TemporaryDirectory(dir=place, prefix="fetch-") as folder:
            fresh = Path(folder) / "root"
            fresh.mkdir()
            for archive in _fetch(place):
                _run(["dpkg-deb", "-x", str(archive), str(fresh)], f"{archive.name} cannot be unpacked")
                archive.unlink()
            _complete(fresh)
            fresh.rename(tree)
    return tree


def _fetch(place: Path) -> list[Path]:
    """The packages and all that they depend on, as files."""
    # With no package installed, apt takes the whole closure, and so what is on this machine is not mixed in.
    options = debian_archive(SUITE, place)
    command = ["apt-get", *options, "-o", "APT::Sandbox::User=root", "-q", "-y", "--no-install-recommends"]
    _run([*command, "--download-only", "install", *PACKAGES, *EXTRAS], "the packages cannot be fetched")
    return sorted((place / "apt" / "cache" / "archives").glob("*.deb"))


def _complete(root: Path) -> None:
    """What installing would have made."""
    for name in _MERGED:
        if not (root / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for name in _FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in _ALTERNATIVES:
        (root / "usr/sbin" / name).symlink_to("xtables-nft-multi")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def _run(command: Sequence[str], failure: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise VmUnfitError(f"{failure}: {words[-1] if words else f'status {done.returncode}'}")


def place_engines(tree: str) -> None:
    """Mount the folder where the adapters look for it; a guest's root is a memory file system above it."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
        Path(target).mkdir(parents=True, exist_ok=True)
        words = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
        if libc.mount(words[0], words[1], words[2], ctypes.c_ulong(words[3]), words[4]) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)

    # A mount of its own: a container's root cannot be changed from a plain folder (pivot_root(2)).
    mount(tree, PLACE, "", _MS_BIND)
    for name in ("proc", "sys", "dev"):
        mount(f"/{name}", f"{PLACE}/{name}", "", _MS_BIND | _MS_REC)
    # Containers' file systems cannot have an overlay below them.
    for name in ("run", "tmp", "var/lib", "var/tmp"):
        mount("tmpfs", f"{PLACE}/{name}", "tmpfs")


def main() -> None:
    """Put the engines in place and become the command: FOLDER COMMAND…"""
    tree, *command = sys.argv[1:]
    place_engines(tree)
    os.environ[ENGINES] = PLACE
    os.execvp(command[0], command)  # noqa: S606 - the command's words are the caller's, no shell is wanted


if __name__ == "__main__":
    main()
