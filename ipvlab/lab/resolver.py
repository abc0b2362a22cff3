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

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from ipvlab.linux.namespaces import Namespace

if TYPE_CHECKING:
    from ipvlab.driver.names import NameAnswer

#: Where Docker's embedded server listens (libnetwork/resolver.go: resolverIPSandbox).
SERVER = ("127.0.0.11", 53)

_UDP_WITHOUT_EDNS, _UDP_MOST = 512, 4096
_CONNECTIONS_MOST = 64
_DATAGRAMS_A_TURN = 64
_FLAG_RESPONSE = 0x8000
_FLAGS_ECHOED = 0x7900  # opcode and RD
_HEADER = struct.Struct("!HHHHHH")
_IP_FREEBIND = 15


#: Container, name and type (``A``, ``AAAA``, ``PTR``, any other) to what is known, as
#: :func:`ipvlab.driver.names.lookup` for one engine; called on the resolver's thread.
Lookup = Callable[[str, str, str], "NameAnswer"]


class Resolver:
    """One thread that serves DNS, UDP and TCP, inside any number of containers."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._containers: dict[str, _Server] = {}
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, self._obey)
        self._is_open = True
        self._thread: threading.Thread | None = None

    def add(self, container: str, namespace: Namespace, lookup: Lookup) -> None:
        """Serve ``container`` from now on; returns when its sockets listen.

        ``lookup`` is called with ``container`` as its first argument. Raises
        OSError when the address is taken inside the namespace.
        """
        udp, tcp = namespace.call(_listen)
        self._order(lambda: self._serve_in(container, udp, tcp, lookup))

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
            for key, ready in self._selector.select():
                # What an earlier event of this round closed is no longer registered.
                if key.fd in self._selector.get_map():
                    key.data(ready)
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

    def _serve_in(self, container: str, udp: socket.socket, tcp: socket.socket, lookup: Lookup) -> None:
        self._stop_in(container)
        answer = functools.partial(answer_query, functools.partial(lookup, container))
        self._containers[container] = _Server(self._selector, udp, tcp, answer)

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


#: A query and the longest answer that its transport carries, to the answer or None.
_Answer = Callable[[bytes, bool], bytes | None]


class _Server:
    """The sockets of one container."""

    def __init__(
        self, selector: selectors.BaseSelector, udp: socket.socket, tcp: socket.socket, answer: _Answer
    ) -> None:
        self._selector = selector
        self._udp, self._tcp = udp, tcp
        self._answer = answer
        self._connections: set[_Connection] = set()
        selector.register(udp, selectors.EVENT_READ, self._read_datagrams)
        selector.register(tcp, selectors.EVENT_READ, self._accept)

    def _read_datagrams(self, _ready: int) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                query, asker = self._udp.recvfrom(65535)
            except OSError:
                return
            answer = self._answer(query, True)
            if answer is not None:
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
        self._connections.add(_Connection(self._selector, sock, self._answer, self._connections.discard))

    def close(self) -> None:
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
        answer: _Answer,
        forget: Callable[[_Connection], None],
    ) -> None:
        self._selector, self._socket, self._answer, self._forget = selector, sock, answer, forget
        self._received = bytearray()
        self._unsent = bytearray()
        selector.register(sock, selectors.EVENT_READ, self._move)

    def _move(self, ready: int) -> None:
        try:
            if ready & selectors.EVENT_READ:
                received = self._socket.recv(65536)
                if not received:
                    self.close()
                    return
                self._received += received
                self._read_messages()
            if self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        # While answers wait to be taken, no more questions are.
        wanted = selectors.EVENT_WRITE if self._unsent else selectors.EVENT_READ
        self._selector.modify(self._socket, wanted, self._move)

    def _read_messages(self) -> None:
        while len(self._received) >= 2:
            (length,) = struct.unpack_from("!H", self._received)
            if len(self._received) < 2 + length:
                return
            query = bytes(self._received[2 : 2 + length])
            del self._received[: 2 + length]
            answer = self._answer(query, False)
            if answer is not None:
                self._unsent += struct.pack("!H", len(answer)) + answer

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()
        self._forget(self)


def answer_query(lookup: Callable[[str, str], NameAnswer], query: bytes, is_udp: bool) -> bytes | None:
    """Answer one DNS message, or None where silence is right (not a query at all)."""
    if len(query) < _HEADER.size:
        return None
    number, flags, *_ = _HEADER.unpack_from(query)
    if flags & _FLAG_RESPONSE:
        return None
    try:
        asked = dns.message.from_wire(query)
    except dns.exception.DNSException:
        return _HEADER.pack(number, _FLAG_RESPONSE | flags & _FLAGS_ECHOED | dns.rcode.FORMERR, 0, 0, 0, 0)
    answer = dns.message.make_response(asked, recursion_available=True)
    if asked.edns > 0:
        answer.set_rcode(dns.rcode.BADVERS)
    elif asked.opcode() != dns.opcode.QUERY:
        answer.set_rcode(dns.rcode.NOTIMP)
    elif len(asked.question) != 1:
        answer.set_rcode(dns.rcode.FORMERR)
    elif asked.question[0].rdclass != dns.rdataclass.IN:
        answer.set_rcode(dns.rcode.REFUSED)
    else:
        _fill(answer, asked.question[0], lookup)
    if not is_udp:
        return answer.to_wire(max_size=65535)
    room = min(max(asked.payload, _UDP_WITHOUT_EDNS), _UDP_MOST) if asked.edns >= 0 else _UDP_WITHOUT_EDNS
    try:
        return answer.to_wire(max_size=room)
    except dns.exception.TooBig:
        answer.answer.clear()
        answer.flags |= dns.flags.TC
        return answer.to_wire(max_size=room)


def _fill(
    answer: dns.message.Message, question: dns.rrset.RRset, lookup: Callable[[str, str], NameAnswer]
) -> None:
    kind = dns.rdatatype.to_text(question.rdtype)
    name = question.name.to_text(omit_final_dot=True)
    try:
        found = lookup(name, kind)
    except Exception:  # noqa: BLE001 - whatever breaks in a lookup must not end the DNS of all containers
        answer.set_rcode(dns.rcode.SERVFAIL)
        return
    answer.set_rcode(dns.rcode.from_text(found.rcode))
    texts = [*map(str, found.addresses), *found.pointers]
    if texts:
        answer.answer.append(dns.rrset.from_text_list(question.name, found.ttl, "IN", kind, texts))
