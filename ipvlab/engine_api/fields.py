"""The members of a JSON object, read with the types that the engine gives them.

As with Go's ``encoding/json``: names match in any case, null and absent are the
same, and a value of another type is an error that names its field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ipvlab.errors import DriverRefusal

_KINDS = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


class Fields:
    """One object; every reader raises :class:`DriverRefusal` (400) for a value of the wrong type."""

    def __init__(self, members: Mapping[str, object], place: str) -> None:
        """``place`` is what the object is called in errors."""
        self._members = members
        self._names = {name.lower(): name for name in members}
        self._place = place

    def text(self, name: str) -> str:
        """A string, empty where there is none."""
        value = self._get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._mismatch(name, value, "string")
        return value

    def flag(self, name: str) -> bool:
        """A boolean, false where there is none."""
        return bool(self.choice(name))

    def choice(self, name: str) -> bool | None:
        """A boolean, or None where nothing is said."""
        value = self._get(name)
        if value is not None and not isinstance(value, bool):
            raise self._mismatch(name, value, "bool")
        return value

    def number(self, name: str) -> int:
        """A whole number, 0 where there is none."""
        value = self._get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._mismatch(name, value, "int")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(
            item if isinstance(item, str) else self._fail(name, item, "string") for item in self.items(name)
        )

    def words(self, name: str) -> tuple[str, ...]:
        """A command: a list of strings, or one string that counts as a list of one (``strslice``)."""
        value = self._get(name)
        return (value,) if isinstance(value, str) else self.texts(name)

    def items(self, name: str) -> list[object]:
        """A list of anything."""
        value = self._get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._mismatch(name, value, "[]")
        return value

    def map_of_texts(self, name: str) -> dict[str, str]:
        """An object whose values are strings, in the order sent."""
        return {
            key: value if isinstance(value, str) else self._fail(f"{name}.{key}", value, "string")
            for key, value in self._map(name).items()
        }

    def part(self, name: str) -> Fields:
        """An object within; an empty one where there is none."""
        return Fields(self._map(name), f"{self._place}.{name}")

    def parts(self, name: str) -> dict[str, Fields]:
        """An object whose values are objects, in the order sent; null counts as an empty one."""
        return {key: self._as_fields(f"{name}.{key}", value) for key, value in self._map(name).items()}

    def list_of_parts(self, name: str) -> list[Fields]:
        """A list of objects."""
        return [self._as_fields(name, item) for item in self.items(name)]

    def with_member(self, name: str, value: object) -> Fields:
        """The same object with one member more, or another one."""
        others = {key: old for key, old in self._members.items() if key.lower() != name.lower()}
        return Fields({**others, name: value}, self._place)

    def is_empty(self, name: str) -> bool:
        """Whether nothing that matters is said: absent, null, false, 0, or empty."""
        return not self._get(name)

    def _get(self, name: str) -> object:
        return self._members.get(self._names.get(name.lower(), name))

    def _map(self, name: str) -> Mapping[str, object]:
        value = self._get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._mismatch(name, value, "map")
        return value

    def _as_fields(self, name: str, value: object) -> Fields:
        if value is not None and not isinstance(value, dict):
            raise self._mismatch(name, value, "struct")
        return Fields(value or {}, f"{self._place}.{name}")

    def _fail(self, name: str, value: object, wanted: str) -> str:
        raise self._mismatch(name, value, wanted)

    def _mismatch(self, name: str, value: object, wanted: str) -> DriverRefusal:
        kind = _KINDS.get(type(value), "null")
        return DriverRefusal(
            f"invalid JSON: json: cannot unmarshal {kind} into Go struct field {self._place}.{name} "
            f"of type {wanted}",
            status=400,
        )


def read_object(body: bytes, content_type: str, place: str, *, may_be_empty: bool = False) -> Fields:
    """The JSON object that a request's body is.

    Raises :class:`DriverRefusal` (400) for another content type, for what is no
    JSON object, and for an empty body unless it ``may_be_empty`` (moby
    ``daemon/server/httputils/httputils.go``: ReadJSON, CheckForJSON).
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body.strip():
        if may_be_empty:
            return Fields({}, place)
        raise DriverRefusal("invalid JSON: got EOF while reading request body", status=400)
    if kind != "application/json" and not (may_be_empty and not kind):
        raise DriverRefusal(
            f"unsupported Content-Type header ({content_type}): must be 'application/json'", status=400
        )
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DriverRefusal(f"invalid JSON: {error}", status=400) from None
    if value is None:
        return Fields({}, place)
    if not isinstance(value, dict):
        kind = _KINDS.get(type(value), "null")
        raise DriverRefusal(
            f"invalid JSON: json: cannot unmarshal {kind} into Go value of type {place}", status=400
        )
    return Fields(value, place)


def _refuse_constant(text: str) -> object:
    # Python's reader takes NaN and Infinity; JSON has neither.
    raise ValueError(f"invalid character {text[:1]!r} looking for beginning of value")


def read_filters(text: str) -> dict[str, tuple[str, ...]]:
    """The ``filters`` of a query: a map of maps (``{"driver": {"ipvlan": true}}``), or of lists.

    Lists are of before API 1.22. Raises :class:`DriverRefusal` (400) for anything else
    (moby ``api/types/filters/parse.go``).
    """
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DriverRefusal("invalid filter", status=400)
    filters: dict[str, tuple[str, ...]] = {}
    for name, wanted in value.items():
        if isinstance(wanted, dict):
            filters[name] = tuple(str(each) for each, counts in wanted.items() if counts is True)
        elif isinstance(wanted, list) and all(isinstance(each, str) for each in wanted):
            filters[name] = tuple(wanted)
        else:
            raise DriverRefusal("invalid filter", status=400)
    return filters
