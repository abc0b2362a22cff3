"""The contradictions found in one scenario, each at its place in the file."""

from __future__ import annotations

from ipvlab.errors import SpecError
from ipvlab.spec.load import Key, LoadedScenario, raise_first


class Findings:
    """Collects errors; nothing is raised before all rules had their say."""

    def __init__(self, loaded: LoadedScenario) -> None:
        self._loaded = loaded
        self._errors: list[SpecError] = []

    def at_value(self, kind: type[SpecError], what: str, *keys: Key, hint: str = "") -> None:
        """Note an error at the value under some keys."""
        self._errors.append(kind(what, where=self._loaded.position(*keys), hint=hint))

    def at_key(self, kind: type[SpecError], what: str, *keys: Key, hint: str = "") -> None:
        """Note an error at the last of some keys."""
        self._errors.append(kind(what, where=self._loaded.key_position(*keys), hint=hint))

    def raise_all(self) -> None:
        """Raise the first error by position with the others attached; do nothing without any."""
        raise_first(self._errors)
