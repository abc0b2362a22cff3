#!/usr/bin/env python3
"""The conformance suite in a guest, for ipvlab's `kernel` and for Docker Engine, Podman and the CNI plugin.

    sudo python ci/conformance_vm.py --results FOLDER docker podman cni kernel -- -k l2

What follows `--` goes to pytest. FOLDER gets one `<implementation>.json` (a ConformanceRun) for each, which
`ipvlab report` turns into pages. The status is the worst of pytest's; 5 means that no guest can be had here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from ci import vm  # noqa: E402 - found by the line above
from ci.guest.engines import find_engines  # noqa: E402 - same
from ci.guest.image import job_image  # noqa: E402 - same
from ci.guest.machine import (  # noqa: E402 - same
    Guest,
    GuestLostError,
    Settings,
    StuckBootError,
    TimeIsUpError,
    make_mark,
)
from ci.guest.needs import VmUnfitError, cache_folder, locked, say  # noqa: E402 - same

FOREIGN = ("docker", "podman", "cni")
KNOWN = (*FOREIGN, "kernel", "bpf")
#: Debian 13's kernel, with Debian 13's engines.
KERNEL = "6.12"
#: Seconds of the time for an implementation that pytest cannot have: boot, and writing the results.
BOOT_AND_END = 120
#: Lines around the results in the guest's output; what a guest writes to files is gone with it.
BEGIN, END = b"\n--- results begin ---\n", b"\n--- results end ---\n"

_IN_GUEST = r"""
import subprocess, sys
implementation, seconds, *arguments = sys.argv[1:]
folder = "/tmp/results.json"
status = subprocess.run(["timeout", "--signal=INT", seconds,
    sys.executable, "-m", "pytest", "conformance", "-p", "no:cacheprovider",
    f"--ipvlab-implementation={implementation}", f"--ipvlab-json={folder}", *arguments]).returncode
sys.stdout.flush()
sys.stdout.buffer.write(b"\n--- results begin ---\n")
try:
    sys.stdout.buffer.write(open(folder, "rb").read())
except FileNotFoundError:
    pass
sys.stdout.buffer.write(b"\n--- results end ---\n")
sys.exit(status)
"""


class Separator:
    """A stream that keeps what is between the two marks, and passes on the rest as it comes."""

    def __init__(self) -> None:
        self.results = b""
        self._held = b""
        self._is_inside = False

    def write(self, piece: bytes) -> int:
        """Take a piece."""
        self._held += piece
        while True:
            mark = END if self._is_inside else BEGIN
            before, found, after = self._held.partition(mark)
            if not found:
                break
            self._pass(before)
            self._held, self._is_inside = after, not self._is_inside
        keep = len(mark) - 1
        self._pass(self._held[:-keep])
        self._held = self._held[-keep:]
        return len(piece)

    def flush(self) -> None:
        """Nothing: what is passed on is passed on at once."""

    def end(self) -> None:
        """Pass on what is left."""
        self._pass(self._held)
        self._held = b""

    def _pass(self, piece: bytes) -> None:
        if self._is_inside:
            self.results += piece
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def run_one(
    parts: vm.Parts, engines: Path, implementation: str, arguments: Sequence[str], settings: Settings
) -> tuple[int, bytes]:
    """Run the suite for one implementation in a guest of its own: pytest's status, and the results."""
    # An interrupted pytest still writes what it has.
    seconds = max(1, int(settings.timeout - BOOT_AND_END))
    command = [sys.executable, "-c", _IN_GUEST, implementation, str(seconds), *arguments]
    if implementation in FOREIGN:
        command = [sys.executable, str(PROJECT / "ci/guest/engines.py"), str(engines), *command]
    return run_command(parts, command, settings)


def run_command(parts: vm.Parts, command: Sequence[str], settings: Settings) -> tuple[int, bytes]:
    """Run a command in a guest; its status, and what it printed between the marks."""
    mark = make_mark()
    reached = [Path(sys.executable), Path(sys.prefix, "x"), Path(sys.base_prefix, "x"), PROJECT / "x"]
    own = dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
    environment = vm.guest_environment(own, parts.kernel.release)
    image = parts.image + job_image(command, PROJECT, environment, mark, reached)
    for attempt in range(1, vm.ATTEMPTS + 1):
        out = Separator()
        try:
            with Guest(parts.programs, parts.kernel, image, settings) as guest:
                # A whole BinaryIO is not needed, only what writes and flushes.
                status = guest.run(mark, out, sys.stderr.buffer)  # type: ignore[arg-type]
        except StuckBootError as stuck:
            say(f"boot {attempt} of {vm.ATTEMPTS} failed: {stuck}")
            continue
        out.end()
        return status, out.results
    raise GuestLostError(f"the guest did not boot in {vm.ATTEMPTS} attempts")


def parse() -> argparse.Namespace:
    """Read the command line; what follows ``--`` is pytest's."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        prog="ci/conformance_vm.py", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--results", metavar="FOLDER", type=Path, default=Path("conformance-results"))
    parser.add_argument("--kernel", metavar="SERIES", default=KERNEL)
    parser.add_argument("--timeout", metavar="S", type=float, default=5400.0, help="for each implementation")
    parser.add_argument("--memory", metavar="SIZE", default=Settings().memory)
    parser.add_argument("--kvm", action="store_true")
    parser.add_argument("--console", action="store_true")
    parser.add_argument("implementations", metavar="NAME", nargs="+", choices=KNOWN, help=", ".join(KNOWN))
    parsed = parser.parse_args(words[:cut])
    parsed.arguments = words[cut + 1 :]
    return parsed


def main() -> int:
    """The command line."""
    vm.catch_ends()
    parsed = parse()
    settings = Settings(parsed.memory, parsed.kvm, parsed.timeout, parsed.console)
    worst = 0
    try:
        parts = vm.find_parts(parsed.kernel)
        cache = cache_folder()
        with locked(cache):
            engines = find_engines(cache)
        parsed.results.mkdir(parents=True, exist_ok=True)
        for implementation in parsed.implementations:
            status, results = run_one(parts, engines, implementation, parsed.arguments, settings)
            if results:
                (parsed.results / f"{implementation}.json").write_bytes(results)
            worst = max(worst, status)
    except VmUnfitError as unfit:
        say(str(unfit))
        return vm.UNFIT
    except GuestLostError as lost:
        say(str(lost))
        return vm.LOST
    except TimeIsUpError as late:
        say(str(late))
        return vm.TIME_IS_UP
    return worst


if __name__ == "__main__":
    sys.exit(main())
