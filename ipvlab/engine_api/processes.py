"""The processes of one container, read from /proc as ``ps -ef`` reads them."""

from __future__ import annotations

import contextlib
import datetime
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
#: Major numbers of pseudo-terminals (Documentation/admin-guide/devices.txt).
_PTS_MAJORS = range(136, 144)


def list_processes(main: int | None) -> list[list[str]]:
    """A row of ``TITLES`` for each process in the pid namespace of ``main``; none without one.

    The first process of a container's namespace and what it runs to wait are the lab's, and left out.
    """
    rows: list[list[str]] = []
    with contextlib.suppress(OSError):
        if main is not None:
            namespace = os.readlink(f"/proc/{main}/ns/pid")
            first = ""
            for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
                # What has ended meanwhile is left out too.
                with contextlib.suppress(OSError, KeyError, ValueError):
                    if os.readlink(f"/proc/{pid}/ns/pid") != namespace:
                        continue
                    status = _status(pid)
                    if status["NSpid"].split()[-1] == "1":
                        first = str(pid)
                    elif (status["PPid"], status["Name"]) != (first, "cat"):
                        rows.append(_row(pid, status))
    return rows


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _row(pid: int, status: Mapping[str, str]) -> list[str]:
    # The name may hold blanks and brackets: fields are counted from its last bracket on.
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    seconds = (int(stat[11]) + int(stat[12])) // ticks
    command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    return [
        _user(int(status["Uid"].split()[0])),
        str(pid),
        stat[1],
        "0",
        _start_time(int(stat[19]) / ticks),
        _terminal(int(stat[4])),
        str(datetime.timedelta(seconds=seconds)).rjust(8, "0"),
        command.decode(errors="replace") or f"[{status['Name']}]",
    ]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _start_time(since_boot: float) -> str:
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    begun = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=uptime - since_boot)
    return f"{begun:%H:%M}"


def _terminal(device: int) -> str:
    major, minor = os.major(device), os.minor(device)
    return f"pts/{(major - _PTS_MAJORS.start) * 256 + minor}" if major in _PTS_MAJORS else "?"
