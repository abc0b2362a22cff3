"""Signals by name or number, as the engine reads them (moby/sys ``signal``: ParseSignal)."""

from __future__ import annotations

import signal

from ipvlab.errors import DriverRefusal

_HIGHEST = 64


def read_signal(text: str) -> int:
    """The number of ``TERM``, ``SIGTERM`` or ``15``; raises :class:`DriverRefusal` (400) for none."""
    if text.isdecimal():
        if 1 <= int(text) <= _HIGHEST:
            return int(text)
        raise DriverRefusal(f"invalid signal: {text}", status=400)
    name = text.upper().removeprefix("SIG")
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    if base in ("RTMIN", "RTMAX") and offset.isdecimal():
        start = signal.SIGRTMIN if base == "RTMIN" else signal.SIGRTMAX
        number = int(start) + (int(offset) if sign == "+" else -int(offset))
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    known = {each.name.removeprefix("SIG"): int(each) for each in signal.Signals}
    if name in known:
        return known[name]
    raise DriverRefusal(f"invalid signal: {text}", status=400)
