"""A slice of what ``ci/agree.py`` does at length: datapaths agree on generated labs."""

from __future__ import annotations

import pytest

from tests.agreement.batch import Order, Tally, compare_labs

SEED = 20
#: Labs for each worker to take; together a few seconds.
SLICES = [range(start, start + 10) for start in range(0, 40, 10)]


def _tell(tally: Tally) -> str:
    return "\n".join(each.text for each in tally.disagreements)


@pytest.mark.parametrize("numbers", SLICES, ids=lambda numbers: f"{numbers.start}-{numbers.stop - 1}")
def test_sim_and_bpf_agree_on_generated_labs(numbers: range) -> None:
    tally = compare_labs(Order(SEED, ("sim", "bpf"), most_tries=40, most_shrunk=1), numbers)

    assert not tally.disagreements, f"seed {SEED}\n{_tell(tally)}"
    assert tally.labs == len(numbers)
    assert tally.verdicts > 40 * len(numbers)


def test_bpf_agrees_with_itself_so_a_lab_has_one_answer() -> None:
    tally = compare_labs(Order(SEED, ("bpf", "bpf"), most_tries=0), range(40, 44))

    assert not tally.disagreements, _tell(tally)
