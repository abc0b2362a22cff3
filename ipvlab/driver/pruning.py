"""Which networks a prune takes: Docker's filters ``label``, ``label!`` and ``until``.

Source: moby ``daemon/prune.go``, ``api/types/time/timestamp.go``.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Mapping

from ipvlab.driver.state import Network
from ipvlab.errors import DriverRefusal

_FILTERS = ("label", "label!", "until")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNIX = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def read_prune_filters(
    filters: Mapping[str, Collection[str]], now: datetime.datetime
) -> Callable[[Network], bool]:
    """Whether a prune with these filters takes a network, used or not.

    Raises :class:`DriverRefusal` (400) for a filter or a time that Docker does not know.
    """
    for name in filters:
        if name not in _FILTERS:
            raise DriverRefusal(f"invalid filter '{name}'", status=400)
    untils = list(filters.get("until", ()))
    if len(untils) > 1:
        raise DriverRefusal("more than one until filter specified", status=400)
    until = read_moment(untils[0], now) if untils else None
    wanted, unwanted = filters.get("label", ()), filters.get("label!", ())

    def takes(network: Network) -> bool:
        labels = network.request.labels
        return (
            (until is None or network.created <= until)
            and all(_has_label(labels, text) for text in wanted)
            and not (unwanted and all(_has_label(labels, text) for text in unwanted))
        )

    return takes


def read_moment(text: str, now: datetime.datetime) -> datetime.datetime:
    """A moment written as a length of time before ``now`` (``1h30m``), a date, or Unix seconds.

    What has no zone is in that of ``now``. Raises :class:`DriverRefusal` (400).
    """
    length = _read_length(text)
    if length is not None:
        return now - length
    try:
        if _UNIX.fullmatch(text):
            return datetime.datetime.fromtimestamp(float(text), datetime.UTC)
        moment = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise DriverRefusal(f'failed to parse value as time or duration: "{text}"', status=400) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)


def _read_length(text: str) -> datetime.timedelta | None:
    """What Go's ``time.ParseDuration`` reads; ``0`` is a Unix time here."""
    sign = -1 if text.startswith("-") else 1
    rest = text.removeprefix("-").removeprefix("+")
    parts = list(_PART.finditer(rest))
    if not parts or "".join(part.group() for part in parts) != rest:
        return None
    seconds = sum(float(part.group(1)) * _UNITS[part.group(2)] for part in parts)
    try:
        return sign * datetime.timedelta(seconds=seconds)
    except OverflowError:
        return None


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
