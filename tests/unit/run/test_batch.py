"""Files found, chosen, and summed up in one exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvlab.errors import PathUnreadable
from ipvlab.run.batch import exit_code, find_scenarios, prepare_all
from ipvlab.run.results import Outcome, ScenarioResult, Seconds, Verdict
from ipvlab.run.selection import parse_selection


def result(*outcomes: Outcome) -> ScenarioResult:
    verdicts = tuple(Verdict(f"expect[{n}]", "reach", each, None, None) for n, each in enumerate(outcomes))
    return ScenarioResult("0", "s", "", "", "s.yaml", "bpf", "6", Seconds(), verdicts)


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.PASS], 0),
        ([], 3),
        ([Outcome.PASS, Outcome.UNSUPPORTED], 3),
        ([Outcome.UNSUPPORTED, Outcome.UNOBSERVED], 4),
        ([Outcome.UNOBSERVED, Outcome.FAIL], 1),
        ([Outcome.FAIL, Outcome.ERROR, Outcome.UNOBSERVED], 5),
    ],
)
def test_the_exit_code_is_the_first_that_holds_of_5_1_4_3_0(outcomes: list[Outcome], code: int) -> None:
    assert exit_code([result(*outcomes)]) == code


def test_the_worst_of_several_scenarios_decides_and_none_is_incomplete() -> None:
    assert exit_code([result(Outcome.PASS), result(Outcome.FAIL)]) == 1
    assert exit_code([result(Outcome.PASS), result()]) == 3
    assert exit_code([]) == 3


def test_a_scenario_without_verdicts_is_not_ok() -> None:
    assert not result().ok
    assert result(Outcome.PASS).ok
    assert not result(Outcome.PASS, Outcome.UNOBSERVED).ok


def test_a_folder_means_its_scenario_files_in_order_of_name_each_once(tmp_path: Path) -> None:
    for name in ("b.ipvlab.yaml", "a.ipvlab.yaml", "notes.yaml"):
        (tmp_path / name).touch()
    found = find_scenarios([tmp_path, tmp_path / "a.ipvlab.yaml"])
    assert [path.name for path in found] == ["a.ipvlab.yaml", "b.ipvlab.yaml"]


def test_a_folder_without_scenarios_and_a_path_that_is_not_there_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nosuch.ipvlab.yaml"):
        with pytest.raises(PathUnreadable):
            find_scenarios([path])


def test_the_errors_of_all_files_are_told_together(tmp_path: Path) -> None:
    files = [tmp_path / "a.ipvlab.yaml", tmp_path / "b.ipvlab.yaml"]
    for file in files:
        file.write_text("name: UPPER\n")
    with pytest.raises(Exception, match="UPPER") as refusal:
        prepare_all(files)
    assert str(refusal.value).count("IPV104") == 2


@pytest.mark.parametrize(
    ("expression", "text", "fits"),
    [
        ("trunk", "two-TRUNKS", True),
        ("l2 and not ipv6", "l2-one-host", True),
        ("l2 and not ipv6", "l2-ipv6", False),
        ("l2 or l3 and x", "l2", True),
        ("(l2 or l3) and x", "l2", False),
        ("not (l2 or l3)", "ipv6", True),
        ("not not l2", "l2", True),
    ],
)
def test_a_selection_reads_as_in_python(expression: str, text: str, fits: bool) -> None:
    assert parse_selection(expression)(text) is fits


@pytest.mark.parametrize("expression", ["", "and", "l2 and", "(l2", "l2)", "l2 l3", "not"])
def test_a_selection_that_does_not_parse_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_selection(expression)


@given(st.text(alphabet="ab()", max_size=12), st.sampled_from(["", "not ", "a and ", "b or "]))
def test_any_text_is_a_selection_or_a_value_error(words: str, before: str) -> None:
    try:
        claim = parse_selection(before + words)
    except ValueError:
        return
    assert claim("a b") in (True, False)
