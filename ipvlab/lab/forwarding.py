"""Questions that wait for a nameserver of the lab: asked from a namespace, each with its deadline.

Nothing here blocks: the resolver's thread, whose selector the sockets are in,
serves all containers meanwhile.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

from ipvlab.driver.resolv_conf import Nameserver
from ipvlab.lab.dns_messages import Unanswered, is_failure
from ipvlab.linux.namespaces import Namespace

#: Seconds for one nameserver, connecting included (libnetwork resolver.go: extIOTimeout).
PATIENCE = 4.0
#: Questions of a whole lab that may be waiting; each is a socket. Docker allows 1024 to each container.
QUESTIONS_MOST = 256
_PORT = 53


class Forwarder:
    """Asks nameservers in turn, each for at most :data:`PATIENCE`, and passes on the first good answer."""

    def __init__(self, selector: selectors.BaseSelector, clock: Callable[[], float] = time.monotonic) -> None:
        self._selector = selector
        self._clock = clock
        #: In the order of their deadlines: all have the same patience.
        self._waiting: dict[_Question, float] = {}

    def ask(
        self,
        owner: object,
        unanswered: Unanswered,
        is_udp: bool,
        find_namespace: Callable[[Nameserver], Namespace],
        reply: Callable[[bytes], None],
    ) -> None:
        """Have a query answered; ``reply`` is called once, unless :meth:`drop` comes first."""
        if len(self._waiting) >= QUESTIONS_MOST:
            reply(unanswered.refusal)
            return
        question = _Question(owner, unanswered, is_udp, find_namespace, reply)
        self._try_next(question)

    def seconds_left(self) -> float | None:
        """How long until :meth:`expire` has something to do; None when nothing waits."""
        for deadline in self._waiting.values():
            return max(0.0, deadline - self._clock())
        return None

    def expire(self) -> None:
        """Turn to the next nameserver where one was silent for too long."""
        now = self._clock()
        for question in [each for each, deadline in self._waiting.items() if deadline <= now]:
            self._try_next(question)

    def drop(self, owner: object) -> None:
        """Forget the questions of an owner, who wants no answer any more."""
        for question in [each for each in self._waiting if each.owner is owner]:
            self._hang_up(question)

    def has_waiting(self, owner: object) -> bool:
        """Whether a question of that owner is waiting."""
        return any(question.owner is owner for question in self._waiting)

    def _hang_up(self, question: _Question) -> None:
        self._waiting.pop(question, None)
        if question.socket is not None:
            self._selector.unregister(question.socket)
            question.socket.close()
            question.socket = None

    def _try_next(self, question: _Question) -> None:
        self._hang_up(question)
        while question.nameservers:
            nameserver = question.nameservers.popleft()
            deadline = self._clock() + PATIENCE
            try:
                question.dial(nameserver)
            except OSError:
                # No route, nobody there, or no socket left: the same as a server that says nothing.
                continue
            assert question.socket is not None
            self._selector.register(
                question.socket,
                selectors.EVENT_READ if question.is_udp else selectors.EVENT_WRITE,
                lambda ready: self._move(question, ready),
            )
            self._waiting[question] = deadline
            return
        question.reply(question.unanswered.failure)

    def _move(self, question: _Question, ready: int) -> None:
        assert question.socket is not None
        try:
            if ready & selectors.EVENT_WRITE and question.send_some():
                self._selector.modify(
                    question.socket, selectors.EVENT_READ, lambda ready: self._move(question, ready)
                )
            if not ready & selectors.EVENT_READ:
                return
            answer = question.receive()
        except BlockingIOError:
            return
        except OSError:
            self._try_next(question)
            return
        if answer is None:
            return
        if is_failure(answer):
            self._try_next(question)
            return
        self._hang_up(question)
        question.reply(answer)


class _Question:
    """One query on its way from nameserver to nameserver."""

    def __init__(
        self,
        owner: object,
        unanswered: Unanswered,
        is_udp: bool,
        find_namespace: Callable[[Nameserver], Namespace],
        reply: Callable[[bytes], None],
    ) -> None:
        self.owner = owner
        self.unanswered = unanswered
        self.is_udp = is_udp
        self.reply = reply
        self.nameservers = deque(unanswered.nameservers)
        self.socket: socket.socket | None = None
        self._find_namespace = find_namespace
        self._unsent = b""
        self._received = bytearray()

    def dial(self, nameserver: Nameserver) -> None:
        """Open a socket in the namespace that the server is asked from, and over UDP send the query."""
        self._received.clear()
        query = self.unanswered.query
        self._unsent = query if self.is_udp else struct.pack("!H", len(query)) + query
        kind = socket.SOCK_DGRAM if self.is_udp else socket.SOCK_STREAM

        def connect() -> socket.socket:
            address = nameserver.address
            text, _, zone = str(address).partition("%")
            family = socket.AF_INET if address.version == 4 else socket.AF_INET6
            # Interface indexes are those of the namespace, so a zone is read inside of it.
            scope = (0, socket.if_nametoindex(zone)) if zone else ()
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
            try:
                sock.connect((text, _PORT, *scope))
            except BlockingIOError:
                pass
            except OSError:
                sock.close()
                raise
            return sock

        sock = self._find_namespace(nameserver).call(connect)
        if self.is_udp:
            try:
                sock.send(self._unsent)
            except OSError:
                sock.close()
                raise
        self.socket = sock

    def send_some(self) -> bool:
        """Send what a TCP connection takes; returns whether that was all."""
        assert self.socket is not None
        self._unsent = self._unsent[self.socket.send(self._unsent) :]
        return not self._unsent

    def receive(self) -> bytes | None:
        """The answer, when it is whole and an answer to this query; raises OSError when none can come."""
        assert self.socket is not None
        content = self.socket.recv(65535)
        if self.is_udp:
            # Whatever else arrives on the port is passed over, as resolvers do with forged answers.
            return content if self.unanswered.is_answered_by(content) else None
        if not content:
            raise ConnectionResetError("the nameserver hung up")
        self._received += content
        if len(self._received) < 2:
            return None
        (length,) = struct.unpack_from("!H", self._received)
        if len(self._received) < 2 + length:
            return None
        answer = bytes(self._received[2 : 2 + length])
        if not self.unanswered.is_answered_by(answer):
            raise ConnectionAbortedError("the nameserver answered another question")
        return answer
