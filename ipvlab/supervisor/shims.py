"""``ip``, ``docker`` and ``restart`` as a shell in a node finds them first, each a small program."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence

from ipvlab.errors import IpvlabError
from ipvlab.supervisor.client import ask, show_result
from ipvlab.supervisor.names import SHIMS, Contact, connect


def ip(node: str, arguments: Sequence[str]) -> int:
    """An ``ip`` that changes something: the lab does it, or hears of it once the machine's ``ip`` has."""
    try:
        contact = connect(None)
        with contextlib.closing(contact.channel):
            return _ip(contact, node, arguments)
    except IpvlabError as error:
        sys.stderr.write(f"{error}\n")
        return 255


def _ip(contact: Contact, node: str, arguments: Sequence[str]) -> int:
    answer, _ = ask(contact, {"op": "ip", "node": node, "argv": list(arguments)})
    if "exit_code" in answer:
        return show_result(answer)
    # A key is for the program; the shim has to outlive it, or the lab would not hear of the change.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own = os.pathsep.join(
        folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != SHIMS
    )
    found = shutil.which("ip", path=own)
    if found is None:
        sys.stderr.write("ip: not found\n")
        return 127
    status = subprocess.run([found, *arguments], check=False, restore_signals=True).returncode
    ask(contact, {"op": "note", "node": node})
    return status if status >= 0 else 128 - status


def docker(host: str, arguments: Sequence[str]) -> int:
    """Docker's commands on the host that the shell is in."""
    from ipvlab.supervisor.docker_client import run_docker

    try:
        return run_docker(None, host, arguments)
    except IpvlabError as error:
        sys.stderr.write(f"{error}\n")
        return 125


def restart(host: str, arguments: Sequence[str]) -> int:
    """``restart docker``: the engine of the host that the shell is in is dropped and loaded again."""
    if list(arguments) != ["docker"]:
        sys.stderr.write("restart: only docker can be restarted here: restart docker\n")
        return 2
    try:
        contact = connect(None)
        with contextlib.closing(contact.channel):
            ask(contact, {"op": "restart", "node": host})
    except IpvlabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
