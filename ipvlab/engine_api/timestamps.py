"""Times in queries: seconds since 1970 with a fraction, or RFC 3339 (moby ``api/types/time``)."""

from __future__ import annotations

import datetime
import re

from ipvlab.errors import DriverRefusal

_UNIX = re.compile(r"(-?[0-9]{1,11})(?:\.([0-9]{1,9})[0-9]*)?")


def read_time(text: str, name: str) -> datetime.datetime | None:
    """A moment of a query; None where nothing, or 0, is said. Raises :class:`DriverRefusal` (400)."""
    if text in ("", "0"):
        return None
    match = _UNIX.fullmatch(text)
    try:
        if match:
            micro = int((match[2] or "0").ljust(9, "0")) // 1000
            epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
            return epoch + datetime.timedelta(seconds=int(match[1]), microseconds=micro)
        moment = datetime.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise DriverRefusal(f"invalid value for '{name}': {text}", status=400) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
