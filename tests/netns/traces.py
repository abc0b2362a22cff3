"""What a command line leaves on the machine: links, namespaces, processes, files."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[2]

MAIN = "from ipvlab.cli import main; main()"


def command(*arguments: str | Path) -> list[str]:
    """The command line of this checkout."""
    return [sys.executable, "-c", MAIN, *map(str, arguments)]


def ipvlab(*arguments: str | Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, in a session of its own, and prove that it left nothing."""
    with start(*arguments, prefix=prefix) as process:
        stdout, stderr = process.communicate()
    assert leftovers(process.pid) == []
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def start(*arguments: str | Path, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the command line in a session of its own, whose members can be told later."""
    return subprocess.Popen(
        [*prefix, *command(*arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        start_new_session=True,
    )


def links() -> set[str]:
    """The links of the machine's own namespace."""
    return {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}


def named_namespaces() -> set[str]:
    """Network namespaces with names, which a lab never makes."""
    folder = Path("/run/netns")
    return {each.name for each in folder.iterdir()} if folder.exists() else set()


def members(session: int) -> list[int]:
    """The processes of a session, those that are only waiting to be reaped left out."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry))
    return found


def leftovers(session: int) -> list[str]:
    """Processes of a session that live on, and with them whatever namespaces they hold."""
    return [f"process {pid}" for pid in members(session)]


def network_of(pid: int | str) -> str:
    """The network namespace that a process is in."""
    return os.readlink(f"/proc/{pid}/ns/net")


def held_networks(pid: int) -> set[str]:
    """The network namespaces that a process holds open by file descriptors."""
    found = set()
    folder = Path(f"/proc/{pid}/fd")
    for entry in folder.iterdir():
        try:
            target = os.readlink(entry)
        except FileNotFoundError:
            continue
        if target.startswith("net:["):
            found.add(target)
    return found


def networks_in_use() -> set[str]:
    """Every network namespace that any process of the machine is in or holds."""
    found: set[str] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found.add(network_of(entry))
                found |= held_networks(int(entry))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def hold_networks(pid: int) -> dict[str, int]:
    """Descriptors of our own for the network namespaces that a process holds, by name.

    While they are held the kernel gives their numbers to no other: it takes the
    lowest that is free (proc_alloc_inum), so those of a lab that ended are soon another's.
    """
    held: dict[str, int] = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(entry)
        if name.startswith("net:[") and name != network_of("self") and name not in held:
            held[name] = os.open(entry, os.O_RDONLY)
    return held


def networks_of_others() -> set[str]:
    """The network namespaces that any process but this one is in or holds."""
    found: set[str] = set()
    for pid in [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            found |= {network_of(pid), *held_networks(pid)} if pid != os.getpid() else set()
    return found


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Signal a process that the test started, and take its end."""
    process.send_signal(number)
    process.communicate()
