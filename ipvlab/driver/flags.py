"""Options of a Docker command line, read as its client's library (spf13/pflag) reads them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ipvlab.driver.options import parse_bool
from ipvlab.errors import CommandUnknown


@dataclasses.dataclass(frozen=True, slots=True)
class ClientRefusal:
    """What Docker's client refuses by itself: the engine never hears of it."""

    text: str
    exit_code: int


class ClientFault(Exception):
    """Docker's client refuses the line; carries the value that the parser returns."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.refusal = ClientRefusal(text, exit_code)


@dataclasses.dataclass(frozen=True, slots=True)
class Verb:
    """One Docker command: its path, its usage line and the options that a lab knows."""

    path: str
    usage: str
    #: Options with a value, by every spelling without dashes, to the canonical one.
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Options that are true when named.
    switches: Mapping[str, str] = dataclasses.field(default_factory=dict)
    minimum: int = 1
    maximum: int | None = None
    #: Options may follow arguments; not so where a container's command follows.
    is_interspersed: bool = True

    def fault(self, text: str) -> ClientFault:
        """A fault in the options: exit code 125."""
        return ClientFault(f"{text}\n\n{self._usage()}", 125)

    def check_count(self, arguments: Sequence[str]) -> None:
        """Raise for too few or too many arguments: exit code 1."""
        count = len(arguments)
        if count >= self.minimum and (self.maximum is None or count <= self.maximum):
            return
        least = "" if self.maximum == self.minimum else "at least "
        plural = "" if self.minimum == 1 else "s"
        wanted = (
            "accepts no arguments"
            if self.maximum == 0
            else f"requires {least}{self.minimum} argument{plural}"
        )
        raise ClientFault(f"docker: '{self.path}' {wanted}\n\n{self._usage()}", 1)

    def _usage(self) -> str:
        return f"Usage:  {self.usage}\n\nRun '{self.path} --help' for more information"


class Options:
    """The options of one command line by canonical name, and the arguments beside them."""

    def __init__(self, verb: Verb, words: Sequence[str]) -> None:
        self.verb = verb
        self.arguments: list[str] = []
        self._values: dict[str, list[str]] = {}
        self._read(list(words))
        verb.check_count(self.arguments)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of an option, in the order written."""
        return tuple(self._values.get(name, ()))

    def split(self, name: str) -> tuple[str, ...]:
        """Every value, comma-separated ones taken apart (pflag's StringSlice)."""
        return tuple(part for text in self.all(name) for part in text.split(","))

    def last(self, name: str) -> str | None:
        """The last value of an option, which wins, or None."""
        values = self.all(name)
        return values[-1] if values else None

    def switch(self, name: str) -> bool | None:
        """The last value of a switch, or None where it is absent."""
        text = self.last(name)
        return None if text is None else parse_bool(text)

    def pairs(self, name: str) -> dict[str, str]:
        """``k=v`` values; a key alone has an empty value, and a later one wins."""
        pairs = (text.partition("=") for text in self.all(name))
        return {key: value for key, _, value in pairs}

    def _read(self, words: list[str]) -> None:
        while words:
            word = words.pop(0)
            if word == "--":
                self.arguments += words
                return
            if word.startswith("--"):
                self._read_long(word, words)
            elif word.startswith("-") and word != "-":
                self._read_short(word, words)
            else:
                self.arguments.append(word)
                if not self.verb.is_interspersed:
                    self.arguments += words
                    return

    def _read_long(self, word: str, words: list[str]) -> None:
        name, equals, value = word[2:].partition("=")
        if name in self.verb.switches:
            self._set_switch(self.verb.switches[name], name, value if equals else "true")
        elif name in self.verb.values:
            if not equals and not words:
                raise self.verb.fault(f"flag needs an argument: --{name}")
            self._add(self.verb.values[name], value if equals else words.pop(0))
        else:
            self._refuse_unknown(f"--{name}", "--", (*self.verb.switches, *self.verb.values))

    def _read_short(self, word: str, words: list[str]) -> None:
        cluster = word[1:]
        while cluster:
            letter, cluster = cluster[0], cluster[1:]
            if letter in self.verb.switches:
                value = "true"
                if cluster.startswith("="):
                    value, cluster = cluster[1:], ""
                self._set_switch(self.verb.switches[letter], letter, value)
            elif letter in self.verb.values:
                if not cluster and not words:
                    raise self.verb.fault(f"flag needs an argument: '{letter}' in {word}")
                self._add(self.verb.values[letter], cluster.removeprefix("=") or words.pop(0))
                return
            else:
                self._refuse_unknown(f"-{letter}", "-", ())

    def _set_switch(self, canonical: str, name: str, value: str) -> None:
        if parse_bool(value) is None:
            raise self.verb.fault(
                f'invalid argument "{value}" for "--{name}" flag: '
                f'strconv.ParseBool: parsing "{value}": invalid syntax'
            )
        self._add(canonical, value)

    def _add(self, canonical: str, value: str) -> None:
        self._values.setdefault(canonical, []).append(value)

    def _refuse_unknown(self, option: str, dashes: str, known: Sequence[str]) -> NoReturn:
        near = difflib.get_close_matches(option.removeprefix(dashes), known, 1)
        hint = f"did you mean {dashes}{near[0]}?" if near else f"known are: {self._known()}"
        raise CommandUnknown(f"`{self.verb.path}` has no option {option} here", hint=hint)

    def _known(self) -> str:
        names = {*self.verb.switches, *self.verb.values}
        return " ".join(sorted(f"-{name}" if len(name) == 1 else f"--{name}" for name in names))


def spell(*names: str) -> dict[str, str]:
    """Spellings to their canonical name; each argument is ``canonical|other|o``."""
    return {spelling: name.split("|")[0] for name in names for spelling in name.split("|")}
