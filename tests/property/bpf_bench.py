"""A bench for the BPF programs: frames go in, what was decided about each comes out.

Two links of a namespace of their own lend the frames their interface index and
MAC; all other indexes are of no link, so that nothing leaves the bench.
"""

from __future__ import annotations

import dataclasses
import mmap
import platform
import struct
import subprocess
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from ci.build_bpf import COMPILER_OF_RECORD, FLAGS, FOLDER, SOURCE, find_clang
from ipvlab.datapath.bpf.program import CompiledObject, LoadedObject
from ipvlab.datapath.bpf.tables import Tables
from ipvlab.linux import bpf, messages
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netlink import Netlink

RECORDER = Path(__file__).with_name("recorder.c")

#: The MAC of both links: of the port, and so of its endpoints and their host ends.
PORT_MAC = bytes.fromhex("02000a0b0cfe")
#: Where frames of an endpoint come in, and frames of the wire.
SENDER_LINK, WIRE_LINK = 11, 12

_CALL = struct.Struct("=III")
_COUNT = struct.Struct("=I")


class Verdict(IntEnum):
    """The actions of tc that the programs return (linux/pkt_cls.h), as a test run tells them."""

    PASS = 0xFFFFFFFF
    DROP = 2
    REDIRECT = 7


class What(IntEnum):
    """The helpers that are written down; as in ``recorder.c``."""

    TO_LINK = 1
    TO_PEER = 2
    TO_NEIGHBOUR = 3
    COPY = 4
    SET_TYPE = 5
    PUSH = 6
    POP = 7


class Call(NamedTuple):
    """One helper and what it was given: a link, a packet type or a VLAN, and flags or an ethertype."""

    what: int
    where: int
    how: int = 0


class Outcome(NamedTuple):
    """What a program made of a frame."""

    verdict: int
    calls: tuple[Call, ...] = ()

    def __str__(self) -> str:
        named = [f"{What(call.what).name}({call.where:#x}, {call.how:#x})" for call in self.calls]
        return " ".join([*named, Verdict(self.verdict).name])


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """A frame for a program; ``tag`` is the VLAN id that comes beside it (0: a priority tag)."""

    program: str
    frame: bytes
    link: int
    tag: int | None = None


#: As in ``recorder.c``.
_IS_TAGGED = 0x8000
#: A test run wants whole IP headers (net/bpf/test_run.c: bpf_prog_test_run_skb), whatever the frame's
#: ethertype; what is shorter is cut by the program.
_SHORTEST = 14 + 40


def compile_recorder(
    change: Callable[[str], str] | None = None, folder: Path | None = None
) -> CompiledObject:
    """Compile the programs with their recorder.

    ``change`` spoils the source first, which ``folder`` then holds. Without
    clang the test fails and says what to install.
    """
    found = find_clang()
    if found is None:
        pytest.fail(f"clang is missing: apt-get install clang-{COMPILER_OF_RECORD} libc6-dev linux-libc-dev")
    place, flags = FOLDER, FLAGS
    if change is not None:
        assert folder is not None
        place = folder
        (folder / SOURCE.name).write_text(change(SOURCE.read_text()))
        flags = [flag for flag in FLAGS if not flag.startswith("-W")]
    headers = [f"-I/usr/include/{platform.machine()}-linux-gnu", f"-I{place}"]
    made = subprocess.run(
        [found[0], *flags, *headers, "-c", str(RECORDER), "-o", "-"], stdout=subprocess.PIPE, check=True
    )
    return CompiledObject(made.stdout)


class Bench:
    """The recorded programs, loaded; a context manager."""

    def __init__(self, compiled: CompiledObject) -> None:
        self._object = LoadedObject(compiled)
        self.tables = Tables(self._object)
        record = self._object.maps["record"]
        self._record = mmap.mmap(record.fd, mmap.PAGESIZE)
        self._capacity = (record.value_size - _COUNT.size) // _CALL.size
        [(fd, socket)] = THREAD.create_network(1, {})
        self._namespace = Namespace("bench", fd, Netlink(socket, "bench"))
        request = messages.add_veth("sender", SENDER_LINK, PORT_MAC, fd, "wire", WIRE_LINK, PORT_MAC, 1500)
        self._namespace.netlink.request(request, "add the links of the bench")

    def run(self, shots: Iterable[Shot]) -> list[Outcome]:
        """Put frames to programs, in one visit to the namespace."""
        return self._namespace.call(lambda: [self._shoot(shot) for shot in shots])

    def _shoot(self, shot: Shot) -> Outcome:
        self._record[: _COUNT.size] = bytes(_COUNT.size)
        frame, name, mark = shot.frame, shot.program, 0
        if len(frame) < _SHORTEST:
            mark = len(frame) << 16
            frame = frame.ljust(_SHORTEST, b"\0")
        if shot.tag is not None:
            mark |= _IS_TAGGED | shot.tag
        if mark:
            name = f"posed_{name}"
        verdict, _ = bpf.run_on_link(self._object.programs[name], frame, shot.link, mark)
        (count,) = _COUNT.unpack_from(self._record)
        assert count <= self._capacity, "the recorder is full"
        if not count:
            return Outcome(verdict)
        words = _CALL.iter_unpack(self._record[_COUNT.size : _COUNT.size + count * _CALL.size])
        calls = tuple(Call(*call) for call in words)
        if verdict == Verdict.DROP:
            # Of a frame that is dropped only the copies matter.
            calls = tuple(call for call in calls if call.what == What.COPY)
        return Outcome(verdict, calls)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record.close()
        self._namespace.close()
        self._object.close()


def differences(shots: Sequence[Shot], outcomes: Sequence[Outcome], expected: Sequence[Outcome]) -> list[str]:
    """Where programs and rules part, one line each, with the frame to try again."""
    assert len(shots) == len(outcomes) == len(expected)
    return [
        f"{shot.program} link {shot.link} tag {shot.tag} {shot.frame.hex()}: "
        f"programs: {found}; rules: {wanted}"
        for shot, found, wanted in zip(shots, outcomes, expected, strict=True)
        if found != wanted
    ]
