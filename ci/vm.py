#!/usr/bin/env python3
"""Run a command in a virtual machine that has the real ipvlan driver, on this very tree.

The guest is Debian's cloud kernel under QEMU; its root is this machine's own file system, read-only
with a memory file system on top, so this Python and its libraries are there too. What the command
writes is gone with the guest: results leave through standard output. docs/vm.md says more.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from ci.guest.image import LAB, base_image, job_image, lacking  # noqa: E402 - found by the line above
from ci.guest.machine import (  # noqa: E402 - same
    Guest,
    GuestLostError,
    Settings,
    StuckBootError,
    TimeIsUpError,
    make_mark,
    usual_memory,
)
from ci.guest.needs import (  # noqa: E402 - same
    DEFAULT_KERNEL,
    Kernel,
    Programs,
    VmUnfitError,
    cache_folder,
    check_machine,
    find_kernel,
    find_programs,
    locked,
    say,
)

#: Runs its arguments after the script that prepares every other machine (Vagrantfile) as well.
PROVISION = ("sh", "-c", 'bash ci/provision.sh >&2 && exec "$@"', "sh")
#: This machine cannot run a guest (as the command line of ipvlab says "environment").
UNFIT = 5
#: It can, and the guest did not boot or ended by itself.
LOST = 6
#: As timeout(1) says it.
TIME_IS_UP = 124
#: Variables that reach the guest beside PATH; others describe this machine.
PASSED_ON = ("HOME", "LANG", "LC_ALL", "TERM", "COLUMNS", "CI", "NO_COLOR")
PASSED_PREFIXES = ("IPVLAB_", "PYTEST_", "PYTHON", "HYPOTHESIS_")
#: A guest that never lived is booted once more: one boot in many is lost under load.
ATTEMPTS = 2


def guest_environment(own: dict[str, str], kernel: str) -> dict[str, str]:
    """The command's environment: this interpreter's folder comes first on PATH.

    IPVLAB_GUEST tells the tests that real ipvlan is there, and whose.
    """
    passed = {
        name: value for name, value in own.items() if name in PASSED_ON or name.startswith(PASSED_PREFIXES)
    }
    folders = [str(Path(sys.executable).parent), own.get("PATH", ""), "/usr/sbin:/usr/bin:/sbin:/bin"]
    return {"HOME": "/root"} | passed | {"PATH": ":".join(filter(None, folders)), "IPVLAB_GUEST": kernel}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; ends the program with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="ci/vm.py", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kernel", metavar="SERIES", default=DEFAULT_KERNEL, help="6.1 (default), 6.12, …")
    parser.add_argument("--timeout", metavar="S", type=float, default=1800.0, help="seconds, boot included")
    parser.add_argument("--memory", metavar="SIZE", default=usual_memory(), help="of the guest (4G, or half)")
    parser.add_argument("--kvm", action="store_true", help="use KVM instead of emulation")
    parser.add_argument("--provision", action="store_true", help="run ci/provision.sh in the guest first")
    parser.add_argument("--console", action="store_true", help="show the guest's console as well")
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments)
    if parsed.command[:1] == ["--"]:
        del parsed.command[0]
    if not parsed.command:
        parser.error("a COMMAND is needed, for example: ci/vm.py -- ip link add p1 type dummy")
    return parsed


@dataclass(frozen=True, slots=True)
class Parts:
    """What a guest is booted from."""

    programs: Programs
    kernel: Kernel
    image: bytes


def find_parts(series: str) -> Parts:
    """Find or fetch what a guest needs; raises :class:`VmUnfitError` where it cannot be had."""
    check_machine()
    cache = cache_folder()
    with locked(cache):
        programs = find_programs()
        kernel = find_kernel(series, cache)
        base = base_image(kernel, programs.busybox, cache)
    for name in lacking(kernel, LAB):
        say(f"kernel {kernel.release} has no {name}")
    return Parts(programs, kernel, base)


def run_in_guest(parts: Parts, command: Sequence[str], settings: Settings, own: dict[str, str]) -> int:
    """Boot a guest, run the command in it, and return its status; ``own`` is the environment here.

    Raises :class:`GuestLostError` when no boot lived or the guest died, and
    :class:`TimeIsUpError` when the command took too long.
    """
    mark = make_mark()
    # Tests become other users, who need this interpreter, its libraries and the tree.
    reached = [Path(sys.executable), Path(sys.prefix, "x"), Path(sys.base_prefix, "x"), PROJECT / "x"]
    environment = guest_environment(own, parts.kernel.release)
    image = parts.image + job_image(command, PROJECT, environment, mark, reached)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with Guest(parts.programs, parts.kernel, image, settings) as guest:
                return guest.run(mark, sys.stdout.buffer, sys.stderr.buffer)
        except StuckBootError as stuck:
            say(f"boot {attempt} of {ATTEMPTS} failed: {stuck}")
    raise GuestLostError(f"the guest did not boot in {ATTEMPTS} attempts")


def run(parsed: argparse.Namespace) -> int:
    """Boot a guest, run the command in it and return its status."""
    settings = Settings(parsed.memory, parsed.kvm, parsed.timeout, parsed.console)
    if settings.has_kvm and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise VmUnfitError("--kvm needs /dev/kvm, which this user cannot open here")
    command, own = list(parsed.command), dict(os.environ)
    if parsed.provision:
        # The environment of this Python is the one to prepare: a guest has no network to make another.
        command, own["IPVLAB_VENV"] = [*PROVISION, *command], sys.prefix
    return run_in_guest(find_parts(parsed.kernel), command, settings, own)


def _end_by_signal(number: int, _frame: FrameType | None) -> None:
    # An exception, so that the guest is taken down on the way out.
    raise SystemExit(128 + number)


def catch_ends() -> None:
    """Let the signals that ask for an end take the guest down on the way out."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end_by_signal)


def main() -> int:
    """The command line."""
    catch_ends()
    try:
        return run(parse())
    except VmUnfitError as error:
        say(str(error))
        return UNFIT
    except GuestLostError as error:
        say(str(error))
        return LOST
    except TimeIsUpError as error:
        say(str(error))
        return TIME_IS_UP


if __name__ == "__main__":
    sys.exit(main())
