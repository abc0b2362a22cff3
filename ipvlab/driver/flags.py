"""Options of a Docker command line, read as its client's library (spf13/pflag) reads them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from ipvlab.driver.flag_values import Check, Kind, check_kind, read_csv
from ipvlab.driver.options import parse_bool
from ipvlab.errors import CommandUnknown


@dataclasses.dataclass(frozen=True, slots=True)
class ClientRefusal:
    """What Docker's client refuses by itself: the engine never hears of it."""

    text: str
    exit_code: int
    #: What it prints all the same on standard output, as for a deprecated option.
    stdout: str = ""


class ClientFault(Exception):
    """Docker's client refuses the line; carries the value that the parser returns."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.refusal = ClientRefusal(text, exit_code)


class HelpWanted(Exception):
    """The line asks for ``--help``; carries the text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    """One option of a command: its spellings, its kind, and what its value must be like."""

    name: str
    short: str = ""
    kind: Kind = Kind.TEXT
    #: Where the value is kept: another option's name for a second spelling of it.
    keeps_as: str = ""
    #: The spelling that the client recommends instead, when it warns of this one.
    instead: str = ""
    check: Check | None = None

    @property
    def shown(self) -> str:
        """The option as the client quotes it: ``-l, --label``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Verb:
    """One Docker command: its path, its usage line without the path, and its options."""

    path: str
    usage: str
    flags: tuple[Flag, ...] = ()
    minimum: int = 1
    maximum: int | None = None
    #: Options may follow arguments; not so where a container's command follows.
    is_interspersed: bool = True
    #: The other paths of the command (``docker ps`` is ``docker container ls``).
    aliases: tuple[str, ...] = ()
    #: Options of later clients, which this one does not know.
    absent: frozenset[str] = frozenset()
    #: Whether the client is one before 28, which points to its help in fewer words.
    is_brief: bool = False

    def fault(self, text: str) -> ClientFault:
        """A fault in the options: exit code 125."""
        if self.is_brief:
            return ClientFault(f"{text}\nSee '{self.path} --help'.", 125)
        return ClientFault(f"{text}\n\n{self.usage_lines()}\n\n{self._help_line('Run')}", 125)

    def late_fault(self, text: str) -> ClientFault:
        """A fault that ``run`` and ``create`` find after reading the options: exit code 125, no usage."""
        if self.is_brief:
            word = self.path.rpartition(" ")[2]
            return ClientFault(f"docker: {text.removesuffix('.')}.\nSee 'docker {word} --help'.", 125)
        return ClientFault(f"docker: {text}\n\n{self._help_line('Run')}", 125)

    def check_count(self, arguments: Sequence[str]) -> None:
        """Raise for too few or too many arguments: exit code 1."""
        count = len(arguments)
        if count >= self.minimum and (self.maximum is None or count <= self.maximum):
            return
        is_least = self.maximum != self.minimum
        plural = "" if self.minimum == 1 else "s"
        wanted = f"requires {'at least ' if is_least else ''}{self.minimum} argument{plural}"
        if self.maximum == 0:
            wanted = "accepts no arguments"
        # The client's two checks of counts send the reader to the help in different words.
        tail = self._help_line("See" if is_least and self.maximum != 0 else "Run")
        raise ClientFault(f"docker: '{self.path}' {wanted}\n\n{self.usage_lines()}\n\n{tail}", 1)

    def usage_lines(self) -> str:
        """``Usage:  docker …``."""
        return f"Usage:  {self.path} {self.usage}"

    def help_text(self) -> str:
        """What ``--help`` prints: usage, other spellings, and the options by name."""
        parts = [self.usage_lines()]
        if self.aliases:
            parts.append("Aliases:\n  " + ", ".join(self.aliases))
        options = sorted(
            (flag for flag in self.flags if not flag.keeps_as and not flag.instead), key=lambda f: f.name
        )
        if options:
            parts.append("Options:\n" + "\n".join(f"  {_help_row(flag)}" for flag in options))
        return "\n\n".join(parts) + "\n"

    def _help_line(self, word: str) -> str:
        return f"{word} '{self.path} --help' for more information"


class Options:
    """The options of one command line by name, and the arguments beside them.

    A line outside the verb's options is a :class:`ClientFault` with the
    client's text; ``is_closed`` (scenario files) makes an unknown option a
    :class:`CommandUnknown` with the nearest known one, so that it is found at load.
    """

    def __init__(self, verb: Verb, words: Sequence[str], *, is_closed: bool = True) -> None:
        self.verb = verb
        self.arguments: list[str] = []
        #: What the client says on standard output before it does anything.
        self.notices = ""
        self._is_closed = is_closed
        self._values: dict[str, list[str]] = {}
        self._long = {flag.name: flag for flag in verb.flags}
        self._short = {flag.short: flag for flag in verb.flags if flag.short}
        try:
            self._read(list(words))
            verb.check_count(self.arguments)
        except ClientFault as fault:
            fault.refusal = dataclasses.replace(fault.refusal, stdout=self.notices)
            raise

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of an option, in the order written; those of a slice taken apart."""
        return tuple(self._values.get(name, ()))

    def last(self, name: str) -> str | None:
        """The last value of an option, which wins, or None."""
        values = self.all(name)
        return values[-1] if values else None

    def number(self, name: str) -> int | None:
        """The last value of a number, or None where it is absent."""
        text = self.last(name)
        return None if text is None else int(text, 0)

    def switch(self, name: str) -> bool | None:
        """The last value of a switch, or None where it is absent."""
        text = self.last(name)
        return None if text is None else parse_bool(text)

    def pairs(self, name: str) -> dict[str, str]:
        """``k=v`` values; a key alone has an empty value, and a later one wins."""
        pairs = (text.partition("=") for text in self.all(name))
        return {key: value for key, _, value in pairs}

    def filters(self) -> dict[str, tuple[str, ...]]:
        """``--filter`` as the engine takes it: for each name its values."""
        found: dict[str, dict[str, None]] = {}
        for text in self.all("filter"):
            name, _, value = text.partition("=")
            # Empty filters mean nothing (opts/filter.go).
            if name:
                found.setdefault(name.strip().lower(), {})[value.strip()] = None
        return {name: tuple(values) for name, values in found.items()}

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
        if not name or name.startswith("-"):
            raise self.verb.fault(f"bad flag syntax: {word}")
        flag = self._long.get(name)
        if flag is None:
            if name == "help":
                raise HelpWanted(self.verb.help_text())
            if name in self.verb.absent:
                raise self.verb.fault(f"unknown flag: --{name}")
            self._refuse_unknown(f"--{name}", f"unknown flag: --{name}")
        if equals:
            self._set(flag, value)
        elif flag.kind is Kind.SWITCH:
            self._set(flag, "true")
        elif words:
            self._set(flag, words.pop(0))
        else:
            raise self.verb.fault(f"flag needs an argument: --{name}")

    def _read_short(self, word: str, words: list[str]) -> None:
        cluster = word[1:]
        while cluster:
            rest, letter, cluster = cluster, cluster[0], cluster[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h":
                    raise HelpWanted(
                        f"Flag shorthand -h has been deprecated, use --help\n{self.verb.help_text()}"
                    )
                self._refuse_unknown(f"-{letter}", f"unknown shorthand flag: '{letter}' in -{rest}")
            if len(cluster) > 1 and cluster[0] == "=":
                self._set(flag, cluster[1:])
                return
            if flag.kind is Kind.SWITCH:
                self._set(flag, "true")
                continue
            if cluster:
                self._set(flag, cluster)
            elif words:
                self._set(flag, words.pop(0))
            else:
                raise self.verb.fault(f"flag needs an argument: '{letter}' in -{rest}")
            return

    def _set(self, flag: Flag, value: str) -> None:
        why = check_kind(flag.kind, value) or (flag.check(value) if flag.check is not None else None)
        if why is not None:
            raise self.verb.fault(f'invalid argument "{_quote(value)}" for "{flag.shown}" flag: {why}')
        if flag.instead:
            self.notices += f"Flag --{flag.name} has been deprecated, use --{flag.instead} instead\n"
        values = read_csv(value) if flag.kind is Kind.SLICE else [value]
        self._values.setdefault(flag.keeps_as or flag.name, []).extend(values)

    def _refuse_unknown(self, option: str, text: str) -> NoReturn:
        if not self._is_closed:
            raise self.verb.fault(text)
        near = difflib.get_close_matches(option.lstrip("-"), self._long, 1) if option[1:2] == "-" else []
        hint = f"did you mean --{near[0]}?" if near else f"known are: {_known(self._long.values())}"
        raise CommandUnknown(f"`{self.verb.path}` has no option {option} here", hint=hint)


def declare(
    text: str,
    *,
    short: Mapping[str, str] | None = None,
    spelled: Mapping[str, str] | None = None,
    deprecated: Mapping[str, str] | None = None,
    checks: Mapping[str, Check] | None = None,
) -> tuple[Flag, ...]:
    """The options of a verb from a list of names, each with a letter for its kind (``driver=``, ``rm!``).

    ``!`` is a switch, ``=`` a text, ``+`` a text that may come again, ``*`` a slice
    (comma-separated, may come again), ``#`` a number; others are in :class:`Kind`.
    ``short`` has the letters, ``spelled`` second spellings (silent), ``deprecated``
    those that the client warns of, ``checks`` what a value must be like.
    """
    short, checks = short or {}, checks or {}
    flags = {
        word[:-1]: Flag(word[:-1], short.get(word[:-1], ""), Kind(word[-1]), check=checks.get(word[:-1]))
        for word in text.split()
    }
    second = [
        dataclasses.replace(flags[of], name=name, short="", keeps_as=of)
        for name, of in (spelled or {}).items()
    ]
    old = [
        dataclasses.replace(flags[of], name=name, short="", keeps_as=of, instead=of)
        for name, of in (deprecated or {}).items()
    ]
    return (*flags.values(), *second, *old)


def _known(flags: Iterable[Flag]) -> str:
    names = {f"--{flag.name}" for flag in flags} | {f"-{flag.short}" for flag in flags if flag.short}
    return " ".join(sorted(names))


def _help_row(flag: Flag) -> str:
    letter = f"-{flag.short}, " if flag.short else "    "
    return f"{letter}--{flag.name}{flag.kind.placeholder}"


def _quote(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
