"""Faults of the BPF program: text changes of ``ipvlan.c``, compiled as the object itself is."""

from __future__ import annotations

import dataclasses
import platform
import re
import subprocess
from collections.abc import Iterable

from ci.build_bpf import COMPILER_OF_RECORD, FLAGS, FOLDER, SOURCE, find_clang


class NoCompiler(Exception):
    """This machine has no clang, so nothing is known about mutants of the program."""

    def __init__(self) -> None:
        name = f"clang-{COMPILER_OF_RECORD}"
        super().__init__(f"unsupported: mutants of the BPF program need clang (apt-get install {name})")


class EditMisplaced(Exception):
    """The text that a mutant changes is not there, or not there once; the mutant must follow the source."""


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """A change inside one C function; runs of white space in ``old`` fit any white space."""

    function: str
    old: str
    new: str

    def apply(self, source: str) -> str:
        """The changed source; raises :class:`EditMisplaced` unless ``old`` is there exactly once."""
        start, end = self._body(source)
        body = source[start:end]
        pattern = r"\s+".join(map(re.escape, self.old.split()))
        found = list(re.finditer(pattern, body))
        if len(found) != 1:
            raise EditMisplaced(f"{self.function}: {len(found)} times: {self.old}")
        at = found[0]
        return source[:start] + body[: at.start()] + self.new + body[at.end() :] + source[end:]

    def _body(self, source: str) -> tuple[int, int]:
        heads = list(
            re.finditer(rf"^(?:INLINE|SEC).*\b{self.function}\(struct __sk_buff.*", source, re.MULTILINE)
        )
        heads += list(re.finditer(rf"^INLINE int {self.function}\(const.*", source, re.MULTILINE))
        if len(heads) != 1:
            raise EditMisplaced(f"ipvlan.c has {len(heads)} functions called {self.function}")
        start = heads[0].start()
        return start, source.index("\n}", start)


def mutate(source: str, edits: Iterable[Edit]) -> str:
    """The source with every change in it."""
    for edit in edits:
        source = edit.apply(source)
    return source


def compile_mutant(edits: Iterable[Edit]) -> bytes:
    """The object of a changed source; a mutant may leave something unused, so warnings are no errors."""
    clang = find_clang()
    if clang is None:
        raise NoCompiler
    flags = [flag for flag in FLAGS if not flag.startswith("-W")]
    headers = f"-I/usr/include/{platform.machine()}-linux-gnu"
    made = subprocess.run(
        [clang[0], *flags, "-w", headers, "-x", "c", "-c", "-", "-o", "-"],
        cwd=FOLDER,
        input=mutate(SOURCE.read_text(), edits).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return made.stdout
