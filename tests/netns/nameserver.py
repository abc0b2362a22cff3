"""Real nameservers in the namespaces of a test: each answers what it is told to, UDP and TCP."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence

import dns.message
import dns.rcode
import dns.rrset

from ipvlab.linux.namespaces import Namespace

#: A query to the messages that come back, in order.
Answer = Callable[[dns.message.Message], Sequence[bytes]]


def answering(address: str) -> Answer:
    """A server that says that every name has this address."""

    def answer(query: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text(query.question[0].name, 30, "IN", "A", address))
        return [response.to_wire()]

    return answer


def failing(rcode: dns.rcode.Rcode) -> Answer:
    """A server that answers every query with an error."""

    def answer(query: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        return [response.to_wire()]

    return answer


def silent(_query: dns.message.Message) -> Sequence[bytes]:
    """A server that answers nothing."""
    return ()


class Nameserver:
    """A nameserver on port 53 of an address of a namespace; its ``heard`` are the names asked for."""

    def __init__(self, namespace: Namespace, address: str, answer: Answer) -> None:
        self._answer = answer
        self.heard: list[str] = []
        self._changed = threading.Condition()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._udp = namespace.socket(family, socket.SOCK_DGRAM)
        self._tcp = namespace.socket(family, socket.SOCK_STREAM)
        for sock in (self._udp, self._tcp):
            sock.bind((address, 53))
        self._tcp.listen()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=work) for work in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def hears(self, count: int) -> bool:
        """Wait for so many queries in all; false when they do not come."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.heard) >= count, 30)

    def _serve_udp(self) -> None:
        while True:
            query, asker = self._udp.recvfrom(65535)
            if not query:
                return
            for answer in self._consider(query, "udp"):
                self._udp.sendto(answer, asker)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            self._connections.append(connection)
            length = connection.recv(2, socket.MSG_WAITALL)
            if len(length) < 2:
                continue
            query = connection.recv(int.from_bytes(length), socket.MSG_WAITALL)
            for answer in self._consider(query, "tcp"):
                # In two pieces, as a network may deliver it.
                framed = struct.pack("!H", len(answer)) + answer
                connection.sendall(framed[:1])
                connection.sendall(framed[1:])

    def _consider(self, query: bytes, transport: str) -> Sequence[bytes]:
        message = dns.message.from_wire(query)
        with self._changed:
            self.heard.append(f"{transport} {message.question[0].name}")
            self._changed.notify_all()
        return self._answer(message)

    def close(self) -> None:
        """End the server and its threads."""
        with socket.socket(fileno=socket.dup(self._udp.fileno())) as bell:
            bell.connect(self._udp.getsockname())
            bell.send(b"")
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for sock in (self._udp, self._tcp, *self._connections):
            sock.close()
