"""The little of Docker's HTTP API that the suite needs of a real daemon, over its Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from ipvlab.errors import DriverRefusal, LabError

#: Seconds for one answer; a container takes 3 to 8 in an emulated machine.
PATIENCE = 180.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class EngineHttp:
    """A daemon's API, in the newest version that it has."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> object:
        """Send a request and return the JSON of its answer, or None where there is none.

        Raises :class:`DriverRefusal` with the daemon's own text, and :class:`LabError`
        when it does not answer.
        """
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
        target = urllib.parse.quote(path) + (f"?{urllib.parse.urlencode(query)}" if query else "")
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, target, sent, {"Content-Type": kind})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"{method} {path} of the daemon at {self._path}: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise DriverRefusal(_message(content), status=answer.status)
        return json.loads(content) if content and body.__class__ is not bytes else None


def _message(content: bytes) -> str:
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    text = told.get("message") if isinstance(told, dict) else None
    return str(text) if text else content.decode(errors="replace").strip()
