"""``nslookup NAME [SERVER]`` with busybox's words; for machines without one."""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

_TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
_CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
_HEADER = struct.Struct("!HHHHHH")
_PORT = 53
#: Seconds for one try, and how many there are.
_PATIENCE, _TRIES = 5.0, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program; 0 where the name has an answer, else 1."""
    parser = argparse.ArgumentParser(prog="nslookup", allow_abbrev=False)
    parser.add_argument("-type", "-query", "-q", dest="types", action="append", help="A, AAAA, PTR …")
    parser.add_argument("name")
    parser.add_argument("server", nargs="?")
    options = parser.parse_args(argv)
    server = options.server or _first_server()
    try:
        server = str(ipaddress.ip_address(server))
    except ValueError:
        try:
            server = str(socket.getaddrinfo(server, _PORT, type=socket.SOCK_DGRAM)[0][4][0])
        except OSError:
            _say(f"nslookup: bad address '{server}'")
            return 1
    name, types = _question(options.name, options.types)
    shown = f"[{server}]" if ":" in server else server
    _say(f"Server:\t\t{server}\nAddress:\t{shown}:{_PORT}\n")
    return _look_up(server, name, types)


def _look_up(server: str, name: str, types: Sequence[str]) -> int:
    is_found = False
    for kind in types:
        if kind not in _TYPES:
            _say(f"nslookup: invalid query type {kind!r}")
            return 1
        try:
            answer = _ask(server, _query(name, _TYPES[kind]))
        except OSError:
            _say(";; connection timed out; no servers could be reached\n")
            return 1
        code, lines = _read(answer)
        if code:
            _say(f"** server can't find {name}: {_CODES.get(code, code)}\n")
            continue
        if lines:
            is_found = True
            _say("Non-authoritative answer:")
            _say("\n".join(lines) + "\n")
        elif kind != "AAAA" or len(types) == 1:
            _say(f"*** Can't find {name}: No answer\n")
    return 0 if is_found else 1


def _first_server() -> str:
    path = Path("/etc/resolv.conf")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    words = [line.split() for line in lines]
    return next((each[1] for each in words if len(each) > 1 and each[0] == "nameserver"), "127.0.0.1")


def _question(name: str, types: Sequence[str] | None) -> tuple[str, list[str]]:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.rstrip("."), [each.upper() for each in types or ("A", "AAAA")]
    return address.reverse_pointer, ["PTR"]


def _query(name: str, kind: int) -> bytes:
    number = struct.unpack("!H", os.urandom(2))[0]
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return _HEADER.pack(number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def _ask(server: str, query: bytes) -> bytes:
    """The server's answer; raises OSError when none comes."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    for _ in range(_TRIES):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_PATIENCE)
            sock.connect((server, _PORT))
            sock.send(query)
            try:
                answer = sock.recv(65535)
            except TimeoutError:
                continue
            if answer[:2] == query[:2] and len(answer) >= _HEADER.size:
                return _ask_by_stream(server, query) if answer[2] & 0x02 else answer
    raise TimeoutError


def _ask_by_stream(server: str, query: bytes) -> bytes:
    """The whole of an answer that a datagram could not carry (RFC 1035, 4.2.2)."""
    with socket.create_connection((server, _PORT), _PATIENCE) as sock, sock.makefile("rb") as stream:
        sock.sendall(struct.pack("!H", len(query)) + query)
        (length,) = struct.unpack("!H", stream.read(2))
        return stream.read(length)


def _read(answer: bytes) -> tuple[int, list[str]]:
    """The code of an answer, and its records as they are printed."""
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(answer)
    at = _HEADER.size
    for _ in range(questions):
        at = _name(answer, at)[1] + 4
    lines = []
    for _ in range(answers):
        owner, at = _name(answer, at)
        kind, _, _, length = struct.unpack_from("!HHIH", answer, at)
        at += 10
        content = answer[at : at + length]
        if kind in (_TYPES["A"], _TYPES["AAAA"]):
            lines.append(f"Name:\t{owner}\nAddress: {ipaddress.ip_address(content)}")
        elif kind == _TYPES["PTR"]:
            lines.append(f"{owner}\tname = {_name(answer, at)[0]}")
        elif kind == _TYPES["CNAME"]:
            lines.append(f"{owner}\tcanonical name = {_name(answer, at)[0]}")
        elif kind == _TYPES["MX"]:
            lines.append(f"{owner}\tmail exchanger = {content[1]} {_name(answer, at + 2)[0]}")
        elif kind == _TYPES["TXT"]:
            lines.append(f'{owner}\ttext = "{content[1:].decode(errors="replace")}"')
        at += length
    return flags & 0xF, lines


def _name(answer: bytes, at: int) -> tuple[str, int]:
    """The name at a place, and where what follows it begins."""
    labels: list[str] = []
    end = None
    for _ in range(128):  # a name has fewer labels and pointers; a loop of pointers ends here
        length = answer[at]
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | answer[at + 1]
        elif length == 0:
            break
        else:
            labels.append(answer[at + 1 : at + 1 + length].decode(errors="replace"))
            at += 1 + length
    return ".".join(labels), end or at + 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
