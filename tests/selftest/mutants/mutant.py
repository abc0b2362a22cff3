"""What a mutant is: one small fault of a datapath, and the check that notices it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import Literal

from ipvlab.datapath.bpf.program import CompiledObject, compiled_object
from tests.selftest.mutants.source import Edit, compile_mutant

#: Puts a fault into the control plane or the rules for as long as it is entered.
Fault = Callable[[], contextlib.AbstractContextManager[object]]


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """A seeded fault; ``catcher`` names the check that is known to notice it."""

    name: str
    #: What it does, in one sentence without its subject.
    does: str
    #: A scenario (the file's name without its suffix), ``packets`` or ``lab``.
    catcher: str
    #: Changes of ``ipvlan.c``.
    edits: tuple[Edit, ...] = ()
    #: A change of Python code while the check runs.
    fault: Fault = contextlib.nullcontext
    datapath: Literal["bpf", "sim"] = "bpf"

    @property
    def place(self) -> str:
        """Where the fault is, in a word for the table."""
        if self.datapath == "sim":
            return "rules"
        return "program" if self.edits else "control plane"

    def compiled(self) -> CompiledObject:
        """Its object; raises :class:`tests.selftest.mutants.source.NoCompiler` where there is no clang."""
        return _compile(self.edits) if self.edits else compiled_object()


@functools.cache
def _compile(edits: tuple[Edit, ...]) -> CompiledObject:
    return CompiledObject(compile_mutant(edits))
