"""A lab drawn as SVG: machines side by side, wires below, and in each machine what hangs on what.

The look (colours, line widths) is the page's: shapes carry classes, and text is text.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from html import escape

from ipvlab.run.topology import DrawnLink, DrawnNode, Topology

_LINE = 15
_PAD = 8
_GAP = 14
_ROW_GAP = 26
_MARGIN = 12
_TITLE = 26
_WIRE_GAP = 34
#: Width of a letter at the page's size of 12; a little generous, since fonts differ.
_LETTER = 7.0


@dataclasses.dataclass(slots=True)
class _Box:
    """A rectangle with lines of text; its place is found later."""

    kind: str
    lines: list[str]
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        return max(len(line) for line in self.lines) * _LETTER + 2 * _PAD

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + _PAD

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def svg(self) -> list[str]:
        """The rectangle and its lines, the first in bold."""
        place = f'x="{self.x:.0f}" y="{self.y:.0f}" width="{self.width:.0f}" height="{self.height:.0f}"'
        parts = [f'<rect class="{self.kind}" {place} rx="{12 if self.kind == "network" else 5}"/>']
        for number, line in enumerate(self.lines):
            y = self.y + _LINE * (number + 1) - 1
            parts.append(
                f'<text class="{"name" if not number else "more"}" x="{self.middle:.0f}" y="{y:.0f}"'
                f' text-anchor="middle">{escape(line)}</text>'
            )
        return parts


@dataclasses.dataclass(slots=True)
class _Machine:
    """A host or router with its four rows: containers, networks, links above links, interfaces."""

    node: DrawnNode
    rows: tuple[dict[str, _Box], dict[str, _Box], dict[str, _Box], dict[str, _Box]]
    edges: list[tuple[_Box, _Box]]
    x: float = 0.0

    @property
    def width(self) -> float:
        widest = max(
            (sum(box.width for box in row.values()) + _GAP * (len(row) - 1) for row in self.rows if row),
            default=0.0,
        )
        return max(widest, len(self.node.name) * _LETTER + 60) + 2 * _MARGIN


def draw(topology: Topology) -> str:
    """The lab as one ``<svg>`` element, with its own title for readers that cannot see it."""
    machines = [_machine(topology, node) for node in topology.nodes if node.kind != "container"]
    heights = [
        max((box.height for machine in machines for box in machine.rows[row].values()), default=0.0)
        for row in range(4)
    ]
    tops, y = [], float(_MARGIN + _TITLE)
    for height in heights:
        tops.append(y)
        y += height + (_ROW_GAP if height else 0)
    bottom = y - _ROW_GAP / 2
    x = float(_MARGIN)
    for machine in machines:
        machine.x = x
        _place(machine, tops, heights)
        x += machine.width + 2 * _GAP
    right = max(x - 2 * _GAP + _MARGIN, 160.0)
    wires, end = _wires(topology, machines, bottom + _WIRE_GAP / 2)
    body = [*_boxes(machines, bottom), *wires]
    label = escape(f"The lab {topology.name}: {_in_words(topology)}")
    return (
        f'<svg class="lab" viewBox="0 0 {right:.0f} {end:.0f}" width="{right:.0f}" role="img"'
        f' xmlns="http://www.w3.org/2000/svg" aria-label="{label}">{"".join(body)}</svg>'
    )


def _machine(topology: Topology, node: DrawnNode) -> _Machine:
    containers: dict[str, _Box] = {}
    networks: dict[str, _Box] = {}
    stacked: dict[str, _Box] = {}
    wired: dict[str, _Box] = {}
    edges: list[tuple[_Box, _Box]] = []
    for link in node.links:
        box = _Box("link", _link_lines(link))
        (wired if link.wire is not None else stacked)[link.name] = box
        if link.below in wired or link.below in stacked:
            edges.append((box, wired.get(link.below) or stacked[link.below]))
    for inner in topology.nodes:
        if inner.kind != "container" or inner.host != node.name:
            continue
        addresses = [address for link in inner.links for address in link.addresses]
        container = containers[inner.name] = _Box("container", [inner.name, *addresses])
        for link in inner.links:
            network = str(link.network or link.below)
            if network not in networks:
                networks[network] = _Box("network", [network, link.mode or ""])
                below = wired.get(str(link.below)) or stacked.get(str(link.below))
                if below is not None:
                    edges.append((networks[network], below))
            edges.append((container, networks[network]))
    order = list(networks)
    first = {n.name: str(n.links[0].network or n.links[0].below) for n in topology.nodes if n.links}
    ordered = dict(sorted(containers.items(), key=lambda item: order.index(first[item[0]]) if order else 0))
    return _Machine(node, (ordered, networks, stacked, wired), edges)


def _link_lines(link: DrawnLink) -> list[str]:
    lines = [link.name, *link.addresses]
    if link.vlan is not None:
        lines.insert(1, f"VLAN {link.vlan}")
    if link.kind == "isolated":
        lines.insert(1, "leads nowhere")
    if link.port:
        lines.append(link.port)
    return lines


def _place(machine: _Machine, tops: Sequence[float], heights: Sequence[float]) -> None:
    for row, boxes in enumerate(machine.rows):
        taken = sum(box.width for box in boxes.values())
        free = machine.width - 2 * _MARGIN - taken
        gap = free / (len(boxes) + 1)
        x = machine.x + _MARGIN + gap
        for box in boxes.values():
            box.x = x
            # Interfaces stand on the machine's edge, where their wires begin.
            box.y = tops[row] + (heights[row] - box.height if row == 3 else 0)
            x += box.width + gap


def _boxes(machines: Sequence[_Machine], bottom: float) -> list[str]:
    parts = []
    for machine in machines:
        parts.append(
            f'<rect class="{machine.node.kind}" x="{machine.x:.0f}" y="{_MARGIN}"'
            f' width="{machine.width:.0f}" height="{bottom - _MARGIN:.0f}" rx="8"/>'
            f'<text class="machine" x="{machine.x + _PAD:.0f}" y="{_MARGIN + 17}">'
            f"{escape(machine.node.name)}"
            f'<tspan class="more" dx="6">{machine.node.kind}</tspan></text>'
        )
        for upper, lower in machine.edges:
            y = upper.y + upper.height
            half = (y + lower.y) / 2
            parts.append(
                f'<path class="edge" d="M{upper.middle:.0f} {y:.0f}C{upper.middle:.0f} {half:.0f}'
                f' {lower.middle:.0f} {half:.0f} {lower.middle:.0f} {lower.y:.0f}"/>'
            )
        for row in machine.rows:
            for box in row.values():
                parts += box.svg()
    return parts


def _wires(topology: Topology, machines: Sequence[_Machine], y: float) -> tuple[list[str], float]:
    """The wires below the machines, and where the drawing ends."""
    parts = []
    for wire in topology.wires:
        ends = [
            machine.rows[3][link.name]
            for machine in machines
            for link in machine.node.links
            if link.wire == wire
        ]
        y += _WIRE_GAP / 2
        left = min((box.middle for box in ends), default=2.0 * _MARGIN) - _GAP
        right = max((box.middle for box in ends), default=8.0 * _MARGIN) + _GAP
        parts += [
            f'<path class="wire drop" d="M{box.middle:.0f} {box.y + box.height:.0f}V{y:.0f}"/>'
            f'<circle class="plug" cx="{box.middle:.0f}" cy="{y:.0f}" r="3"/>'
            for box in ends
        ]
        parts.append(
            f'<path class="wire" d="M{left:.0f} {y:.0f}H{right:.0f}"/>'
            f'<text class="wirename" x="{left:.0f}" y="{y + 14:.0f}">{escape(wire)}</text>'
        )
        y += _WIRE_GAP / 2
    return parts, y + _MARGIN / 2


def _in_words(topology: Topology) -> str:
    told = []
    for node in topology.nodes:
        if node.kind == "container":
            continue
        inside = [inner.name for inner in topology.nodes if inner.host == node.name]
        held = f" with {', '.join(inside)}" if inside else ""
        wires = [f"{link.name} on {link.wire}" for link in node.links if link.wire is not None]
        told.append(f"{node.kind} {node.name} ({', '.join(wires)}){held}")
    return "; ".join(told)
