"""Route netlink, synchronously: one socket for each namespace, one answer for each request.

The kernel carries out a request inside ``send`` (rtnetlink_rcv runs in the
sender's context), so requests on sockets of different namespaces take effect in
the order in which they are sent, and batching them buys nothing.
"""

from __future__ import annotations

import errno as errno_names
import os
import socket
import struct
from collections.abc import Iterator

from ipvlab.errors import KernelRefusal

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_ACK_TLVS = 0x200
NLMSGERR_ATTR_MSG = 1

_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")


class Netlink:
    """A route netlink socket inside one namespace; used by one thread at a time."""

    def __init__(self, sock: socket.socket, namespace: str) -> None:
        self._socket = sock
        self._namespace = namespace
        self._sequence = 0
        sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.bind((0, 0))

    def request(self, message: bytearray, what: str) -> None:
        """Send one request that asks for an acknowledgement, and read it.

        ``what`` says in words what the request does. Raises
        :class:`KernelRefusal` with those words, the namespace, the errno and
        the kernel's own explanation (extended ack) when it is refused.
        """
        for kind, body in self._exchange(message):
            if kind != NLMSG_ERROR:
                continue
            (code,) = _ERROR.unpack_from(body)
            if code:
                raise self._refusal(-code, body, what)
            return

    def get(self, message: bytearray, what: str) -> bytes:
        """Send a request for one object and return the body of its answer."""
        for kind, body in self._exchange(message):
            if kind != NLMSG_ERROR:
                return body
            (code,) = _ERROR.unpack_from(body)
            raise self._refusal(-code, body, what)
        raise AssertionError("an exchange ends with an answer")

    def dump(self, message: bytearray, what: str) -> bytes:
        """Send a dump request and return its answer: whole netlink messages, end to end."""
        answer = bytearray()
        for kind, body in self._exchange(message):
            if kind == NLMSG_ERROR:
                (code,) = _ERROR.unpack_from(body)
                raise self._refusal(-code, body, what)
            if kind == NLMSG_DONE:
                break
            answer += _HEADER.pack(_HEADER.size + len(body), kind, 0, 0, 0) + body
            answer += b"\0" * (-len(answer) % 4)
        return bytes(answer)

    def _exchange(self, message: bytearray) -> Iterator[tuple[int, bytes]]:
        self._sequence += 1
        struct.pack_into("=I", message, 8, self._sequence)
        self._socket.send(message)
        while True:
            answer = self._socket.recv(1 << 18)
            offset = 0
            while offset + _HEADER.size <= len(answer):
                length, kind, _flags, sequence, _port = _HEADER.unpack_from(answer, offset)
                if sequence == self._sequence:
                    yield kind, answer[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3

    def _refusal(self, code: int, body: bytes, what: str) -> KernelRefusal:
        explanation = _explain(body)
        name = errno_names.errorcode.get(code, str(code))
        text = f"{what} in {self._namespace}: {os.strerror(code)} ({name})"
        what = f"{text}: {explanation}" if explanation else text
        return KernelRefusal(what, errno=code, explanation=explanation)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def attributes(body: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes that follow ``offset``: number to payload, flag bits left out."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _explain(body: bytes) -> str:
    """The kernel's own words in an extended acknowledgement, or an empty string."""
    # A capped error: i32 code, the 16 bytes of the offending header, attributes.
    words = attributes(body, _ERROR.size + _HEADER.size).get(NLMSGERR_ATTR_MSG, b"")
    return words.rstrip(b"\0").decode(errors="replace")
