"""``ping`` and ``ping6`` on ICMP datagram sockets, with busybox's words; for machines without one."""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence

_ECHO: dict[int, int] = {socket.AF_INET: 8, socket.AF_INET6: 128}
_ECHO_REPLY: dict[int, int] = {socket.AF_INET: 0, socket.AF_INET6: 129}
_HEADER = struct.Struct("!BBHHH")
_IP_RECVTTL, _IPV6_RECVHOPLIMIT = 12, 51
_SO_BINDTODEVICE = 25


class _Ended(Exception):
    """SIGINT, or the time of ``-w`` is over."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program; 0 where anything came back, 1 where nothing did, 2 for bad usage."""
    options = _parser().parse_args(argv)
    try:
        family, address = _resolve(options.target, options.family)
    except OSError:
        _tell(f"ping: bad address '{options.target}'")
        return 1
    try:
        echo = _open(family, options)
    except OSError as error:
        _tell(f"ping: {error.strerror}")
        return 1
    _say(f"PING {options.target} ({address}): {options.size} data bytes")
    try:
        echo.connect((address, 0))
    except OSError as error:
        _tell(f"ping: sendto: {error.strerror}")
        return 1
    run = _Run(echo, family, address, options)
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        run.go()
    except _Ended:
        pass
    except OSError as error:
        _tell(f"ping: sendto: {error.strerror}")
    return run.tell_sum(options.target)


def _parser() -> argparse.ArgumentParser:
    name = os.path.basename(sys.argv[0])
    parser = argparse.ArgumentParser(prog=name, allow_abbrev=False)
    parser.set_defaults(family=socket.AF_INET6 if name == "ping6" else 0)
    parser.add_argument("-4", dest="family", action="store_const", const=socket.AF_INET)
    parser.add_argument("-6", dest="family", action="store_const", const=socket.AF_INET6)
    parser.add_argument("-c", dest="count", type=int, help="send so many")
    parser.add_argument("-i", dest="interval", type=float, default=1.0, help="seconds between two")
    parser.add_argument("-W", dest="patience", type=float, default=10.0, help="seconds to wait for the last")
    parser.add_argument("-w", dest="most", type=float, help="seconds in all")
    parser.add_argument("-s", dest="size", type=int, default=56, help="bytes of payload")
    parser.add_argument("-t", dest="ttl", type=int, help="time to live")
    parser.add_argument("-I", dest="source", help="source address or interface")
    parser.add_argument("-q", dest="is_quiet", action="store_true", help="the sum only")
    for ignored in ("-n", "-b", "-O", "-A"):
        parser.add_argument(ignored, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("target")
    return parser


def _resolve(target: str, family: int) -> tuple[int, str]:
    found = socket.getaddrinfo(target, None, family, socket.SOCK_DGRAM)
    # IPv4 first, as busybox does.
    best = min(found, key=lambda each: each[0] != socket.AF_INET)
    return int(best[0]), str(best[4][0])


def _open(family: int, options: argparse.Namespace) -> socket.socket:
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    echo = socket.socket(family, socket.SOCK_DGRAM, protocol)
    if family == socket.AF_INET:
        echo.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        echo.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if options.ttl is not None:
            echo.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, options.ttl)
    else:
        echo.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
        if options.ttl is not None:
            echo.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, options.ttl)
    if options.source is not None:
        try:
            echo.bind((options.source, 0))
        except OSError:
            echo.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, options.source.encode() + b"\0")
    return echo


def _stop(_number: int, _frame: object) -> None:
    raise _Ended


class _Run:
    def __init__(self, echo: socket.socket, family: int, address: str, options: argparse.Namespace) -> None:
        self._echo, self._family, self._address, self._options = echo, family, address, options
        self._sent: dict[int, float] = {}
        self._sent_count = 0
        self._times: list[float] = []

    def go(self) -> None:
        """Send and read until the count is reached and answered, or its patience is over."""
        begun = time.monotonic()
        following = begun
        while True:
            now = time.monotonic()
            is_last = self._options.count is not None and self._sent_count >= self._options.count
            if is_last and not self._sent:
                return
            if not is_last and now >= following:
                self._send()
                following = now + self._options.interval
                continue
            until = max(self._sent.values(), default=now) + self._options.patience if is_last else following
            if self._options.most is not None:
                until = min(until, begun + self._options.most)
                if now >= begun + self._options.most:
                    return
            if is_last and now >= until:
                return
            if select.select([self._echo], [], [], max(0.0, until - now))[0]:
                self._read()

    def _send(self) -> None:
        number = self._sent_count & 0xFFFF
        self._sent_count += 1
        header = _HEADER.pack(_ECHO[self._family], 0, 0, 0, number)
        self._sent[number] = time.monotonic()
        self._echo.send(header + bytes(self._options.size))

    def _read(self) -> None:
        try:
            answer, about, _, _ = self._echo.recvmsg(65535, 256)
        except OSError as error:
            _tell(f"ping: {error.strerror}")
            return
        now = time.monotonic()
        kind, _, _, _, number = _HEADER.unpack_from(answer)
        if kind != _ECHO_REPLY[self._family] or number not in self._sent:
            return
        taken = (now - self._sent.pop(number)) * 1000
        self._times.append(taken)
        ttl = next((struct.unpack_from("=i", content)[0] for _, _, content in about), None)
        told = "" if ttl is None else f" ttl={ttl}"
        if not self._options.is_quiet:
            _say(f"{len(answer)} bytes from {self._address}: seq={number}{told} time={taken:.3f} ms")

    def tell_sum(self, target: str) -> int:
        """Print the sum; the exit status."""
        sent, received = self._sent_count, len(self._times)
        lost = round(100 * (sent - received) / sent) if sent else 0
        lines = [
            "",
            f"--- {target} ping statistics ---",
            f"{sent} packets transmitted, {received} packets received, {lost}% packet loss",
        ]
        if self._times:
            middle = sum(self._times) / received
            lines.append(
                f"round-trip min/avg/max = {min(self._times):.3f}/{middle:.3f}/{max(self._times):.3f} ms"
            )
        _say("\n".join(lines))
        return 0 if received else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
