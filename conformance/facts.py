"""What links are like: read from the nodes themselves, for requirements that no probe can settle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conformance.layouts.layout import Fact, Layout
from ipvlab.implementations.results import CaseOutcome, Claim

if TYPE_CHECKING:
    from ipvlab.run.ground import ProbedGround

#: The datapath `bpf` has the other end of each endpoint in the host. It goes with the endpoint's
#: namespace, which the kernel frees some time after the last reference to it is gone (cleanup_net).
_NEAR_END = re.compile(r"ipv(tap)?[0-9]+\Z")


class FactReader:
    """Reads a layout's facts when a stage has been judged."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        #: (stage, node) -> the names of its links then.
        self._links: dict[tuple[int, str], list[str]] = {}

    def __call__(self, stage: int, ground: ProbedGround) -> Sequence[tuple[str, Claim]]:
        """The facts of a stage, held against the lab as it stands."""
        for fact in self._layout.facts:
            if fact.links_as is not None and fact.node in ground.nodes:
                names = ground.read_links(fact.node)
                self._links[stage, fact.node] = sorted(name for name in names if not _NEAR_END.match(name))
        return [
            (fact.requirement, self._claim(fact, ground))
            for fact in self._layout.facts
            if fact.stage == stage
        ]

    def _claim(self, fact: Fact, ground: ProbedGround) -> Claim:
        if fact.links_as is not None:
            before, now = self._links[fact.links_as, fact.node], self._links[fact.stage, fact.node]
            words = "other links than" if fact.has_others else "the links of"
            return _claim(
                f"links of {fact.node}", f"{words} {before}", str(now), (before == now) is not fact.has_others
            )
        if fact.has_no_next_hop is not None:
            routes = ground.read_routes(fact.node, fact.has_no_next_hop)
            told = [str(route) for route in routes if route.via is not None]
            name = f"next hops of {fact.node}, IPv{fact.has_no_next_hop}"
            return _claim(name, "none", ", ".join(told) or "none", not told)
        seen = read_link(ground, fact.node, fact.link)
        if fact.mtu is not None:
            return _claim(f"MTU of {fact.node}:{fact.link}", fact.mtu, seen["mtu"], seen["mtu"] == fact.mtu)
        node, _, link = str(fact.mac_of).partition(".")
        wanted = read_link(ground, node, link)["mac"]
        return _claim(f"MAC of {fact.node}:{fact.link}", wanted, seen["mac"], seen["mac"] == wanted)


def _claim(name: str, expected: object, observed: object, holds: bool) -> Claim:
    outcome = CaseOutcome.PASS if holds else CaseOutcome.FAIL
    return Claim(id=name, outcome=outcome, expected=expected, observed=observed)


def read_link(ground: ProbedGround, node: str, name: str) -> Mapping[str, Any]:
    """The MTU and MAC address of a link, asked of the kernel where there is one."""
    place = ground.nodes[node]
    namespace = getattr(place, "namespace", None)
    if namespace is None:
        link: Any = place.links[name]
        return {"mtu": link.mtu, "mac": link.mac.hex(":")}
    from ipvlab.lab.tables import view_links

    [found] = [each for each in view_links(namespace) if each.name == name]
    return {"mtu": found.mtu, "mac": found.mac.hex(":")}
