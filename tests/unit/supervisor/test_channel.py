"""Messages with descriptors between a supervisor and its clients."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipvlab.errors import IpvlabError, KernelUnfit, LabError, LabLost, NodeNotFound
from ipvlab.supervisor import channel
from ipvlab.supervisor.channel import (
    BadMessage,
    Channel,
    describe_error,
    open_peer,
    peer_of,
    read_number,
    read_size,
    read_text,
    read_words,
    rebuild_error,
)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    left, right = socket.socketpair()
    with left, right:
        yield Channel(left), Channel(right, longest=1000)


def test_messages_arrive_one_by_one_whatever_pieces_they_come_in(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    left.send({"op": "about"})
    left.sock.sendall(b'{"op": "d')
    assert right.receive() == ({"op": "about"}, [])
    left.sock.sendall(b'own"}\nrest')
    assert right.receive() == ({"op": "down"}, [])
    assert right.take_unread() == b"rest"


def test_descriptors_arrive_with_their_message(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    read, write = os.pipe()
    left.send({"padding": "x" * 500}, (read, write))
    message, descriptors = right.receive()
    assert message["padding"] == "x" * 500
    os.write(descriptors[1], b"through")
    assert os.read(read, 10) == b"through"
    assert not any(os.get_inheritable(fd) for fd in descriptors)
    for fd in (read, write, *descriptors):
        os.close(fd)


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"\xff\n", b"x" * 5000], ids=repr)
def test_a_bad_line_closes_what_came_with_it(ends: tuple[Channel, Channel], line: bytes) -> None:
    left, right = ends
    read, write = os.pipe()
    socket.send_fds(left.sock, [line], [write])
    os.close(write)
    with pytest.raises(BadMessage):
        right.receive()
    assert os.read(read, 1) == b""
    os.close(read)


def test_the_end_of_the_other_side_is_told(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    left.sock.sendall(b'{"half')
    left.close()
    with pytest.raises(EOFError):
        right.receive()


def test_a_long_answer_is_sent_whole(ends: tuple[Channel, Channel]) -> None:
    left, right = ends
    text = "y" * 3_000_000
    wide = Channel(right.sock, longest=1 << 24)
    sender = threading.Thread(target=left.send, args=({"stdout": text},))
    sender.start()
    message, _ = wide.receive()
    sender.join()
    assert message == {"stdout": text}


@pytest.mark.parametrize("option", [channel._SO_PEERPIDFD, 1234], ids=["Linux 6.5", "older"])
def test_the_other_side_is_known_by_pid_and_user(
    ends: tuple[Channel, Channel], option: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "_SO_PEERPIDFD", option)
    left, right = ends
    left.sock.settimeout(5)
    assert peer_of(left.sock) == (os.getpid(), os.geteuid())
    pidfd = open_peer(left.sock)
    assert f"Pid:\t{os.getpid()}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    os.close(pidfd)
    right.close()
    if option == 1234:
        with pytest.raises(ProcessLookupError):
            open_peer(left.sock)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (read_text, {"key": 5}),
        (read_text, {}),
        (read_number, {"key": "5"}),
        (read_number, {"key": True}),
        (read_words, {"key": ["a", 1]}),
        (read_words, {"key": "a"}),
        (read_size, {"key": [1]}),
        (read_size, {"key": [1, -1]}),
        (read_size, {"key": "80x24"}),
    ],
)
def test_a_value_of_the_wrong_kind_is_no_request(read: object, message: dict[str, object]) -> None:
    assert callable(read)
    with pytest.raises(BadMessage):
        read(message, "key")


def test_values_are_read_as_they_are() -> None:
    message: dict[str, object] = {"t": "x", "n": 3, "w": ["a", "b"], "s": [24, 80]}
    assert read_text(message, "t") == "x"
    assert read_number(message, "n") == 3
    assert read_words(message, "w") == ["a", "b"]
    assert read_size(message, "s") == (24, 80)
    assert read_size(message, "missing") is None


@pytest.mark.parametrize("kind", [NodeNotFound, KernelUnfit, LabError])
def test_an_error_keeps_its_class_and_words_on_the_way(kind: type[IpvlabError]) -> None:
    error = rebuild_error(describe_error(kind("what", hint="a step")))
    assert type(error) is kind
    assert str(error) == f"{kind.code} what\n  a step"


def test_an_error_of_an_unknown_kind_is_told_all_the_same() -> None:
    assert isinstance(rebuild_error({"code": "IPV999", "what": "x"}), LabLost)
    assert isinstance(rebuild_error("nonsense"), LabLost)
