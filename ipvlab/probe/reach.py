"""Unicast probes: how each is sent and answered, and what is concluded from what was heard."""

from __future__ import annotations

from typing import Any

from ipvlab.probe import frames
from ipvlab.probe.ancillary import leave_by
from ipvlab.probe.asked import AskedReach, Evidence
from ipvlab.probe.capture import Sighting, Tap
from ipvlab.probe.ears import Ear, Heard
from ipvlab.probe.explain import Explainer
from ipvlab.probe.marks import Marker, Role
from ipvlab.probe.questions import Crossing, ReachObservation


def send_reach(asked: AskedReach, marker: Marker) -> None:
    """Send the request; a refusal of the kernel is kept, not raised."""
    question, ear = asked.question, asked.source
    address = question.address
    mark = marker.write(asked.number)
    if question.proto == "udp":
        packet, port = mark, ear.kind.port
    elif address.version == 4:
        packet, port = frames.echo4(frames.ECHO_REQUEST, mark), 0
    else:
        packet, port = frames.echo6(frames.ECHO6_REQUEST, mark), 0
    index = 0
    if address.version == 6 and address.is_link_local:
        # fe80::/10 means nothing without a link; the first one is the node's own choice.
        index = next((link.index for link in ear.node.links.values()), 0)
    try:
        if question.source_address is None and not index:
            ear.sock.sendto(packet, (str(address), port))
        else:
            ancillary = leave_by(address.version, index, question.source_address)
            ear.sock.sendmsg([packet], ancillary, 0, (str(address), port))
    except OSError as error:
        asked.refusal = error


def hear_reach(asked: AskedReach, ear: Ear, heard: Heard, marker: Marker) -> bool:
    """Take note of a packet of this probe; True when an answer was sent that must be waited for."""
    if heard.is_answer:
        if ear is asked.source:
            asked.replies += 1
        else:
            asked.strays.add(ear.node.name)
        return False
    if ear is not asked.target:
        asked.strays.add(ear.node.name)
        return False
    asked.requests += 1
    if asked.requests > 1:
        return False
    asked.ttl, asked.sender = heard.ttl, heard.sender
    if heard.origin is None or asked.question.is_one_way:
        return False
    address, own_side = heard.origin
    try:
        ear.sock.sendmsg([marker.write(asked.number, Role.REPLY)], own_side, 0, address)
    except OSError as error:
        asked.answer_refusal = error
        return False
    return True


def see_crossing(asked: AskedReach, tap: Tap, seen: Sighting) -> None:
    """Take note of a frame on a wire; the copies that a switch makes of it are one crossing."""
    source_mac, destination_mac = seen.source_mac.hex(":"), seen.destination_mac.hex(":")
    crossing = Crossing(tap.name, source_mac, destination_mac, seen.vlan, seen.leg)
    if crossing not in asked.crossings:
        asked.crossings.append(crossing)


def see_hop(asked: AskedReach, tap: Tap, seen: Sighting) -> None:
    """Take note of a request that comes into or goes out of a node that may forward it."""
    if seen.leg == "request":
        ttls = asked.went_out if seen.is_outgoing else asked.came_in
        ttls.setdefault(tap.name, set()).add(seen.ttl)


def conclude_reach(
    asked: AskedReach,
    evidence: Evidence,
    explainer: Explainer,
    unheard_wires: frozenset[str],
    is_path_sound: bool,
) -> ReachObservation:
    """The observation of one probe: an arrival stands, a silence only as far as it is proved."""
    question = asked.question
    is_usurped = asked.replies > 0 and not asked.requests and _is_usurped(asked, evidence)
    reply = asked.replies > 0 and not is_usurped
    # An answer of the target cannot come without its request, even if the target's ear missed that.
    request = asked.requests > 0 or reply
    happened = request if question.is_one_way else reply
    witnesses = ([] if request else [asked.target]) + ([] if question.is_one_way else [asked.source])
    is_proved = happened or (evidence.is_calm and all(ear.is_sound for ear in witnesses))
    reason = ""
    if not happened:
        reason = explainer.explain(asked, request)
        if is_usurped:
            answerer = " or ".join(sorted(asked.strays)) or "another node"
            reason = f"{answerer} answered for {question.address}, not {question.target}"
        if not is_proved:
            reason = _fault(evidence, witnesses) + (f" ({reason})" if reason else "")
    elif not asked.requests:
        reason = "the answer came, but the target's listener missed the request"
    if question.wants_path and not is_path_sound:
        reason += "; the path could not be observed" if reason else "the path could not be observed"
    pair = (asked.source, asked.target)
    proof: dict[str, Any] = {
        "probe": asked.number,
        "fence_rounds": evidence.fence_rounds,
        "canary": all(ear.has_canary for ear in pair),
        "fence": all(ear.has_fence for ear in pair),
        "drops": evidence.backlog_drops + evidence.table_drops + sum(ear.dropped for ear in pair),
        "requests": asked.requests,
        "replies": asked.replies,
    }
    return ReachObservation(
        question=question,
        request=request,
        reply=reply,
        ttl=asked.ttl,
        crossings=tuple(asked.crossings),
        path=asked.path() if question.wants_path and is_path_sound else None,
        is_proved=is_proved,
        reason=reason,
        proof=proof,
        unheard_wires=unheard_wires,
    )


def _is_usurped(asked: AskedReach, evidence: Evidence) -> bool:
    """Whether an answer came although its request never reached the target: another node has the address."""
    return bool(asked.strays) or (evidence.is_calm and asked.target.is_sound)


def _fault(evidence: Evidence, witnesses: list[Ear]) -> str:
    """Why a silence is not proved, in words."""
    for ear in witnesses:
        if not ear.is_sound:
            return fault_of(ear)
    return evidence.fault()


def fault_of(ear: Ear) -> str:
    """Why an ear cannot vouch for its silence, in words."""
    name = f"the {ear.kind} listener of {ear.node.name}"
    if not ear.has_canary:
        return f"{name} heard nothing of its canary"
    if not ear.has_fence:
        return f"{name} heard nothing of its fence"
    return f"{name} lost {ear.dropped} packets"
