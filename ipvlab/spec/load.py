"""From a path or a text to a scenario whose every value knows its place in the file."""

from __future__ import annotations

import codecs
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from ipvlab.errors import PathUnreadable, Position, SpecError, SyntaxInvalid
from ipvlab.spec.model import Scenario
from ipvlab.spec.source import ListNode, MappingNode, ScalarNode, SourceNode, locate_character, read_source
from ipvlab.spec.words import translate

#: Bytes of a scenario file; the longest of the project's own has a hundredth of it.
MAX_BYTES = 1 << 20

Key = str | int


@dataclasses.dataclass(frozen=True)
class LoadedScenario:
    """A scenario, the file it comes from, and the position of everything written there."""

    scenario: Scenario
    path: str
    _tree: MappingNode = dataclasses.field(repr=False)
    _lines: tuple[str, ...] = dataclasses.field(repr=False)

    def position(self, *keys: Key) -> Position:
        """Return where the value at these keys is written, or else the nearest value around it."""
        return locate(self._tree, keys, wants_key=False)

    def key_position(self, *keys: Key) -> Position:
        """Return where the last of these keys is written, or else the nearest value around it."""
        return locate(self._tree, keys, wants_key=True)

    def command_position(self, *keys: Key, line: int) -> Position:
        """Return where the nth line (from 1) of a block or list of commands is written.

        Lines count as in :class:`~ipvlab.spec.model.Step` and ``commands``: the
        lines of a list's items are counted through. The column is that of the
        first character that is not blank.
        """
        node, depth = _descend(self._tree, keys)
        if depth < len(keys):
            return node.at
        for item in node.items if isinstance(node, ListNode) else (node,):
            count = len(_split(item.plain.rstrip("\r\n"))) if isinstance(item.plain, str) else 1
            if line <= count or item is node:
                return self._line_of(item, line)
            line -= count
        return node.at

    def _line_of(self, node: SourceNode, line: int) -> Position:
        number = node.at.line + line
        if not isinstance(node, ScalarNode) or not node.is_literal or line < 1 or number > len(self._lines):
            return node.at
        text = self._lines[number - 1]
        return Position(self.path, number, len(text) - len(text.lstrip()) + 1 if text.strip() else 1)


def load_scenario(path: Path) -> LoadedScenario:
    """Read a scenario file.

    Raises :class:`PathUnreadable` for a file that cannot be read, and what
    :func:`load_scenario_text` raises.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as refusal:
        why = refusal.strerror if isinstance(refusal, OSError) and refusal.strerror else str(refusal)
        raise PathUnreadable(
            f"the scenario file {path} cannot be read: {why}", hint="Check the path and its permissions."
        ) from None
    if len(content) > MAX_BYTES:
        raise SyntaxInvalid(
            f"the file is longer than {MAX_BYTES} bytes, so it is no scenario",
            where=Position(str(path), 1, 1),
        )
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as refusal:
        before = content[: refusal.start].decode()
        raise SyntaxInvalid(
            f"the file is not text in UTF-8: byte {refusal.start} is 0x{content[refusal.start]:02x}",
            where=locate_character(before, len(before), str(path)),
            hint="Save the file as UTF-8, or check that it is a scenario file at all.",
        ) from None
    return load_scenario_text(text, str(path))


def load_scenario_text(text: str, path: str) -> LoadedScenario:
    """Read the text of a scenario; ``path`` is what error positions show.

    Raises :class:`SyntaxInvalid`, :class:`KeyUnknown`, :class:`KeyMissing`,
    :class:`ValueInvalid` or :class:`NameTaken`; the first by position, with all
    others attached.
    """
    tree, errors = read_source(text, path)
    try:
        scenario = Scenario.model_validate(tree.plain, by_alias=True, by_name=False)
    except ValidationError as refusal:
        for detail in refusal.errors(include_url=False):
            errors.append(translate(detail, lambda keys, wants_key: locate(tree, keys, wants_key=wants_key)))
        raise_first(errors)
        raise
    raise_first(errors)
    return LoadedScenario(scenario, path, tree, tuple(_split(text)))


def raise_first(errors: Sequence[SpecError]) -> None:
    """Raise the first of some errors by position with the others attached; do nothing without any."""
    if errors:
        ordered = sorted(
            errors, key=lambda error: (error.where.line, error.where.column) if error.where else (0, 0)
        )
        ordered[0].others = tuple(ordered[1:])
        raise ordered[0]


def locate(tree: MappingNode, keys: Sequence[Key], *, wants_key: bool) -> Position:
    """Return the position of a key or of its value, or else that of the nearest value around it."""
    if wants_key and keys:
        around, depth = _descend(tree, keys[:-1])
        entry = _entry(around, keys[-1]) if depth == len(keys) - 1 else None
        if entry is not None:
            return entry[0]
    node, _ = _descend(tree, keys)
    return node.at


def _descend(tree: SourceNode, keys: Sequence[Key]) -> tuple[SourceNode, int]:
    """Follow keys as far as they lead; return the node reached and how many keys were followed."""
    node = tree
    for depth, key in enumerate(keys):
        inner = _child(node, key)
        if inner is None:
            return node, depth
        node = inner
    return node, len(keys)


#: Python's names for keys that are its keywords, and how a file writes them.
_KEYWORDS = {"from_": "from", "in_": "in"}


def _entry(node: SourceNode, key: Key) -> tuple[Position, SourceNode] | None:
    if isinstance(node, MappingNode) and isinstance(key, str):
        return node.entries.get(key) or node.entries.get(_KEYWORDS.get(key, key))
    return None


def _child(node: SourceNode, key: Key) -> SourceNode | None:
    entry = _entry(node, key)
    if entry is not None:
        return entry[1]
    if isinstance(node, ListNode):
        if isinstance(key, int):
            return node.items[key] if 0 <= key < len(node.items) else None
        # Compose's short form: a list of names stands for a mapping with empty values.
        return next((item for item in node.items if item.plain == key), None)
    return None


def _split(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)
