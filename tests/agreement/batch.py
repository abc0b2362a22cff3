"""Many labs, in several processes: each lab compared, each disagreement shrunk and written down."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from ipvlab.errors import IpvlabError, NodeNotFound
from tests.agreement.cells import STEP_KINDS, StepKind
from tests.agreement.coverage import AnyCell, count_cells
from tests.agreement.files import write_text
from tests.agreement.labs import Lab, make_lab
from tests.agreement.observe import (
    Comparison,
    Difference,
    GroundMaker,
    Text,
    compare,
    open_datapath,
    prepare_text,
    scenario_of,
)
from tests.agreement.shrink import keep_only, shrink

#: Labs that a worker takes at a time.
CHUNK = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Order:
    """Which labs to compare, and how."""

    seed: int
    datapaths: tuple[str, ...]
    with_hooks: bool = True
    #: Kinds of step that labs have.
    kinds: tuple[StepKind, ...] = STEP_KINDS
    #: Runs that shrinking one disagreement may take; 0 leaves it as it is.
    most_tries: int = 150
    #: Disagreements of one chunk that are shrunk; when everything differs, the first ones tell.
    most_shrunk: int = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Disagreement:
    """One lab on which datapaths differ, as small as it got."""

    number: int
    differences: tuple[Difference, ...]
    text: str


@dataclasses.dataclass(slots=True)
class Tally:
    """What some labs came to."""

    labs: int = 0
    verdicts: int = 0
    cells: Counter[AnyCell] = dataclasses.field(default_factory=Counter)
    disagreements: list[Disagreement] = dataclasses.field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another tally in."""
        self.labs += other.labs
        self.verdicts += other.verdicts
        self.cells += other.cells
        self.disagreements += other.disagreements


def compare_labs(order: Order, numbers: Sequence[int], open_lab: GroundMaker = open_datapath) -> Tally:
    """Compare labs of a seed one after the other, in this process."""
    tally = Tally()
    for number in numbers:
        lab = keep_valid(make_lab(order.seed, number, with_hooks=order.with_hooks, kinds=order.kinds))
        asked = scenario_of(lab)
        result = compare(asked, order.datapaths, open_lab)
        tally.labs += 1
        tally.verdicts += result.verdicts
        tally.cells += count_cells(lab)
        if result.differences:
            if order.most_tries > 0 and len(tally.disagreements) < order.most_shrunk:
                result = _shrink(order, asked, result, open_lab)
            text = write_text(result.scenario, result.differences, _command(order, number))
            tally.disagreements.append(Disagreement(number, result.differences, text))
    return tally


def keep_valid(lab: Lab) -> Lab:
    """The lab without its last steps where they ask for a container that starting is refused for.

    Such a file is invalid: the dry run knows that the container is not there.
    """
    for count in range(len(lab.steps), 0, -1):
        shorter = dataclasses.replace(lab, steps=lab.steps[:count])
        try:
            prepare_text(scenario_of(shorter))
        except NodeNotFound:
            continue
        return shorter
    return dataclasses.replace(lab, steps=())


def run_batch(order: Order, numbers: Sequence[int], jobs: int) -> Iterator[Tally]:
    """Compare labs in several processes; a tally as soon as each chunk is done."""
    chunks = [numbers[at : at + CHUNK] for at in range(0, len(numbers), CHUNK)]
    if jobs == 1:
        yield from (compare_labs(order, [number]) for number in numbers)
        return
    # Namespaces are entered on threads, which a forked child would inherit half of.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh) as pool:
        for done in as_completed([pool.submit(compare_labs, order, chunk) for chunk in chunks]):
            yield done.result()


def _command(order: Order, number: int) -> str:
    """The command that finds a disagreement again."""
    command = f"ci/agree.py --seed {order.seed} --first {number} --labs 1"
    command += f" --datapaths {','.join(order.datapaths)}"
    return command + ("" if order.with_hooks else " --no-hooks") + ("" if order.kinds else " --no-steps")


def _shrink(order: Order, asked: Text, found: Comparison, open_lab: GroundMaker) -> Comparison:
    """The comparison of the smallest scenario that shows the first of the differences found."""
    first = found.differences[0]

    def still_differs(smaller: Text) -> bool:
        try:
            differences = compare(smaller, order.datapaths, open_lab).differences
        except IpvlabError:
            return False
        return any(
            (each.kind, each.datapath, each.said[0]) == (first.kind, first.datapath, first.said[0])
            for each in differences
        )

    suspects = keep_only(asked, [each.id for each in found.differences])
    smallest = shrink(suspects if still_differs(suspects) else asked, still_differs, order.most_tries)
    result = compare(smallest, order.datapaths, open_lab)
    # A disagreement that does not come again is told as it was found.
    return result if result.differences else found
