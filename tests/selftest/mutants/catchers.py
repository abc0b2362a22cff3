"""The checks that mutants are put to: scenarios, single frames, and a few measurements of a live lab."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.datapath.bpf.program import CompiledObject
from ipvlab.run.ground import ProbedGround
from ipvlab.run.live import LiveGround
from ipvlab.run.prepare import Prepared, prepare
from ipvlab.run.runner import run_on
from ipvlab.run.sim import SimGround
from tests.selftest.mutants.control_faults import CONTROL_FAULTS
from tests.selftest.mutants.copying_faults import FAN_OUT_FAULTS, SWITCH_FAULTS, TAG_FAULTS
from tests.selftest.mutants.hook_faults import HOOK_FAULTS
from tests.selftest.mutants.live_checks import check_lab
from tests.selftest.mutants.mutant import Mutant
from tests.selftest.mutants.packets import shoot
from tests.selftest.mutants.receive_faults import ADDRESS_FAULTS, RECEIVE_FAULTS
from tests.selftest.mutants.rule_faults import RULE_FAULTS
from tests.selftest.mutants.transmit_faults import TRANSMIT_FAULTS

HERE = Path(__file__).resolve().parent
SUFFIX = ".ipvlab.yaml"
#: Scenarios of the documents come first: what they notice needs nothing of its own.
FOLDERS = (HERE.parents[2] / "scenarios", HERE)

MUTANTS = (
    *TRANSMIT_FAULTS,
    *RECEIVE_FAULTS,
    *ADDRESS_FAULTS,
    *FAN_OUT_FAULTS,
    *TAG_FAULTS,
    *SWITCH_FAULTS,
    *HOOK_FAULTS,
    *CONTROL_FAULTS,
    *RULE_FAULTS,
)
#: Not mutants: the datapaths as they are.
TRUE_BPF = Mutant("true", "does what it should", "")
TRUE_SIM = Mutant("true", "does what it should", "", datapath="sim")

#: Id of a verdict, frame or measurement -> ``pass``, or what came instead.
Findings = Mapping[str, str]

OTHER_CATCHERS: Mapping[str, Callable[[CompiledObject], Findings]] = {"packets": shoot, "lab": check_lab}


@functools.cache
def scenarios() -> Mapping[str, Path]:
    """The scenarios by the names of their files, those of the documents first."""
    files = [file for folder in FOLDERS for file in sorted(folder.glob(f"*{SUFFIX}"))]
    return {file.name.removesuffix(SUFFIX): file for file in files}


def catchers(mutant: Mutant) -> list[str]:
    """Every check that a mutant can be put to: the documents', its own, the others."""
    documents = [name for name, file in scenarios().items() if file.parent == FOLDERS[0]]
    own = [mutant.catcher] if mutant.catcher else []
    others = OTHER_CATCHERS if mutant.datapath == "bpf" else ()
    return list(dict.fromkeys([*documents, *own, *scenarios(), *others]))


def examine(mutant: Mutant, catcher: str) -> Findings:
    """Put a datapath to one check.

    Raises :class:`tests.selftest.mutants.source.NoCompiler` and ``EditMisplaced``
    where there is no mutant, and what the datapath raises when it cannot even be loaded.
    """
    compiled = mutant.compiled()
    with mutant.fault():
        if catcher in OTHER_CATCHERS:
            return OTHER_CATCHERS[catcher](compiled)

        def open_lab(name: str, container_name: Callable[[str, str], str]) -> ProbedGround:
            if mutant.datapath == "sim":
                return SimGround(name, container_name)
            return LiveGround(name, BpfDatapath(compiled), container_name)

        result = run_on(_prepared(catcher), open_lab, mutant.datapath, mutant.name)
    return {verdict.id: _say(str(verdict.outcome), verdict.reason) for verdict in result.verdicts}


@functools.cache
def examine_truth(datapath: str, catcher: str) -> Findings:
    """The findings of the datapath as it is; once in a process."""
    return examine(TRUE_SIM if datapath == "sim" else TRUE_BPF, catcher)


def troubles(findings: Findings) -> dict[str, str]:
    """All that did not pass; a check without findings proves nothing, and that is trouble too."""
    return {key: said for key, said in findings.items() if said != "pass"} if findings else {"-": "nothing"}


def catches(findings: Findings) -> dict[str, str]:
    """What tells a mutant from the truth; a verdict that could not be reached does not."""
    return {key: said for key, said in findings.items() if said.startswith(("fail", "error"))}


@functools.cache
def _prepared(name: str) -> Prepared:
    return prepare(scenarios()[name])


def _say(outcome: str, reason: str) -> str:
    """An outcome with the first line of what was said."""
    return outcome if outcome == "pass" or not reason else f"{outcome}: {reason.strip().splitlines()[0]}"
