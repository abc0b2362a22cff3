"""What ipvlan does with a frame that arrives at a parent from the wire (ipvlan_core.c: ipvlan_handle_frame).

Private and vepa are not consulted here: they are about sending. A tagged frame
that a sub-interface takes never comes here (:mod:`ipvlab.rules.vlans`).
"""

from __future__ import annotations

from ipvlab.rules import catalogue_ipvlan as rules
from ipvlab.rules.packets import ETHERTYPE_PAUSE, Frame, OtherPayload, Packet
from ipvlab.rules.ports import Decision, Port, is_internal
from ipvlab.spec.values import Mode


def receive(port: Port, frame: Frame) -> Decision:
    """Decide about a frame from the wire."""
    if port.mode is Mode.L3S:
        return Decision(rules.RX_L3S_PARENT, goes_to_parent=True)
    if port.mode is Mode.L2 and frame.is_group:
        return _receive_group(port, frame)
    owner = port.owner(frame.payload)
    if owner is not None:
        return Decision(rules.RX_ENDPOINT if port.mode is Mode.L2 else rules.RX_L3_OWNER, (owner,))
    is_refused_group = port.mode is Mode.L3 and frame.is_group
    return Decision(rules.RX_L3_GROUP if is_refused_group else rules.RX_PARENT, goes_to_parent=True)


def _receive_group(port: Port, frame: Frame) -> Decision:
    is_pause = isinstance(frame.payload, OtherPayload) and frame.payload.ethertype == ETHERTYPE_PAUSE
    if is_pause:
        return Decision(rules.RX_PARENT, goes_to_parent=True)
    if is_internal(port, frame):
        return Decision(rules.RX_REFLECTED, goes_to_parent=True)
    return Decision(rules.RX_FAN_OUT, port.listeners(frame.to), goes_to_parent=True)


def divert(port: Port, packet: Packet) -> str | None:
    """In L3S: the endpoint whose sockets get a packet that the host's IP input has taken, or None.

    Called after PREROUTING, and so after DNAT (ipvlan_l3s.c: ipvlan_l3_rcv).
    """
    return port.owner(packet) if port.mode is Mode.L3S else None
