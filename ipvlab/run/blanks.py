"""The student's places in an exercise: what was written there, and what else was changed.

A place is written like ``hosts/h1/commands`` or ``expect/2/broadcast/heard_by``;
``expect/2/*`` stands for the kind of an expectation, not for what it says. Everything
else of an exercise is given. An answer is judged on the *given parts of the exercise*
with the student's places filled in, so that taking an expectation out, or turning it
round, gains nothing; and it is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ipvlab.spec.source import Plain

Keys = tuple[str, ...]

#: Kinds of expectations that say the same of the same pair, so that one can stand for another.
PAIR_KINDS = ("reach", "blocked", "delivers", "undelivered")
#: Keys that are prose and may be anybody's.
_PROSE = ("title", "about")


def fill(given: Plain, answer: Plain, blanks: Sequence[str]) -> Plain:
    """The exercise as given, with the answer's values in the places that are the student's."""
    filled = given
    for blank in blanks:
        filled = _put(filled, answer, tuple(blank.split("/")))
    return filled


def find_changes(given: Plain, answer: Plain, blanks: Sequence[str]) -> list[str]:
    """Where an answer differs from the exercise outside of the student's places.

    Expectations that a student added behind the given ones are no difference.
    """
    return list(_differences(fill(given, answer, blanks), answer, ()))


def write_text(content: Plain) -> str:
    """Plain values as the text of a scenario file: JSON, which is YAML 1.2."""
    return json.dumps(content, ensure_ascii=False, indent=1)


def _put(given: Plain, answer: Plain, keys: Keys) -> Plain:
    key, *deeper = keys
    if key == "*":
        return _turn(given, answer)
    if isinstance(given, list) and isinstance(answer, list) and key.isdigit():
        at = int(key)
        if at >= len(given) or at >= len(answer):
            return given
        return [
            *given[:at],
            _put(given[at], answer[at], tuple(deeper)) if deeper else answer[at],
            *given[at + 1 :],
        ]
    if isinstance(given, dict) and isinstance(answer, dict):
        if not deeper:
            left = {each: value for each, value in given.items() if each != key}
            if key not in answer:
                return left
            return {**given, key: answer[key]}
        if key in given and key in answer:
            return {**given, key: _put(given[key], answer[key], tuple(deeper))}
    return given


def _turn(given: Plain, answer: Plain) -> Plain:
    """An expectation of a pair under the kind that the student chose."""
    if not (isinstance(given, dict) and isinstance(answer, dict) and len(given) == 1):
        return given
    kinds = [kind for kind in answer if kind in PAIR_KINDS]
    [claim] = given.values()
    return {kinds[0]: claim} if len(kinds) == 1 else given


def _differences(given: Plain, answer: Plain, keys: Keys) -> Iterator[str]:
    place = "/".join(keys)
    if isinstance(given, dict) and isinstance(answer, dict):
        for key, value in given.items():
            if key in answer:
                yield from _differences(value, answer[key], (*keys, key))
            else:
                yield f"{'/'.join((*keys, key))} is missing"
        extra = [key for key in answer if key not in given and not (not keys and key in _PROSE)]
        yield from (f"{'/'.join((*keys, key))} was added" for key in extra)
    elif isinstance(given, list) and isinstance(answer, list) and keys[-1:] == ("expect",):
        # Behind the given expectations a student may write more.
        for number, value in enumerate(given):
            if number < len(answer):
                yield from _differences(value, answer[number], (*keys, str(number)))
            else:
                yield f"{place}/{number} is missing"
    elif keys[:1] not in [(each,) for each in _PROSE] and _comparable(given) != _comparable(answer):
        yield f"{place} was changed"


def _comparable(value: Plain) -> str:
    """Values by what they are and not by what they equal: 1 is not true; white space at ends is nothing."""
    return json.dumps(value.strip() if isinstance(value, str) else value)
