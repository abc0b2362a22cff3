"""What the plugin promises without building a lab: its options, and that it never skips."""

from __future__ import annotations

from typing import Self

import pytest

import ipvlab
from ipvlab import pytest_plugin
from ipvlab.errors import PrivilegeMissing

TEST = """
def test_anything(lab):
    lab.up()
"""


class RecordingLab:
    """Stands in for the lab: what was asked of it, and no namespaces."""

    events: list[str]
    works = True

    def __init__(self, datapath: str) -> None:
        self.events.append(f"made for {datapath}")

    def __enter__(self) -> Self:
        self.events.append("entered")
        return self

    def __exit__(self, *_: object) -> None:
        self.events.append("left")

    def up(self) -> None:
        if not self.works:
            raise PrivilegeMissing("this user may not make network namespaces", hint="run as root")


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> type[RecordingLab]:
    """A class of labs of this test's own, in the place of the real one."""

    class Lab(RecordingLab):
        events: list[str] = []  # noqa: RUF012 - made anew for each test

    monkeypatch.setattr(ipvlab, "Lab", Lab, raising=False)
    return Lab


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run one test that asks for a lab, with the plugin of this tree and no installed one."""
    pytester.makepyfile(TEST)
    plugins = ["-p", "no:ipvlab", "-p", "no:randomly", "-p", "no:cacheprovider"]
    return pytester.runpytest_inprocess(*plugins, *options, plugins=[pytest_plugin])


def test_the_lab_is_entered_and_left_and_its_datapath_is_auto(
    pytester: pytest.Pytester, recording: type[RecordingLab]
) -> None:
    run(pytester).assert_outcomes(passed=1)
    assert recording.events == ["made for auto", "entered", "left"]


def test_a_datapath_that_cannot_work_fails_the_test_and_skips_nothing(
    pytester: pytest.Pytester, recording: type[RecordingLab]
) -> None:
    recording.works = False
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*IPV501 this user may not make network namespaces*"])
    assert recording.events[-1] == "left"


def test_the_ini_option_chooses_the_datapath(
    pytester: pytest.Pytester, recording: type[RecordingLab]
) -> None:
    pytester.makeini("[pytest]\nipvlab_datapath = sim\n")
    run(pytester).assert_outcomes(passed=1)
    assert recording.events[0] == "made for sim"


def test_the_command_line_wins_over_the_ini_option(
    pytester: pytest.Pytester, recording: type[RecordingLab]
) -> None:
    pytester.makeini("[pytest]\nipvlab_datapath = sim\n")
    run(pytester, "--ipvlab-datapath=bpf").assert_outcomes(passed=1)
    assert recording.events[0] == "made for bpf"


def test_an_unknown_datapath_is_told_with_the_known_ones(
    pytester: pytest.Pytester, recording: type[RecordingLab]
) -> None:
    pytester.makeini("[pytest]\nipvlab_datapath = magic\n")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ipvlab_datapath: 'magic' is none of auto, kernel, bpf, sim*"])
    assert recording.events == []


def test_the_fixture_is_listed_with_its_promise(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--fixtures")
    result.stdout.fnmatch_lines(["lab*", "*An empty lab that is torn down after the test*"])
