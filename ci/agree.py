#!/usr/bin/env python3
"""Compare datapaths on generated labs: the same scenario must give the same verdicts on each.

The first datapath named says what is to be expected, the others are held against
it. Disagreements are shrunk and written as scenario files that anyone can run;
then the coverage table is printed. One seed is one set of labs, on any machine.

    ci/agree.py --labs 2000 --seed 1 --datapaths sim,bpf
    ci/vm.py -- python ci/agree.py --labs 300 --datapaths sim,bpf,kernel
    ci/agree.py --in scenarios --datapaths sim,bpf

Exit codes: 0 all agree, 1 a disagreement, 2 bad usage, 3 no disagreement and a
cell of the table is under the bar, 5 a datapath does not work here.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from ipvlab.errors import EnvironmentUnfit, IpvlabError  # noqa: E402 - found by the line above
from ipvlab.run.batch import find_scenarios  # noqa: E402 - same
from ipvlab.run.doctor import choose_datapath  # noqa: E402 - same
from tests.agreement.batch import Order, Tally, run_batch  # noqa: E402 - same
from tests.agreement.cells import STEP_KINDS, StepKind  # noqa: E402 - same
from tests.agreement.coverage import LEAST, draw_table, find_thin  # noqa: E402 - same
from tests.agreement.files import compare_file  # noqa: E402 - same

#: From so many labs on, every cell must be over the bar; fewer cannot fill the table.
FULL = 2000
#: More labs than these say from time to time how far they are.
PROGRESS = 100
#: Linux from which on a parent that is set down takes its endpoints' carrier along.
HANDS_DOWN_ON = (6, 10)
DATAPATHS = ("sim", "bpf", "kernel")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, and return the exit code."""
    options = _read_options(arguments)
    datapaths = tuple(options.datapaths.split(","))
    unknown = [name for name in datapaths if name not in DATAPATHS]
    if unknown or len(datapaths) < 2:
        print(f"--datapaths takes two or more of {', '.join(DATAPATHS)}; got {options.datapaths}")
        return 2
    try:
        for name in datapaths:
            if name != "sim":
                choose_datapath(name)[0].close()
    except EnvironmentUnfit as unfit:
        print(unfit)
        return 5
    if options.files:
        return _compare_files(options.files, datapaths)
    kinds, note = _choose_kinds(options.steps, datapaths)
    order = Order(options.seed, datapaths, options.hooks, kinds, options.shrink)
    numbers = range(options.first, options.first + options.labs)
    print(f"seed {order.seed}, labs {numbers.start} to {numbers.stop - 1}, {options.datapaths}{note}")
    started = time.perf_counter()
    total = Tally()
    for tally in run_batch(order, numbers, options.jobs):
        total.add(tally)
        _report(tally, options.out)
        if options.labs > PROGRESS:
            print(f"{total.labs} labs after {time.perf_counter() - started:.0f} s", file=sys.stderr)
    seconds = time.perf_counter() - started
    for line in draw_table(total.cells, options.least):
        print(line)
    print(
        f"{total.labs} labs, {total.verdicts} verdicts compared, {len(total.disagreements)} labs disagree; "
        f"{seconds:.1f} s, {total.labs / seconds:.1f} labs/s"
    )
    if total.disagreements:
        return 1
    return 3 if options.labs >= FULL and find_thin(total.cells, options.least) else 0


def _choose_kinds(wants_steps: bool, datapaths: Sequence[str]) -> tuple[tuple[StepKind, ...], str]:
    """The kinds of step that labs have, and a note on those that this kernel's ipvlan leaves out."""
    if not wants_steps:
        return (), ", without steps"
    series = tuple(int(part) for part in platform.release().split(".")[:2])
    if "kernel" in datapaths and series < HANDS_DOWN_ON:
        # K-OBJ-023: before, endpoints went on talking on a parent that was set down.
        left = tuple(kind for kind in STEP_KINDS if kind is not StepKind.PARENT_DOWN)
        return left, f", without {StepKind.PARENT_DOWN}: Linux {platform.release()} is before 6.10"
    return STEP_KINDS, ""


def _report(tally: Tally, folder: Path) -> None:
    for each in tally.disagreements:
        if str(folder) == "-":
            print(each.text)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"disagreement-{each.number}.ipvlab.yaml"
            path.write_text(each.text)
            print(f"lab {each.number} disagrees, see {path}")
        for difference in each.differences[:5]:
            print(f"  {difference}")
    sys.stdout.flush()


def _compare_files(paths: Sequence[Path], datapaths: Sequence[str]) -> int:
    count = 0
    try:
        for path in find_scenarios(paths):
            differences = compare_file(path, datapaths)
            count += len(differences)
            print(f"{path}: " + (f"{len(differences)} verdicts differ" if differences else "agree"))
            for difference in differences:
                print(f"  {difference}")
    except IpvlabError as error:
        print(error)
        return 2
    return 1 if count else 0


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labs", type=int, default=100, help="how many labs (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="which set of labs (default 1)")
    parser.add_argument("--first", type=int, default=0, help="number of the first lab (default 0)")
    parser.add_argument("--datapaths", default="sim,bpf", help="the one to believe, then others")
    parser.add_argument("--in", dest="files", type=Path, nargs="+", help="compare these files, generate none")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("disagreements"), help="folder of what is found; - prints it"
    )
    parser.add_argument("--least", type=int, default=LEAST, help=f"bar for a cell (default {LEAST})")
    parser.add_argument("--shrink", type=int, default=150, help="runs to shrink one disagreement; 0: do not")
    parser.add_argument(
        "--hooks", action=argparse.BooleanOptionalAction, default=True, help="firewalls on hosts"
    )
    parser.add_argument(
        "--steps", action=argparse.BooleanOptionalAction, default=True, help="changes while labs run"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
