"""The way to a client whose answer comes in pieces, and the news that it is gone."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import TypeVar

from ipvlab.driver.json_text import compact
from ipvlab.engine_api.mailbox import Mailbox

Item = TypeVar("Item")


class ClientGone(Exception):
    """The client has closed its connection, or the server is ending; nobody reads any further."""


class Feed:
    """Sends pieces of an answer, and waits for news without missing the client's end.

    A client that closes only its sending side counts as gone too, as with Go's server.
    """

    def __init__(self, sock: socket.socket, send: Callable[[bytes], None]) -> None:
        self._sock = sock
        self._send = send

    def send(self, content: bytes) -> None:
        """Send a piece at once, and block while the client is slow; raises :class:`ClientGone`."""
        if content:
            self._send(content)

    def send_json(self, value: object) -> None:
        """Send one line of JSON; raises :class:`ClientGone`."""
        self.send(f"{compact(value)}\n".encode())

    def next(self, mailbox: Mailbox[Item], seconds: float | None = None) -> list[Item]:
        """Wait until something lies in the mailbox and take it all; empty when the time is over first.

        Raises :class:`ClientGone`.
        """
        poll = select.poll()
        poll.register(self._sock, select.POLLRDHUP)
        poll.register(mailbox, select.POLLIN)
        # poll(2) waits for 24 days at most, in milliseconds.
        patience = None if seconds is None else min(seconds * 1000, 2**31 - 1)
        ready = {fd for fd, _ in poll.poll(patience)}
        if self._sock.fileno() in ready:
            raise ClientGone
        return mailbox.take_all()
