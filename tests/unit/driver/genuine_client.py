"""Docker's own client, where the machine has it: the authority for texts, flags and formats."""

from __future__ import annotations

import http.server
import os
import re
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from ipvlab.driver.json_text import compact
from ipvlab.driver.port import CommandResult

DOCKER = shutil.which("docker")
#: Tests of one release's words need that very release.
RELEASE = "28.2"


def _version() -> str:
    if DOCKER is None:
        return ""
    told = subprocess.run([DOCKER, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version ([0-9.]+)", told)
    return found.group(1) if found else ""


needs_client = pytest.mark.skipif(
    not _version().startswith(RELEASE), reason=f"Docker's client {RELEASE} is not on this machine's PATH"
)
#: What a request path is answered with: HTTP status and object.
Answer = Callable[[str, str], tuple[int, object]]


def type_line(words: list[str], socket_path: str, home: Path) -> CommandResult:
    """Run the genuine client with nothing on its standard input."""
    assert DOCKER is not None
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DOCKER_CONFIG": str(home),
        "DOCKER_HOST": f"unix://{socket_path}",
        "TZ": "UTC",
    }
    done = subprocess.run(
        [DOCKER, *words],
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def daemon(answer: Answer, folder: Path) -> Iterator[str]:
    """A daemon that answers every request with what ``answer`` says of method and path; its socket's path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name
            return

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            if path == "/_ping":
                status, body = 200, b"OK"
            else:
                status, value = answer(self.command, unquote(re.sub(r"^/v[0-9.]+", "", self.path)))
                body = b"" if value is None else compact(value).encode()
            self.send_response(status)
            for name, text in (
                ("Api-Version", "1.50"),
                ("Ostype", "linux"),
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
            ):
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    for method in ("GET", "POST", "HEAD", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
            connection, _ = super().get_request()
            return connection, ("client", 0)

    path = str(folder / "d.sock")
    with Server(path, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()
