"""Which labs are up, and where each of them listens.

A supervisor listens on the abstract unix socket ``@ipvlab/UID/LAB``. Such a name is
no file: it ends with the process that holds it, so a list of them never shows a dead lab, and
a second holder of a name is refused by the kernel. Names are those of one network namespace;
inside a lab's own nodes the same protocol is spoken on ``/run/ipvlab/control.sock``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

from ipvlab.errors import LabLost, LabNotFound, ValueInvalid
from ipvlab.supervisor.channel import LONGEST_ANSWER, BadMessage, Channel, peer_of, read_text

#: Where the supervisor listens for programs inside its nodes.
CONTROL = "/run/ipvlab/control.sock"
#: Where a shell in a node finds the lab's own ``ip`` and ``docker``.
SHIMS = "/run/ipvlab/bin"
#: How long a supervisor may take to accept a connection or to answer a question that asks nothing of
#: the lab, in seconds.
PATIENCE = 5.0

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
#: The flag of a listening socket in /proc/net/unix (linux/net.h: __SO_ACCEPTCON).
_LISTENS = 0x10000


@dataclasses.dataclass(frozen=True, slots=True)
class FoundLab:
    """A lab whose name is held: its name, and the inode of the socket that holds it."""

    name: str
    inode: int


def abstract_address(user: int, lab: str) -> bytes:
    """The address of a lab's socket, without a place in the file system."""
    return f"\0ipvlab/{user}/{lab}".encode()


def check_name(lab: str) -> str:
    """The name, if a lab may have it; raises :class:`ValueInvalid`."""
    if not _NAME.fullmatch(lab):
        raise ValueInvalid(
            f"a lab cannot be called {lab!r}", hint="use up to 63 of the characters a-z, 0-9 and -"
        )
    return lab


def find_labs(user: int | None = None) -> list[FoundLab]:
    """The labs of this user whose sockets listen in this network namespace, by name.

    Somebody else may hold such a name too; :func:`connect` is what tells.
    """
    start = f"@ipvlab/{os.geteuid() if user is None else user}/"
    found = []
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) < 8 or not fields[7].startswith(start) or not int(fields[3], 16) & _LISTENS:
            continue
        name = fields[7].removeprefix(start)
        if _NAME.fullmatch(name):
            found.append(FoundLab(name, int(fields[6])))
    return sorted(found, key=lambda lab: lab.name)


def is_inside() -> bool:
    """Whether this program runs in a node of a lab that is up."""
    return os.path.exists(CONTROL)


def choose_lab(wanted: str | None) -> str:
    """The lab that is meant: the one that is named, or the only one that is up.

    Raises :class:`LabNotFound` when none or several are up and none is named.
    """
    if wanted is not None:
        return check_name(wanted)
    names = [lab.name for lab in find_labs()]
    if len(names) == 1:
        return names[0]
    if names:
        raise LabNotFound(
            f"{len(names)} labs are up, and none is named", hint=f"name one: {', '.join(names)}"
        )
    raise LabNotFound("no lab is up", hint="start one: ipvlab up PATH")


@dataclasses.dataclass(slots=True)
class Contact:
    """A connection to the supervisor of a lab; ``pid`` is 0 inside of its nodes."""

    lab: str
    pid: int
    channel: Channel
    is_inside: bool = False


def connect(lab: str | None) -> Contact:
    """Speak to the supervisor of a lab, or of the only one that is up.

    In a node of a lab it is that lab. Raises :class:`LabNotFound` where no such
    lab is up, or another user's, and :class:`LabLost` where its supervisor does not answer.
    """
    if is_inside():
        pid, channel = _dial(CONTROL, "this node")
        return Contact(_check_inside(channel, lab), pid, channel, is_inside=True)
    name = choose_lab(lab)
    return Contact(name, *_dial(abstract_address(os.geteuid(), name), name))


def _check_inside(channel: Channel, wanted: str | None) -> str:
    """The lab that this node is of; raises :class:`LabNotFound` where another one is meant."""
    try:
        channel.send({"op": "about"})
        name = read_text(channel.receive()[0], "name")
    except (OSError, EOFError, BadMessage) as silence:
        raise _silent("this node") from silence
    if wanted not in (None, name):
        channel.close()
        raise LabNotFound(
            f"this is a node of the lab {name}, and no other lab can be reached from it",
            hint="type it outside of the lab, in another terminal",
        )
    return name


def _dial(address: str | bytes, lab: str) -> tuple[int, Channel]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(address)
        pid, user = peer_of(sock)
    except ConnectionRefusedError:
        sock.close()
        raise LabNotFound(f"no lab {lab} is up", hint="ipvlab ps lists those that are") from None
    except OSError as refusal:
        sock.close()
        raise _silent(lab) from refusal
    if user != os.geteuid():
        sock.close()
        raise LabNotFound(f"the name of the lab {lab} is held by process {pid} of another user ({user})")
    return pid, Channel(sock, LONGEST_ANSWER)


def _silent(lab: str) -> LabLost:
    return LabLost(f"the supervisor of {lab} does not answer", hint=f"end it: ipvlab down {lab}")


def find_holder(inode: int) -> int | None:
    """The process that holds a socket open, for a supervisor that does not even accept connections."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and f"socket:[{inode}]" in _open_files(entry):
            return int(entry)
    return None


def _open_files(pid: str) -> Iterator[str]:
    """What a process holds open, as far as this user may know."""
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{fd}")
