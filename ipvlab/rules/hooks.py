"""Whose netfilter hooks see a packet of an endpoint: the table of flows.

Sources: ipvlan_core.c (L2 hands frames over below netfilter; L3 sends with
dst_output, so through the host's OUTPUT and POSTROUTING), ipvlan_l3s.c
(ingress is the host's until the last INPUT hook). Facts K-L2-018, K-L3-028,
K-L3S-002, K-L3S-003.
"""

from __future__ import annotations

from enum import StrEnum

from ipvlab.rules.stack import Hook
from ipvlab.spec.values import Mode

SENDING = (Hook.OUTPUT, Hook.POSTROUTING)
RECEIVING = (Hook.PREROUTING, Hook.INPUT)


class Flow(StrEnum):
    """From where to where a packet goes, seen from one parent."""

    OUT = "endpoint to wire"
    IN = "wire to endpoint"
    SIBLING = "endpoint to sibling"
    UP = "endpoint to its host"


def endpoint_hooks(flow: Flow, mode: Mode) -> tuple[Hook, ...]:
    """The hooks of the endpoint's own namespace (for a sibling flow: the receiver's)."""
    if flow in (Flow.OUT, Flow.UP):
        return SENDING
    if flow is Flow.IN and mode is Mode.L3S:
        return ()
    return RECEIVING


def host_hooks(flow: Flow, mode: Mode) -> tuple[Hook, ...]:
    """The hooks of the host's namespace, in the order in which they see the packet."""
    if flow is Flow.SIBLING:
        return ()
    if mode is Mode.L2:
        return RECEIVING if flow is Flow.UP else ()
    if flow is Flow.IN:
        return RECEIVING if mode is Mode.L3S else ()
    return SENDING + RECEIVING if flow is Flow.UP else SENDING
