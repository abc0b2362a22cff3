"""What was observed, held against what was expected: one verdict for each check.

A negative passes only when it is proved; where the proof broke, the verdict is
``unobserved``. A positive stands whatever became of the proof of silence.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ipvlab.probe.questions import BroadcastObservation, Crossing, ReachObservation
from ipvlab.run.directory import Directory
from ipvlab.run.expand import Check
from ipvlab.run.results import Outcome, Verdict
from ipvlab.spec.model import Addresses, Broadcast, Delivers, Links, OnWire, Reach, Resolves, Routes
from ipvlab.spec.routes import RouteText, parse_route
from ipvlab.spec.values import Interface


def give_verdict(
    check: Check,
    outcome: Outcome,
    expected: Any,
    observed: Any,
    reason: str = "",
    proof: dict[str, Any] | None = None,
) -> Verdict:
    """A verdict that carries the check's identity."""
    return Verdict(
        id=check.id,
        kind=check.kind,
        outcome=outcome,
        expected=expected,
        observed=observed,
        reason=reason,
        proof=proof or {},
        from_=check.subject,
        to=check.target,
        family=str(check.family) if check.family is not None else None,
        where=str(check.where) if check.where is not None else None,
    )


def fail_to_ask(check: Check, reason: str, outcome: Outcome = Outcome.ERROR) -> Verdict:
    """The verdict of a check whose question could not be put at all."""
    return give_verdict(check, outcome, expected_of(check), None, reason)


def expected_of(check: Check) -> Any:
    """What a check expects, in the form of the JSON contract."""
    claim = check.claim
    if isinstance(claim, Broadcast):
        return sorted(claim.heard_by)
    if isinstance(claim, Links):
        return sorted(claim.present)
    if isinstance(claim, Addresses):
        return sorted(str(address) for address in claim.interfaces.get(check.part, ()))
    if isinstance(claim, Resolves):
        return sorted(str(address) for address in claim.to)
    if isinstance(claim, OnWire):
        return {key: getattr(claim, key) for key in ("vlan", "source_mac") if key in claim.model_fields_set}
    if check.kind == "routes":
        return sorted(getattr(claim, check.part))
    if check.kind == "fails":
        return getattr(claim, "error", None)
    ttl = getattr(claim, "ttl", None)
    return {
        "reach": {"round_trip": True, "request": True, "reply": True, "ttl": ttl},
        "blocked": {"round_trip": False, "request": None, "reply": None, "ttl": None},
        "delivers": {"round_trip": None, "request": True, "reply": None, "ttl": ttl},
        "undelivered": {"round_trip": None, "request": False, "reply": None, "ttl": None},
    }[check.kind]


def judge_without_address(check: Check) -> Verdict:
    """A probe of a family that one side lacks: there is nothing to send, or nobody to send it to."""
    is_one_way = check.kind in ("delivers", "undelivered")
    observed = {
        "round_trip": None if is_one_way else False,
        "request": False,
        "reply": None if is_one_way else False,
        "ttl": None,
    }
    if check.kind == "on_wire":
        return judge_crossings(check, (), True, "no address", {}, Directory({}))
    passes = check.kind in ("blocked", "undelivered")
    outcome = Outcome.PASS if passes else Outcome.FAIL
    return give_verdict(check, outcome, expected_of(check), observed, "no address")


def judge_reach(check: Check, seen: ReachObservation, directory: Directory) -> Verdict:
    """Hold a probe between two nodes against its claim: legs, then TTL and path where written."""
    proof = dict(seen.proof)
    if seen.crossings:
        proof["crossings"] = [_crossing(crossing) for crossing in seen.crossings]
    if seen.path is not None:
        proof["path"] = list(seen.path)
    if check.kind == "on_wire":
        assert isinstance(check.claim, OnWire)
        is_proved = seen.is_proved and check.claim.wire not in seen.unheard_wires
        return judge_crossings(check, seen.crossings, is_proved, seen.reason, proof, directory)
    is_one_way = seen.question.is_one_way
    observed = {
        "round_trip": None if is_one_way else seen.request and seen.reply,
        "request": seen.request,
        "reply": None if is_one_way else seen.reply,
        "ttl": seen.ttl,
    }
    outcome, reason = _judge_legs(check, seen, directory)
    return give_verdict(check, outcome, expected_of(check), observed, reason, proof)


def _judge_legs(check: Check, seen: ReachObservation, directory: Directory) -> tuple[Outcome, str]:
    happened = seen.request if seen.question.is_one_way else seen.reply
    if check.kind in ("blocked", "undelivered"):
        if happened:
            return Outcome.FAIL, seen.reason or "it arrived"
        if not seen.is_proved:
            return Outcome.UNOBSERVED, seen.reason or "the proof of silence broke"
        return Outcome.PASS, seen.reason
    if not happened:
        return (Outcome.FAIL if seen.is_proved else Outcome.UNOBSERVED), seen.reason or "nothing arrived"
    claim = check.claim
    assert isinstance(claim, Reach | Delivers)
    if claim.ttl is not None and seen.ttl != claim.ttl:
        if seen.ttl is None:
            return Outcome.UNOBSERVED, "the receiver could not read the TTL"
        return Outcome.FAIL, f"the receiver read TTL {seen.ttl}, not {claim.ttl}"
    if claim.via is not None:
        via = tuple(directory.find(name, check.where).name for name in claim.via)
        if seen.path is None:
            return Outcome.UNOBSERVED, "the path could not be observed"
        if seen.path != via:
            return Outcome.FAIL, f"it went via {_names(seen.path)}, not via {_names(via)}"
    return Outcome.PASS, seen.reason


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "nobody"


def _crossing(crossing: Crossing) -> dict[str, Any]:
    return {
        "wire": crossing.wire,
        "leg": crossing.leg,
        "source_mac": crossing.source_mac,
        "destination_mac": crossing.destination_mac,
        "vlan": crossing.vlan,
    }


def judge_crossings(
    check: Check,
    crossings: Collection[Crossing],
    is_proved: bool,
    reason: str,
    proof: dict[str, Any],
    directory: Directory,
) -> Verdict:
    """Hold what a wire's capture saw of a request against the written tag and source MAC.

    A request may cross one wire twice (a router on a stick); one crossing that
    fits is enough. ``source_mac: null`` claims that none crosses.
    """
    claim = check.claim
    assert isinstance(claim, OnWire)
    seen = [crossing for crossing in crossings if crossing.wire == claim.wire and crossing.leg == "request"]
    expected: dict[str, Any] = {}
    if "vlan" in claim.model_fields_set:
        expected["vlan"] = claim.vlan
    if "source_mac" in claim.model_fields_set:
        expected["source_mac"] = _expected_mac(claim.source_mac, directory)
    fitting = [
        crossing
        for crossing in seen
        if all(getattr(crossing, key) == value for key, value in expected.items())
    ]
    shown = next(iter(fitting or seen), None)
    observed = {
        "vlan": shown.vlan if shown is not None else None,
        "source_mac": shown.source_mac if shown is not None else None,
    }
    claims_nothing = "source_mac" in claim.model_fields_set and claim.source_mac is None
    if claims_nothing and not seen:
        outcome = Outcome.PASS if is_proved else Outcome.UNOBSERVED
    elif claims_nothing:
        outcome, reason = Outcome.FAIL, f"it crossed {claim.wire}"
    elif not seen:
        outcome = Outcome.FAIL if is_proved else Outcome.UNOBSERVED
        reason = f"nothing of it crossed {claim.wire}" + (f": {reason}" if reason else "")
    else:
        outcome = Outcome.PASS if fitting else Outcome.FAIL
    return give_verdict(check, outcome, expected, observed, reason, proof)


def _expected_mac(written: str | None, directory: Directory) -> str | None:
    """A written source MAC: itself, or that of the link written ``node.interface``."""
    if written is None:
        return None
    found = directory.find_link(written)
    mac = getattr(found[1], "mac", None) if found is not None else None
    return mac.hex(":") if isinstance(mac, bytes) else written.lower()


def judge_broadcast(check: Check, seen: BroadcastObservation, directory: Directory) -> Verdict:
    """Hold who heard a broadcast against the exact set; one copy each, everyone else proved silent."""
    claim = check.claim
    assert isinstance(claim, Broadcast)
    expected = {directory.find(name, check.where).name for name in claim.heard_by} - {check.subject}
    heard = set(seen.heard_by)
    twice = sorted(node for node, count in seen.copies.items() if count > 1)
    faults = []
    if heard - expected:
        faults.append("heard by " + _names(sorted(heard - expected)) + " too")
    if expected & seen.silent - heard:
        faults.append("not heard by " + _names(sorted(expected & seen.silent - heard)))
    if twice:
        faults.append(
            "heard more than once by " + ", ".join(f"{node} ({seen.copies[node]})" for node in twice)
        )
    everyone = {node.name for node in directory} | expected | set(seen.unobserved)
    unsure = everyone - {check.subject} - heard - seen.silent
    reason = seen.reason
    if faults:
        outcome = Outcome.FAIL
        reason = "; ".join([*faults, *([seen.reason] if seen.reason else [])])
    elif unsure:
        outcome = Outcome.UNOBSERVED
        reason = f"{_names(sorted(unsure))} could not be observed" + (f": {reason}" if reason else "")
    else:
        outcome = Outcome.PASS
    proof = dict(seen.proof)
    proof["copies"] = dict(sorted(seen.copies.items()))
    proof["silent"] = sorted(seen.silent)
    return give_verdict(check, outcome, sorted(expected), sorted(heard), reason, proof)


def judge_lists(check: Check, expected: Iterable[str], observed: Iterable[str], reason: str = "") -> Verdict:
    """Hold one set of texts against another, without regard to order."""
    wanted, found = sorted(set(expected)), sorted(set(observed))
    outcome = Outcome.PASS if wanted == found else Outcome.FAIL
    return give_verdict(check, outcome, wanted, found, reason if outcome is Outcome.FAIL else "")


def judge_addresses(check: Check, held: Iterable[Interface] | None) -> Verdict:
    """Hold an interface's addresses against the written ones; link-local left out unless written."""
    claim = check.claim
    assert isinstance(claim, Addresses)
    written = claim.interfaces[check.part]
    wants_link_local = any(_is_link_local(address) for address in written)
    if held is None:
        reason = f"{check.subject} has no interface {check.part}"
        return give_verdict(check, Outcome.FAIL, expected_of(check), [], reason)
    shown = [str(address) for address in held if wants_link_local or not _is_link_local(address)]
    return judge_lists(check, (str(address) for address in written), shown)


def _is_link_local(address: Interface) -> bool:
    return isinstance(address, ipaddress.IPv6Interface) and address.ip.is_link_local


def judge_links(check: Check, names: Collection[str]) -> Verdict:
    """Hold a node's link names against those written present and absent."""
    claim = check.claim
    assert isinstance(claim, Links)
    mentioned = [*claim.present, *claim.absent]
    observed = [name for name in mentioned if name in names]
    missing = [name for name in claim.present if name not in names]
    unwanted = [name for name in claim.absent if name in names]
    faults = []
    if missing:
        faults.append("not there: " + _names(missing))
    if unwanted:
        faults.append("still there: " + _names(unwanted))
    return judge_lists(check, claim.present, observed, "; ".join(faults))


#: What a route has beside destination, gateway and interface.
_SIDE_ATTRIBUTES = ("src", "metric", "proto", "scope", "pref")


def judge_routes(check: Check, held: Sequence[RouteText]) -> Verdict:
    """Hold a main table against the written routes: each written one is there, and no other.

    A written route matches when every attribute that it names agrees. Shown are
    destination, gateway and interface, and what else any written route names.
    """
    claim = check.claim
    assert isinstance(claim, Routes)
    texts: Sequence[str] = (claim.ipv4 if check.part == "ipv4" else claim.ipv6) or ()
    written = [parse_route(text, 4 if check.part == "ipv4" else 6) for text in texts]
    told = {name for name in _SIDE_ATTRIBUTES if any(getattr(route, name) is not None for route in written)}

    def show(route: RouteText) -> str:
        words = [f"{name} {getattr(route, name)}" for name in _SIDE_ATTRIBUTES if name in told]
        plain = str(RouteText(route.to, route.via, route.dev))
        return " ".join([plain, *(word for word in words if not word.endswith(" None"))])

    missing = [str(route) for route in written if not any(route.matches(other) for other in held)]
    extra = [show(other) for other in held if not any(route.matches(other) for route in written)]
    faults = []
    if missing:
        faults.append("missing: " + _names(missing))
    if extra:
        faults.append("not written: " + _names(extra))
    outcome = Outcome.FAIL if faults else Outcome.PASS
    expected = sorted(str(route) for route in written)
    return give_verdict(check, outcome, expected, sorted(show(other) for other in held), "; ".join(faults))
