"""The functions that a template of Docker's client may call: Go's own, and the client's."""

from __future__ import annotations

import dataclasses
import html
import re
import urllib.parse
from collections.abc import Callable, Mapping

from ipvlab.driver.template_parser import TemplateFault
from ipvlab.driver.template_values import (
    MISSING,
    NIL_POINTER,
    Missing,
    PointerMap,
    Struct,
    Value,
    compare,
    encode,
    equals,
    format_values,
    is_true,
    print_values,
    type_name,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """A function with what it takes: for each place ``string``, ``int``, ``[]string`` or ``any``."""

    call: Callable[..., Value]
    takes: tuple[str, ...]
    #: The type of any number of further arguments.
    rest: str | None = None


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, Missing) or value is None:
            raise TemplateFault("index of untyped nil")
        if isinstance(value, Mapping):
            if not isinstance(key, str):
                raise TemplateFault(f"value has type {type_name(key)}; should be string")
            # The zero value of a map of texts is the empty text.
            is_of_texts = all(isinstance(item, str) for item in value.values())
            zero = NIL_POINTER if isinstance(value, PointerMap) else "" if is_of_texts else MISSING
            value = value.get(key, zero)
        elif isinstance(value, str | list | tuple):
            if isinstance(key, bool) or not isinstance(key, int):
                raise TemplateFault(f"cannot index slice/array with type {type_name(key)}")
            raw = value.encode() if isinstance(value, str) else value
            if not 0 <= key < len(raw):
                raise TemplateFault(f"index out of range: {key}")
            value = raw[key]
        else:
            raise TemplateFault(f"can't index item of type {type_name(value)}")
    return value


def _slice(value: Value, *bounds: Value) -> Value:
    if not isinstance(value, str | list | tuple):
        raise TemplateFault(f"can't slice item of type {type_name(value)}")
    length = len(value.encode()) if isinstance(value, str) else len(value)
    ends: list[int] = []
    for bound in bounds:
        if isinstance(bound, bool) or not isinstance(bound, int):
            raise TemplateFault(f"cannot index slice/array with type {type_name(bound)}")
        if not 0 <= bound <= length:
            raise TemplateFault(f"index out of range: {bound}")
        ends.append(bound)
    first, last = [*ends, *([0, length][len(ends) :])][:2]
    if first > last:
        raise TemplateFault(f"invalid slice index: {first} > {last}")
    return (
        value.encode()[first:last].decode(errors="replace") if isinstance(value, str) else value[first:last]
    )


def _length(value: Value) -> int:
    if isinstance(value, Missing) or value is None:
        raise TemplateFault("len of nil pointer")
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    raise TemplateFault(f"len of type {type_name(value)}")


def _equal(one: Value, *others: Value) -> bool:
    if not others:
        raise TemplateFault("missing argument for comparison")
    return any(equals(one, other) for other in others)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    raw = text.encode()
    return text if len(raw) < length else raw[:length].decode(errors="replace")


def _title(text: str) -> str:
    return re.sub(r"(^|[^\w']|(?<=_)(?!_)(?!\w))(\w)", lambda m: m.group(1) + m.group(2).upper(), text)


def _html(*values: Value) -> str:
    escaped = html.escape(print_values(values), quote=False)
    return escaped.replace('"', "&#34;").replace("'", "&#39;").replace("\0", "\ufffd")


def _javascript(*values: Value) -> str:
    escapes = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026",
               "=": "\\u003D"}  # fmt: skip
    return "".join(escapes.get(c, c if ord(c) >= 0x20 else f"\\u{ord(c):04X}") for c in print_values(values))


FUNCTIONS: dict[str, Function] = {
    "index": Function(_index, ("any",), "any"),
    "slice": Function(_slice, ("any",), "any"),
    "len": Function(_length, ("any",)),
    "not": Function(lambda value: not is_true(value), ("any",)),
    "print": Function(lambda *values: print_values(values), (), "any"),
    "println": Function(lambda *values: print_values(values, ends_line=True), (), "any"),
    "printf": Function(lambda template, *values: format_values(template, values), ("string",), "any"),
    "html": Function(_html, (), "any"),
    "js": Function(_javascript, (), "any"),
    "urlquery": Function(lambda *values: urllib.parse.quote_plus(print_values(values)), (), "any"),
    "eq": Function(_equal, ("any",), "any"),
    "ne": Function(lambda one, other: not equals(one, other), ("any", "any")),
    "lt": Function(lambda one, other: compare(one, other) < 0, ("any", "any")),
    "le": Function(lambda one, other: compare(one, other) <= 0, ("any", "any")),
    "gt": Function(lambda one, other: compare(one, other) > 0, ("any", "any")),
    "ge": Function(lambda one, other: compare(one, other) >= 0, ("any", "any")),
    "json": Function(encode, ("any",)),
    "split": Function(lambda text, by: text.split(by) if by else list(text), ("string", "string")),
    "join": Function(lambda parts, by: by.join(parts), ("[]string", "string")),
    "title": Function(_title, ("string",)),
    "lower": Function(str.lower, ("string",)),
    "upper": Function(str.upper, ("string",)),
    "pad": Function(_pad, ("string", "int", "int")),
    "truncate": Function(_truncate, ("string", "int")),
}
#: ``and`` and ``or`` stop at the argument that decides, so they are no functions of values.
LAZY = frozenset({"and", "or"})
#: In a table's header these leave the name of the column as it is (templates: HeaderFunctions).
HEADER_FUNCTIONS: dict[str, Function] = FUNCTIONS | {
    "json": Function(lambda text: text, ("string",)),
    "split": Function(lambda text, _: text, ("string", "string")),
    "join": Function(lambda text, _: text, ("string", "string")),
    "title": Function(lambda text: text, ("string",)),
    "lower": Function(lambda text: text, ("string",)),
    "upper": Function(lambda text: text, ("string",)),
    "truncate": Function(lambda text, _: text, ("string", "int")),
}


def fits(value: Value, wanted: str) -> bool:
    """Whether a value may stand for a parameter of a type."""
    match wanted:
        case "string":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "[]string":
            return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return not isinstance(value, Struct) or wanted == "any"
