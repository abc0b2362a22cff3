"""A request as a handler reads it, and the three kinds of answers that it may give."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ipvlab.driver.json_text import compact
from ipvlab.errors import DriverRefusal

if TYPE_CHECKING:
    from ipvlab.engine_api.feed import Feed
    from ipvlab.engine_api.streams import Conversation

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
#: What the engine reads as false in a query (moby ``daemon/server/httputils/form.go``: BoolValue).
_FALSE = frozenset({"", "0", "no", "false", "none"})

#: Major and minor version of the API.
ApiVersion = tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """What arrived on a connection, before anybody has asked what it means."""

    method: str
    target: str
    #: By name in lower case.
    headers: Mapping[str, str]
    body: bytes
    #: The client offers to leave HTTP on this connection (``Upgrade: tcp``).
    has_upgrade: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request, complete: its body has been read."""

    method: str
    #: Without version prefix and query, escapes resolved.
    path: str
    query: Mapping[str, list[str]]
    #: By name in lower case.
    headers: Mapping[str, str]
    body: bytes
    version: ApiVersion

    def text(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def is_set(self, name: str) -> bool:
        """Whether a query parameter is true as the engine reads it: given, and not 0, no, false or none."""
        return self.text(name).strip().lower() not in _FALSE

    def number(self, name: str) -> int | None:
        """A whole number of the query, or None where it is absent; raises :class:`DriverRefusal` (400)."""
        text = self.text(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise DriverRefusal(f'strconv.Atoi: parsing "{text}": invalid syntax', status=400) from None


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is known whole."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Streamed:
    """An answer in chunks: its headers leave before ``produce`` is called, which returns at its end."""

    content_type: str
    produce: Callable[[Feed], None]
    #: Called once the answer is over, however it ended.
    close: Callable[[], None] = lambda: None


@dataclasses.dataclass(frozen=True, slots=True)
class Hijacked:
    """An answer that leaves HTTP: from then on the connection is a program's standard streams."""

    content_type: str
    #: Called when the client knows; returns at the conversation's end.
    converse: Callable[[Conversation], None]
    #: Called once the connection is over, however it ended.
    close: Callable[[], None] = lambda: None


Outcome = Answer | Streamed | Hijacked
NO_CONTENT = Answer(204)
NOT_MODIFIED = Answer(304)


def answer_json(value: object, status: int = 200) -> Answer:
    """A value as the engine sends it: compact, with the newline of Go's encoder."""
    return Answer(status, f"{compact(value)}\n".encode(), JSON)


def answer_error(status: int, text: str) -> Answer:
    """An error in the shape that every client reads: ``{"message": …}``."""
    return answer_json({"message": text}, status)


def split_target(target: str) -> tuple[str, dict[str, list[str]]]:
    """The path of a request's target with escapes resolved, and its query.

    Raises ValueError for a target that is no path.
    """
    # A client that speaks to a proxy writes the whole URL.
    parts = urllib.parse.urlsplit(target if not target.startswith("//") else f"/.{target}")
    path = urllib.parse.unquote(parts.path, errors="strict").replace("/.//", "//", 1)
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"not a path: {target!r}")
    return path, urllib.parse.parse_qs(parts.query, keep_blank_values=True)
