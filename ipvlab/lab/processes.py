"""Commands of the machine inside a node, run to their end or handed over while they run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

from ipvlab.driver.port import CommandResult
from ipvlab.lab.nodes import Node
from ipvlab.lab.rootfs import DOCKER_PATH, OWN_PROGRAMS
from ipvlab.lab.sandbox import NodeFiles, Sandbox, sandbox_of, set_files

__all__ = ["NodeFiles", "Sandbox", "run_command", "sandbox_of", "set_files", "spawn"]

Stream = int | IO[bytes] | None


def run_command(
    node: Node, argv: Sequence[str], *, env: Mapping[str, str] | None = None, stdin: str | bytes | None = None
) -> CommandResult:
    """Run a command inside a node to its end and return what it printed.

    ``env`` None is the supervisor's own environment, with ipvlab's own programs
    last on the PATH; ``stdin`` None is empty. A command that does not exist ends
    with 127, one that may not be run with 126, one killed by signal n with 128 + n,
    as in a shell. Raises :class:`LabError` when the node's namespaces cannot be made.
    """
    sent = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        process = spawn(node, argv, env=env, stdin=subprocess.DEVNULL if sent is None else subprocess.PIPE)
    except FileNotFoundError:
        return CommandResult(127, stderr=f"{argv[0]}: not found\n")
    except PermissionError:
        return CommandResult(126, stderr=f"{argv[0]}: cannot be executed\n")
    with process:
        try:
            stdout, stderr = process.communicate(sent)
        except BaseException:
            process.kill()
            raise
    code = process.returncode
    return CommandResult(
        128 - code if code < 0 else code, stdout.decode(errors="replace"), stderr.decode(errors="replace")
    )


def spawn(
    node: Node,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.PIPE,
    stderr: Stream = subprocess.PIPE,
    has_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a command inside a node and return while it runs; its working directory is ``/``.

    ``has_session`` False leaves it in the supervisor's session, so that a terminal's
    signals reach it. Raises OSError like :class:`subprocess.Popen`, and
    :class:`LabError` when the node's namespaces cannot be made.
    """
    sandbox = sandbox_of(node)
    return sandbox.call(
        lambda: subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_own_environment() if env is None else env,
            start_new_session=has_session,
        )
    )


def _own_environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{os.environ.get('PATH', DOCKER_PATH)}:{OWN_PROGRAMS}"}
