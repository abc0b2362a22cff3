"""The lists of known failures: each entry can be read, and names something of the suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipvlab.implementations.choosing import NAMES
from ipvlab.implementations.register import Register
from ipvlab.pytest_plugin.known import read_known

SUITE = Path(__file__).parents[3] / "conformance"
LISTS = sorted((SUITE / "expected").glob("*.toml"))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_a_list_of_known_failures_is_of_an_implementation_and_names_requirements(path: Path) -> None:
    register = Register.read(SUITE / "requirements.yaml")
    assert path.stem in NAMES
    for entry in read_known(path):
        assert any(requirement in entry.id for requirement in register.requirements), entry.id
        assert entry.link.startswith("https://")
        assert len(entry.reason) > 40
