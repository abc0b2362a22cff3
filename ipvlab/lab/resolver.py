"""The DNS server at 127.0.0.11 inside each container, as Docker's embedded one, for all of a lab.

Its sockets are opened in the containers' namespaces and read by one thread. Who
has which name is not decided here: a *lookup* answers (in a lab, the names of
the host's engine).
"""

from __future__ import annotations

import contextlib
import functools
import queue
import selectors
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ipvlab.lab.dns_messages import answer_query
from ipvlab.lab.forwarding import Forwarder
from ipvlab.linux.namespaces import Namespace

if TYPE_CHECKING:
    from ipvlab.driver.names import NameAnswer
    from ipvlab.driver.resolv_conf import Nameserver

#: Where Docker's embedded server listens (libnetwork/resolver.go: resolverIPSandbox).
SERVER = ("127.0.0.11", 53)

_CONNECTIONS_MOST = 64
_DATAGRAMS_A_TURN = 64
_IP_FREEBIND = 15


#: Container, name and type (``A``, ``AAAA``, ``PTR``, any other) to what is known, as
#: :func:`ipvlab.driver.names.lookup` for one engine; called on the resolver's thread.
Lookup = Callable[[str, str, str], "NameAnswer"]


class Resolver:
    """One thread that serves DNS, UDP and TCP, inside any number of containers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._forwarder = Forwarder(self._selector)
        self._containers: dict[str, _Server] = {}
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, self._obey)
        self._is_open = True
        self._thread: threading.Thread | None = None

    def add(
        self, container: str, namespace: Namespace, lookup: Lookup, host: Namespace | None = None
    ) -> None:
        """Serve ``container`` from now on; returns when its sockets listen.

        ``lookup`` is called with ``container`` as its first argument; the
        nameservers that it names are asked from ``host``'s namespace, or from the
        container's own where it says so or there is no host. Raises OSError when
        the address is taken inside the namespace.
        """
        udp, tcp = namespace.call(_listen)

        def ask_from(nameserver: Nameserver) -> Namespace:
            return host if host is not None and nameserver.is_asked_by_host else namespace

        def serve() -> None:
            self._stop_in(container)
            answer = _Answering(self._forwarder, functools.partial(lookup, container), ask_from)
            self._containers[container] = _Server(self._selector, udp, tcp, answer)

        self._order(serve)

    def remove(self, container: str) -> None:
        """Serve ``container``, if it is served, no longer; returns when its sockets are closed."""
        self._order(lambda: self._stop_in(container))

    def close(self) -> None:
        """Close everything and end the thread; a second time does nothing."""
        if not self._is_open:
            return
        if self._thread is None:
            self._is_open = False
            self._selector.close()
        else:
            self._order(self._stop)
            self._thread.join()
        for sock in (self._bell, self._ear):
            sock.close()

    def _order(self, work: Callable[[], None]) -> None:
        if not self._is_open:
            raise ValueError("the resolver is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="resolver", daemon=True)
            self._thread.start()
        done: Future[None] = Future()
        self._orders.put((work, done))
        self._bell.send(b"!")
        done.result()

    def _serve(self) -> None:
        while self._is_open:
            for key, ready in self._selector.select(self._forwarder.seconds_left()):
                # What an earlier event of this round closed is no longer registered, and its number
                # may be that of a new socket already.
                if self._selector.get_map().get(key.fd) == key:
                    key.data(ready)
            self._forwarder.expire()
        self._selector.close()

    def _obey(self, _ready: int) -> None:
        self._ear.recv(4096)
        while not self._orders.empty():
            work, done = self._orders.get()
            try:
                work()
            except OSError as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _stop_in(self, container: str) -> None:
        server = self._containers.pop(container, None)
        if server is not None:
            server.close()

    def _stop(self) -> None:
        for container in list(self._containers):
            self._stop_in(container)
        self._is_open = False


def _listen() -> tuple[socket.socket, socket.socket]:
    sockets = []
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            sock = socket.socket(socket.AF_INET, kind)
            sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            # 127.0.0.0/8 is local only once lo is up.
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            sock.bind(SERVER)
        sockets[1].listen()
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets[0], sockets[1]


class _Answering:
    """Who answers the queries of one container."""

    def __init__(
        self,
        forwarder: Forwarder,
        lookup: Callable[[str, str], NameAnswer],
        ask_from: Callable[[Nameserver], Namespace],
    ) -> None:
        self.forwarder = forwarder
        self._lookup, self._ask_from = lookup, ask_from

    def answer(self, asker: object, query: bytes, is_udp: bool, reply: Callable[[bytes], None]) -> None:
        """Answer a query with ``reply``, at once or when a nameserver has; never where silence is right."""
        answer = answer_query(self._lookup, query, is_udp)
        if isinstance(answer, bytes):
            reply(answer)
        elif answer is not None:
            self.forwarder.ask(asker, answer, is_udp, self._ask_from, reply)


class _Server:
    """The sockets of one container."""

    def __init__(
        self, selector: selectors.BaseSelector, udp: socket.socket, tcp: socket.socket, answering: _Answering
    ) -> None:
        self._selector = selector
        self._udp, self._tcp = udp, tcp
        self._answering = answering
        self._connections: set[_Connection] = set()
        selector.register(udp, selectors.EVENT_READ, self._read_datagrams)
        selector.register(tcp, selectors.EVENT_READ, self._accept)

    def _read_datagrams(self, _ready: int) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                query, asker = self._udp.recvfrom(65535)
            except OSError:
                return
            self._answering.answer(self, query, True, functools.partial(self._send, asker))

    def _send(self, asker: tuple[str, int], answer: bytes) -> None:
        # A full socket buffer loses the answer, as a network does; the asker asks again.
        with contextlib.suppress(OSError):
            self._udp.sendto(answer, asker)

    def _accept(self, _ready: int) -> None:
        try:
            sock, _ = self._tcp.accept()
        except OSError:
            return
        if len(self._connections) >= _CONNECTIONS_MOST:
            sock.close()
            return
        sock.setblocking(False)
        self._connections.add(_Connection(self._selector, sock, self._answering, self._connections.discard))

    def close(self) -> None:
        self._answering.forwarder.drop(self)
        for connection in list(self._connections):
            connection.close()
        for sock in (self._udp, self._tcp):
            self._selector.unregister(sock)
            sock.close()


class _Connection:
    """One TCP connection: messages with a length of two bytes before each (RFC 1035, 4.2.2)."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        sock: socket.socket,
        answering: _Answering,
        forget: Callable[[_Connection], None],
    ) -> None:
        self._selector, self._socket, self._answering, self._forget = selector, sock, answering, forget
        self._received = bytearray()
        self._unsent = bytearray()
        #: Whether the asker has said that it asks no more; it still gets its answers (RFC 7766, 6.2.4).
        self._has_ended = False
        self._events = selectors.EVENT_READ
        selector.register(sock, self._events, self._move)

    def _move(self, ready: int) -> None:
        try:
            if ready & selectors.EVENT_READ:
                received = self._socket.recv(65536)
                self._has_ended = not received
                self._received += received
                self._read_messages()
            if self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        self._settle()

    def _read_messages(self) -> None:
        while len(self._received) >= 2:
            (length,) = struct.unpack_from("!H", self._received)
            if len(self._received) < 2 + length:
                return
            query = bytes(self._received[2 : 2 + length])
            del self._received[: 2 + length]
            self._answering.answer(self, query, False, self._reply)

    def _reply(self, answer: bytes) -> None:
        self._unsent += struct.pack("!H", len(answer)) + answer
        self._settle()

    def _settle(self) -> None:
        # While answers wait to be taken, no more questions are.
        wanted = selectors.EVENT_WRITE if self._unsent else 0 if self._has_ended else selectors.EVENT_READ
        if not wanted and not self._answering.forwarder.has_waiting(self):
            self.close()
            return
        if wanted == self._events:
            return
        if not wanted:
            self._selector.unregister(self._socket)
        elif not self._events:
            self._selector.register(self._socket, wanted, self._move)
        else:
            self._selector.modify(self._socket, wanted, self._move)
        self._events = wanted

    def close(self) -> None:
        self._answering.forwarder.drop(self)
        if self._events:
            self._selector.unregister(self._socket)
        self._socket.close()
        self._forget(self)
