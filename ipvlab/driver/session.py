"""A block of command lines: read before anything runs, then followed line by line.

A block reads like a person's terminal: ``docker run -it`` enters a container,
and what is typed next is typed there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from ipvlab.driver.docker_commands import (
    ContainerAttach,
    ContainerExec,
    ContainerRun,
    ContainerStart,
    DockerCommand,
)
from ipvlab.driver.engine import Engine
from ipvlab.driver.grammar import is_shell, parse_docker
from ipvlab.driver.ip_grammar import LINK_COMMANDS, IpCommand, RestartDocker, parse_ip
from ipvlab.driver.port import CommandResult
from ipvlab.driver.words import split_words, strip_comment
from ipvlab.driver.workloads import is_idle
from ipvlab.errors import CommandUnknown, DriverRefusal
from ipvlab.spec.values import Dialect

Command = DockerCommand | IpCommand
#: What runs on the host wherever one is: links of the host, and its engine.
_HOST_COMMANDS = (*LINK_COMMANDS, RestartDocker)


@dataclasses.dataclass(frozen=True, slots=True)
class ParsedLine:
    """One command of a block: where it begins (from 1), what was written, what it means."""

    line: int
    text: str
    command: Command


def parse_lines(lines: Sequence[str], *, dialect: Dialect = Dialect.DOCS) -> list[ParsedLine]:
    """Read a block: lines that end in ``\\`` are joined, blank lines and comments dropped.

    Raises :class:`CommandUnknown` for a line outside the grammar, with ``line``
    set to the first line of that command; its place in a file is the caller's to add.
    """
    parsed = []
    for number, text in _logical_lines(lines):
        try:
            parsed.append(ParsedLine(number, " ".join(text.split()), parse_command(text, dialect=dialect)))
        except CommandUnknown as error:
            error.line = number
            raise
    return parsed


def parse_command(text: str, *, allows_programs: bool = False, dialect: Dialect = Dialect.DOCS) -> Command:
    """Read one command; raises :class:`CommandUnknown`.

    With ``allows_programs`` a container may run anything; without, as in
    scenario files, only what every datapath can interpret.
    """
    words = split_words(strip_comment(text.replace("\\\n", "")))
    if not words:
        raise CommandUnknown("a command is empty")
    if words[0] == "docker":
        return parse_docker(words, allows_programs=allows_programs, dialect=dialect)
    return parse_ip(words)


def _logical_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Commands with the number of their first line; a comment's own backslash continues nothing."""
    joined, first = "", 0
    for number, line in enumerate(lines, start=1):
        if not joined:
            first = number
        text = strip_comment(joined + line.rstrip("\r\n"))
        backslashes = len(text) - len(text.rstrip("\\"))
        if backslashes % 2:
            # A line that is nothing but a backslash still counts as the command's first.
            joined = text[:-1] or " "
            continue
        joined = ""
        if text.strip():
            yield first, text
    if joined.strip():
        error = CommandUnknown(f"`{' '.join(joined.split())}` ends in a backslash, and nothing follows")
        error.line = first
        raise error


class Session:
    """One host's terminal: which container's shell is open, if any.

    A line that is neither ``docker`` nor ``ip link`` runs in the container last
    entered with ``-it`` (``docker run``, or ``docker exec`` of a shell), until
    the next ``docker`` line or ``exit``.
    """

    def __init__(self, engine: Engine, stop: Callable[[str], object] | None = None) -> None:
        """``stop`` is what ends a container; None asks the engine alone."""
        self._engine = engine
        self._stop = stop or engine.stop_container
        self._container: str | None = None
        self._is_started_here = False

    @property
    def container(self) -> str | None:
        """The container whose shell is open, or None at the host's own."""
        return self._container

    def place(self, command: Command) -> str | None:
        """The container that a command runs in, or None for the host (and its engine)."""
        if isinstance(command, (*_HOST_COMMANDS, DockerCommand)):
            return None
        return self._container

    def settle(self, command: Command, result: CommandResult) -> None:
        """Take note of a command that was carried out; call it for every one, failed ones too."""
        if not isinstance(command, DockerCommand):
            return
        self._container = None
        if result.exit_code != 0:
            return
        match command:
            case ContainerRun(request) if request.is_interactive and not request.is_detached:
                self._enter(self._engine.last_started, is_started_here=True)
            case ContainerStart((name,), is_attached, is_interactive) if is_attached or is_interactive:
                self._enter(name, is_started_here=True)
            case ContainerAttach(name):
                self._enter(name, is_started_here=True)
            case ContainerExec(name, argv, None, True) if is_shell(argv):
                self._enter(name, is_started_here=False)

    def _enter(self, name: str | None, *, is_started_here: bool) -> None:
        """Be in a container's shell, if it has one that waits: a program that ran to its end has none."""
        if name is None:
            return
        try:
            container = self._engine.find_container(name)
        except DriverRefusal:
            return
        if container.is_running and (not is_started_here or is_idle(container.request)):
            self._container, self._is_started_here = container.name, is_started_here

    def leave(self) -> CommandResult:
        """Carry out ``exit``: the shell ends, and with it the container that it was started as.

        At the host's own shell there is nothing to leave: exit code 1.
        """
        if self._container is None:
            return CommandResult(1, stderr=f"exit: no container's shell is open on {self._engine.host}\n")
        container, self._container = self._container, None
        if self._is_started_here:
            try:
                self._stop(container)
            except DriverRefusal as refusal:
                return CommandResult(1, stderr=f"{refusal.what}\n")
        return CommandResult(0)
