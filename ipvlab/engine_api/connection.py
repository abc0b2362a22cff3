"""One client's connection: HTTP/1.1 by h11, request after request, on a thread of its own."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Sequence
from http import HTTPStatus

import h11

from ipvlab.engine_api.feed import ClientGone, Feed
from ipvlab.engine_api.messages import Answer, Hijacked, Outcome, Received, Streamed, answer_error
from ipvlab.engine_api.streams import Conversation

#: Bytes of a request's line and headers together.
HEADER_LIMIT = 64 * 1024
#: Bytes of a request's body; a container's description has a few kilobytes.
BODY_LIMIT = 1024 * 1024
#: How much of what a refused client still sends is read before its connection is cut, and how long (ms).
_LINGER_BYTES, _LINGER_PATIENCE = 64 * BODY_LIMIT, 5_000
_PIECE = 16 * 1024

Headers = Sequence[tuple[str, str]]


class _BodyTooLarge(Exception):
    """A request's body goes beyond the limit."""


class Connection:
    """The server's end of one connection; :meth:`serve` returns when it is over."""

    def __init__(self, sock: socket.socket, respond: Callable[[Received], Outcome], headers: Headers) -> None:
        """``headers`` go with every answer (``Api-Version`` …)."""
        self._sock = sock
        self._respond = respond
        self._headers = headers
        self._is_hijacked = False
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_LIMIT)

    def serve(self) -> None:
        """Answer requests until either side ends the connection, then close it."""
        try:
            while self._exchange():
                self._http.start_next_cycle()
            self._linger()
        except ClientGone:
            pass
        finally:
            self._sock.close()

    def end(self) -> None:
        """Make :meth:`serve` return soon; from another thread."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self) -> bool:
        """One request and its answer; False when no other can follow."""
        try:
            received = self._receive()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, f"malformed HTTP request: {error}")
            return False
        except _BodyTooLarge:
            self._refuse(413, f"http: request body too large (more than {BODY_LIMIT} bytes)")
            return False
        if received is None:
            return False
        outcome = self._respond(received)
        match outcome:
            case Answer():
                self._answer(outcome, is_head=received.method == "HEAD")
            case Streamed():
                self._stream(outcome)
            case Hijacked():
                try:
                    self._hijack(outcome, received.has_upgrade)
                finally:
                    outcome.close()
                return False
        return self._http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}

    def _receive(self) -> Received | None:
        """The next request with its body, or None where the client has ended the connection."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self._send_event(h11.InformationalResponse(status_code=100, headers=[]))
                self._http.receive_data(self._read())
            elif isinstance(event, h11.Request):
                head = event
                if self._declared_length(event) > BODY_LIMIT:
                    raise _BodyTooLarge
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_LIMIT:
                    raise _BodyTooLarge
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
                return Received(
                    head.method.decode("ascii"),
                    head.target.decode("latin-1"),
                    headers,
                    bytes(body),
                    has_upgrade="upgrade" in headers,
                )
            else:
                return None

    @staticmethod
    def _declared_length(head: h11.Request) -> int:
        # h11 has proved that it is a number.
        return next((int(value) for name, value in head.headers if name == b"content-length"), 0)

    def _answer(self, answer: Answer, *extra: tuple[str, str], is_head: bool = False) -> None:
        headers = [*self._headers, *answer.headers, *extra]
        if answer.content_type is not None:
            headers.append(("Content-Type", answer.content_type))
        if answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers.append(("Content-Length", str(len(answer.body))))
        reason = HTTPStatus(answer.status).phrase
        content = self._encode(h11.Response(status_code=answer.status, headers=headers, reason=reason))
        # One write, so that no client sees headers without their body.
        if answer.body and not is_head:
            content += self._encode(h11.Data(data=answer.body))
        self._write(content + self._encode(h11.EndOfMessage()))

    def _refuse(self, status: int, text: str) -> None:
        """Answer what could not be read; the connection is of no use afterwards."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._answer(answer_error(status, text), ("Connection", "close"))

    def _stream(self, outcome: Streamed) -> None:
        headers = [*self._headers, ("Content-Type", outcome.content_type)]
        try:
            # The client goes on only when it has seen the headers: they leave before anything is waited for.
            self._send_event(h11.Response(status_code=200, headers=headers, reason="OK"))
            outcome.produce(Feed(self._sock, lambda content: self._send_event(h11.Data(data=content))))
            self._send_event(h11.EndOfMessage())
        finally:
            outcome.close()

    def _hijack(self, outcome: Hijacked, has_upgrade: bool) -> None:
        headers = [*self._headers, ("Content-Type", outcome.content_type)]
        if has_upgrade:
            headers += [("Connection", "Upgrade"), ("Upgrade", "tcp")]
            self._send_event(h11.InformationalResponse(status_code=101, headers=headers, reason="UPGRADED"))
        else:
            # Clients from before the upgrade get 200 and then whatever comes, until the end.
            lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers), "", ""]
            self._write("\r\n".join(lines).encode("latin-1"))
        early, has_ended = self._http.trailing_data
        self._is_hijacked = True
        outcome.converse(Conversation(self._sock, early, has_ended=has_ended))

    def _linger(self) -> None:
        """End our half and read on until the client ends its own, or has had its chance.

        Closing with unread bytes would reset the connection, and the client would
        lose the answer, or its program's exit code, with it. A client that has a
        program's streams may take its time.
        """
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        left = _LINGER_BYTES
        while self._is_hijacked or (left > 0 and poll.poll(_LINGER_PATIENCE)):
            piece = self._read()
            if not piece:
                return
            left -= len(piece)

    def _encode(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""

    def _send_event(self, event: h11.Event) -> None:
        self._write(self._encode(event))

    def _read(self) -> bytes:
        try:
            return self._sock.recv(_PIECE)
        except OSError as error:
            raise ClientGone from error

    def _write(self, content: bytes) -> None:
        try:
            self._sock.sendall(content)
        except OSError as error:
            raise ClientGone from error
