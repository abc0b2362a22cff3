"""Steps of a simulated lab in plain words, hop by hop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ipvlab.datapath.sim.trace import Deed, Step
from ipvlab.rules import catalogue_ipvlan, catalogue_linux
from ipvlab.rules.packets import Frame
from ipvlab.rules.rule import Rule

#: Of so many bystanders that do the same, the names are told; of more, the number.
MOST_NAMES = 6


def narrate(steps: Sequence[Step]) -> list[tuple[str, str]]:
    """Each step in words, with the id of the rule that decided it.

    Bystanders that pass the same packet over are told in one line.
    """
    told = []
    for is_quiet, group in groupby(steps, key=lambda step: step.deed is Deed.IGNORES):
        if not is_quiet:
            told += [(describe(step), step.rule.id) for step in group]
            continue
        # Keyed by rule and packet, in order of appearance.
        by_reason: dict[tuple[Rule, str], list[str]] = {}
        for step in group:
            by_reason.setdefault((step.rule, str(step.payload)), []).append(step.who)
        for (rule, payload), names in by_reason.items():
            told.append((f"{_list(dict.fromkeys(names))}: nothing is done about the {payload}", rule.id))
    return told


def _list(names: Iterable[str]) -> str:
    known = list(names)
    if len(known) > MOST_NAMES:
        return f"{', '.join(known[:3])} and {len(known) - 3} more"
    return ", ".join(known)


def describe(step: Step) -> str:
    """One step in one sentence."""
    who, where, what = step.who, step.where, str(step.payload)
    note = f" {step.note}" if step.note else ""
    if step.rule is catalogue_linux.VLAN_OUT and step.frame is not None:
        return f"{who}: {where} puts VLAN tag {step.frame.vlan} on the {what}"
    if step.rule is catalogue_linux.VLAN_IN:
        return f"{who}: {where} passes the {what} to {step.note}, without its tag"
    if step.rule is catalogue_ipvlan.L3_LOCAL:
        return f"{who} routes the {what}, and finds that the address is its own"
    match step.deed:
        case Deed.SENDS:
            return (
                f"{who} sends an {what} by {where}{note}"
                if what[0] in "eA"
                else f"{who} sends a {what} by {where}{note}"
            )
        case Deed.ASKS:
            return f"{who} asks on {where}: {what}{_addresses(step.frame)}"
        case Deed.CROSSES:
            return f"wire {who}: the {what} comes from {where}{note}{_addresses(step.frame)}"
        case Deed.HANDS:
            return f"{who}: {where} hands the {what} to {step.note}"
        case Deed.TAKES:
            return f"{who} takes the {what} in by {where}"
        case Deed.ANSWERS:
            return f"{who} answers on {where}: {what}{_addresses(step.frame)}"
        case Deed.BY_THE_WAY:
            return f"{who}, {where}: {step.rule.sentence[:-1]}"
        case Deed.FORWARDS:
            return f"{who} forwards the {what}, come in by {where}:{note}"
        case _:
            place = f"wire {who} at {where}" if step.rule.id.startswith("SWITCH") else who
            by = f" at {where}" if where and place == who else ""
            return f"{place} drops the {what}{by}" + (f": {step.note}" if step.note else "")


def _addresses(frame: Frame | None) -> str:
    if frame is None:
        return ""
    tag = f", tag {frame.vlan}" if frame.vlan is not None else ", untagged"
    return f" [{frame.sender.hex(':')} -> {frame.to.hex(':')}{tag}]"


def list_rules(steps: Sequence[Step]) -> list[Rule]:
    """The rules that decided, each once, in order of appearance."""
    return list(dict.fromkeys(step.rule for step in steps))
