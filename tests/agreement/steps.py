"""Steps of a generated lab: what people change while it runs, and what is asked after each change."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Iterator

from ipvlab.rules.identifiers import derived_mac, endpoint_link_local
from ipvlab.spec.values import Family
from tests.agreement.cells import ISOLATED, STEP_KINDS, StepCell, StepKind
from tests.agreement.changes import Change, Changes, interface_of
from tests.agreement.ground_plan import Container, Parent, Plot
from tests.agreement.probes import Chooser, Node, Probe, probe_address, probe_tables

#: Steps that a lab has.
STEPS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One change: command lines by node, the probes that follow, and the cells that it counts in."""

    kind: StepKind
    do: tuple[tuple[str, tuple[str, ...]], ...]
    probes: tuple[Probe, ...]
    cells: frozenset[StepCell]


def choose_steps(
    plot: Plot, rng: random.Random, name: str, turn: int, kinds: Collection[StepKind]
) -> list[Step]:
    """The steps of a lab called ``name``, whose turn it is among those that all kinds go round.

    The plot is changed as the commands change the lab. Commands that a kernel
    refuses are part of it: datapaths must refuse them in the same words.
    """
    planner = _Planner(plot, rng, name)
    steps: list[Step] = []
    waiting = _take_turns(turn, kinds)
    while waiting and len(steps) < STEPS:
        step = planner.plan(waiting.pop(0))
        if step is not None:
            steps.append(step)
    return steps


def _take_turns(turn: int, kinds: Collection[StepKind]) -> list[StepKind]:
    """The kinds in the order in which a lab tries them; every round mixes them anew."""
    order = [kind for kind in STEP_KINDS if kind in kinds]
    if not order:
        return []
    labs_of_a_round = -(-len(order) // STEPS)
    random.Random(f"kinds/{turn // labs_of_a_round}").shuffle(order)
    start = turn % labs_of_a_round * STEPS
    return order[start:] + order[:start]


class _Planner:
    """Makes one step after another, each on the lab as the last one left it."""

    def __init__(self, plot: Plot, rng: random.Random, name: str) -> None:
        self._plot = plot
        self._rng = rng
        self._name = name
        self._changes = Changes(plot, rng)

    def plan(self, kind: StepKind) -> Step | None:
        """A step of a kind, or None where the lab has nothing that it could change."""
        parents = [parent for parent in self._plot.parents if parent.containers]
        self._rng.shuffle(parents)
        # The first parent of all is the lab's focus.
        parents.sort(key=lambda parent: parent is not self._plot.parents[0])
        if len(parents) > 1 and self._rng.random() < 0.25:
            parents.append(parents.pop(0))
        for parent in parents:
            change = self._changes.make(kind, parent)
            if change is not None:
                return self._finish(kind, change)
        return None

    def _finish(self, kind: StepKind, change: Change) -> Step:
        do: dict[str, list[str]] = {}
        for name, line in change.lines:
            do.setdefault(name, []).append(line)
        if change.moves_addresses:
            everybody: list[Node] = [*self._plot.machines, *self._plot.containers]
            # A container that this very step starts knows nobody, and may have been refused.
            for node in [each for each in everybody if each not in change.started]:
                do.setdefault(node.name, []).append("ip neigh flush all")
        probes = tuple(self._probes(change))
        settings = {f"{change.parent.mode} {change.parent.flag}"}
        columns = settings | {f"{cell.kind} {cell.family}" for probe in probes for cell in probe.cells}
        cells = frozenset(StepCell(kind, column) for column in columns)
        return Step(kind, tuple((node, tuple(lines)) for node, lines in do.items()), probes, cells)

    def _probes(self, change: Change) -> Iterator[Probe]:
        chooser = Chooser(self._plot, self._rng, names_all=True)
        parent = change.parent
        if parent.containers:
            yield from chooser.unicasts(parent, rounds=1)
            yield from chooser.broadcasts(parent, most=1)
        alive = [node for node in change.touched if node in chooser.nodes]
        for node, address in change.addresses:
            senders = [each for each in chooser.nodes if each is not node]
            if senders and node in chooser.nodes:
                yield probe_address(self._rng, self._rng.choice(senders), node, address)
        for node in alive[:3]:
            others = [each for each in chooser.nodes if each is not node]
            for other in self._rng.sample(others, min(2, len(others))):
                yield from chooser.either_way(node, other)
        yield from self._link_locals(parent)
        yield from chooser.odd_pairs(3)
        for node in dict.fromkeys([*alive, *parent.containers[:2], parent.host]):
            yield from probe_tables(node, self._links(node))

    def _links(self, node: Node) -> list[str]:
        """The links of a node whose names are known."""
        if isinstance(node, Container):
            return [f"eth{number}" for number in range(len(node.parents))]
        return [f"eth{number}" for number in range(len(node.wires))]

    def _link_locals(self, parent: Parent) -> Iterator[Probe]:
        """To the link-local address of a sibling, and to the one that the driver would give the next."""
        if len(parent.containers) < 2 or Family.IPV6 not in parent.families or parent.link == ISOLATED:
            return
        sender, target = self._rng.sample(parent.containers, 2)
        mac = derived_mac(self._name, parent.host.name, interface_of(parent).partition(".")[0])
        device = parent.devices.get(target.name)
        if device is not None:
            yield probe_address(self._rng, sender, target, endpoint_link_local(mac, device).ip)
