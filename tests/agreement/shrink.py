"""A disagreement made small: what can go without ending it, goes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator

from ipvlab.errors import IpvlabError
from ipvlab.spec.source import Plain
from tests.agreement.observe import Text, expectations_of, prepare_text, steps_of, with_expectations

#: Whether a smaller scenario still shows the disagreement.
Judge = Callable[[Text], bool]

#: Expectations that are tried alone before halves are.
MOST_ALONE = 8
_LEG_KEYS = ("from", "to", "in", "on")


def keep_only(scenario: Text, ids: Collection[str]) -> Text:
    """The scenario with only those expectations that verdicts of these ids are of, if there are any."""
    wanted = {id_.partition(":")[0] for id_ in ids}
    stages = expectations_of(scenario)
    kept = [
        [each for number, each in enumerate(expectations) if f"{prefix}expect[{number}]" in wanted]
        for prefix, expectations in stages
    ]
    return with_expectations(scenario, kept) if any(kept) else scenario


def shrink(scenario: Text, still_differs: Judge, most_tries: int = 400) -> Text:
    """The smallest scenario found whose datapaths still disagree.

    Parts are taken away as long as that is so, big ones first: expectations by
    halves, machines with what names them, containers, networks, routes,
    firewalls, ports, addresses, single options. A cut that makes the scenario
    invalid is not taken. Stops after ``most_tries`` runs.
    """
    tries = 0
    smallest = scenario
    has_shrunk = True
    while has_shrunk and tries < most_tries:
        has_shrunk = False
        for smaller in _cuts(smallest):
            if tries >= most_tries:
                break
            if not _is_valid(smaller):
                continue
            tries += 1
            if still_differs(smaller):
                smallest, has_shrunk = smaller, True
                break
    return smallest


def _is_valid(scenario: Text) -> bool:
    try:
        prepare_text(scenario)
    except (IpvlabError, ValueError):
        return False
    return True


def _cuts(scenario: Text) -> Iterator[Text]:
    """Scenarios with one thing less, the biggest things first."""
    yield from _fewer_steps(scenario)
    yield from _fewer_expectations(scenario)
    for section in ("hosts", "routers"):
        for name in _mapping(scenario, section):
            yield _without_nodes(scenario, section, name)
    for host, spec in _mapping(scenario, "hosts").items():
        for name in _mapping(spec, "containers"):
            yield _without_container(scenario, host, name)
    yield from _without_keys(scenario, 5)
    yield from _without_items(scenario)
    yield from _without_keys(scenario, 12)


def _mapping(value: Plain, key: str) -> Text:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _fewer_steps(scenario: Text) -> Iterator[Text]:
    """Without the last steps, without one step, without one command line of a step."""
    steps = steps_of(scenario)
    for number in range(len(steps)):
        yield _with_steps(scenario, steps[:number])
    for number, step in enumerate(steps):
        if number < len(steps) - 1:
            yield _with_steps(scenario, steps[:number] + steps[number + 1 :])
        for node, lines in _mapping(step, "do").items():
            assert isinstance(lines, list)
            for at in range(len(lines)):
                left = {**_mapping(step, "do"), node: lines[:at] + lines[at + 1 :]}
                do: Text = {each: those for each, those in left.items() if those}
                if do:
                    yield _with_steps(scenario, [*steps[:number], {**step, "do": do}, *steps[number + 1 :]])


def _with_steps(scenario: Text, steps: list[Text]) -> Text:
    smaller = {key: value for key, value in scenario.items() if key != "steps"}
    return {**smaller, **({"steps": list[Plain](steps)} if steps else {})}


def _fewer_expectations(scenario: Text) -> Iterator[Text]:
    stages = expectations_of(scenario)
    places = [(stage, at) for stage, (_, asked) in enumerate(stages) for at in range(len(asked))]

    def keep(kept: Collection[tuple[int, int]]) -> Text:
        return with_expectations(
            scenario,
            [
                [each for at, each in enumerate(asked) if (stage, at) in kept]
                for stage, (_, asked) in enumerate(stages)
            ],
        )

    # One alone is enough, as a rule; a neighbour table that others filled is the exception.
    if len(places) > 1:
        yield from (keep({place}) for place in [*places[:MOST_ALONE], *places[-MOST_ALONE:]])
    size = len(places) // 2
    while size >= 1:
        for start in range(0, len(places), size):
            fewer = places[:start] + places[start + size :]
            if fewer:
                yield keep(set(fewer))
        size //= 2


def _without_nodes(scenario: Text, section: str, name: str) -> Text:
    smaller = copy.deepcopy(scenario)
    gone = {name, *_mapping(_mapping(smaller, section)[name], "containers")}
    del _mapping(smaller, section)[name]
    return _forget(smaller, gone)


def _without_container(scenario: Text, host: str, name: str) -> Text:
    smaller = copy.deepcopy(scenario)
    del _mapping(_mapping(smaller, "hosts")[host], "containers")[name]
    return _forget(smaller, {name})


def _forget(scenario: Text, gone: set[str]) -> Text:
    """Without the expectations and commands of nodes that are gone, and without them among the hearers."""
    smaller = with_expectations(scenario, [_forget_in(asked, gone) for _, asked in expectations_of(scenario)])
    steps: list[Text] = []
    for step in steps_of(smaller):
        do: Text = {node: lines for node, lines in _mapping(step, "do").items() if node not in gone}
        steps.append({**step, "do": do})
    return _with_steps(smaller, steps)


def _forget_in(expectations: list[Plain], gone: set[str]) -> list[Plain]:
    kept: list[Plain] = []
    for expectation in expectations:
        assert isinstance(expectation, dict)
        [(kind, claim)] = expectation.items()
        assert isinstance(claim, dict)
        if any(claim.get(key) in gone for key in _LEG_KEYS):
            continue
        left: Text = {}
        for key, value in claim.items():
            is_names = key in ("heard_by", "via") and isinstance(value, list)
            left[key] = [name for name in value if name not in gone] if is_names else value  # type: ignore[union-attr]  # mypy does not see through is_names
        kept.append({kind: left})
    return kept


def _without_keys(scenario: Text, depth: int) -> Iterator[Text]:
    """Without one key of the topology, keys of lesser depth first."""
    for path in _paths(scenario, ()):
        if path[0] in ("wires", "hosts", "routers") and 2 < len(path) <= depth and isinstance(path[-1], str):
            smaller = copy.deepcopy(scenario)
            del _parent_of(smaller, path)[path[-1]]  # type: ignore[arg-type]  # a path fits its tree
            yield smaller


def _without_items(scenario: Text) -> Iterator[Text]:
    """Without one item of a list of the topology."""
    for path in _paths(scenario, ()):
        if path[0] not in ("expect", "steps") and isinstance(path[-1], int):
            smaller = copy.deepcopy(scenario)
            del _parent_of(smaller, path)[path[-1]]  # type: ignore[arg-type]  # a path fits its tree
            yield smaller


def _paths(value: Plain, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    children: list[tuple[str | int, Plain]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in children:
        found += [(*path, key), *_paths(child, (*path, key))]
    return sorted(found, key=len)


def _parent_of(scenario: Text, path: tuple[str | int, ...]) -> dict[str, Plain] | list[Plain]:
    value: Plain = scenario
    for key in path[:-1]:
        value = value[key]  # type: ignore[index]  # a path fits its tree
    assert isinstance(value, dict | list)
    return value
