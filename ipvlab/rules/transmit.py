"""What ipvlan does with a frame that an endpoint sends (ipvlan_core.c: ipvlan_queue_xmit)."""

from __future__ import annotations

from ipvlab.rules import catalogue_ipvlan as rules
from ipvlab.rules.packets import ETHERTYPE_PAUSE, Frame, OtherPayload, Packet
from ipvlab.rules.ports import Decision, Port
from ipvlab.spec.values import Flag, Mode


def transmit(port: Port, sender: str, frame: Frame) -> Decision:
    """Decide about a frame that the endpoint ``sender`` of a port sends."""
    if port.mode is Mode.L2:
        return transmit_l2(port, sender, frame)
    return transmit_l3(port, frame)


def transmit_l2(port: Port, sender: str, frame: Frame) -> Decision:
    """L2: the MAC first, then the address.

    The local test is "to == from", not "to == the port's MAC": a spoofed
    source sends the frame out, even one to a sibling.
    """
    if port.flag is not Flag.VEPA and frame.to == frame.sender:
        owner = port.owner(frame.payload)
        if owner is None:
            return Decision(rules.L2_OWN_MAC, goes_to_parent=True)
        if port.flag is Flag.PRIVATE:
            return Decision(rules.L2_PRIVATE)
        return Decision(rules.L2_SIBLING, (owner,))
    if frame.is_group:
        if isinstance(frame.payload, OtherPayload) and frame.payload.ethertype == ETHERTYPE_PAUSE:
            return Decision(rules.L2_PAUSE)
        return Decision(rules.L2_FAN_OUT, port.listeners(frame.to, sender), goes_out=True)
    return Decision(rules.L2_VEPA if frame.to == frame.sender else rules.L2_OUT, goes_out=True)


def transmit_l3(port: Port, frame: Frame) -> Decision:
    """L3 and L3S, which send alike: the address first, and the MAC only to refuse groups."""
    if port.flag is not Flag.VEPA:
        owner = port.owner(frame.payload)
        if owner is not None:
            if port.flag is Flag.PRIVATE:
                return Decision(rules.L3_PRIVATE)
            return Decision(rules.L3_SIBLING, (owner,))
    if frame.is_group:
        return Decision(rules.L3_GROUP)
    if not isinstance(frame.payload, Packet):
        return Decision(rules.L3_NO_IP)
    return Decision(rules.L3_ROUTED, is_routed=True)
