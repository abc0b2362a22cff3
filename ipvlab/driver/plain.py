"""Requests as plain values and back, for the records of a store.

A field that has its default is left out, so that records are short and an old
record may lack a field that came later.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import TypeVar

_T = TypeVar("_T")
_DEFAULTS: dict[type, tuple[tuple[str, object], ...]] = {}
_HINTS: dict[type, dict[str, object]] = {}


def to_plain(value: object) -> object:
    """A dataclass of plain fields as a mapping, tuples as lists; everything else as it is."""
    if isinstance(value, tuple):
        return [to_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    held = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
    return {name: to_plain(content) for name, content, default in held if content != default}


def from_plain(kind: type[_T], plain: object) -> _T:
    """A dataclass from its mapping; raises ValueError, KeyError or TypeError for what is none of its own."""
    if not isinstance(plain, Mapping):
        raise TypeError(f"a {kind.__name__} is a mapping")
    hints = _hints(kind)
    return kind(**{name: _restore(hints[name], content) for name, content in plain.items() if name in hints})


def _restore(hint: object, content: object) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if content is None:
            return None
        return _restore(next(each for each in arguments if each is not type(None)), content)
    if origin is tuple:
        if not isinstance(content, list):
            raise TypeError("a list is missing")
        kinds = arguments[:1] * len(content) if arguments[-1] is Ellipsis else arguments
        return tuple(_restore(each, item) for each, item in zip(kinds, content, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(content, Mapping):
            raise TypeError("a mapping is missing")
        return dict(content)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_plain(hint, content)
    if isinstance(hint, type) and not isinstance(content, hint):
        raise TypeError(f"{content!r} is no {hint.__name__}")
    return content


def _defaults(kind: type) -> tuple[tuple[str, object], ...]:
    if kind not in _DEFAULTS:
        found = []
        for field in dataclasses.fields(kind):
            default: object = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            found.append((field.name, default))
        _DEFAULTS[kind] = tuple(found)
    return _DEFAULTS[kind]


def _hints(kind: type) -> dict[str, object]:
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]
