"""The server of one host: a thread that accepts, and one for each client."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from functools import partial

from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.releases import RELEASES
from ipvlab.engine_api.attached import Attached
from ipvlab.engine_api.connection import Connection
from ipvlab.engine_api.journal import Journal
from ipvlab.engine_api.programs import Programs
from ipvlab.engine_api.routes import respond
from ipvlab.engine_api.served import About, Served

#: Clients at once; each costs a thread. A further one waits until another ends.
CLIENT_LIMIT = 500
#: Seconds until another try where a client could not be accepted.
_BREATH = 1.0

_log = logging.getLogger(__name__)


class EngineApi:
    """Serves Docker's Engine API for one host on a listening unix socket, which it closes at its end."""

    def __init__(self, host: DockerHost, programs: Programs, listener: socket.socket, about: About) -> None:
        release = RELEASES[host.engine.row.dialect]
        self._served = Served(host, programs, about, Journal(host), Attached(host, programs))
        self._listener = listener
        self._headers = (
            ("Api-Version", release.api),
            ("Ostype", "linux"),
            ("Server", f"Docker/{release.version} (linux)"),
        )
        self._lock = threading.Lock()
        self._clients: dict[Connection, threading.Thread] = {}
        self._places = threading.Semaphore(CLIENT_LIMIT)
        self._ended = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(
            target=self._accept, name=f"engine-api {host.engine.host}", daemon=True
        )

    def start(self) -> None:
        """Begin to accept clients; returns at once."""
        self._thread.start()

    def close(self) -> None:
        """End every connection and wait for their threads; safe to call twice, and before the start.

        A request that is being carried out is carried out to its end.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            clients = dict(self._clients)
        with contextlib.suppress(OSError):
            # Closing alone would not wake the thread that accepts.
            self._listener.shutdown(socket.SHUT_RDWR)
        # Somebody may be waiting for a place.
        self._places.release()
        for connection in clients:
            connection.end()
        if self._thread.is_alive():
            self._thread.join()
        for thread in clients.values():
            thread.join()
        self._listener.close()
        self._served.journal.close()
        self._served.attached.close()

    def _accept(self) -> None:
        while True:
            self._places.acquire()
            self._ended.clear()
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                if self._is_closed:
                    return
                self._places.release()
                _log.warning("cannot accept a client: %s", error)
                # Out of descriptors: until a client ends there will be no other.
                self._ended.wait(_BREATH)
                continue
            connection = Connection(sock, partial(respond, self._served), self._headers)
            thread = threading.Thread(
                target=self._serve, args=(connection,), name=self._thread.name, daemon=True
            )
            with self._lock:
                if self._is_closed:
                    sock.close()
                    return
                self._clients[connection] = thread
                thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        except Exception:  # noqa: BLE001 - logged; one broken connection must not end the server
            _log.exception("a connection broke")
        finally:
            with self._lock:
                self._clients.pop(connection, None)
            self._ended.set()
            self._places.release()
