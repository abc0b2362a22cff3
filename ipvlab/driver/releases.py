"""Which Docker release each dialect answers as, wherever a version is asked for."""

from __future__ import annotations

import dataclasses

from ipvlab.spec.values import Dialect


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """One release of Docker's engine as ``docker version`` tells it."""

    version: str
    #: The highest version of the HTTP API that the lab's engine answers to.
    api: str
    #: The lowest one; below it the engine refuses.
    minimum_api: str
    commit: str
    go: str
    built: str


_28 = Release("28.2.2", "1.50", "1.24", "45873be", "go1.24.3", "2025-05-30T12:07:27.000000000+00:00")
#: The documents name no release; they are answered for by the one whose HTTP API the lab speaks.
#: 29's own API is 1.52: a lab stays at 1.50, whose shapes both clients understand.
RELEASES: dict[Dialect, Release] = {
    Dialect.DOCS: _28,
    Dialect.DOCKER_26: Release(
        "26.1.4", "1.45", "1.24", "de5c9cf", "go1.21.11", "2024-06-05T11:29:22.000000000+00:00"
    ),
    Dialect.DOCKER_28: _28,
    Dialect.DOCKER_29: Release(
        "29.7.2", "1.50", "1.44", "b985e23", "go1.26.1", "2026-08-20T12:00:00.000000000+00:00"
    ),
}
