#!/usr/bin/env python3
"""Prove ci/provision.sh on a fresh system: made, provisioned twice, tried, and taken away again.

    ci/try_provision.py bookworm                     as root
    ci/try_provision.py trixie --as-user             as a user with sudo
    ci/try_provision.py jammy -- tests/unit/rules    the arguments of ci/test.sh

The system is made by mmdebstrap: the smallest one there is, with Python, sudo and no package lists.
The second run of provision.sh must change no file at all. Then ci/run-scenarios.sh and ci/test.sh run
there, without a guest unless ``--guest`` asks for one. It all happens in mount and process namespaces
of its own with a root of its own, so nothing is left, and this machine's /etc must be as it was.

Exit codes: 0 all went well, 1 a step failed, 2 bad usage, 5 this machine cannot make such a system.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

PROJECT = Path(__file__).resolve().parents[1]
UNFIT = 5
DEBIAN, UBUNTU = "http://deb.debian.org/debian", "http://archive.ubuntu.com/ubuntu"
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UBUNTU_KEYS = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
#: "A fresh system with Python and nothing else" (apt is not required in Ubuntu), and a user's way to root.
INCLUDED = ("apt", "python3", "sudo")
USER = "tester"
#: A slice of the tests that says whether namespaces, programs of bpf and packets work here.
SLICE = ("tests/unit/rules", "tests/netns/test_probe_broadcast.py", "tests/netns/test_sim_agrees.py")
#: Left out of the copy of the tree: what tools made.
LEFT_OUT = shutil.ignore_patterns(".*_cache", ".venv", ".git", ".vagrant", ".hypothesis", "__pycache__")
#: Settings without which pip cannot reach its index on some machines.
PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
#: Where the system has a copy of what PIP_CERT names here; no package of its own writes there.
CERTIFICATES = "/srv/certificates.pem"
#: Files of this machine that labs have versions of.
WATCHED = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")

#: First program of the new namespaces: devices and kernel file systems, then the new root in the old
#: one's place. A mere chroot could make no user namespaces (user_namespaces(7)). It stays process 1,
#: whose end is the end of all others.
ENTER = """
set -eu
root=$1
shift
hostname ipvlab-trial
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir dev/net dev/pts dev/shm
# The last is what a lab leads packets of L3 endpoints to a firewall by; not every machine has it.
for node in null zero full random urandom tty net/tun; do
  [ -e "/dev/$node" ] || continue
  touch "dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
pivot_root . mnt
exec chroot . /bin/sh -c 'umount -l /mnt; "$@"; exit $?' sh "$@"
"""


class Unfit(Exception):
    """This machine cannot make the system; the text says what is missing and what brings it."""


class StepFailed(Exception):
    """A step did not do what it is there for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """A distribution's release, and where it is had from."""

    suite: str
    mirror: str
    components: str
    keyring: Path
    keyring_package: str


RELEASES = {
    each.suite: each
    for each in (
        Release("bookworm", DEBIAN, "main", DEBIAN_KEYS, "debian-archive-keyring"),
        Release("trixie", DEBIAN, "main", DEBIAN_KEYS, "debian-archive-keyring"),
        # 22.04 has its Python 3.11 in universe.
        Release("jammy", UBUNTU, "main universe", UBUNTU_KEYS, "ubuntu-keyring"),
        Release("noble", UBUNTU, "main universe", UBUNTU_KEYS, "ubuntu-keyring"),
    )
}


def check_machine(release: Release) -> None:
    """Raise :class:`Unfit` for a machine that cannot make the system."""
    if os.geteuid() != 0:
        raise Unfit("systems are made and entered as root only: run with sudo")
    if shutil.which("mmdebstrap") is None:
        raise Unfit("there is no mmdebstrap: apt-get install mmdebstrap")
    if not release.keyring.is_file():
        raise Unfit(f"no keys of the archive of {release.suite}: apt-get install {release.keyring_package}")


def make_system(release: Release, root: Path) -> None:
    """Make the system and give it this machine's way to the network; raises :class:`StepFailed`."""
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(INCLUDED)}"]
    command += [f"--keyring={release.keyring}", release.suite, str(root)]
    # As installed systems have it; the Python 3.11 of 22.04 is among the updates.
    for suite in (release.suite, f"{release.suite}-updates"):
        command.append(f"deb {release.mirror} {suite} {release.components}")
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise StepFailed("mmdebstrap could not make the system")
    lists = [path for path in (root / "var/lib/apt/lists").rglob("*") if path.is_file()]
    if any("Packages" in path.name for path in lists):
        raise StepFailed("the system has package lists, which a fresh image has not")
    for name in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copyfile(name, root / name[1:])
    with (root / "etc/hosts").open("a", encoding="utf-8") as hosts:
        hosts.write("\n127.0.1.1 ipvlab-trial\n")
    if os.environ.get("PIP_CERT"):
        shutil.copyfile(os.environ["PIP_CERT"], root / CERTIFICATES[1:])


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """A system, the tree in it, and who works there."""

    root: Path
    tree: str
    user: str | None

    def place_tree(self) -> None:
        """Copy the project into the system, and make the user who is to own it."""
        if self.user is not None:
            made = self.run(["useradd", "--create-home", "--shell", "/bin/bash", self.user], {}, as_root=True)
            if made != 0:
                raise StepFailed(f"the user {self.user} could not be made")
            rule = self.root / "etc/sudoers.d/trial"
            rule.write_text(f"{self.user} ALL=(ALL) NOPASSWD: ALL\n", encoding="utf-8")
            rule.chmod(0o440)
        shutil.copytree(PROJECT, self.root / self.tree.lstrip("/"), symlinks=True, ignore=LEFT_OUT)
        if self.user is not None:
            self.run(["chown", "-R", f"{self.user}:", self.tree], {}, as_root=True)

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, as_root: bool = False) -> int:
        """Run a command inside, in new namespaces that end with it; returns its status."""
        own = {name: os.environ[name] for name in (*PASSED_ON, *PROXIES) if name in os.environ}
        own |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        if "PIP_CERT" in os.environ:
            own["PIP_CERT"] = CERTIFICATES
        inside = list(command)
        if self.user is None or as_root:
            own["HOME"] = "/root"
        else:
            own["HOME"] = f"/home/{self.user}"
            inside = ["runuser", "--user", self.user, "--", *inside]
        entering = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
        return subprocess.run(
            [*entering, "sh", "-c", ENTER, "sh", str(self.root), *inside],
            env=own | dict(environment),
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode

    def step(self, title: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run a command in the tree and say how long it took; raises :class:`StepFailed`."""
        print(f"\n== {title}", flush=True)
        started = time.monotonic()
        inside = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", self.tree, *command]
        status = self.run(inside, environment or {})
        print(f"-- {title}: status {status}, {time.monotonic() - started:.0f} s", flush=True)
        if status != 0:
            raise StepFailed(f"{title}: status {status}")


def files_of(root: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every file of a system with what changes when anything about it does (stat(2): st_ctime)."""
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            found = os.lstat(path)
            yield (
                path[len(str(root)) :],
                (found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns),
            )


def changes(before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The paths that came, went or changed, each with a sign that says which."""
    found = [f"- {path}" for path in before if path not in after]
    found += [f"+ {path}" for path in after if path not in before]
    found += [f"~ {path}" for path, state in after.items() if before.get(path, state) != state]
    return sorted(found, key=lambda line: line[2:])


def watch_machine(folder: Path) -> dict[str, str]:
    """What of this machine a trial must leave as it is: watched files, and mounts in its folder."""
    state = {name: Path(name).read_text() if Path(name).exists() else "absent" for name in WATCHED}
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return state | {line: "mounted" for line in mounts if str(folder) in line}


def try_all(trial: Trial, arguments: Sequence[str], is_guest_wanted: bool) -> None:
    """Take all steps; raises :class:`StepFailed` at the first that fails."""
    trial.place_tree()
    trial.step("provision.sh", ["ci/provision.sh"])
    before = dict(files_of(trial.root))
    trial.step("provision.sh again", ["ci/provision.sh"])
    changed = changes(before, dict(files_of(trial.root)))
    if changed:
        print(*changed[:20], sep="\n")
        raise StepFailed(f"the second run of provision.sh changed {len(changed)} files")
    print(f"the second run changed none of {len(before)} files", flush=True)
    trial.step("run-scenarios.sh", ["ci/run-scenarios.sh"])
    environment = {} if is_guest_wanted else {"IPVLAB_NO_GUEST": "1"}
    trial.step("test.sh", ["ci/test.sh", *arguments], environment)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; what follows ``--`` is for ci/test.sh. Ends with status 2 when it is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        prog="ci/try_provision.py", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("suite", choices=sorted(RELEASES), metavar="SUITE", help=", ".join(sorted(RELEASES)))
    parser.add_argument("--as-user", action="store_true", help="as an ordinary user with sudo, not as root")
    parser.add_argument("--guest", action="store_true", help="with real ipvlan in a guest of ci/vm.py")
    parser.add_argument("--whole", action="store_true", help="all tests, not a slice of them")
    parser.add_argument("--keyring", type=Path, help="keys of the archive, where no package has them")
    parser.add_argument("--folder", type=Path, help="where the system is made (2 GB; default: $TMPDIR)")
    options = parser.parse_args(words[:cut])
    options.tests = words[cut + 1 :]
    return options


def _end_by_signal(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, try, take away, and return the exit status."""
    options = parse(arguments)
    release = RELEASES[options.suite]
    if options.keyring is not None:
        release = dataclasses.replace(release, keyring=options.keyring.absolute())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_by_signal)
    # A shell ignores it for what runs in its background, and tests that interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        check_machine(release)
    except Unfit as unfit:
        print(f"unsupported: {unfit}")
        return UNFIT
    chosen = options.tests or ([] if options.whole else SLICE)
    with tempfile.TemporaryDirectory(prefix="ipvlab-trial-", dir=options.folder) as folder:
        root = Path(folder) / "root"
        untouched = watch_machine(Path(folder))
        user = USER if options.as_user else None
        tree = f"/home/{USER}/ipvlab" if user else "/srv/ipvlab"
        try:
            print(f"== mmdebstrap {release.suite}", flush=True)
            make_system(release, root)
            # The folder of a TemporaryDirectory is its owner's alone, and the user has to pass.
            Path(folder).chmod(0o755)
            try_all(Trial(root, tree, user), chosen, options.guest)
        except StepFailed as failed:
            print(f"failed: {failed}")
            return 1
        finally:
            is_left = watch_machine(Path(folder)) != untouched
        if is_left:
            print(f"failed: this machine is not as it was: one of {', '.join(WATCHED)}, or a mount")
            return 1
    print(f"\n{release.suite}: provisioned twice, tried, and gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
