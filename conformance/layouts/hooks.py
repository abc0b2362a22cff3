"""Whose netfilter sees a packet: one hook of the host drops, and what gets through tells."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.l3 import MODES, build
from conformance.layouts.layout import Draft, Layout
from ipvlab.implementations.port import Feature

OUTWARD, INWARD = ("output", "postrouting"), ("prerouting", "input")


def layouts() -> Iterator[Layout]:
    """Each routed mode with each hook of the host dropping."""
    for mode in MODES:
        for hook in (*OUTWARD, *INWARD):
            yield _dropping(mode, hook)


def _dropping(mode: str, hook: str) -> Layout:
    draft = Draft(
        f"{mode}-host-drops-in-{hook}",
        f"{mode.upper()}: the host of the endpoints drops in {hook}",
        MODES[mode],
        Feature.IPV6,
        Feature.SEVERAL_SUBNETS,
    )
    build(draft, mode, "bridge", firewall={hook: "drop"})
    area = "L3" if mode == "l3" else "L3S"
    everyone = ["a1", "a2", "a3"]
    draft.expect(f"IPV-{area}-FW-003", reach={"sender": everyone, "to": everyone})
    outward = {"l3": "IPV-L3-FW-001", "l3s": "IPV-L3S-FW-002"}[mode]
    inward = {"l3": "IPV-L3-FW-002", "l3s": "IPV-L3S-FW-001"}[mode]
    for family in ("ipv4", "ipv6"):
        leaving = {"sender": "a1", "to": "st", "family": family}
        coming = {"sender": "st", "to": "a1", "family": family}
        if hook in OUTWARD:
            draft.expect(outward, undelivered=leaving)
            draft.expect(inward, delivers=coming)
        else:
            draft.expect(outward, delivers=leaving)
            draft.expect(inward, **{"delivers" if mode == "l3" else "undelivered": coming})
    return draft.layout()
