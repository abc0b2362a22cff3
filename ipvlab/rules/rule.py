"""What a rule is: an id, one plain sentence, and where it is written."""

from __future__ import annotations

import dataclasses

_RULES: dict[str, Rule] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the network: what it says, and the kernel function or document that says so.

    ``facts`` are the numbers under which it was checked on a real kernel.
    """

    id: str
    sentence: str
    source: str
    facts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.id}: {self.sentence} ({self.source})"


def rule(id_: str, sentence: str, source: str, *facts: str) -> Rule:
    """State a rule; an id is given once."""
    assert id_ not in _RULES, f"two rules are called {id_}"
    _RULES[id_] = Rule(id_, sentence, source, facts)
    return _RULES[id_]
