"""A disagreement made small: what can go without ending it, goes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator

from ipvlab.errors import IpvlabError
from ipvlab.spec.source import Plain
from tests.agreement.observe import Text, prepare_text

#: Whether a smaller scenario still shows the disagreement.
Judge = Callable[[Text], bool]

#: Expectations that are tried alone before halves are.
MOST_ALONE = 8
_LEG_KEYS = ("from", "to", "in")


def keep_only(scenario: Text, ids: Collection[str]) -> Text:
    """The scenario with only those expectations that verdicts of these ids are of, if there are any."""
    expectations = scenario["expect"]
    assert isinstance(expectations, list)
    wanted = {id_.partition(":")[0] for id_ in ids}
    kept = [each for number, each in enumerate(expectations) if f"expect[{number}]" in wanted]
    return {**scenario, "expect": kept or expectations}


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


def _fewer_expectations(scenario: Text) -> Iterator[Text]:
    expectations = scenario["expect"]
    assert isinstance(expectations, list)
    # One alone is enough, as a rule; a neighbour table that others filled is the exception.
    if len(expectations) > 1:
        yield from ({**scenario, "expect": [each]} for each in expectations[:MOST_ALONE])
    size = len(expectations) // 2
    while size >= 1:
        for start in range(0, len(expectations), size):
            fewer = expectations[:start] + expectations[start + size :]
            if fewer:
                yield {**scenario, "expect": fewer}
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
    """Without the expectations that are about nodes that are gone, and without them among the hearers."""
    expectations = scenario["expect"]
    assert isinstance(expectations, list)
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
    return {**scenario, "expect": kept}


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
        if path[0] != "expect" and isinstance(path[-1], int):
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
