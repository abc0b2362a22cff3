"""A learning switch with access, trunk, native and hairpin ports (net/bridge).

A switch without access, trunk or native port does not look at tags. Inside any
other every frame is of one VLAN; VLAN 1 is what travels untagged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ipvlab.rules import catalogue_linux as rules
from ipvlab.rules.packets import Frame
from ipvlab.rules.rule import Rule

UNTAGGED = 1
#: The VLAN of every frame in a switch that does not look at tags.
NO_VLAN = 0


@dataclasses.dataclass(frozen=True, slots=True)
class SwitchPort:
    """How one port treats tags; a port without access, trunk and native carries every VLAN as it comes."""

    access: int | None = None
    trunk: tuple[int, ...] | None = None
    native: int | None = None
    is_hairpin: bool = False

    @property
    def is_filtered(self) -> bool:
        """Whether the port is a member of certain VLANs only."""
        return self.access is not None or self.trunk is not None or self.native is not None

    @property
    def untagged(self) -> int | None:
        """The VLAN that travels untagged at this port."""
        return (self.access or self.native) if self.is_filtered else UNTAGGED

    def is_member(self, vlan: int) -> bool:
        """Whether the VLAN may pass here."""
        return not self.is_filtered or vlan == self.untagged or vlan in (self.trunk or ())


@dataclasses.dataclass(frozen=True, slots=True)
class Forwarding:
    """Which ports send a frame on, and as what."""

    rule: Rule
    #: Port number -> the frame as it leaves there.
    copies: tuple[tuple[int, Frame], ...] = ()
    #: The VLAN that the frame is of; None where it died at its own port.
    vlan: int | None = None
    #: Ports that would have sent it on if they were members of its VLAN.
    refused: tuple[int, ...] = ()


def vlan_inside(port: SwitchPort, frame: Frame) -> int | None:
    """The VLAN that a frame is of once it is inside, or None where the port does not let it in."""
    if frame.vlan is None:
        return port.untagged
    return frame.vlan if port.is_member(frame.vlan) else None


def leave(port: SwitchPort, vlan: int, bare: Frame) -> Frame | None:
    """A frame as it leaves by a port, tagged or not, or None where the port is no member."""
    if not port.is_member(vlan):
        return None
    return bare if vlan == port.untagged else bare.push(vlan)


def forward(
    ports: Sequence[SwitchPort], came_in: int, frame: Frame, table: Mapping[tuple[int, bytes], int]
) -> Forwarding:
    """Decide where a frame goes; ``table`` says at which port a MAC of a VLAN was seen last.

    The caller learns the sender when ``vlan`` is not None.
    """
    if frame.to[:5] == b"\x01\x80\xc2\x00\x00" and frame.to[5] < 16:
        return Forwarding(rules.SWITCH_RESERVED)
    looks_at_tags = any(port.is_filtered for port in ports)
    vlan = vlan_inside(ports[came_in], frame) if looks_at_tags else NO_VLAN
    if vlan is None:
        return Forwarding(rules.SWITCH_FILTERED)
    bare = frame.pop() if frame.tags else frame
    known = None if frame.is_group else table.get((vlan, frame.to))
    wanted = range(len(ports)) if known is None else (known,)
    targets = [number for number in wanted if number != came_in or ports[number].is_hairpin]
    if not targets and known is not None:
        return Forwarding(rules.SWITCH_SAME_PORT, vlan=vlan)
    leaving = [(number, leave(ports[number], vlan, bare) if looks_at_tags else frame) for number in targets]
    copies = tuple((number, copy) for number, copy in leaving if copy is not None)
    refused = tuple(number for number, copy in leaving if copy is None)
    rule = rules.SWITCH_FLOOD if known is None else rules.SWITCH_KNOWN
    if not copies and refused:
        rule = rules.SWITCH_FILTERED
    return Forwarding(rule, copies, vlan, refused)
