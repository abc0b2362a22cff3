"""Scripts of CI that run others: fresh systems, provisioning, conformance of one implementation."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from ci import try_provision

PROJECT = Path(__file__).parents[2]

# Fresh systems


def test_any_change_of_a_file_is_seen_between_two_provisions(tmp_path: Path) -> None:
    for name in ("same", "mode", "text", "touched", "gone"):
        (tmp_path / name).write_text("a")
    (tmp_path / "link").symlink_to("same")
    before = dict(try_provision.files_of(tmp_path))
    assert try_provision.changes(before, dict(try_provision.files_of(tmp_path))) == []
    (tmp_path / "mode").chmod(0o700)
    (tmp_path / "text").write_text("b")
    (tmp_path / "gone").unlink()
    (tmp_path / "new").mkdir()
    os.utime(tmp_path / "touched", (1, 1))
    found = try_provision.changes(before, dict(try_provision.files_of(tmp_path)))
    assert found == ["- /gone", "~ /mode", "+ /new", "~ /text", "~ /touched"]


def test_a_trial_takes_a_slice_of_the_tests_unless_others_are_named() -> None:
    options = try_provision.parse(["jammy", "--as-user", "--", "-k", "x", "tests/unit"])
    assert (options.suite, options.as_user, options.tests) == ("jammy", True, ["-k", "x", "tests/unit"])
    assert try_provision.parse(["noble"]).tests == []
    assert all((PROJECT / path).exists() for path in try_provision.SLICE)


def test_a_release_without_a_recipe_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        try_provision.parse(["sarge"])
    assert ended.value.code == 2
    assert "bookworm, jammy, noble, trixie" in capsys.readouterr().err.replace("'", "")


@pytest.mark.parametrize(
    ("uid", "program", "has_keys", "said"),
    [
        (1000, "/bin/true", True, "as root only: run with sudo"),
        (0, None, True, "apt-get install mmdebstrap"),
        (0, "/bin/true", False, "apt-get install debian-archive-keyring"),
    ],
    ids=["user", "no mmdebstrap", "no keys"],
)
def test_a_machine_that_cannot_make_a_system_says_so_and_makes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    uid: int,
    program: str | None,
    has_keys: bool,
    said: str,
) -> None:
    keys = tmp_path / "keys"
    if has_keys:
        keys.touch()
    release = dataclasses.replace(try_provision.RELEASES["trixie"], keyring=keys)
    monkeypatch.setitem(try_provision.RELEASES, "trixie", release)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(shutil, "which", lambda _name: program)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert try_provision.main(["trixie", "--folder", str(folder)]) == try_provision.UNFIT
    text = capsys.readouterr().out
    assert text.startswith("unsupported: ")
    assert text.endswith(f"{said}\n")
    assert not list(folder.iterdir())


def test_provisioning_without_root_and_sudo_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    # The script itself adds the folders of root's programs, where no sudo is.
    done = subprocess.run(
        ["/bin/bash", str(PROJECT / "ci" / "provision.sh")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        5,
        "provision: root is needed: run me as root, or install sudo\n",
    )


# Conformance of one implementation

FAKE_IPVLAB = """#!/bin/sh
echo "ipvlab $*" >>"$CALLS"
case "$1" in
  doctor) echo "kernel  $HAS_IPVLAN" ;;
  conformance) shift 2; echo said; [ -z "$RESULTS" ] || echo "$RESULTS" >"$RESULTS_FILE"; exit "$STATUS" ;;
  report) exit "${VERDICT:-$STATUS}" ;;
esac
"""
# What is for a guest of ci/vm.py is run here; ci/conformance_vm.py leaves the results itself.
FAKE_PYTHON = """#!/bin/sh
echo "guest of $*" >>"$CALLS"
if [ "$1" = ci/conformance_vm.py ]; then
  [ -z "$RESULTS" ] || echo "$RESULTS" >"$3/docker.json"
  exit "$STATUS"
fi
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


def run_conformance(folder: Path, name: str, **own: str) -> tuple[int, list[str]]:
    """Run ci/conformance.sh with programs that only write down how they were called."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    # mktemp is the one program whose answer the fake of ipvlab has to know.
    fakes = {"ipvlab": FAKE_IPVLAB, "python": FAKE_PYTHON, "sudo": '#!/bin/sh\nexec "$@"\n'}
    fakes["mktemp"] = '#!/bin/sh\n: >"$RESULTS_FILE"; echo "$RESULTS_FILE"\n'
    for program, text in fakes.items():
        (bin_folder / program).write_text(text)
        (bin_folder / program).chmod(0o755)
    calls = folder / "calls"
    environment = {
        "PATH": f"{bin_folder}:/usr/bin:/bin",
        "CALLS": str(calls),
        "RESULTS_FILE": str(folder / "results"),
        "IPVLAB_VENV": str(folder),
        "RESULTS": "[]",
        "STATUS": "0",
        "HAS_IPVLAN": "no",
    }
    done = subprocess.run(
        ["bash", str(PROJECT / "ci" / "conformance.sh"), name, str(folder / "reports"), "-k", "x"],
        env=environment | own,
        capture_output=True,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines()


@pytest.mark.parametrize(
    ("name", "has_ipvlan", "guest"),
    [
        ("sim", "no", None),
        ("bpf", "no", None),
        ("kernel", "yes", None),
        ("kernel", "no", "guest of ci/vm.py --timeout 9 -- "),
        ("docker", "yes", "guest of ci/conformance_vm.py --results {reports} --timeout 9 docker -- -k x"),
    ],
)
def test_an_implementation_that_this_machine_lacks_runs_in_a_guest(
    tmp_path: Path, name: str, has_ipvlan: str, guest: str | None
) -> None:
    status, calls = run_conformance(tmp_path, name, HAS_IPVLAN=has_ipvlan, IPVLAB_VM_OPTIONS="--timeout 9")
    assert status == 0
    reports = tmp_path / "reports"
    guests = [call for call in calls if call.startswith("guest")]
    assert len(guests) == (0 if guest is None else 1)
    assert guest is None or guests[0].startswith(guest.format(reports=reports))
    runs = [call for call in calls if call.startswith("ipvlab conformance")]
    assert len(runs) == (0 if name == "docker" else 1)
    assert all(run.endswith(f"--implementation {name} -k x") for run in runs)
    assert (reports / f"{name}.json").read_text() == "[]\n"
    assert f"--markdown {reports}/{name}.md" in calls[-1]


@pytest.mark.parametrize(("status", "expected"), [("0", 0), ("1", 1), ("3", 0), ("4", 4), ("5", 5)])
def test_only_unsupported_is_no_failure_of_a_conformance_run(
    tmp_path: Path, status: str, expected: int
) -> None:
    assert run_conformance(tmp_path, "sim", STATUS=status)[0] == expected


@pytest.mark.parametrize(
    ("verdict", "of_pytest", "expected"), [("0", "2", 2), ("3", "0", 0), ("1", "0", 1), ("4", "1", 4)]
)
def test_the_verdict_counts_and_a_run_that_broke_is_never_green(
    tmp_path: Path, verdict: str, of_pytest: str, expected: int
) -> None:
    assert run_conformance(tmp_path, "docker", STATUS=of_pytest, VERDICT=verdict)[0] == expected


def test_a_conformance_run_without_results_fails_and_leaves_no_report(tmp_path: Path) -> None:
    status, calls = run_conformance(tmp_path, "sim", RESULTS="")
    assert status == 5
    assert not [call for call in calls if call.startswith("ipvlab report")]
    assert not list((tmp_path / "reports").iterdir())
