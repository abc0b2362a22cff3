"""JSON and times as Go writes them: what Docker's engine sends, byte for byte."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping

JsonObject = dict[str, object]

#: Go's time.Time that was never set.
NEVER = "0001-01-01T00:00:00Z"
#: What Go's encoder always escapes beside the control characters, and what it escapes for HTML.
_SEPARATORS, _HTML = "\u2028\u2029", "<>&"


def compact(value: object, *, escapes_html: bool = False) -> str:
    """A value without blanks, as the engine sends it (moby ``httputils.WriteJSON`` does not escape for HTML).

    ``escapes_html`` is Go's ``json.Marshal``, which does.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return _escape(text, _SEPARATORS + _HTML if escapes_html else _SEPARATORS)


def indented(value: object) -> str:
    """A value as Docker's client shows what the engine sent: re-indented by four spaces."""
    return _escape(json.dumps(value, indent=4, ensure_ascii=False), _SEPARATORS)


def moment(when: datetime.datetime | None) -> str:
    """A time in UTC as Go's RFC3339Nano writes it: no zeros at the fraction's end; None is Go's zero time."""
    if when is None:
        return NEVER
    utc = when.astimezone(datetime.UTC)
    fraction = f".{utc.microsecond:06}".rstrip("0") if utc.microsecond else ""
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def by_key(texts: Mapping[str, str]) -> dict[str, str]:
    """A map in the order in which Go writes maps: by key."""
    return {key: texts[key] for key in sorted(texts)}


def _escape(text: str, characters: str) -> str:
    # These characters occur in JSON only inside strings, so that replacing them is safe.
    for character in characters:
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
