"""Why a probe ends as it does: the simulated lab's steps, each with its rule, in plain words."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import shlex
from collections.abc import Sequence

from ipvlab.datapath.sim.trace import Deed, Step
from ipvlab.errors import FamilyMissing, IpvlabError, ValueInvalid
from ipvlab.probe.questions import BroadcastObservation, Observation, ReachObservation
from ipvlab.run.expand import Check, expand
from ipvlab.run.narrate import list_rules, narrate
from ipvlab.run.prepare import Prepared
from ipvlab.run.replay import replay, stages_of
from ipvlab.run.results import Verdict
from ipvlab.run.sim import SimGround
from ipvlab.spec.model import Broadcast, Delivers, Expectation, Reach
from ipvlab.spec.values import BroadcastKind, Family

#: What ``--kind`` takes beside the kinds of broadcasts; ``broadcast`` is the limited one.
PAIR_KINDS = ("ping", "udp")
KINDS = (*PAIR_KINDS, "broadcast", *BroadcastKind)


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation:
    """One probe explained."""

    title: str
    observation: Observation | None
    steps: tuple[Step, ...]
    #: Why nothing could be sent; empty where something was.
    fault: str = ""

    @property
    def outcome(self) -> str:
        """What the rules say comes of it, in one sentence."""
        seen = self.observation
        if seen is None:
            return f"Nothing is sent: {self.fault}."
        if isinstance(seen, BroadcastObservation):
            names = ", ".join(sorted(seen.heard_by)) or "nobody"
            return f"It is heard by {names}." + (f" ({seen.reason})" if seen.reason else "")
        return _reach_outcome(seen)

    def lines(self, *, has_all_rules: bool = True) -> list[str]:
        """The explanation as text: steps, outcome, and the rules with their sources (or the last only)."""
        lines = [self.title]
        told = narrate(self.steps)
        width = len(str(len(told)))
        lines += [f"  {at:>{width}}. {words}  ({rule})" for at, (words, rule) in enumerate(told, 1)]
        lines.append(f"  => {self.outcome}")
        rules = list_rules(self.steps)
        if not has_all_rules:
            rules = [step.rule for step in self.steps if step.deed is Deed.DROPS][-1:]
        if rules:
            lines.append("  rules:" if has_all_rules else "  the rule where it ended:")
        for rule in rules:
            lines += [f"    {rule.id}: {rule.sentence}", f"      {rule.source}"]
        return lines


def _reach_outcome(seen: ReachObservation) -> str:
    target = seen.question.target
    if seen.question.is_one_way:
        if seen.request:
            return f"It arrives at {target} with TTL {seen.ttl}."
        return f"It does not arrive: {seen.reason}"
    if seen.reply:
        return f"The request arrives at {target} with TTL {seen.ttl}, and the answer comes back."
    if seen.request:
        return f"There is no round trip: {seen.reason}"
    return f"It does not arrive: {seen.reason}"


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What to explain: who sends what to whom, and after how many steps of the scenario."""

    source: str
    target: str | None = None
    kind: str | None = None
    family: Family | None = None
    destination: str | None = None
    interface: str | None = None
    step: int = 0

    def expectation(self) -> Expectation:
        """The expectation that asks it; raises :class:`ValueInvalid` for a kind that does not fit."""
        kind = self.kind or ("ping" if self.target is not None else "broadcast")
        if kind not in KINDS:
            raise ValueInvalid(f"there is no kind {kind!r}", hint="kinds: " + ", ".join(KINDS))
        destination = None if self.destination is None else ipaddress.ip_address(self.destination)
        if kind in PAIR_KINDS:
            if self.target is None:
                raise ValueInvalid(
                    f"a {kind} needs somebody to go to", hint="name the target after the sender"
                )
            pair = {
                "from": (self.source,),
                "to": (self.target,),
                "family": self.family,
                "address": destination,
            }
            if kind == "udp":
                return Expectation(delivers=Delivers.model_validate(pair))
            return Expectation(reach=Reach.model_validate(pair))
        if self.family is not None:
            raise ValueInvalid(
                f"the family of a {kind} follows from its destination", hint="leave --family out"
            )
        if self.target is not None:
            raise ValueInvalid(f"a {kind} goes to everybody", hint="leave the target out")
        claim = {
            "from": (self.source,),
            "heard_by": (),
            "kind": BroadcastKind.LIMITED if kind == "broadcast" else BroadcastKind(kind),
            "destination": destination,
            "interface": self.interface,
        }
        return Expectation(broadcast=Broadcast.model_validate(claim))


def explain(prepared: Prepared, wanted: Wanted) -> list[Explanation]:
    """Explain a probe of a scenario, in each family that it is possible in.

    Needs no privileges. Raises :class:`NodeNotFound`, :class:`FamilyMissing` and
    :class:`ValueInvalid` for what cannot be asked.
    """
    ground = replay(prepared, wanted.step)
    try:
        checks = expand(wanted.expectation(), "explain", ground.directory, None)
        if not checks:
            raise ValueInvalid(f"{wanted.source} cannot be asked to reach itself")
        return [explain_check(ground, check) for check in checks]
    finally:
        ground.close()


def explain_check(ground: SimGround, check: Check) -> Explanation:
    """Explain one check on a simulated lab as it stands."""
    target = f" -> {check.target}" if check.target is not None else ""
    family = f" ({check.family})" if check.family is not None else ""
    title = f"{check.subject}{target}: {check.kind}{family}"
    if check.question is None:
        return Explanation(title, None, (), "one side has no address of that family")
    account = ground.account(check.question)
    return Explanation(title, account.observation, account.steps)


_STEP = re.compile(r"steps\[(\d+)\]\.")


def explain_verdicts(prepared: Prepared, verdicts: Sequence[Verdict]) -> dict[str, tuple[str, ...]]:
    """For verdicts of probes that did not pass: what the rules say, beside what was observed.

    By the verdict's id; each ends with the command that shows it again. What
    cannot be explained is left out: an explanation never breaks a run.
    """
    by_step: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        found = _STEP.match(verdict.id)
        by_step.setdefault(int(found[1]) + 1 if found else 0, []).append(verdict)
    told: dict[str, tuple[str, ...]] = {}
    for step, failed in by_step.items():
        try:
            ground = replay(prepared, step)
        except IpvlabError:
            continue
        checks = _probes(prepared, ground, step)
        for verdict in failed:
            check = checks.get(verdict.id)
            if check is None:
                continue
            explanation = explain_check(ground, check)
            told[verdict.id] = (
                f"observed: {_show(verdict.observed)}",
                f"the rules say: {explanation.outcome}",
                *explanation.lines(has_all_rules=False)[1:],
                f"again: {command_for(prepared.path, check, step)}",
            )
        ground.close()
    return told


def _show(observed: object) -> str:
    """What was observed, as a person would say it."""
    if isinstance(observed, dict):
        told = {True: "yes", False: "no"}
        return ", ".join(
            f"{key.replace('_', ' ')} {told.get(value, value) if isinstance(value, bool) else value}"
            for key, value in observed.items()
            if value is not None
        )
    if isinstance(observed, list):
        return ", ".join(map(str, observed)) or "nobody"
    return str(observed)


def _probes(prepared: Prepared, ground: SimGround, step: int) -> dict[str, Check]:
    """The checks of a stage that send something, by id."""
    checks: dict[str, Check] = {}
    for claimed in stages_of(prepared)[step].claims:
        try:
            expanded = expand(claimed.expectation, claimed.id, ground.directory, claimed.where)
        except (FamilyMissing, IpvlabError):
            continue
        checks.update({check.id: check for check in expanded if check.question is not None})
    return checks


def command_for(path: str, check: Check, step: int) -> str:
    """The command line that shows the explanation of a check."""
    question = check.question
    source_address = getattr(question, "source_address", None)
    source = check.subject if source_address is None else f"{check.subject}/{source_address}"
    words = ["ipvlab", "explain", path, source]
    if check.target is not None:
        words.append(check.target)
        is_udp = getattr(question, "proto", "icmp") == "udp"
        words += ["--kind", "udp"] if is_udp else []
        words += ["--family", str(check.family)] if check.family is not None else []
        address = getattr(question, "address", None)
        words += ["--destination", str(address)] if address is not None else []
    else:
        words += ["--kind", str(getattr(question, "kind", "broadcast"))]
        words += ["--interface", getattr(question, "interface", "")]
        destination = getattr(question, "destination", None)
        words += ["--destination", str(destination)] if destination is not None else []
    words += ["--step", str(step)] if step else []
    return shlex.join(words)
