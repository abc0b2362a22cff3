"""Two hosts of a live lab, each behind its Engine API, and clients that speak to them."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from ipvlab import CommandResult, Lab
from ipvlab.driver.docker_host import DockerHost
from ipvlab.engine_api.served import About
from ipvlab.engine_api.server import EngineApi
from ipvlab.run.workloads import LiveWorkloads

CLIENT = shutil.which("docker")
#: A genuine client is installed by ``ci/setup.sh`` wherever there is one to install.
needs_client = pytest.mark.skipif(CLIENT is None, reason="no genuine docker client is installed here")
#: Seconds after which a test has hung; a client that waits for ever must not stop the others.
HUNG = 60


class EnginePlace:
    """A lab with hosts ``h1`` and ``h2`` on one wire."""

    def __init__(self, folder: Path, dialect: str, stack: ExitStack) -> None:
        self._folder = folder
        self.lab = stack.enter_context(Lab(datapath="bpf", dialect=dialect))
        wire = self.lab.wire("lan")
        self.h1 = self.lab.host("h1", eth0=wire.port("192.168.1.250/24"))
        self.h2 = self.lab.host("h2", eth0=wire.port("192.168.1.251/24"))
        self.lab.up()
        self.apis = [self._serve(name, stack) for name in ("h1", "h2")]

    def _serve(self, name: str, stack: ExitStack) -> EngineApi:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path(name)))
        listener.listen(128)
        host = self.docker_host(name)
        assert isinstance(host.workloads, LiveWorkloads)
        api = EngineApi(host, host.workloads, listener, About("lab", "bpf"))
        api.start()
        stack.callback(api.close)
        return api

    def docker_host(self, name: str) -> DockerHost:
        """What a host's API stands on."""
        console = self.lab._console
        assert console is not None
        return console.hosts[name]

    def path(self, host: str = "h1") -> Path:
        """A host's socket."""
        return self._folder / f"{host}.sock"

    def env(self, host: str = "h1", **more: str) -> dict[str, str]:
        """What a client needs to find a host and nothing of this machine's user."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "DOCKER_HOST": f"unix://{self.path(host)}",
            **more,
        }

    def begin(self, *arguments: str, host: str = "h1") -> subprocess.Popen[bytes]:
        """Start the genuine client, on pipes."""
        assert CLIENT is not None
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [CLIENT, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, env=self.env(host)
        )

    def docker(self, *arguments: str, host: str = "h1", stdin: bytes = b"") -> CommandResult:
        """Run the genuine client to its end."""
        process = self.begin(*arguments, host=host)
        try:
            stdout, stderr = process.communicate(stdin, HUNG)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"docker {' '.join(arguments)} hung: {process.communicate()}")
        return CommandResult(process.returncode, stdout.decode(), stderr.decode())

    def must(self, *arguments: str, host: str = "h1", stdin: bytes = b"") -> str:
        """Run the genuine client, which must succeed; its output without the last newline."""
        result = self.docker(*arguments, host=host, stdin=stdin)
        assert (result.exit_code, result.stderr) == (0, ""), result
        return result.stdout.removesuffix("\n")

    def make_network(self, name: str = "db_net", host: str = "h1") -> str:
        """The first network of the documents; its id."""
        return self.must(
            "network", "create", "-d", "ipvlan", "--subnet=192.168.1.0/24", "--gateway=192.168.1.1",
            "-o", "ipvlan_mode=l2", "-o", "parent=eth0", name, host=host,
        )  # fmt: skip


class Terminal:
    """A program on a terminal of its own, typed at and read as by a person."""

    def __init__(self, argv: list[str], env: dict[str, str], rows: int = 30, columns: int = 100) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            # The parent sets the size before it lets go.
            os.read(0, 1)
            os.execvpe(argv[0], argv, env)
        ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.type("\n")
        self.read = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._fd, text.encode())

    def until(self, end: str) -> str:
        """Read up to a text; fails where the program ends before."""
        while end not in self.read:
            piece = self._piece()
            assert piece, f"the program ended after {self.read!r}"
            self.read += piece
        head, _, self.read = self.read.partition(end)
        return head

    def rest(self) -> tuple[str, int]:
        """Read to the end of the program; what it wrote, and its exit code."""
        while piece := self._piece():
            self.read += piece
        os.close(self._fd)
        return self.read, os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def end(self) -> None:
        """Close the terminal, as when its window is closed."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.close(self._fd)
        os.waitpid(self._pid, 0)

    def _piece(self) -> str:
        try:
            return os.read(self._fd, 65536).decode()
        except OSError:
            # EIO: nobody has the other side open any more.
            return ""


@contextmanager
def engine_place(folder: Path, dialect: str = "docs") -> Iterator[EnginePlace]:
    """A served lab, and nothing of it afterwards."""
    with ExitStack() as stack:
        yield EnginePlace(folder, dialect, stack)
