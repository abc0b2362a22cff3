"""A host for each test."""

from __future__ import annotations

import pytest

from tests.unit.driver.recording_port import Host


@pytest.fixture
def host() -> Host:
    """A host ``h1`` with ``lo``, ``eth0`` and ``eth1``."""
    return Host("eth1")
