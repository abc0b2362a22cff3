"""What a generated lab exercises: parents by kind, probes by kind, and the cells that both span."""

from __future__ import annotations

import dataclasses
import itertools
from enum import StrEnum
from typing import Final

from ipvlab.spec.values import BroadcastKind, Family, Flag, Mode

#: How a parent meets the world: the plugged-in interface itself, a VLAN of it, or no wire at all.
PLUG, VLAN, ISOLATED = LINKS = ("plug", "vlan", "isolated")
#: Hooks of the host's namespace that a firewall may sit at; ``-`` is a host without one.
HOOKS: Final = ("-", "prerouting", "input", "forward", "output", "postrouting")
#: Families that a network may have, by name.
FAMILY_SETS: Final = {"ipv4": (Family.IPV4,), "ipv6": (Family.IPV6,), "dual": (Family.IPV4, Family.IPV6)}
ON_WIRE: Final = "on_wire"
UNICASTS: Final = ("icmp", "udp", "one-way")
#: Kinds of probe and the families each can be of. RA, ND and ARP speak one family only.
PROBE_FAMILIES: Final[dict[str, tuple[Family, ...]]] = {
    **dict.fromkeys((*UNICASTS, ON_WIRE), tuple(Family)),
    **dict.fromkeys((BroadcastKind.MULTICAST, BroadcastKind.MDNS), tuple(Family)),
    **dict.fromkeys((BroadcastKind.LIMITED, BroadcastKind.DIRECTED, BroadcastKind.ARP), (Family.IPV4,)),
    **dict.fromkeys((BroadcastKind.ND, BroadcastKind.RA), (Family.IPV6,)),
}


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Setting:
    """The kind of one parent: what a lab is steered to contain."""

    mode: Mode
    flag: Flag
    link: str
    #: Whether the switch port of the parent's wire sends frames back out of the port they came in by.
    is_hairpin: bool
    hook: str

    def __str__(self) -> str:
        hairpin = "hairpin" if self.is_hairpin else "plain"
        return f"{self.mode} {self.flag} {self.link} {hairpin} {self.hook}"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One cell of the coverage table: a kind of parent and a kind of probe."""

    setting: Setting
    kind: str
    family: Family

    def __str__(self) -> str:
        return f"{self.setting} · {self.kind} {self.family}"


#: Every kind of parent that can exist: a parent without a wire has no switch port, so no hairpin.
SETTINGS: Final = tuple(
    Setting(*each)
    for each in itertools.product(Mode, Flag, LINKS, (False, True), HOOKS)
    if not (each[2] == ISOLATED and each[3])
)
#: Every kind of probe in each of its families.
PROBE_KINDS: Final = tuple((kind, family) for kind, families in PROBE_FAMILIES.items() for family in families)
#: Every cell that can exist.
CELLS: Final = frozenset(Cell(setting, kind, family) for setting in SETTINGS for kind, family in PROBE_KINDS)


class StepKind(StrEnum):
    """What a step of a lab changes."""

    MODE = "mode"
    FLAG = "flag"
    PARENT_DOWN = "parent-down"
    PARENT_UP = "parent-up"
    ENDPOINT_DOWN = "endpoint-down"
    ENDPOINT_UP = "endpoint-up"
    MTU = "mtu"
    MAC = "mac"
    ROUTE_ADD = "route-add"
    ROUTE_DEL = "route-del"
    ADDRESS_ADD = "address-add"
    ADDRESS_DEL = "address-del"
    CONTAINER_RM = "container-rm"
    CONTAINER_RUN = "container-run"
    NETWORK_AGAIN = "network-again"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class StepCell:
    """One cell of the table of steps: a kind, and a mode and flag or a kind of probe that follows."""

    kind: StepKind
    column: str

    def __str__(self) -> str:
        return f"{self.kind} · {self.column}"


STEP_KINDS: Final = tuple(StepKind)
#: Modes and flags of the parent that a step is about, as it is afterwards, and probes that follow.
STEP_COLUMNS: Final = (
    *(f"{mode} {flag}" for mode in Mode for flag in Flag),
    *(f"{kind} {family}" for kind, family in PROBE_KINDS),
)
STEP_CELLS: Final = frozenset(StepCell(kind, column) for kind in StepKind for column in STEP_COLUMNS)
