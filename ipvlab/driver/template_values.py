"""The values that a Go template works on, and how Go prints, tests and compares them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from ipvlab.driver.json_text import compact, moment
from ipvlab.driver.template_parser import TemplateFault

#: What a template sees: constants, lists, maps (``dict``), structs and times.
Value = object
#: From 10 to this on, a float64 is shown with an exponent (strconv: FormatFloat, 'g' and shortest).
_LEAST_EXPONENT = 6
#: The largest width that fmt takes from an argument.
_WIDEST = 10**6
_VERB = re.compile(r"%([-+ #0]*)([0-9]+|\*)?(?:\.([0-9]+|\*))?([a-zA-Z%])")


class Missing:
    """The key that a map does not have: prints as ``<no value>``, and is false."""


MISSING = Missing()
NIL_POINTER = Missing()
#: How many arguments a method takes, and the method.
Method = tuple[int, Callable[..., Value]]


class NilList(list[Value]):
    """A Go slice that was never made: empty, and ``null`` in JSON."""


class PointerMap(dict[str, Value]):
    """A Go map of pointers: ``index`` of a key that it does not have is a nil pointer."""


class NilMap(dict[str, Value]):
    """A Go map that was never made: empty, and ``null`` in JSON."""


class Struct:
    """A Go struct: fields in order, and methods; other names are faults.

    ``name`` is the type as Go's faults call it; ``fields`` are what it prints and
    encodes; ``methods`` are reached like fields, and may take arguments.
    """

    def __init__(
        self,
        name: str,
        fields: Mapping[str, Value],
        methods: Mapping[str, Method] | None = None,
        *,
        encoded: Value = None,
        escapes_html: bool = False,
        spelled: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.fields = fields
        self.methods = methods or {}
        #: What ``json`` shows, where that is not the fields.
        self.encoded = encoded
        #: It encodes itself (MarshalJSON), and that escapes for HTML.
        self.escapes_html = escapes_html
        #: Go's names of fields that JSON spells otherwise (``ID`` for ``Id``).
        self.spelled = spelled or {}

    def field(self, name: str) -> Value:
        """A field by Go's name; raises KeyError."""
        return self.fields[self.spelled.get(name, name)]


class Time:
    """A Go time.Time."""

    def __init__(self, when: datetime.datetime) -> None:
        self.when = when

    def __str__(self) -> str:
        utc = self.when.astimezone(datetime.UTC)
        fraction = f".{utc.microsecond:06}".rstrip("0") if utc.microsecond else ""
        return f"{utc:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def encode(value: Value) -> str:
    """A value as the client's ``json`` function writes it."""
    if isinstance(value, Struct):
        return compact(_plain(value), escapes_html=value.escapes_html)
    return compact(_plain(value))


def _plain(value: Value) -> Value:
    match value:
        case Missing() | NilList() | NilMap():
            return None
        case Struct():
            return _plain(value.encoded if value.encoded is not None else dict(value.fields))
        case Time():
            return moment(value.when)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def show(value: Value) -> str:
    """A value as ``{{ }}`` prints it (fmt: ``%v``)."""
    match value:
        case Missing():
            return "<nil>" if value is NIL_POINTER else "<no value>"
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return show_float(value)
        case Struct():
            return "{" + " ".join(show(item) for item in value.fields.values()) + "}"
        case Mapping():
            pairs = sorted(value.items(), key=lambda pair: str(pair[0]))
            return "map[" + " ".join(f"{show(key)}:{show(item)}" for key, item in pairs) + "]"
        case list() | tuple():
            return "[" + " ".join(show(item) for item in value) + "]"
    return str(value)


def show_float(value: float) -> str:
    """A float64 as Go's ``%v``: shortest, with an exponent where that is shorter to read."""
    digits = repr(value).replace("-", "").replace(".", "").partition("e")[0].strip("0") or "0"
    mantissa, _, exponent = f"{value:.{max(len(digits) - 1, 0)}e}".partition("e")
    if value == 0 or -4 <= int(exponent) < _LEAST_EXPONENT:
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):02}"


def is_true(value: Value) -> bool:
    """Whether ``if`` takes a value: anything but zero, nothing and what is empty."""
    match value:
        case Missing() | None:
            return False
        case Struct() | Time():
            return True
    return bool(value)


def type_name(value: Value) -> str:
    """Go's name of a value's type, for faults."""
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Struct():
            return value.name
        case Time():
            return "time.Time"
        case Mapping():
            return "map[string]interface {}"
        case list() | tuple():
            return "[]string" if value and all(isinstance(item, str) for item in value) else "[]interface {}"
    return "interface {}"


def compare(one: Value, other: Value) -> int:
    """-1, 0 or 1; raises :class:`TemplateFault` for what has no order, or two kinds."""
    kind = _basic_kind(one)
    if kind != _basic_kind(other):
        raise TemplateFault("incompatible types for comparison")
    if kind == "bool" or kind is None:
        raise TemplateFault("invalid type for comparison")
    is_less = one < other  # type: ignore[operator]  # both are of one ordered kind
    return -1 if is_less else int(one != other)


def equals(one: Value, other: Value) -> bool:
    """Whether ``eq`` takes two values as equal; raises :class:`TemplateFault` for two kinds."""
    if isinstance(one, Missing) or isinstance(other, Missing) or one is None or other is None:
        return (one in (None, MISSING)) and (other in (None, MISSING))
    kind, others = _basic_kind(one), _basic_kind(other)
    if kind != others:
        raise TemplateFault("incompatible types for comparison")
    if kind is None:
        raise TemplateFault("non-comparable type " + f"{show(one)}: {type_name(one)}")
    return one == other


def _basic_kind(value: Value) -> str | None:
    for kind, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "string")):
        if isinstance(value, kind):
            return name
    return None


def print_values(values: Sequence[Value], *, ends_line: bool = False) -> str:
    """``print``, which parts only neighbours that are no texts; ``println``, which parts all."""
    text = ""
    for at, value in enumerate(values):
        if at and (ends_line or not (isinstance(value, str) or isinstance(values[at - 1], str))):
            text += " "
        text += show(value)
    return text + ("\n" if ends_line else "")


def format_values(template: str, values: Sequence[Value]) -> str:
    """``printf``, with Go's own complaints inside the text."""
    left = list(values)
    text, at = "", 0
    for match in _VERB.finditer(template):
        text += template[at : match.start()]
        at = match.end()
        flags, width, precision, verb = match.groups()
        if verb == "%":
            text += "%"
            continue
        for given, what in ((width, "WIDTH"), (precision, "PREC")):
            if given == "*" and not _is_size(taken := left.pop(0) if left else None):
                text += f"%!(BAD{what})"
            elif given == "*" and what == "WIDTH":
                width = str(taken)
            elif given == "*":
                precision = str(taken)
        width = None if width == "*" else width
        precision = None if precision == "*" else precision
        if not left:
            text += f"%!{verb}(MISSING)"
            continue
        text += _pad(_format(left.pop(0), verb, flags, precision), flags, width)
    text += template[at:]
    if left:
        extra = ", ".join(f"{type_name(value)}={show(value)}" for value in left)
        text += f"%!(EXTRA {extra})"
    return text


def _is_size(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _WIDEST


def _pad(text: str, flags: str, width: str | None) -> str:
    if not width or int(width) > _WIDEST:
        return text
    if "-" in flags:
        return text.ljust(int(width))
    if "0" in flags and text[:1] in "+-" and text[1:2].isdigit():
        return text[0] + text[1:].rjust(int(width) - 1, "0")
    return text.rjust(int(width), "0" if "0" in flags else " ")


def _format(value: Value, verb: str, flags: str, precision: str | None) -> str:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    if verb == "v":
        return show(value) if not isinstance(value, str) or "#" not in flags else quote(value)
    if verb == "T":
        return type_name(value)
    if verb == "t" and isinstance(value, bool):
        return show(value)
    if verb in "sq" and isinstance(value, str):
        text = value if precision is None else value[: int(precision or 0)]
        return text if verb == "s" else quote(text)
    if verb == "s" and isinstance(value, list | tuple | Struct | Time | Mapping):
        return show(value)
    if is_int and isinstance(value, int) and verb in "dxXobc":
        if verb == "c":
            return chr(value)
        text = format(value, verb)
        return f"+{text}" if "+" in flags and value >= 0 else text
    if verb in "xX" and isinstance(value, str):
        text = value.encode().hex()
        return text.upper() if verb == "X" else text
    if verb in "feEgG" and isinstance(value, float):
        return (
            show_float(value)
            if verb in "gG" and precision is None
            else format(value, f".{precision or 6}{verb}")
        )
    return f"%!{verb}({type_name(value)}={show(value)})"


def quote(text: str) -> str:
    """A text in Go's double quotes (``strconv.Quote``)."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b",
               "\f": "\\f", "\v": "\\v"}  # fmt: skip
    quoted = ""
    for character in text:
        if character in escapes:
            quoted += escapes[character]
        elif character.isprintable():
            quoted += character
        elif ord(character) < 0x80:
            quoted += f"\\x{ord(character):02x}"
        else:
            quoted += f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
    return f'"{quoted}"'
