"""What happened in a simulated lab, step by step, each with the rule that decided."""

from __future__ import annotations

import dataclasses
from enum import StrEnum

from ipvlab.rules.packets import Frame, Payload
from ipvlab.rules.rule import Rule


class Deed(StrEnum):
    """What a step is about."""

    SENDS = "sends"
    ASKS = "asks"
    CROSSES = "crosses"
    HANDS = "hands"
    TAKES = "takes"
    ANSWERS = "answers"
    FORWARDS = "forwards"
    IGNORES = "ignores"
    DROPS = "drops"
    #: Nothing moves, but this is why.
    BY_THE_WAY = "by the way"


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that one machine or wire did with one frame."""

    deed: Deed
    #: The node or wire that did it.
    who: str
    #: The link, or for a hand-over who gets it; empty where there is none.
    where: str
    rule: Rule
    payload: Payload
    frame: Frame | None = None
    #: A hook or anything else that belongs to the step, in words.
    note: str = ""


@dataclasses.dataclass(slots=True)
class Notebook:
    """Takes down steps while somebody wants them; by default nobody does."""

    is_open: bool = False
    steps: list[Step] = dataclasses.field(default_factory=list)

    def note(
        self,
        deed: Deed,
        who: str,
        where: str,
        rule: Rule,
        payload: Payload,
        frame: Frame | None = None,
        note: str = "",
    ) -> None:
        """Take down one step."""
        if self.is_open:
            self.steps.append(Step(deed, who, where, rule, payload, frame, note))
