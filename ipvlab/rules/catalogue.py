"""The one catalogue: every rule by its id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ipvlab.rules import catalogue_ipvlan, catalogue_linux
from ipvlab.rules.rule import Rule

_PARTS = (catalogue_ipvlan, catalogue_linux)

CATALOGUE: Mapping[str, Rule] = MappingProxyType(
    {each.id: each for part in _PARTS for each in vars(part).values() if isinstance(each, Rule)}
)
