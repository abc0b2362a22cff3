"""Networks and containers by what a user writes for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from ipvlab.driver.state import Container, Network
from ipvlab.errors import DriverRefusal

_Thing = TypeVar("_Thing", Network, Container)


def find_thing(things: Mapping[str, _Thing], reference: str, kind: str, missing: str) -> _Thing:
    """The thing of a full id, a name, or the beginning of an id, in this order.

    Raises :class:`DriverRefusal`: 404 with the text ``missing``, 400 where an
    id's beginning stands for several.
    """
    if len(reference) == 64:
        for thing in things.values():
            if thing.id == reference:
                return thing
    if reference in things:
        return things[reference]
    matches = [thing for thing in things.values() if reference and thing.id.startswith(reference)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DriverRefusal(
            f"{kind} {reference} is ambiguous ({len(matches)} matches found based on ID prefix)", status=400
        )
    raise DriverRefusal(missing, status=404)
