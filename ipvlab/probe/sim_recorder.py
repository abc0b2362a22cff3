"""A recorder of a simulated lab: a world that tells of every frame at every interface and wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ipvlab.datapath.sim.machine import Machine, SimLink, SimWire
from ipvlab.datapath.sim.world import World
from ipvlab.probe.marks import Marker
from ipvlab.probe.recorded import Recorded, link_place, wire_place
from ipvlab.probe.sim_frames import FrameBytes
from ipvlab.rules.packets import Frame

#: Place, what it is, frame, and on an interface whether it went out.
Witness = Callable[[str, str, Frame, "bool | None"], None]
#: No clock runs in a simulated lab, but packets have an order.
NANOSECONDS_EACH = 1000


class WitnessedWorld(World):
    """A world whose frames are seen where a packet socket would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.witness: Witness = lambda _place, _about, _frame, _is_outgoing: None
        #: The frame that came in last by each link: its stack may take it later, and it came but once.
        self._came_in: dict[tuple[str, str], Frame] = {}

    def transmit(self, machine: Machine, link: SimLink, frame: Frame) -> None:
        """Send a frame by a link."""
        if self.has_carrier(machine, link):
            self._see(machine, link, frame, is_outgoing=True)
        super().transmit(machine, link, frame)

    def take(self, machine: Machine, link: SimLink, frame: Frame, is_stray: bool) -> None:
        """A stack is handed a frame by one of its links; one that came from outside was seen already."""
        # A stray one came with a tag, and is another frame without it.
        has_come_in = is_stray and link.kind != "endpoint"
        if not has_come_in and self._came_in.get((machine.name, link.name)) is not frame:
            self._see(machine, link, frame, is_outgoing=False)
        super().take(machine, link, frame, is_stray)

    def _receive(self, machine: Machine, link: SimLink, frame: Frame) -> None:
        if link.is_up:
            self._see(machine, link, frame, is_outgoing=False)
            self._came_in[machine.name, link.name] = frame
        super()._receive(machine, link, frame)

    def _note_crossing(self, wire: SimWire, frame: Frame) -> None:
        place = wire_place(wire.name)
        self.witness(place, place, frame, None)
        super()._note_crossing(wire, frame)

    def _see(self, machine: Machine, link: SimLink, frame: Frame, *, is_outgoing: bool) -> None:
        self.witness(link_place(machine.name, link.name), machine.kind, frame, is_outgoing)


class SimRecorder:
    """Records everything that passes in a simulated lab."""

    def __init__(self, world: WitnessedWorld, marker: Marker) -> None:
        self._world = world
        self._marker = marker
        self._bytes = FrameBytes(marker)
        self._frames: list[Recorded] = []
        self._places: dict[str, str] = {}
        self._last: tuple[str, Frame] | None = None
        world.witness = self._take

    @property
    def marker(self) -> Marker:
        """Reads the marks of the lab's probes."""
        return self._marker

    @property
    def places(self) -> Mapping[str, str]:
        """Every place so far with what it is, wires first."""
        return dict(sorted(self._places.items(), key=lambda item: not item[1].startswith("wire")))

    @property
    def losses(self) -> Mapping[str, int]:
        """A simulated lab loses nothing."""
        return {}

    def now(self) -> int:
        """The moment of the next frame."""
        return len(self._frames) * NANOSECONDS_EACH

    def look(self) -> None:
        """Take down the places that there are."""
        for wire in self._world.wires:
            self._places.setdefault(wire_place(wire), wire_place(wire))
        for machine in self._world.machines.values():
            for link in machine.links.values():
                self._places.setdefault(link_place(machine.name, link.name), f"{machine.kind}, {link.kind}")

    def forget(self, is_there: Sequence[object]) -> None:
        """Nothing is held."""

    def _take(self, place: str, about: str, frame: Frame, is_outgoing: bool | None) -> None:
        # A switch sends a frame on by many ports, one right after the other; unchanged, it is one frame.
        crossing = (place, frame) if is_outgoing is None else None
        if crossing is not None and crossing == self._last:
            return
        self._last = crossing
        self._places.setdefault(place, about)
        self._frames.append(Recorded(self.now(), place, self._bytes.write(frame), is_outgoing))

    def frames(self) -> list[Recorded]:
        """Everything so far, in order."""
        return list(self._frames)

    def close(self) -> None:
        """End the recording."""
        self._world.witness = lambda _place, _about, _frame, _is_outgoing: None
