"""What a machine needs to boot a guest: QEMU, virtiofsd, a static busybox, and a Debian kernel.

Programs are installed with apt where they are missing. The kernel is not installed: its package is
fetched and unpacked into a cache folder, so that this machine's boot loader never hears of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Where the C virtiofsd (QEMU up to 7.2) and the Rust one are installed.
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
#: A cloud kernel's package: signed, with ipvlan (linux-image-6.1.0-56-cloud-amd64, …-6.12.117+deb12-…).
KERNEL_PACKAGE = re.compile(r"linux-image-(\d[\w.+~-]*)-cloud-amd64")
#: Debian's archive, for machines whose own apt knows no such kernel (Ubuntu).
DEBIAN = "deb [signed-by={keyring}] http://deb.debian.org/debian {suite} main\n"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: Releases of Debian by the kernel series that they carry.
SUITES = {"6.1": "bookworm", "6.12": "trixie"}
DEFAULT_KERNEL = "6.1"


class VmUnfitError(Exception):
    """A guest cannot be booted here; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs that a guest is made of and run by."""

    qemu: str
    virtiofsd: str
    busybox: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked kernel package."""

    release: str
    image: Path
    modules: Path


def cache_folder() -> Path:
    """The folder that kernels and initramfs archives are kept in, made where it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "ipvlab-vm"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VmUnfitError(f"no cache folder {folder}: {error.strerror}; XDG_CACHE_HOME moves it") from error
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time change the cache; the lock ends with its holder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_machine() -> None:
    """Raise :class:`VmUnfitError` when the machine or the user is of the wrong kind."""
    if platform.machine() != "x86_64":
        raise VmUnfitError(
            f"the guest is an x86-64 machine and shares this one's programs, which are for "
            f"{platform.machine()}"
        )
    if os.geteuid() != 0:
        raise VmUnfitError("virtiofsd serves this machine's files as root only: run with sudo")


def find_programs() -> Programs:
    """Find QEMU, virtiofsd and busybox, after installing what is missing.

    Raises :class:`VmUnfitError` when apt cannot provide one.
    """
    missing = [package for _, package in _absent()]
    if missing:
        _install(missing)
    still = [program for program, _ in _absent()]
    if still:
        raise VmUnfitError(f"not found even after apt-get install: {', '.join(still)}")
    qemu, virtiofsd, busybox = _paths()
    return Programs(str(qemu), str(virtiofsd), str(busybox))


def _paths() -> tuple[str | None, str | None, str | None]:
    virtiofsd = next((path for path in VIRTIOFSD if os.access(path, os.X_OK)), None)
    return shutil.which("qemu-system-x86_64"), virtiofsd, _static_busybox()


def _static_busybox() -> str | None:
    """A busybox without an interpreter (PT_INTERP), as it must run where no library is."""
    for path in (shutil.which("busybox"), "/bin/busybox", "/usr/bin/busybox"):
        if path and os.access(path, os.X_OK) and b"/ld-linux" not in Path(path).read_bytes()[:4096]:
            return path
    return None


def _absent() -> list[tuple[str, str]]:
    """What is missing: the program, and the package that has it."""
    qemu, virtiofsd, busybox = _paths()
    absent = []
    if qemu is None:
        absent.append(("qemu-system-x86_64", "qemu-system-x86"))
    if virtiofsd is None:
        # Part of qemu-system-common up to QEMU 7.2; a package of its own since.
        absent.append(("virtiofsd", "virtiofsd" if _apt_knows("virtiofsd") else "qemu-system-common"))
    if busybox is None:
        absent.append(("busybox (static)", "busybox-static"))
    return absent


def _apt_knows(package: str) -> bool:
    return bool(_output(["apt-cache", "search", "--names-only", f"^{package}$"]).strip())


def _output(command: list[str]) -> str:
    """What a command prints; nothing when it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _run(command: list[str], what: str) -> None:
    """Run an apt or dpkg command quietly; raises :class:`VmUnfitError` with its last line."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env=environment,
        )
    except FileNotFoundError as error:
        raise VmUnfitError(f"{what}: there is no {command[0]} here") from error
    if done.returncode != 0:
        last = done.stdout.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise VmUnfitError(f"{what}: {last[0]}")


def say(text: str) -> None:
    """Tell the user, beside the guest's own output."""
    print(f"vm: {text}", file=sys.stderr, flush=True)


def _install(packages: list[str]) -> None:
    say(f"apt-get install {' '.join(packages)}")
    _run(["apt-get", "update", "-q"], "apt-get update")
    _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], "QEMU cannot be installed")


def version_key(release: str) -> tuple[int, ...]:
    """A release's numbers in order, to compare 6.1.0-9 and 6.1.0-56."""
    return tuple(int(number) for number in re.findall(r"\d+", release))


def is_of_series(release: str, wanted: str) -> bool:
    """Whether a release belongs to a series: 6.1.0-56 to ``6.1``, 6.12.117 not."""
    return re.match(rf"{re.escape(wanted)}(?![0-9])", release) is not None


def newest(packages: str, wanted: str) -> str | None:
    """The newest cloud kernel of a series among lines that begin with package names."""
    releases = [match.group(1) for line in packages.splitlines() if (match := KERNEL_PACKAGE.match(line))]
    fitting = [
        release
        for release in releases
        # A meta-package's release is a bare series; it holds no kernel itself.
        if is_of_series(release, wanted) and re.search(r"\d+\.\d+\.\d+", release)
    ]
    return max(fitting, key=version_key, default=None)


def find_kernel(wanted: str, cache: Path) -> Kernel:
    """The newest Debian cloud kernel of a series: from the cache, else fetched and unpacked into it.

    Raises :class:`VmUnfitError` when no archive has one.
    """
    kernels = cache / "kernels"
    kernels.mkdir(exist_ok=True)
    kept = "\n".join(path.name for path in kernels.iterdir())
    release = newest(kept, wanted)
    if release is None:
        release = _fetch(wanted, kernels)
    folder = kernels / f"linux-image-{release}-cloud-amd64"
    [image] = folder.glob("boot/vmlinuz-*")
    return Kernel(image.name.removeprefix("vmlinuz-"), image, _modules(folder))


def _modules(folder: Path) -> Path:
    for below in ("lib/modules", "usr/lib/modules"):
        found = list((folder / below).glob("*/kernel"))
        if found:
            return found[0]
    raise VmUnfitError(f"{folder} has no kernel modules; remove that folder and try again")


def _fetch(wanted: str, kernels: Path) -> str:
    """Fetch and unpack a kernel package: with this machine's own apt, else from Debian's archive."""
    failure = VmUnfitError(f"no archive that apt knows has a Debian cloud kernel {wanted}")
    for is_own in (True, False):
        try:
            options = [] if is_own else debian_archive(SUITES.get(wanted, "sid"), kernels.parent)
            found = _output(
                ["apt-cache", *options, "search", "--names-only", r"^linux-image-.*-cloud-amd64$"]
            )
            release = newest(found, wanted)
            if release is not None:
                _unpack(f"linux-image-{release}-cloud-amd64", options, kernels)
                return release
        except VmUnfitError as error:
            # Lists that are out of date name packages that the archive has no more.
            failure = error
    raise failure


def _unpack(package: str, options: list[str], kernels: Path) -> None:
    say(f"fetching {package}")
    with tempfile.TemporaryDirectory(dir=kernels.parent, prefix="fetch-") as place:
        command = ["apt-get", *options, "-o", "APT::Sandbox::User=root", "-q", "download", package]
        _run(["env", "-C", place, *command], f"{package} cannot be fetched")
        [archive] = Path(place).glob("*.deb")
        _run(["dpkg-deb", "-x", str(archive), f"{place}/tree"], f"{package} cannot be unpacked")
        (Path(place) / "tree").rename(kernels / package)


def debian_archive(suite: str, cache: Path) -> list[str]:
    """Options that give apt a state of its own, with Debian's archive and nothing else in it."""
    if not Path(KEYRING).exists():
        _install(["debian-archive-keyring"])
    state = cache / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(DEBIAN.format(keyring=KEYRING, suite=suite))
    settings = {
        "Dir::State": state / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": "amd64",
    }
    options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    _run(["apt-get", *options, "update", "-q"], "Debian's archive cannot be read")
    return options
