"""802.1Q sub-interfaces: who takes a tagged frame (net/8021q)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ipvlab.rules import catalogue_linux as rules
from ipvlab.rules.packets import Frame
from ipvlab.rules.rule import Rule


@dataclasses.dataclass(frozen=True, slots=True)
class Taker:
    """Where a frame from the wire goes on: to a sub-interface, or to the link itself."""

    frame: Frame
    #: The sub-interface that takes it, or None for the link that it came in by.
    sub_interface: str | None = None
    #: The rule where a tag decided; None for an untagged frame.
    rule: Rule | None = None
    #: A tag that nobody takes: ipvlan still looks at the frame, and every stack drops it (OTHERHOST).
    is_stray: bool = False


def take_tagged(frame: Frame, sub_interfaces: Mapping[int, str]) -> Taker:
    """Find who takes a frame: a sub-interface comes before ipvlan, a priority tag (VID 0) is no tag.

    ``sub_interfaces`` are those of the link that the frame came in by, by VLAN id.
    """
    if not frame.tags:
        return Taker(frame)
    vlan = frame.vlan
    if vlan is None:
        return Taker(frame.pop())
    if vlan in sub_interfaces:
        return Taker(frame.pop(), sub_interfaces[vlan], rules.VLAN_IN)
    return Taker(frame.pop(), None, rules.VLAN_UNKNOWN, is_stray=True)
