"""How Docker's client words what the engine refuses, and how it then exits."""

from __future__ import annotations

from ipvlab.driver.port import CommandResult
from ipvlab.errors import DriverRefusal, KernelRefusal

#: What the engine or the machine under it refuses.
Refusal = DriverRefusal | KernelRefusal

_NOT_FOUND = 404
#: docker/cli ``cli/command/container/run.go``: toStatusError.
_MISSING_PROGRAM = ("executable file not found", "no such file or directory", "system cannot find the file")
_UNFIT_PROGRAM = ("permission denied", "is a directory")


def is_missing(refusal: Refusal) -> bool:
    """Whether the thing does not exist (404)."""
    return isinstance(refusal, DriverRefusal) and refusal.status == _NOT_FOUND


def daemon_line(refusal: Refusal) -> str:
    """The engine's text as a line of the client."""
    return f"Error response from daemon: {refusal.what}\n"


def program_exit_code(text: str, otherwise: int) -> int:
    """127 for a program that is not there, 126 for one that cannot be run, else ``otherwise``."""
    if any(words in text for words in _MISSING_PROGRAM):
        return 127
    return 126 if any(words in text for words in _UNFIT_PROGRAM) else otherwise


def refuse_run(refusal: Refusal, path: str = "docker run", stdout: str = "") -> CommandResult:
    """A ``run`` that came to nothing: 125, or 126 and 127 where the program is at fault."""
    text = f"docker: {daemon_line(refusal)}\nRun '{path} --help' for more information\n"
    return CommandResult(program_exit_code(refusal.what, 125), stdout, text)
