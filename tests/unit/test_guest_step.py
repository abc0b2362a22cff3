"""The guest's part in the checks: left out or unsupported in one line, and else a failure is a failure."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import guest_step, vm
from ci.guest.machine import GuestLostError, TimeIsUpError
from ci.guest.needs import Kernel, Programs, VmUnfitError

PARTS = vm.Parts(Programs("qemu", "virtiofsd", "busybox"), Kernel("6.1", Path("/k"), Path("/m")), b"")


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The step's handlers end with the test; it is not left out, whatever the caller's environment."""
    monkeypatch.delenv("IPVLAB_NO_GUEST", raising=False)
    monkeypatch.delenv("IPVLAB_GUEST", raising=False)
    ends = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in ends}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def answer(monkeypatch: pytest.MonkeyPatch, **answers: object) -> None:
    """Have functions of vm and of the step return a value, or raise it."""
    for name, value in answers.items():

        def act(*_: object, value: object = value) -> object:
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr(vm if hasattr(vm, name) else guest_step, name, act)


def test_the_step_is_left_out_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IPVLAB_NO_GUEST", "1")
    answer(monkeypatch, find_parts=AssertionError("it was tried"))
    assert guest_step.main() == 0
    assert capsys.readouterr().out.startswith("skipped: IPVLAB_NO_GUEST=1")


def test_no_guest_is_booted_in_a_guest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IPVLAB_GUEST", "6.1.0-56-cloud-amd64")
    answer(monkeypatch, find_parts=AssertionError("it was tried"))
    assert guest_step.main() == 0
    assert capsys.readouterr().out.startswith("skipped: this is a guest already")


def test_where_no_guest_can_be_had_one_line_says_why_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, find_parts=VmUnfitError("no apt-get here"))
    assert guest_step.main() == 0
    assert capsys.readouterr() == ("unsupported: no apt-get here\n", "")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(0, 0), (1, 1), (GuestLostError("it died"), vm.LOST), (TimeIsUpError("too slow"), vm.TIME_IS_UP)],
    ids=["passed", "failed", "lost", "late"],
)
def test_what_goes_wrong_in_a_guest_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, outcome: object, status: int
) -> None:
    answer(monkeypatch, find_parts=PARTS, record_verdicts=0, run_in_guest=outcome)
    assert guest_step.main() == status


def test_without_verdicts_from_here_no_guest_is_booted(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, find_parts=PARTS, record_verdicts=5, run_in_guest=AssertionError("it was booted"))
    assert guest_step.main() == 5
