"""A served host for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ipvlab.spec.values import Dialect
from tests.unit.engine_api.served_host import ServedHost


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Dialect], ServedHost]]:
    """A function that serves a host of a dialect, once."""
    served: list[ServedHost] = []

    def make(dialect: Dialect) -> ServedHost:
        served.append(ServedHost(tmp_path, dialect))
        return served[-1]

    yield make
    for host in served:
        host.api.close()


@pytest.fixture
def host(serve: Callable[[Dialect], ServedHost]) -> ServedHost:
    """A served host of the documents' dialect."""
    return serve(Dialect.DOCS)
