"""Programs in a root of their own, and daemons that tell when they are ready."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from ipvlab.errors import DriverRefusal, EnvironmentUnfit, LabError
from ipvlab.implementations.busybox import as_archive, find_busybox
from ipvlab.implementations.engine_http import EngineHttp
from ipvlab.implementations.engine_programs import ENGINES, Daemon, Programs, settle_all

READY = (
    "import os, socket, signal\n"
    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "s.sendto(b'STATUS=soon', os.environ['NOTIFY_SOCKET'])\n"
    "s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
    "signal.pause()\n"
)


def test_programs_are_found_below_the_folder_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "usr" / "sbin" / "dockerd"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    monkeypatch.setenv(ENGINES, f"{tmp_path}/")
    programs = Programs.of_environment()
    assert programs.find("dockerd", "") == "/usr/sbin/dockerd"
    assert programs.words(["dockerd"]) == ["chroot", str(tmp_path), "dockerd"]
    assert programs.outside("/run/x") == tmp_path / "run" / "x"


def test_a_missing_program_is_an_unfit_environment_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnfit, match="podman is not installed") as caught:
        Programs(str(tmp_path)).find("podman", "apt-get install podman")
    assert caught.value.hint == "apt-get install podman"


def test_a_packages_version_is_read_from_its_changelog(tmp_path: Path) -> None:
    folder = tmp_path / "usr" / "share" / "doc" / "p"
    folder.mkdir(parents=True)
    with gzip.open(folder / "changelog.Debian.gz", "wt") as changelog:
        changelog.write("source (1.1.1+ds1-3) trixie; urgency=low\n")
    assert Programs(str(tmp_path)).debian_version("p") == "1.1.1+ds1-3"
    assert Programs(str(tmp_path)).debian_version("q") == ""


def test_a_programs_status_output_and_errors_are_told_apart() -> None:
    done = Programs().run([sys.executable, "-c", "import sys; print(input()); sys.exit('no')"], stdin="yes\n")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "yes\n", "no\n")


def test_a_daemon_is_ready_when_it_says_so_and_ends_when_it_is_told(tmp_path: Path) -> None:
    daemon = Daemon(Programs(), "d", [sys.executable, "-c", READY], str(tmp_path))
    try:
        daemon.await_ready()
        daemon.await_ready()
    finally:
        daemon.end()


def test_a_daemon_that_ends_instead_is_told_with_its_last_words(tmp_path: Path) -> None:
    daemon = Daemon(Programs(), "d", [sys.executable, "-c", "exit('no such option')"], str(tmp_path))
    with pytest.raises(LabError, match=r"d ended with 1: no such option"):
        daemon.await_ready()
    daemon.end()


def test_everything_is_settled_and_an_error_is_still_raised() -> None:
    done: list[int] = []

    def fail() -> None:
        raise DriverRefusal("no")

    with pytest.raises(DriverRefusal, match="no"):
        settle_all([lambda: done.append(1), fail, lambda: done.append(2)])
    assert done == [1, 2]


def test_a_daemon_that_is_not_there_is_an_error_of_the_lab(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="GET /networks"):
        EngineHttp(tmp_path / "docker.sock").ask("GET", "/networks")


def test_the_containers_file_system_is_one_static_program(tmp_path: Path) -> None:
    program = tmp_path / "usr" / "bin" / "busybox"
    program.parent.mkdir(parents=True)
    program.write_bytes(b"\x7fELF static")
    assert find_busybox(Programs(str(tmp_path))) == program
    assert b"bin/sh" in as_archive(Programs(str(tmp_path)))
