"""The errors of the scenario classes, in plain words and with the place in the file."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ipvlab.errors import KeyMissing, KeyUnknown, Position, SpecError, ValueInvalid
from ipvlab.spec.model import Scenario
from ipvlab.spec.scalars import PATTERN_WORDS, describe

#: Finds the position of a value, or with True that of its key.
Locate = Callable[[Sequence[str | int], bool], Position]

_VLAN_KEYS = frozenset({"vlan", "access", "trunk", "native"})
_WANTED = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "model_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of names",
    "tuple_type": "must be a list",
}


def find_nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that resembles the given one most, or None."""
    candidates = sorted(set(known))
    found = difflib.get_close_matches(name.lower(), [candidate.lower() for candidate in candidates], 1, 0.6)
    return (
        next((candidate for candidate in candidates if candidate.lower() == found[0]), None)
        if found
        else None
    )


def suggest(name: str, known: Iterable[str], things: str) -> str:
    """Return the next step for an unknown name: the nearest one, and what there is."""
    candidates = list(dict.fromkeys(known))
    nearest = find_nearest(name, candidates)
    listed = ", ".join(candidates[:30]) + (", …" if len(candidates) > 30 else "")
    there_is = f"{things}: {listed}." if candidates else f"{things}: none."
    return f"Did you mean {nearest!r}? {there_is}" if nearest else there_is


def translate(detail: ErrorDetails, locate: Locate) -> SpecError:
    """Turn one error of validation into ours: its code, its place, and what to do."""
    keys: tuple[str | int, ...] = detail["loc"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown_key(keys, locate(keys, True))
    if kind == "missing":
        return _missing_key(keys, locate(keys[:-1], False))
    if keys and keys[-1] == "[key]":
        where, name = locate(keys[:-1], True), f"the name {str(keys[-2])!r}"
    else:
        where, name = locate(keys, False), name_of(keys)
    complaint, hint = _complain(detail, keys)
    return ValueInvalid(f"{name} {complaint}", where=where, hint=hint)


def name_of(keys: Sequence[str | int]) -> str:
    """Name a value by its last key, with the index for an item of a list."""
    if not keys:
        return "the scenario"
    if isinstance(keys[-1], int):
        outer = f"{keys[-2]}" if len(keys) > 1 else "item "
        return f"`{outer}[{keys[-1]}]`"
    return f"`{keys[-1]}`"


def _unknown_key(keys: Sequence[str | int], where: Position) -> KeyUnknown:
    key = str(keys[-1])
    found = find_class(Scenario, keys[:-1])
    valid = written_keys(found) if found else []
    if key == "<<":
        hint = "Merge keys are not part of YAML 1.2; anchors and aliases of whole values are."
    else:
        hint = suggest(key, valid, "Valid keys here")
    return KeyUnknown(f"unknown key {key!r} in {_place_of(keys[:-1])}", where=where, hint=hint)


def _missing_key(keys: Sequence[str | int], where: Position) -> KeyMissing:
    return KeyMissing(
        f"{_place_of(keys[:-1])} lacks the key {str(keys[-1])!r}",
        where=where,
        hint=f"Add `{keys[-1]}:` there.",
    )


def _place_of(keys: Sequence[str | int]) -> str:
    return name_of(keys) if keys else "the scenario"


def _complain(detail: ErrorDetails, keys: Sequence[str | int]) -> tuple[str, str]:
    """Return what is wrong, as the rest of a sentence, and the next step."""
    kind, written = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    got = describe(written)
    if kind == "value_error":
        return str(context["error"]), ""
    if kind in _WANTED:
        is_scalar = kind == "string_type" and isinstance(written, bool | int | float)
        return f"{_WANTED[kind]}, not {got}", "Put it in quotes." if is_scalar else ""
    if kind in ("literal_error", "enum"):
        valid = re.findall(r"'([^']*)'", str(context["expected"]))
        wanted = valid[0] if len(valid) == 1 else f"one of {', '.join(valid)}"
        nearest = find_nearest(str(written), valid) if len(valid) > 1 else None
        return f"must be {wanted}, not {got}", f"Did you mean {nearest!r}?" if nearest else ""
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"at least {context['ge']}" if kind == "greater_than_equal" else f"at most {context['le']}"
        is_vlan = not _VLAN_KEYS.isdisjoint(str(key) for key in keys[-2:])
        hint = "A VLAN id is 1 to 4094; 802.1Q reserves 0 and 4095." if is_vlan else ""
        return f"must be {bound}, not {written}", hint
    if kind == "string_pattern_mismatch":
        words = PATTERN_WORDS.get(str(context["pattern"]), "has the wrong form")
        return (words if keys[-1] == "[key]" else f"{words}, not {got}"), ""
    if kind == "string_too_long":
        length = len(str(written))
        return f"must be at most {context['max_length']} characters long, and {written!r} has {length}", ""
    if kind in ("string_too_short", "too_short"):
        return "must not be empty", ""
    return f"cannot be {got}", ""


def written_keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of a class as the file writes them, in the order of the class."""
    return [field.alias or name for name, field in model.model_fields.items()]


def find_class(model: type[BaseModel], keys: Sequence[str | int]) -> type[BaseModel] | None:
    """Return the class of the mapping that stands at these keys, or None where there is none."""
    current: object = model
    for key in keys:
        current = _inside(current, key)
    found = _strip(current)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _inside(annotation: object, key: str | int) -> object:
    """The annotation of what stands under one key of a mapping or one index of a list."""
    outer = _strip(annotation)
    if isinstance(outer, type) and issubclass(outer, BaseModel):
        for name, field in outer.model_fields.items():
            if key in (field.alias, name):
                return field.annotation
        return None
    arguments = typing.get_args(outer)
    if typing.get_origin(outer) is dict:
        return arguments[1]
    return arguments[0] if typing.get_origin(outer) is tuple else None


def _strip(annotation: object) -> object:
    """An annotation without ``Annotated`` and ``| None``."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _strip(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        return _strip(members[0]) if len(members) == 1 else annotation
    return annotation
