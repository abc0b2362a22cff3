"""The lists of known failures: each entry can be read, and names something of the suite."""

from __future__ import annotations

from pathlib import Path

from ipvlab.implementations.choosing import NAMES
from ipvlab.implementations.register import Register
from ipvlab.pytest_plugin.known import read_known

SUITE = Path(__file__).parents[3] / "conformance"


def test_lists_of_known_failures_are_of_implementations_and_name_requirements() -> None:
    register = Register.read(SUITE / "requirements.yaml")
    for path in (SUITE / "expected").glob("*"):
        assert (path.stem in NAMES, path.suffix) == (True, ".toml"), path
        for entry in read_known(path):
            assert any(requirement in entry.id for requirement in register.requirements), entry.id
            assert entry.link.startswith("https://"), entry.link
            assert len(entry.reason) > 40, entry.reason
