#!/usr/bin/env python3
"""Put every mutant of the datapaths to every check until one notices, and print who was caught by what.

    ci/mutants.py [NAME…]     all mutants, or these; needs root and clang
    ci/mutants.py --write     all mutants, and write docs/mutants.md

The status is 0 when the true datapaths pass every check and every mutant is caught; 1 when not; 3
(``unsupported``) without clang; 2 for a name that no mutant has.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from ci.build_bpf import find_clang  # noqa: E402 - found by the line above
from tests.selftest.mutants.catchers import (  # noqa: E402 - same
    MUTANTS,
    TRUE_BPF,
    TRUE_SIM,
    catchers,
    catches,
    examine,
    examine_truth,
    troubles,
)
from tests.selftest.mutants.mutant import Mutant  # noqa: E402 - same
from tests.selftest.mutants.source import EditMisplaced, NoCompiler  # noqa: E402 - same

TABLE = PROJECT / "docs" / "mutants.md"
FOOT = """
## Faults that nobody could notice

These were tried and are not in the list, because no node can tell them from the truth:

- `parent_in` in L3S without its look at the tag, or `vlan_in` after it: a frame with a tag that no
  sub-interface takes is OTHERHOST to every stack it is handed to (`net/core/dev.c`), so no socket gets it
  either way.
- A slot or a `port_of` entry that outlives its endpoint: the link is gone, its index is not given again, and
  a copy to it goes nowhere.
- `deliver` without `change_type`: stacks refuse OTHERHOST only, and that was dropped before. TCP also refuses
  a unicast packet in a broadcast frame, which no stack sends.
- The branches for a failed tail call, `vlan_pop` or `vlan_push`: they fail without memory only.
"""

HEAD = """\
# Mutants

Faults that were put into the datapaths on purpose, each with the first check that notices it: a scenario of
`scenarios/` or `tests/selftest/mutants/` and the id of a verdict that passes on the true datapath and not
here, a single frame (`packets`), or a measurement of a live lab (`lab`). Written by `ci/mutants.py --write`;
`tests/selftest/test_mutants.py` puts every mutant to its check in each test run.

`program` is `ipvlan.c`, compiled with the change in it; `control plane` is the Python around it; `rules` is
`ipvlab/rules/`, seen through the simulated datapath.

"""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What became of one mutant."""

    mutant: Mutant
    catcher: str | None
    verdict: str
    seconds: float

    @property
    def complaint(self) -> str:
        """What is wrong with the list of mutants, or nothing."""
        if self.catcher is None:
            return f"{self.mutant.name}: nothing notices it; write the scenario that does"
        if self.catcher != self.mutant.catcher:
            return f"{self.mutant.name}: its catcher is {self.catcher}; the list says {self.mutant.catcher}"
        return ""


def try_out(mutant: Mutant) -> Row:
    """Put a mutant to one check after another until one notices."""
    started = time.perf_counter()
    for catcher in catchers(mutant):
        caught = catches(examine(mutant, catcher))
        if caught:
            verdict, said = min(caught.items(), key=lambda found: not found[1].startswith("fail"))
            return Row(mutant, catcher, f"{verdict} ({said})", time.perf_counter() - started)
    return Row(mutant, None, "", time.perf_counter() - started)


def check_truth() -> list[str]:
    """What does not pass on the datapaths as they are."""
    return [
        f"the true {true.datapath} datapath, {catcher}: {verdict}: {said}"
        for true in (TRUE_BPF, TRUE_SIM)
        for catcher in catchers(true)
        for verdict, said in troubles(examine_truth(true.datapath, catcher)).items()
    ]


def line(*cells: str) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def document(rows: Sequence[Row]) -> str:
    """The table as it stands in the documentation: without times, which differ from run to run."""
    body = [
        line(
            row.mutant.name,
            row.mutant.place,
            row.mutant.does,
            row.catcher or "nobody",
            f"`{row.verdict.split(' (')[0]}`",
        )
        for row in rows
    ]
    head = [line("mutant", "in", "what it does", "caught by", "verdict"), "|---|---|---|---|---|"]
    return HEAD + "\n".join([*head, *body]) + "\n" + FOOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the status is as the module says."""
    parser = argparse.ArgumentParser(prog="ci/mutants.py", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants; without any, all")
    parser.add_argument("--write", action="store_true", help="write docs/mutants.md (all mutants)")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - {mutant.name for mutant in MUTANTS}
    if unknown or (options.names and options.write):
        parser.error(
            f"no mutant is called {', '.join(sorted(unknown))}" if unknown else "--write takes no names"
        )
    if find_clang() is None:
        print(NoCompiler(), file=sys.stderr)
        return 3
    complaints = check_truth()
    rows = []
    print(
        line("mutant", "in", "what it does", "caught by", "verdict", "seconds"),
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for mutant in MUTANTS:
        if options.names and mutant.name not in options.names:
            continue
        try:
            row = try_out(mutant)
        except EditMisplaced as misplaced:
            complaints.append(f"{mutant.name} must follow the source: {misplaced}")
            continue
        rows.append(row)
        cells = (
            mutant.name,
            mutant.place,
            mutant.does,
            row.catcher or "NOBODY",
            row.verdict,
            f"{row.seconds:.1f}",
        )
        print(line(*cells), flush=True)
    complaints += [row.complaint for row in rows if row.complaint]
    caught = sum(row.catcher is not None for row in rows)
    print(f"\n{caught} of {len(rows)} mutants caught in {sum(row.seconds for row in rows):.0f} s")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    if options.write:
        TABLE.write_text(document(rows))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
