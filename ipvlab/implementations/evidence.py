"""The packets that the claims of a case rest on, read from its capture and decoded."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ipvlab.implementations.results import Claim, Packet, Proof
from ipvlab.probe.decode import describe
from ipvlab.probe.pcapng import WrittenPacket, read_packets

Role = Literal["probe", "answer", "fence", "canary", "other"]

#: A broadcast in a large lab is some hundred packets; a report shows so many, the file has all.
MOST_PACKETS = 40

_ROLES: tuple[tuple[str, Role], ...] = (
    ("probes", "probe"),
    ("answers", "answer"),
    ("resolution", "other"),
    ("fences", "fence"),
    ("canaries", "canary"),
)


def packets_of(capture: Path, claims: Sequence[Claim]) -> tuple[Packet, ...]:
    """The packets that the claims' proofs name, decoded, in order; at most :data:`MOST_PACKETS`.

    Where there are more, probes and answers of claims that did not hold come
    first. Raises OSError where the capture cannot be read.
    """
    ordered = sorted(claims, key=lambda claim: str(claim.outcome) == "pass")
    wanted: dict[int, Role] = {}
    for key, role in _ROLES:
        for claim in ordered:
            for number in _numbers(claim.proof, key):
                wanted.setdefault(number, role)
    if not wanted:
        return ()
    written = _read(capture)
    shown = sorted(list(wanted)[:MOST_PACKETS])
    return tuple(_decode(written[number - 1], wanted[number], written[0].nanoseconds) for number in shown)


def _numbers(proof: Proof, key: str) -> tuple[int, ...]:
    numbers: tuple[int, ...] = getattr(proof, key)
    return numbers


@functools.lru_cache(4)
def _read(capture: Path) -> list[WrittenPacket]:
    """All cases of a lab ask for the same capture, one after the other."""
    return list(read_packets(capture.read_bytes()))


def _decode(packet: WrittenPacket, role: Role, beginning: int) -> Packet:
    summary, layers = describe(packet.frame)
    return Packet(
        number=packet.number,
        interface=packet.interface,
        at=(packet.nanoseconds - beginning) / 1e9,
        summary=summary,
        role=role,
        # Canaries and fences are all alike: a mark over loopback.
        layers=() if role in ("canary", "fence") else layers,
    )


def beside(capture: Path, folder: Path | None) -> str:
    """A capture's path as a report in ``folder`` names it."""
    return os.path.relpath(capture, folder if folder is not None else Path.cwd())
