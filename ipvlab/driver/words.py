"""A command line as words: comments off, quotes read, and the words taken one by one."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ipvlab.errors import CommandUnknown

GRAMMAR = (
    "what is known: docker network create|ls|inspect|rm|connect|disconnect|prune, docker run|create|exec|"
    "start|stop|restart|kill|rm|rename|wait|ps|inspect|logs|attach|version|info, ip link add|set|del, "
    "ip addr add|del|show, ip route add|del|show, ip neigh flush, ping, ping6, exit, restart docker"
)


def strip_comment(text: str) -> str:
    """A line without its comment: from a ``#`` that begins a word and is not quoted, as in a shell."""
    quote = ""
    is_escaped = False
    before = " "
    for at, char in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif quote:
            if char == quote:
                quote = ""
            elif char == "\\" and quote == '"':
                is_escaped = True
        elif char in "'\"":
            quote = char
        elif char == "\\":
            is_escaped = True
        elif char == "#" and before.isspace():
            return text[:at]
        before = char
    return text


def split_words(text: str) -> tuple[str, ...]:
    """The words of a command, quotes and backslashes read.

    Raises :class:`CommandUnknown` for an open quote.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise CommandUnknown(f"cannot read `{text.strip()}`: {str(error).lower()}") from None


class Words:
    """The words of one command, taken from left to right."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._at = 0

    @property
    def text(self) -> str:
        """The whole command as one would type it."""
        return shlex.join(self._words)

    @property
    def rest(self) -> tuple[str, ...]:
        """The words not yet taken."""
        return self._words[self._at :]

    def take(self, what: str) -> str:
        """Take the next word; raises :class:`CommandUnknown` saying that ``what`` is missing."""
        if self._at == len(self._words):
            raise self.refusal(f"{what} is missing at its end")
        self._at += 1
        return self._words[self._at - 1]

    def take_if(self, *choices: str) -> str | None:
        """Take the next word if it is one of ``choices``."""
        if self.rest and self.rest[0] in choices:
            return self.take("")
        return None

    def finish(self) -> None:
        """Refuse what is left over."""
        if self.rest:
            raise self.refusal(f"`{self.rest[0]}` is not known here")

    def refusal(self, why: str) -> CommandUnknown:
        """The error that says why this command is not known."""
        return CommandUnknown(f"`{self.text}` is outside the grammar of commands: {why}", hint=GRAMMAR)
