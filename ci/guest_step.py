#!/usr/bin/env python3
"""The guest's part in the project's checks: the scenario folder and the link tests on real ipvlan.

First the scenarios run here, on the datapaths that need no ipvlan. Then ``tests/guest`` runs in a guest,
where the same scenarios run on ``kernel`` and on ``bpf``, and every verdict is held against those from here.

Where no guest can be had (no QEMU, another architecture, no network), one line says so and the
status is 0; IPVLAB_NO_GUEST=1 leaves the step out. Everything else that goes wrong is a failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from ci import vm  # noqa: E402 - found by the line above
from ci.guest.machine import GuestLostError, Settings, TimeIsUpError  # noqa: E402 - same
from ci.guest.needs import DEFAULT_KERNEL, VmUnfitError, say  # noqa: E402 - same

#: Seconds for boot and tests; 120 are usual on two busy cores.
PATIENCE = 900.0
#: Datapaths whose verdicts here are held against those of the guest.
NATIVE = ("bpf", "sim")
#: Tells the tests in the guest in which folder the verdicts from here are.
VERDICTS = "IPVLAB_NATIVE_VERDICTS"


def record_verdicts(folder: Path) -> int:
    """Run the scenarios here on each native datapath; a failed one's own words and status are returned."""
    for name in NATIVE:
        # A process of its own: this one must have a single thread when it starts the guest.
        command = [sys.executable, "-c", "from ipvlab.cli import main; main()", "run", "scenarios"]
        command += ["--datapath", name, "--json", str(folder / f"{name}.json")]
        done = subprocess.run(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            say(f"ipvlab run scenarios --datapath {name} failed here:\n{done.stdout}{done.stderr}")
            return done.returncode
    return 0


def run_tests(parts: vm.Parts) -> int:
    """Run ``tests/guest`` in a guest, with the verdicts from here; returns its status."""
    command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/guest"]
    with tempfile.TemporaryDirectory(prefix="ipvlab-") as folder:
        status = record_verdicts(Path(folder))
        if status != 0:
            return status
        own = os.environ | {VERDICTS: folder, "PYTHONDONTWRITEBYTECODE": "1"}
        return vm.run_in_guest(parts, command, Settings(timeout=PATIENCE), own)


def main() -> int:
    """Take the step and return the exit status."""
    if os.environ.get("IPVLAB_NO_GUEST") == "1":
        print("skipped: IPVLAB_NO_GUEST=1 is set, so nothing was tried on real ipvlan")
        return 0
    if os.environ.get("IPVLAB_GUEST"):
        print("skipped: this is a guest already, so the tests that follow are on real ipvlan")
        return 0
    vm.catch_ends()
    started = time.monotonic()
    try:
        parts = vm.find_parts(DEFAULT_KERNEL)
    except VmUnfitError as unfit:
        print(f"unsupported: {unfit}")
        return 0
    try:
        status = run_tests(parts)
    except GuestLostError as lost:
        say(str(lost))
        return vm.LOST
    except TimeIsUpError as late:
        say(str(late))
        return vm.TIME_IS_UP
    print(f"guest: kernel {parts.kernel.release}, {time.monotonic() - started:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
