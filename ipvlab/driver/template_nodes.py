"""The parts of a Go template, as its parser leaves them."""

from __future__ import annotations

import dataclasses

#: A constant of a template: text, number, truth value, or nothing.
Constant = str | int | float | bool | None


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """Text outside of actions."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Literal:
    """A constant; ``text`` is how it is written."""

    at: int
    text: str
    value: Constant


@dataclasses.dataclass(frozen=True, slots=True)
class Name:
    """A function's name."""

    at: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """Fields of a value: of dot (no base), of a variable, or of a parenthesised pipeline."""

    at: int
    base: Variable | Pipeline | None
    fields: tuple[str, ...]

    @property
    def text(self) -> str:
        """The node as it is written."""
        before = ""
        if self.base is not None:
            before = f"({self.base.text})" if isinstance(self.base, Pipeline) else self.base.text
        return before + "".join(f".{field}" for field in self.fields)


@dataclasses.dataclass(frozen=True, slots=True)
class Dot:
    """The cursor."""

    at: int
    text: str = "."


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """``$x``; ``$`` is what the template began with."""

    at: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """A function or a value, and its arguments."""

    at: int
    words: tuple[Operand, ...]

    @property
    def text(self) -> str:
        """The command as it is written."""
        return " ".join(f"({word.text})" if isinstance(word, Pipeline) else word.text for word in self.words)


@dataclasses.dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands that hand their results on, and the variables that take the last one."""

    at: int
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    #: The variables exist already (``=``, not ``:=``).
    assigns: bool = False

    @property
    def text(self) -> str:
        """The pipeline as it is written."""
        names = ", ".join(self.variables)
        sign = f"{names} {'=' if self.assigns else ':='} " if names else ""
        return sign + " | ".join(command.text for command in self.commands)


Operand = Literal | Name | Access | Dot | Variable | Pipeline


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is printed, unless it goes into a variable."""

    pipeline: Pipeline


@dataclasses.dataclass(frozen=True, slots=True)
class Branch:
    """``if``, ``with`` or ``range``."""

    word: str
    pipeline: Pipeline
    body: tuple[Node, ...]
    other: tuple[Node, ...] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Jump:
    """``break`` or ``continue``."""

    word: str


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """``template "name" pipeline``."""

    at: int
    name: str
    pipeline: Pipeline | None


Node = Text | Action | Branch | Jump | Call
