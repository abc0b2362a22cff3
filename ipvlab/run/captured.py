"""What captured packets prove: which of them belong to a question, and what each of them is for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ipvlab.probe.belonging import Belonging, Part, read_asked_address
from ipvlab.probe.layers import EarKind
from ipvlab.probe.questions import Question, ReachQuestion
from ipvlab.probe.recorded import Recorded, link_place
from ipvlab.run.results import Verdict
from ipvlab.spec.values import Address

#: A batch vouches for all its claims at once; a comment names so many of them.
_MOST_NAMES = 6
_WIRE = "wire "


class Asked(NamedTuple):
    """One question as it was put."""

    question: Question
    #: The number of its batch, and the moments between which that was under way.
    batch: int
    began: int
    ended: int
    #: Where it is heard, and the nodes that listened for it there.
    layer: EarKind
    listeners: frozenset[str]


class Evidence:
    """The packets of a capture by what they are for."""

    def __init__(
        self,
        recorded: Sequence[Recorded],
        belongings: Sequence[Belonging | None],
        asked: Mapping[int, Asked],
    ) -> None:
        """``belongings`` are those of the frames ``recorded``, ``asked`` the questions by their numbers."""
        self._asked = asked
        self._by_mark: dict[tuple[Part, int], list[tuple[int, str, EarKind | None]]] = defaultdict(list)
        #: What each node asked its neighbours for: packet, moment, address.
        self._resolutions: dict[str, list[tuple[int, int, Address]]] = defaultdict(list)
        for number, (each, belonging) in enumerate(zip(recorded, belongings, strict=True), 1):
            if belonging is not None:
                key = (belonging.part, belonging.number)
                self._by_mark[key].append((number, each.place, belonging.layer))
            elif each.is_outgoing:
                address = read_asked_address(each.frame)
                if address is not None:
                    node = each.place.rpartition(":")[0]
                    self._resolutions[node].append((number, each.nanoseconds, address))

    def of(self, verdict: Verdict) -> dict[str, Any]:
        """The numbers of the packets that a verdict rests on, as its proof names them."""
        number = verdict.proof["probe"]
        asked = self._asked[number]
        found: dict[str, Any] = {
            "probes": self._of_question(Part.PROBE, number),
            "answers": self._of_question(Part.ANSWER, number),
        }
        for key, part in (("canaries", Part.CANARY), ("fences", Part.FENCE)):
            found[key] = self._vouching(part, asked, with_wires=verdict.kind == "on_wire")
        if not found["probes"] and isinstance(asked.question, ReachQuestion):
            found["resolution"] = self._resolution(asked, asked.question)
        return found

    def _of_question(self, part: Part, mark: int) -> list[int]:
        """At every place that they passed."""
        return [number for number, _, _ in self._by_mark.get((part, mark), ())]

    def _vouching(self, part: Part, asked: Asked, *, with_wires: bool) -> list[int]:
        """The canaries or fences of the listeners, and where wanted those of the captures of wires."""
        places = {link_place(name, "lo") for name in asked.listeners}
        return [
            number
            for number, place, layer in self._by_mark.get((part, asked.batch), ())
            if (layer is asked.layer and place in places)
            or (with_wires and layer is None and place.startswith(_WIRE))
        ]

    def _resolution(self, asked: Asked, question: ReachQuestion) -> list[int]:
        """The packets by which the sender asked for the next hop of a probe that it never sent.

        They have no mark. Of those in the time of the batch these are the ones for
        the address itself; without any, the ones for no address that was asked.
        """
        during = [
            (number, address)
            for number, moment, address in self._resolutions.get(question.source, ())
            if asked.began <= moment <= asked.ended and address.version == question.address.version
        ]
        exact = [number for number, address in during if address == question.address]
        if exact:
            return exact
        targets = {
            other.question.address
            for other in self._asked.values()
            if other.batch == asked.batch and isinstance(other.question, ReachQuestion)
        }
        return [number for number, address in during if address not in targets]


class Sentences:
    """Comments: what a packet is for, and the claim and requirement that it belongs to."""

    def __init__(
        self,
        asked: Mapping[int, Asked],
        claims: Mapping[int, Verdict],
        labels: Mapping[str, Collection[str]],
        proofs: Mapping[int, Mapping[str, Any]],
    ) -> None:
        """``claims`` and ``proofs`` are by the numbers of the questions, ``labels`` by expectation."""
        self._asked = asked
        self._claims = claims
        self._labels = labels
        self._by_batch: dict[int, list[int]] = defaultdict(list)
        for number, each in asked.items():
            self._by_batch[each.batch].append(number)
        #: The packets that have no mark, and the questions that they were sent for.
        self._seekers: dict[int, list[int]] = defaultdict(list)
        for number, proof in proofs.items():
            for packet in proof.get("resolution", ()):
                self._seekers[packet].append(number)

    def about(self, packet: int, belonging: Belonging | None, place: str) -> str:
        """The comment on a packet that was seen at a place; empty where nothing is known of it."""
        if belonging is None:
            numbers = self._seekers.get(packet)
            return f"next hop asked for, by {self._names(numbers)}" if numbers else ""
        if belonging.part not in (Part.CANARY, Part.FENCE):
            what = "about the probe" if belonging.part is Part.OTHER else belonging.part
            return f"{what} of {self._name(belonging.number)}"
        node, _, _ = place.rpartition(":")
        if belonging.layer is None:
            whose = f"the capture of {place}"
            numbers = self._by_batch.get(belonging.number, [])
        else:
            whose = f"the {belonging.layer} listener of {node}"
            numbers = [
                number
                for number in self._by_batch.get(belonging.number, [])
                if self._asked[number].layer is belonging.layer and node in self._asked[number].listeners
            ]
        return f"{belonging.part} of {whose}" + (f", for {self._names(numbers)}" if numbers else "")

    def _names(self, numbers: Sequence[int]) -> str:
        names = [self._name(number) for number in numbers[:_MOST_NAMES]]
        if len(numbers) > _MOST_NAMES:
            names.append(f"{len(numbers) - _MOST_NAMES} more")
        return "; ".join(names)

    def _name(self, number: int) -> str:
        """A question by its verdict and requirements; one of no expectation by what was asked."""
        claim = self._claims.get(number)
        if claim is None:
            asked = self._asked.get(number)
            if asked is None:
                return f"question {number}"
            to = getattr(asked.question, "target", getattr(asked.question, "kind", ""))
            return f"a question beside the expectations: {asked.question.source} -> {to}"
        requirements = self._labels.get(claim.id.partition(":")[0], ())
        return f"{claim.id} ({claim.kind})" + "".join(f" {each}" for each in requirements)
