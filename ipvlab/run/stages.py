"""What a scenario asks for, laid out for the runner: command lines parsed, expectations numbered."""

from __future__ import annotations

import dataclasses

from ipvlab.driver.grammar import DockerCommand
from ipvlab.driver.ip_grammar import RestartDocker
from ipvlab.driver.session import ParsedLine, parse_lines
from ipvlab.errors import CommandUnknown, Position
from ipvlab.run.expand import claim_of
from ipvlab.spec.load import LoadedScenario
from ipvlab.spec.model import Expectation, Fails


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One command line: on which node, what, where it is written, and its verdict's id if it fails."""

    id: str
    node: str
    parsed: ParsedLine
    where: Position


@dataclasses.dataclass(frozen=True, slots=True)
class Claimed:
    """One expectation with its id (``expect[2]``) and place; ``line`` is the command of a ``fails``."""

    id: str
    expectation: Expectation
    where: Position
    line: Line | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """Command lines, and what must hold after them: the scenario's beginning, or one of its steps."""

    lines: tuple[Line, ...]
    claims: tuple[Claimed, ...]


def lay_out(loaded: LoadedScenario) -> tuple[Stage, tuple[Stage, ...]]:
    """The beginning and the steps of a scenario, every command line parsed.

    A line's number in its id (``commands[h1:3]``) counts the lines of its
    block from 1, blank ones and comments included, so that it can be found.
    Raises :class:`CommandUnknown` at the line for one outside the closed grammar.
    """
    scenario = loaded.scenario
    lines: list[Line] = []
    for section, nodes in (("hosts", scenario.hosts), ("routers", scenario.routers)):
        for name, node in nodes.items():
            lines += _parse(loaded, name, node.commands, (section, name, "commands"), f"commands[{name}:")
    beginning = Stage(tuple(lines), _claims(loaded, (), "", scenario.expect))
    steps = []
    for number, step in enumerate(scenario.steps):
        lines = []
        for name, texts in step.do.items():
            lines += _parse(loaded, name, texts, ("steps", number, "do", name), f"steps[{number}].do[{name}:")
        steps.append(
            Stage(tuple(lines), _claims(loaded, ("steps", number), f"steps[{number}].", step.expect))
        )
    return beginning, tuple(steps)


def _parse(
    loaded: LoadedScenario, node: str, texts: tuple[str, ...], keys: tuple[str | int, ...], id_: str
) -> list[Line]:
    try:
        parsed = parse_lines(texts, dialect=loaded.scenario.dialect)
    except CommandUnknown as unknown:
        unknown.where = loaded.command_position(*keys, line=unknown.line or 1)
        raise
    lines = []
    for each in parsed:
        where = loaded.command_position(*keys, line=each.line)
        if isinstance(each.command, DockerCommand | RestartDocker) and node not in loaded.scenario.hosts:
            raise CommandUnknown(
                f"`{each.text}`: {node} is not a host, and only hosts run Docker",
                where=where,
                hint="hosts: " + (", ".join(loaded.scenario.hosts) or "none"),
            )
        lines.append(Line(f"{id_}{each.line}]", node, each, where))
    return lines


def _claims(
    loaded: LoadedScenario, keys: tuple[str | int, ...], prefix: str, expectations: tuple[Expectation, ...]
) -> tuple[Claimed, ...]:
    claims = []
    for number, expectation in enumerate(expectations):
        kind, claim = claim_of(expectation)
        place = (*keys, "expect", number, kind)
        id_ = f"{prefix}expect[{number}]"
        line = None
        if isinstance(claim, Fails):
            line = _parse_failing(loaded, claim, place, id_)
        claims.append(Claimed(id_, expectation, loaded.key_position(*place), line))
    return tuple(claims)


def _parse_failing(loaded: LoadedScenario, claim: Fails, place: tuple[str | int, ...], id_: str) -> Line:
    where = loaded.position(*place, "command")
    try:
        parsed = parse_lines([claim.command], dialect=loaded.scenario.dialect)
    except CommandUnknown as unknown:
        unknown.where = where
        raise
    if len(parsed) != 1:
        raise CommandUnknown(
            f"`fails` takes one command, this is {len(parsed)}",
            where=where,
            hint="write one `fails` for each",
        )
    return Line(id_, claim.on, parsed[0], where)


def forgives(stage: Stage, line: Line) -> bool:
    """Whether an expectation of the stage says that this very line must fail."""
    return any(claimed.line is not None and is_same_line(claimed.line, line) for claimed in stage.claims)


def is_same_line(one: Line, other: Line) -> bool:
    """Whether two lines are the same command on the same node, however they are spaced."""
    return one.node == other.node and one.parsed.command == other.parsed.command
