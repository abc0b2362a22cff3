"""The labs of the suite, enumerated: scenarios whose expectations say which requirement they settle."""

from __future__ import annotations

from conformance.layouts import control, flags, hooks, l2, l3, lifecycle, names, vlan
from conformance.layouts.layout import Layout


def all_layouts() -> list[Layout]:
    """Every lab of the suite, in the order in which a reader meets the rules."""
    rooms = (l2, l3, flags, hooks, vlan, lifecycle, names, control)
    return [layout for room in rooms for layout in room.layouts()]
