"""Checks against a live lab: probes all together, tables and names read, commands tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ipvlab.driver.port import CommandResult
from ipvlab.errors import IpvlabError, Unobserved
from ipvlab.probe.questions import BroadcastObservation, Observation
from ipvlab.run.compare import (
    fail_to_ask,
    give_verdict,
    judge_addresses,
    judge_broadcast,
    judge_links,
    judge_lists,
    judge_reach,
    judge_routes,
    judge_without_address,
)
from ipvlab.run.directory import Directory
from ipvlab.run.expand import Check
from ipvlab.run.ground import ProbedGround
from ipvlab.run.results import Outcome, Verdict
from ipvlab.spec.model import Fails, Resolves

#: Kinds that are settled by packets, and not by reading something.
PROBED = frozenset({"reach", "blocked", "delivers", "undelivered", "broadcast", "on_wire"})

TryCommand = Callable[[Check], CommandResult]


def answer_checks(checks: Sequence[Check], lab: ProbedGround, try_command: TryCommand) -> list[Verdict]:
    """One verdict for each check, in order; what the lab refuses becomes a verdict too.

    Commands that must fail come last: one that succeeds against expectation
    changes the lab, and must not change what the other checks see.
    """
    observations = _probe([check for check in checks if check.question is not None], lab)
    verdicts = {
        at: _settle(check, lab, observations) for at, check in enumerate(checks) if check.kind != "fails"
    }
    for at, check in enumerate(checks):
        if check.kind == "fails":
            verdicts[at] = judge_failing(check, try_command)
    return [verdicts[at] for at in range(len(checks))]


def _probe(checks: Sequence[Check], lab: ProbedGround) -> dict[int, Observation | IpvlabError]:
    """Each asked check's observation, by the check's identity, or why nothing could be asked."""
    questions = [check.question for check in checks if check.question is not None]
    if not questions:
        return {}
    try:
        answers: list[Observation] = lab.answer(questions)
    except IpvlabError as error:
        return {id(check): error for check in checks}
    return {id(check): answer for check, answer in zip(checks, answers, strict=True)}


def _settle(check: Check, lab: ProbedGround, observations: dict[int, Observation | IpvlabError]) -> Verdict:
    try:
        if check.kind in PROBED:
            return judge_probe(check, observations.get(id(check)), lab.directory)
        return _read(check, lab)
    except Unobserved as unproved:
        return fail_to_ask(check, unproved.what, Outcome.UNOBSERVED)
    except IpvlabError as error:
        return fail_to_ask(check, f"{error.code} {error.what}")


def judge_probe(check: Check, seen: Observation | IpvlabError | None, directory: Directory) -> Verdict:
    """The verdict of a probe; raises what asking it raised."""
    if seen is None:
        return judge_without_address(check)
    if isinstance(seen, IpvlabError):
        raise seen
    if isinstance(seen, BroadcastObservation):
        return judge_broadcast(check, seen, directory)
    return judge_reach(check, seen, directory)


def _read(check: Check, lab: ProbedGround) -> Verdict:
    """The verdict of a check that reads a node: its routes, addresses, links, or what a name means there."""
    node = check.subject
    if check.kind == "routes":
        return judge_routes(check, lab.read_routes(node, 4 if check.part == "ipv4" else 6))
    if check.kind == "addresses":
        return judge_addresses(check, lab.read_addresses(node).get(check.part))
    if check.kind == "links":
        return judge_links(check, lab.read_links(node))
    claim = check.claim
    assert isinstance(claim, Resolves)
    return judge_lists(check, map(str, claim.to), map(str, lab.resolve(node, claim.name)))


def judge_failing(check: Check, try_command: TryCommand) -> Verdict:
    """The verdict of a command that must fail, and must say why."""
    claim = check.claim
    assert isinstance(claim, Fails)
    try:
        result = try_command(check)
    except Unobserved as unproved:
        return fail_to_ask(check, unproved.what, Outcome.UNOBSERVED)
    except IpvlabError as error:
        return fail_to_ask(check, f"{error.code} {error.what}")
    said = result.stderr.strip()
    if result.exit_code == 0:
        return give_verdict(check, Outcome.FAIL, claim.error, said or None, "the command succeeded")
    if claim.error not in result.stderr:
        reason = f"it failed (exit code {result.exit_code}), and said something else"
        return give_verdict(check, Outcome.FAIL, claim.error, said, reason)
    return give_verdict(check, Outcome.PASS, claim.error, said)
