"""What a recorder holds: the frames of a lab, each as one interface or wire saw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ipvlab.probe.marks import Marker


class Recorded(NamedTuple):
    """One frame at one place."""

    #: Since 1970; on a simulated lab, which has no clock, a thousand for each frame.
    nanoseconds: int
    #: ``h1:eth0`` or ``wire lan``.
    place: str
    #: Whole, its VLAN tags included.
    frame: bytes
    #: None on a wire, which has no inside.
    is_outgoing: bool | None


class Recorder(Protocol):
    """Takes down what passes, from :meth:`look` to :meth:`look`."""

    @property
    def marker(self) -> Marker:
        """Reads the marks of the probes."""

    @property
    def places(self) -> Mapping[str, str]:
        """Every place so far with what it is, wires first; a place may have seen nothing."""

    @property
    def losses(self) -> Mapping[str, int]:
        """How many frames the recorder itself missed, by place."""

    def now(self) -> int:
        """The moment that a frame would have which passed now."""

    def look(self) -> None:
        """Begin to record at places that are new, and read what has come so far."""

    def forget(self, is_there: Sequence[object]) -> None:
        """Read what nodes that are gone have left, and let go of them; ``is_there`` are the others."""

    def frames(self) -> list[Recorded]:
        """Everything so far, in order of time."""

    def close(self) -> None:
        """End the recording; what was recorded stays."""


def wire_place(name: str) -> str:
    """What a wire is called in a capture."""
    return f"wire {name}"


def link_place(node: str, link: str) -> str:
    """What an interface is called in a capture."""
    return f"{node}:{link}"
