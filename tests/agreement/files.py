"""Disagreements as scenario files, and scenario files compared as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from ipvlab.run.prepare import prepare
from ipvlab.spec.source import Plain
from tests.agreement.observe import Difference, Text, Told, observed_on, open_datapath, steps_of

_PLAIN_KEY = re.compile(r"[a-z][a-z0-9_.-]*")
#: Levels that are written as blocks; what lies deeper stands on one line.
_BLOCKS = 3


def write_text(scenario: Text, differences: Sequence[Difference], command: str) -> str:
    """A scenario as the text of a file that anyone can run; what differed stands in ``about``."""
    datapaths = sorted({each.datapath for each in differences})
    who = ", ".join(datapaths) or "nobody"
    about = [
        f"Found by `{command}`.",
        f"The expectations are what the first datapath observed; {who} differed:",
        *(f"- {each}" for each in differences[:20]),
    ]
    lines = [f"name: {scenario['name']}", f"title: {json.dumps(scenario.get('title', ''))}", "about: |"]
    lines += [f"  {line}" for line in about]
    for key in ("wires", "hosts", "routers", "expect"):
        if scenario.get(key):
            lines += ["", *_block(key, scenario[key], 0)]
    for number, step in enumerate(steps_of(scenario)):
        lines += ["", "steps:"] if number == 0 else []
        lines += [f"  - do: {_flow(step['do'])}"]
        if step["expect"]:
            lines += [f"    {line}" for line in _block("expect", step["expect"], 0)]
    return "\n".join(lines) + "\n"


def _block(key: str, value: Plain, depth: int) -> list[str]:
    indent = "  " * depth
    if isinstance(value, list) and depth == 0:
        return [f"{indent}{_key(key)}:", *(f"{indent}  - {_flow(item)}" for item in value)]
    if isinstance(value, dict) and value and depth < _BLOCKS:
        inner = [line for name, child in value.items() for line in _block(name, child, depth + 1)]
        return [f"{indent}{_key(key)}:", *inner]
    return [f"{indent}{_key(key)}: {_flow(value)}"]


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else json.dumps(key)


def _flow(value: Plain) -> str:
    """A value on one line: JSON is YAML, but for the quotes that plain keys need not."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(child) for child in value) + "]"
    return json.dumps(value)


def compare_file(path: Path, datapaths: Sequence[str]) -> list[Difference]:
    """Run a scenario file as it is on every datapath; where they differ from the first.

    Raises what :func:`ipvlab.run.prepare.prepare` raises for an invalid file.
    """
    first, *others = datapaths
    asked = {each.id: each for each in observed_on(prepare(path), first, open_datapath)}
    differences = []
    for other in others:
        heard = {each.id: each for each in observed_on(prepare(path), other, open_datapath)}
        for id_ in {**asked, **heard}:
            one, two = asked.get(id_), heard.get(id_)
            told: list[Told] = [
                ("missing", None) if each is None else (str(each.outcome), each.observed)
                for each in (one, two)
            ]
            if told[0] != told[1]:
                either = two or one
                assert either is not None
                reason = two.reason if two is not None else ""
                differences.append(Difference(id_, either.kind, other, told[1], told[0], reason))
    return differences
