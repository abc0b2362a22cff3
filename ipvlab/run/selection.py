"""``-k EXPR``: which scenarios to run, in pytest's words: words, ``and``, ``or``, ``not``, parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable

Claim = Callable[[str], bool]

_TOKEN = re.compile(r"\s*([()]|[^\s()]+)")


def parse_selection(expression: str) -> Claim:
    """A claim about a text: whether the expression holds of it, a word being any part of it.

    Upper and lower case are alike. Raises ValueError, saying what is wrong,
    for an expression that does not parse.
    """
    tokens = _TOKEN.findall(expression)
    if not tokens:
        raise ValueError("an empty expression selects nothing")
    parser = _Parser(tokens)
    claim = parser.parse_any()
    if parser.rest:
        raise ValueError(f"unexpected {parser.rest[0]!r}")
    return lambda text: claim(text.lower())


class _Parser:
    """Recursive descent: or below and below not, as in Python."""

    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens

    def parse_any(self) -> Claim:
        claims = [self._parse_all()]
        while self._take("or"):
            claims.append(self._parse_all())
        return lambda text: any(claim(text) for claim in claims)

    def _parse_all(self) -> Claim:
        claims = [self._parse_one()]
        while self._take("and"):
            claims.append(self._parse_one())
        return lambda text: all(claim(text) for claim in claims)

    def _parse_one(self) -> Claim:
        if self._take("not"):
            claim = self._parse_one()
            return lambda text: not claim(text)
        if self._take("("):
            claim = self.parse_any()
            if not self._take(")"):
                raise ValueError("a parenthesis is not closed")
            return claim
        if not self.rest or self.rest[0].lower() in ("and", "or", ")"):
            place = f"before {self.rest[0]!r}" if self.rest else "at the end"
            raise ValueError(f"a word is missing {place}")
        word = self.rest.pop(0).lower()
        return lambda text: word in text

    def _take(self, token: str) -> bool:
        if self.rest and self.rest[0].lower() == token:
            self.rest.pop(0)
            return True
        return False
