"""The text of a scenario file as a tree of values that know where they stand.

YAML is read from ruamel's events, by the core schema of YAML 1.2: ``yes`` and
``12:30:00`` are texts, and every mapping key is a text. No tag other than
``!!str`` means anything in a scenario, so none other is accepted.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterator

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from ipvlab.errors import NameTaken, Position, SpecError, SyntaxInvalid

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

#: Levels of nesting; the vocabulary needs nine.
MAX_DEPTH = 40
#: Values in a file after aliases are followed, so that aliases of aliases stay harmless.
MAX_VALUES = 200_000

_NULL = re.compile(r"(~|null|Null|NULL|)\Z")
_TRUE = re.compile(r"(true|True|TRUE)\Z")
_FALSE = re.compile(r"(false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}\Z")
_OCTAL = re.compile(r"0o[0-7]{1,300}\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,300}\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
# Control characters but tab and line breaks, and halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")


@dataclasses.dataclass(frozen=True, slots=True)
class ScalarNode:
    """One scalar; ``is_literal`` says that line n of the value stands on line n of its block."""

    at: Position
    plain: Plain
    is_literal: bool = False
    weight: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class ListNode:
    """A list and its items."""

    at: Position
    items: tuple[SourceNode, ...]
    weight: int

    @property
    def plain(self) -> Plain:
        """The list as plain values."""
        return [item.plain for item in self.items]


@dataclasses.dataclass(frozen=True, slots=True)
class MappingNode:
    """A mapping: key to the place of the key and the node of its value."""

    at: Position
    entries: dict[str, tuple[Position, SourceNode]]
    weight: int

    @property
    def plain(self) -> Plain:
        """The mapping as plain values."""
        return {key: node.plain for key, (_, node) in self.entries.items()}


SourceNode = ScalarNode | ListNode | MappingNode


def read_source(text: str, path: str) -> tuple[MappingNode, list[SpecError]]:
    """Read the text of a scenario file; return its tree, and the keys that are written twice.

    Raises :class:`SyntaxInvalid` for what is no YAML 1.2 mapping in one document.
    """
    builder = _Builder(text, path)
    tree = builder.build()
    if isinstance(tree, MappingNode):
        return tree, builder.repeated
    if isinstance(tree, ScalarNode) and tree.plain is None:
        what = "the file is empty"
    else:
        what = f"the top of the file is a {'list' if isinstance(tree, ListNode) else 'single value'}"
    raise SyntaxInvalid(
        f"{what}; a scenario is a mapping of keys",
        where=tree.at,
        hint="Begin with `name: my-lab`, then `wires:`, `hosts:` and `expect:`.",
    )


def locate_character(text: str, index: int, path: str) -> Position:
    """Return the position of the character at an index of the text."""
    before = re.split(r"\r\n|\r|\n", text[:index])
    return Position(path, len(before), len(before[-1]) + 1)


class _Builder:
    """One pass over the events of one file."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._anchors: dict[str, SourceNode] = {}
        self._last = Position(path, 1, 1)
        self.repeated: list[SpecError] = []

    def build(self) -> SourceNode:
        events = self._events()
        tree: SourceNode | None = None
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if tree is not None:
                    raise SyntaxInvalid(
                        "a second document begins; a file holds one scenario",
                        where=self._last,
                        hint="Put the second scenario into a file of its own.",
                    )
                if event.version not in (None, (1, 2)):
                    major, minor = event.version
                    raise SyntaxInvalid(
                        f"the file says that it is YAML {major}.{minor}; scenarios are YAML 1.2",
                        where=Position(self._path, 1, 1),
                        hint="Remove the %YAML line.",
                    )
            elif isinstance(event, NodeEvent):
                tree = self._node(event, events, (), 0)
        return tree or ScalarNode(Position(self._path, 1, 1), None)

    def _events(self) -> Iterator[Event]:
        """Yield ruamel's events, and turn whatever its scanner says or does into SyntaxInvalid."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for event in YAML(typ="safe", pure=True).parse(self._text):
                    mark = event.start_mark
                    self._last = Position(self._path, mark.line + 1, mark.column + 1)
                    yield event
        except SpecError:
            raise
        except MarkedYAMLError as refusal:
            mark = refusal.problem_mark or refusal.context_mark
            where = Position(self._path, mark.line + 1, mark.column + 1) if mark else self._last
            said = [part for part in (refusal.context, refusal.problem) if part]
            raise self._not_yaml(", ".join(said) or "it cannot be read", where) from None
        except YAMLError as refusal:
            index = getattr(refusal, "position", 0)
            where = locate_character(self._text, index if isinstance(index, int) else 0, self._path)
            raise self._not_yaml("it holds a character that YAML does not allow", where) from None
        except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError):
            # The scanner trips over some damaged escapes and directives with plain
            # Python errors, such as chr() of a code point that does not exist.
            raise self._not_yaml("it cannot be read beyond this place", self._last) from None

    def _not_yaml(self, why: str, where: Position) -> SyntaxInvalid:
        return SyntaxInvalid(
            f"this is not YAML 1.2: {why}",
            where=where,
            hint="Look for a missing colon, quote or bracket, or a tab in the indentation, near it.",
        )

    def _node(
        self, event: Event, events: Iterator[Event], keys: tuple[str | int, ...], depth: int
    ) -> SourceNode:
        at = self._last
        if depth > MAX_DEPTH:
            raise SyntaxInvalid(f"values are nested more than {MAX_DEPTH} levels deep", where=at)
        if isinstance(event, AliasEvent):
            return self._alias(event, at)
        if isinstance(event, ScalarEvent):
            node: SourceNode = self._scalar(event, at)
        elif isinstance(event, SequenceStartEvent):
            self._refuse_tag(event.tag, at)
            items: list[SourceNode] = []
            while not isinstance(inner := next(events), SequenceEndEvent):
                items.append(self._node(inner, events, (*keys, len(items)), depth + 1))
            node = ListNode(at, tuple(items), self._weigh(items, at))
        elif isinstance(event, MappingStartEvent):
            self._refuse_tag(event.tag, at)
            node = self._mapping(at, events, keys, depth)
        else:
            raise self._not_yaml(f"{type(event).__name__} is out of place", at)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _mapping(
        self, at: Position, events: Iterator[Event], keys: tuple[str | int, ...], depth: int
    ) -> MappingNode:
        entries: dict[str, tuple[Position, SourceNode]] = {}
        nodes: list[SourceNode] = []
        while not isinstance(event := next(events), MappingEndEvent):
            key_at = self._last
            if isinstance(event, AliasEvent):
                raise SyntaxInvalid("an alias cannot be a key", where=key_at)
            if not isinstance(event, ScalarEvent):
                raise SyntaxInvalid("a key must be a name, not a list or a mapping", where=key_at)
            self._refuse_tag(event.tag, key_at)
            self._refuse_control(event.value, key_at)
            key = event.value
            inner = next(events)
            node = self._node(inner, events, (*keys, key), depth + 1)
            if isinstance(inner, ScalarEvent) and inner.value == "" and inner.style is None:
                # A value that is not there has the place of what follows; its key is nearer.
                node = dataclasses.replace(node, at=key_at)
            nodes.append(node)
            if key in entries:
                self.repeated.append(_repeated_key(key, keys, key_at, entries[key][0]))
            else:
                entries[key] = (key_at, node)
        return MappingNode(at, entries, self._weigh(nodes, at))

    def _alias(self, event: AliasEvent, at: Position) -> SourceNode:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise SyntaxInvalid(
                f"the alias *{event.anchor} has no anchor &{event.anchor} that ends before it", where=at
            )
        return dataclasses.replace(node, at=at)

    def _scalar(self, event: ScalarEvent, at: Position) -> ScalarNode:
        self._refuse_tag(event.tag, at)
        self._refuse_control(event.value, at)
        if event.tag is not None or event.style is not None:
            return ScalarNode(at, event.value, is_literal=event.style == "|")
        return ScalarNode(at, resolve_plain(event.value))

    def _refuse_tag(self, tag: object, at: Position) -> None:
        if tag is not None and str(tag) not in _STRING_TAGS:
            raise SyntaxInvalid(
                f"the tag {tag} means nothing in a scenario file", where=at, hint="Remove it."
            )

    def _refuse_control(self, text: str, at: Position) -> None:
        """Escapes can write what no terminal, report or interface name should be sent."""
        found = _CONTROL.search(text)
        if found is not None:
            raise SyntaxInvalid(
                f"a text holds the control character U+{ord(found[0]):04X}", where=at, hint="Remove it."
            )

    def _weigh(self, nodes: list[SourceNode], at: Position) -> int:
        weight = 1 + sum(node.weight for node in nodes)
        if weight > MAX_VALUES:
            raise SyntaxInvalid(f"the file stands for more than {MAX_VALUES} values", where=at)
        return weight


def resolve_plain(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar by the core schema of YAML 1.2 (chapter 10.3)."""
    if _NULL.match(text):
        return None
    if _TRUE.match(text):
        return True
    if _FALSE.match(text):
        return False
    if _INTEGER.match(text):
        return int(text)
    if _OCTAL.match(text):
        return int(text, 0)
    if _HEXADECIMAL.match(text):
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


#: Where a mapping's keys are the names of things: enclosing keys (``*`` is any) to the thing.
_NAMED_THINGS: dict[tuple[str | int, ...], str] = {
    ("wires",): "wire",
    ("hosts",): "host",
    ("routers",): "router",
    ("hosts", "*", "networks"): "network",
    ("hosts", "*", "containers"): "container",
    ("hosts", "*", "interfaces"): "interface",
    ("routers", "*", "interfaces"): "interface",
}


def _repeated_key(key: str, keys: tuple[str | int, ...], at: Position, first: Position) -> SpecError:
    pattern = tuple("*" if index == 1 else level for index, level in enumerate(keys))
    thing = _NAMED_THINGS.get(pattern)
    if thing is not None:
        return NameTaken(
            f"the {thing} {key!r} is declared twice; the first is in line {first.line}",
            where=at,
            hint=f"Give one of the two {thing}s another name.",
        )
    return SyntaxInvalid(
        f"the key {key!r} is written twice in one mapping; the first is in line {first.line}",
        where=at,
        hint="Remove one of the two.",
    )
