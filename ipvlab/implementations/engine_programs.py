"""Programs of other implementations: where they are, run to their end, or kept running."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ipvlab.driver.port import CommandResult
from ipvlab.errors import EnvironmentUnfit, LabError
from ipvlab.linux.namespaces import Namespace

T = TypeVar("T")

#: Names the folder in which another Debian's programs lie, as they would lie in ``/``.
ENGINES = "IPVLAB_ENGINES"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Seconds for a daemon to say that it is ready: 13 to 40 are usual in an emulated machine.
PATIENCE = 300.0


@dataclasses.dataclass(frozen=True, slots=True)
class Programs:
    """The programs of this machine, or those below ``root``, which run with it as their ``/``."""

    root: str = ""

    @classmethod
    def of_environment(cls) -> Programs:
        """Those of the folder that IPVLAB_ENGINES names, else this machine's own."""
        return cls(os.environ.get(ENGINES, "").rstrip("/"))

    def seek(self, name: str) -> str:
        """A program's path as it sees itself; empty where it is missing."""
        folders = [f"{self.root}{folder}" for folder in PATH.split(":")]
        found = shutil.which(name, path=":".join(folders))
        return "" if found is None else found.removeprefix(self.root)

    def find(self, name: str, hint: str) -> str:
        """The path of a program that is needed; raises :class:`EnvironmentUnfit` where it is missing."""
        found = self.seek(name)
        if not found:
            raise EnvironmentUnfit(f"{name} is not installed in {self.root or '/'}", hint=hint)
        return found

    def debian_version(self, package: str) -> str:
        """The version of Debian's package, by its changelog, as no dpkg knows it; empty without one."""
        for changelog in sorted(self.outside(f"/usr/share/doc/{package}").glob("changelog.Debian*.gz")):
            with gzip.open(changelog, "rt", encoding="utf-8") as lines:
                return lines.readline().partition("(")[2].partition(")")[0]
        return ""

    def outside(self, path: str) -> Path:
        """A path of the programs as this process sees it."""
        return Path(f"{self.root}{path}")

    def make_folder(self, path: str) -> Path:
        """Make a folder of the programs, and those above it."""
        folder = self.outside(path)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def words(self, argv: Sequence[str]) -> list[str]:
        """The command that runs a program in its own root."""
        return ["chroot", self.root, *argv] if self.root else list(argv)

    def run(
        self,
        argv: Sequence[str],
        *,
        inside: Namespace | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> CommandResult:
        """Run a program to its end, in a network namespace if one is given, and return what it printed."""
        with self._start(self.words(argv), inside, env or {}, subprocess.PIPE, subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin.encode())
            except BaseException:
                process.kill()
                raise
        return CommandResult(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def start_daemon(
        self, argv: Sequence[str], log: Path, env: Mapping[str, str], inside: Namespace | None
    ) -> subprocess.Popen[bytes]:
        """Start a program that stays, and ends with this process; what it says goes to ``log``."""
        words = ["setpriv", "--pdeathsig", "TERM", "--", *self.words(argv)]
        with log.open("ab") as file:
            return self._start(words, inside, env, subprocess.DEVNULL, file.fileno())

    def _start(
        self,
        words: Sequence[str],
        inside: Namespace | None,
        env: Mapping[str, str],
        stdin: int,
        output: int,
    ) -> subprocess.Popen[bytes]:
        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                words,
                stdin=stdin,
                stdout=output,
                stderr=output,
                env={"PATH": PATH, "HOME": "/root", **env},
                start_new_session=True,
            )

        return start() if inside is None else inside.call(start)


class Daemon:
    """A program that tells when it is ready, in systemd's way (sd_notify(3))."""

    def __init__(
        self, programs: Programs, name: str, argv: Sequence[str], state: str, inside: Namespace | None = None
    ) -> None:
        self.name = name
        folder = programs.make_folder(state)
        self._log = folder / f"{name}.log"
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notices.bind(str(folder / f"{name}.notify"))
        env = {"NOTIFY_SOCKET": f"{state}/{name}.notify"}
        self._process = programs.start_daemon(argv, self._log, env, inside)
        self._is_ready = False

    def await_ready(self) -> None:
        """Return when it has said that it is ready; raises :class:`LabError` when it has ended."""
        if self._is_ready:
            return
        pidfd = os.pidfd_open(self._process.pid)
        try:
            while True:
                heard, _, _ = select.select([self._notices.fileno(), pidfd], [], [], PATIENCE)
                if self._notices.fileno() in heard and b"READY=1" in self._notices.recv(4096):
                    self._is_ready = True
                    return
                if pidfd in heard:
                    raise LabError(f"{self.name} ended with {self._process.wait()}: {self._last_words()}")
                if not heard:
                    raise LabError(f"{self.name} is not ready after {PATIENCE:.0f} s: {self._last_words()}")
        finally:
            os.close(pidfd)

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-8:])

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        self._notices.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def settle_all(acts: Sequence[Callable[[], None]]) -> None:
    """Carry out all of the acts, in order, whatever one of them raises; the last error is raised."""
    with contextlib.ExitStack() as stack:
        for act in reversed(acts):
            stack.callback(act)
