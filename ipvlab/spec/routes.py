"""The routes of a ``routes`` expectation, in the words of ``ip route``."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterator
from typing import Literal

from ipvlab.spec.values import Address, Subnet

#: /etc/iproute2/rt_protos and rt_scopes, for the numbers that occur in a lab.
_PROTOCOLS = {1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra"}
_SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_PREFERENCES = ("low", "medium", "high")
_KEYWORDS = ("via", "dev", "src", "metric", "proto", "scope", "pref")
_LONG_KEYWORDS = {"protocol": "proto", "preference": "metric"}


@dataclasses.dataclass(frozen=True, slots=True)
class RouteText:
    """A route of the main table; an attribute that is None is not named.

    ``version`` is 4 or 6, and None only for a ``default`` that names no address
    and was parsed without saying of which family it is.
    """

    to: Subnet | Literal["default"]
    via: Address | None = None
    dev: str | None = None
    src: Address | None = None
    metric: int | None = None
    proto: str | None = None
    scope: str | None = None
    pref: str | None = None
    version: int | None = None

    def matches(self, other: RouteText) -> bool:
        """Say whether every attribute that this route names agrees with the other route."""
        return self.to == other.to and all(
            mine is None or mine == getattr(other, name)
            for name in (*_KEYWORDS, "version")
            if (mine := getattr(self, name)) is not None
        )

    def __str__(self) -> str:
        named = ((keyword, getattr(self, keyword)) for keyword in _KEYWORDS)
        return " ".join(
            [str(self.to), *(f"{keyword} {value}" for keyword, value in named if value is not None)]
        )


def parse_route(text: str, version: int | None = None) -> RouteText:
    """Parse a route as ``ip route`` prints it: where to, then via, dev, src, metric, proto, scope, pref.

    ``version`` (4 or 6) is the family that the route must be of. Raises
    :class:`ValueError` with a sentence about the text.
    """
    words = iter(text.split())
    first = next(words, None)
    if first is None:
        raise ValueError("is empty; a route begins with default or a subnet")
    to = _parse_to(first)
    if to in ("0.0.0.0/0", "::/0"):
        to = "default"
    attributes = dict(_attributes(words))
    versions = {value.version for value in (to, *attributes.values()) if not isinstance(value, str | int)}
    if first in ("0.0.0.0/0", "::/0"):
        versions.add(6 if first == "::/0" else 4)
    if len(versions) > 1:
        raise ValueError(f"mixes IPv4 and IPv6: {text!r}")
    found = versions.pop() if versions else version
    if version is not None and found != version:
        raise ValueError(f"is a route of IPv{found}, not of IPv{version}: {text!r}")
    return _assemble(to, attributes, found)


def _parse_to(word: str) -> Subnet | Literal["default"]:
    if word in ("default", "0.0.0.0/0", "::/0"):
        return "default"
    try:
        return ipaddress.ip_network(word)
    except ValueError:
        try:
            whole = ipaddress.ip_interface(word)
        except ValueError:
            raise ValueError(f"begins with {word!r}, which is neither default nor a subnet") from None
        raise ValueError(f"has host bits set: {word} should be {whole.network}") from None


def _attributes(words: Iterator[str]) -> Iterator[tuple[str, Address | str | int]]:
    seen: set[str] = set()
    for word in words:
        keyword = _LONG_KEYWORDS.get(word, word)
        if keyword not in _KEYWORDS:
            raise ValueError(f"has the word {word!r}; after the subnet come {', '.join(_KEYWORDS)}")
        if keyword in seen:
            raise ValueError(f"names {keyword} twice")
        seen.add(keyword)
        value = next(words, None)
        if value is None:
            raise ValueError(f"ends after {word!r}, which needs a value")
        yield keyword, _parse_value(keyword, value)


def _parse_value(keyword: str, value: str) -> Address | str | int:
    if keyword in ("via", "src"):
        try:
            return ipaddress.ip_address(value)
        except ValueError:
            raise ValueError(f"has {keyword} {value!r}, which is not an address") from None
    if keyword == "metric":
        if not (value.isascii() and value.isdigit() and len(value) <= 10):
            raise ValueError(f"has metric {value!r}, which is not a number")
        return int(value)
    if keyword == "pref" and value not in _PREFERENCES:
        raise ValueError(f"has pref {value!r}; it is one of {', '.join(_PREFERENCES)}")
    names = {"proto": _PROTOCOLS, "scope": _SCOPES}.get(keyword, {})
    if value.isascii() and value.isdigit() and len(value) < 4:
        return names.get(int(value), value)
    return value


def _assemble(
    to: Subnet | Literal["default"], attributes: dict[str, Address | str | int], version: int | None
) -> RouteText:
    def address(keyword: str) -> Address | None:
        value = attributes.get(keyword)
        return None if value is None or isinstance(value, str | int) else value

    def text(keyword: str) -> str | None:
        value = attributes.get(keyword)
        return value if isinstance(value, str) else None

    metric = attributes.get("metric")
    return RouteText(
        to=to,
        via=address("via"),
        dev=text("dev"),
        src=address("src"),
        metric=metric if isinstance(metric, int) else None,
        proto=text("proto"),
        scope=text("scope"),
        pref=text("pref"),
        version=version,
    )
