"""One lab on several datapaths: the first says what is to be expected, the others must bear it out."""

from __future__ import annotations

import dataclasses
import json
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ipvlab.errors import IpvlabError, Position
from ipvlab.run.ground import ProbedGround
from ipvlab.run.prepare import Prepared, prepare_loaded
from ipvlab.run.results import Outcome, Verdict
from ipvlab.run.runner import carry_through
from ipvlab.spec.load import LoadedScenario
from ipvlab.spec.model import Scenario
from ipvlab.spec.source import MappingNode, Plain
from tests.agreement.cells import ON_WIRE
from tests.agreement.labs import Lab
from tests.agreement.probes import Probe
from tests.agreement.steps import Step

Text = dict[str, Plain]
#: Opens an empty lab; tests put broken ones in place of a datapath's own.
GroundMaker = Callable[[str, Prepared], ProbedGround]
#: A verdict as another datapath must repeat it.
Told = tuple[str, Any]

#: What a defect raises; it is reported with the lab that shows it, and the batch goes on.
_CRASHES = (
    IpvlabError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


#: What ipvlab says itself, as of a container that does not exist since starting it was refused.
_OWN_ERROR = re.compile(r"\bIPV\d{3}\b")
#: Outcomes that another datapath can repeat.
_SETTLED = (Outcome.PASS, Outcome.FAIL, Outcome.ERROR)


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One verdict on which a datapath differs from the first."""

    id: str
    kind: str
    datapath: str
    said: Told
    instead_of: Told
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.id} ({self.kind}): {self.datapath} {_show(self.said)}, "
            f"not {_show(self.instead_of)}" + (f" [{self.reason}]" if self.reason else "")
        )


def _show(told: Told) -> str:
    return f"{told[0]} {json.dumps(told[1])}"


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """A lab's scenario with the first datapath's expectations, and where the others differ."""

    scenario: Text
    differences: tuple[Difference, ...]
    #: How many verdicts were compared.
    verdicts: int


def open_datapath(datapath: str, prepared: Prepared) -> ProbedGround:
    """An empty lab on a datapath, whatever ``auto`` would take here."""
    name, display = prepared.scenario.name, prepared.naming.display
    if datapath == "sim":
        from ipvlab.run.sim import SimGround

        return SimGround(name, display)
    from ipvlab.run.ground import open_ground

    return open_ground(datapath, name, display)


def prepare_text(scenario: Text, path: str = "generated.ipvlab.yaml") -> Prepared:
    """A scenario of plain values, checked and dry-run as if read from a file; raises as ``prepare`` does."""
    model = Scenario.model_validate(scenario, by_alias=True, by_name=False)
    top = MappingNode(Position(path, 1, 1), {}, 1)
    return prepare_loaded(LoadedScenario(model, path, top, ()))


def observe(scenario: Text, datapath: str, open_lab: GroundMaker = open_datapath) -> tuple[Verdict, ...]:
    """The verdicts of a scenario of plain values on one datapath."""
    return observed_on(prepare_text(scenario), datapath, open_lab)


def observed_on(prepared: Prepared, datapath: str, open_lab: GroundMaker) -> tuple[Verdict, ...]:
    """The verdicts of a prepared scenario on one datapath; a crash is a verdict of its own."""
    ground = open_lab(datapath, prepared)
    try:
        return carry_through(prepared, ground)
    except _CRASHES as crash:
        last = traceback.extract_tb(crash.__traceback__)[-1]
        place = f"{last.filename.rpartition('/')[2]}:{last.lineno}"
        said = f"{type(crash).__name__}: {crash} ({place})"
        return (Verdict("crash", "crash", Outcome.ERROR, None, None, said),)
    finally:
        ground.close()


def scenario_of(lab: Lab) -> Text:
    """The lab as a scenario whose expectations are placeholders, to be asked and not believed."""
    return {
        "name": lab.name,
        "title": "A generated lab",
        **lab.topology,
        "expect": [_placeholder(probe) for probe in lab.probes],
        **({"steps": [_step(step) for step in lab.steps]} if lab.steps else {}),
    }


def _step(step: Step) -> Plain:
    do: Text = {node: list[Plain](lines) for node, lines in step.do}
    return {"do": do, "expect": [_placeholder(probe) for probe in step.probes]}


def _placeholder(probe: Probe) -> Plain:
    claim = dict(probe.claim)
    if probe.kind == "broadcast":
        return {"broadcast": {**claim, "heard_by": []}}
    if probe.kind == "routes":
        return {"routes": {**claim, "ipv4": [], "ipv6": []}}
    if probe.kind == ON_WIRE:
        return {"on_wire": {**claim, "vlan": None, "source_mac": None}}
    if probe.kind == "one-way":
        return {"delivers": claim}
    if probe.kind in ("icmp", "udp"):
        return {"reach": claim}
    return {probe.kind: claim}


def compare(scenario: Text, datapaths: Sequence[str], open_lab: GroundMaker = open_datapath) -> Comparison:
    """Ask the first datapath what to expect, and hold every other one against it.

    Two agree when id, verdict and observed agree; a command that is refused, and
    a claim that cannot be asked of the lab as it stands, must be so in the same
    words. What the first could not observe at all is a difference too.
    """
    first, *others = datapaths
    asked = observe(scenario, first, open_lab)
    differences = [
        Difference(each.id, each.kind, first, _tell(each), ("pass", None), each.reason)
        for each in asked
        if each.outcome not in _SETTLED or each.kind in ("crash", "build")
    ]
    expecting = expect(scenario, asked)
    wanted = {each.id: _want(each) for each in asked if each.outcome in _SETTLED}
    kinds = {each.id: each.kind for each in asked}
    for other in others:
        heard = {each.id: each for each in observe(expecting, other, open_lab)}
        # A command that failed, or the crash that left everything else unsaid, explains the rest.
        differences += [
            Difference(each.id, each.kind, other, _tell(each), ("missing", None), each.reason)
            for each in heard.values()
            if each.id not in kinds
        ]
        for id_, told in wanted.items():
            verdict = heard.get(id_)
            said: Told = _tell(verdict) if verdict is not None else ("missing", None)
            if said != told:
                reason = verdict.reason if verdict is not None else ""
                differences.append(Difference(id_, kinds[id_], other, said, told, reason))
    return Comparison(_told_refusals(expecting, asked), tuple(differences), len(wanted))


def _told_refusals(expecting: Text, asked: Sequence[Verdict]) -> Text:
    """The scenario, also expecting that commands are refused, where that leaves it valid.

    It does not where something is asked of a container that has thus never been.
    """
    refused = [verdict for verdict in asked if is_refused(verdict)]
    told = with_expectations(
        expecting,
        [
            [*expectations, *(_failing(each) for each in refused if each.id.startswith(f"{prefix}do["))]
            for prefix, expectations in expectations_of(expecting)
        ],
    )
    try:
        prepare_text(told)
    except IpvlabError:
        return expecting
    return told


def is_refused(verdict: Verdict) -> bool:
    """Whether a verdict is that of a command line that was refused; one with nobody to run it was not."""
    return verdict.kind == "command" and not _OWN_ERROR.search(verdict.reason)


def _tell(verdict: Verdict) -> Told:
    if verdict.outcome is Outcome.ERROR:
        return str(verdict.outcome), (verdict.reason.strip().splitlines() or [""])[-1]
    if _copies(verdict):
        return str(verdict.outcome), [verdict.observed, _copies(verdict)]
    return str(verdict.outcome), verdict.observed


def _want(verdict: Verdict) -> Told:
    """What the others must tell: the scenario expects by then what the first observed."""
    if verdict.outcome is Outcome.ERROR or _copies(verdict):
        return _tell(verdict)
    return "pass", verdict.observed


def _copies(verdict: Verdict) -> str:
    """Who heard a broadcast more than once, which fails whatever is expected."""
    _, words, who = verdict.reason.partition("heard more than once by ")
    return words + who.partition(";")[0] if verdict.kind == "broadcast" else ""


def expect(scenario: Text, verdicts: Sequence[Verdict]) -> Text:
    """The same scenario, expecting what was observed; what was not observed stays as it is."""
    by_claim: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_claim.setdefault(verdict.id.partition(":")[0], []).append(verdict)
    return with_expectations(
        scenario, [_expecting_all(prefix, asked, by_claim) for prefix, asked in expectations_of(scenario)]
    )


def expectations_of(scenario: Text) -> list[tuple[str, list[Plain]]]:
    """The expectations of a scenario's beginning and of each step, with what their ids begin with."""
    beginning = scenario["expect"]
    assert isinstance(beginning, list)
    found = [("", beginning)]
    for number, step in enumerate(steps_of(scenario)):
        expectations = step["expect"]
        assert isinstance(expectations, list)
        found.append((f"steps[{number}].", expectations))
    return found


def steps_of(scenario: Text) -> list[Text]:
    """The steps of a scenario."""
    steps = scenario.get("steps", [])
    assert isinstance(steps, list)
    return [step for step in steps if isinstance(step, dict)]


def with_expectations(scenario: Text, stages: Sequence[list[Plain]]) -> Text:
    """The scenario with other expectations, for its beginning and each step."""
    steps = [{**step, "expect": asked} for step, asked in zip(steps_of(scenario), stages[1:], strict=True)]
    return {**scenario, "expect": stages[0], **({"steps": list[Plain](steps)} if steps else {})}


def _failing(refused: Verdict) -> Text:
    """That a command is refused, in the words of its last line."""
    words = refused.reason.strip().splitlines()[-1]
    return {"fails": {"on": refused.from_ or "", "command": refused.observed, "error": words}}


def _expecting_all(prefix: str, expectations: list[Plain], by_claim: dict[str, list[Verdict]]) -> list[Plain]:
    rewritten: list[Plain] = []
    for number, expectation in enumerate(expectations):
        assert isinstance(expectation, dict)
        [(kind, claim)] = expectation.items()
        assert isinstance(claim, dict)
        about = by_claim.get(f"{prefix}expect[{number}]", [])
        is_observed = all(verdict.outcome in (Outcome.PASS, Outcome.FAIL) for verdict in about)
        rewritten.append(_expecting(kind, claim, about) if about and is_observed else expectation)
    return rewritten


def _expecting(kind: str, claim: Mapping[str, Plain], about: Sequence[Verdict]) -> Text:
    observed = about[0].observed
    claim = {key: value for key, value in claim.items() if key not in ("ttl", "heard_by")}
    if kind in ("reach", "blocked"):
        return _pair("reach", "blocked", claim, about[0], happened=bool(observed["reply"]))
    if kind in ("delivers", "undelivered"):
        return _pair("delivers", "undelivered", claim, about[0], happened=bool(observed["request"]))
    if kind == "broadcast":
        return {kind: {**claim, "heard_by": observed}}
    if kind == "on_wire":
        return {kind: {**claim, **observed}}
    if kind == "routes":
        tables = {str(verdict.family): verdict.observed for verdict in about}
        return {kind: {"in": claim["in"], **tables}}
    if kind == "addresses":
        return {kind: {"in": claim["in"], about[0].id.rpartition("/")[2]: observed}}
    return {kind: dict(claim)}


def _pair(
    positive: str, negative: str, claim: Mapping[str, Plain], verdict: Verdict, *, happened: bool
) -> Text:
    if not happened:
        return {negative: {key: value for key, value in claim.items() if key != "via"}}
    fitting: Text = dict(claim)
    if verdict.observed["ttl"] is not None:
        fitting["ttl"] = verdict.observed["ttl"]
    path = verdict.proof.get("path")
    if "via" in fitting:
        if path is None:
            del fitting["via"]
        else:
            fitting["via"] = list(path)
    return {positive: fitting}
