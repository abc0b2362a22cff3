"""Test labs for IPvlan networking as Docker uses it.

The names below load on first use, so that ``import ipvlab`` costs nothing and
imports neither scapy nor pyroute2 nor pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipvlab.driver.port import CommandResult
    from ipvlab.errors import (
        Contradiction,
        DriverRefusal,
        EnvironmentUnfit,
        IpvlabError,
        LabError,
        SpecError,
        Unobserved,
    )
    from ipvlab.run.lab import Lab
    from ipvlab.run.results import Outcome, ScenarioResult, Verdict
    from ipvlab.run.runner import run

__version__ = "0.1.0"

__all__ = [
    "CommandResult",
    "Contradiction",
    "DriverRefusal",
    "EnvironmentUnfit",
    "IpvlabError",
    "Lab",
    "LabError",
    "Outcome",
    "ScenarioResult",
    "SpecError",
    "Unobserved",
    "Verdict",
    "__version__",
    "run",
]

_HOMES = {
    "CommandResult": "ipvlab.driver.port",
    "Contradiction": "ipvlab.errors",
    "DriverRefusal": "ipvlab.errors",
    "EnvironmentUnfit": "ipvlab.errors",
    "IpvlabError": "ipvlab.errors",
    "Lab": "ipvlab.run.lab",
    "LabError": "ipvlab.errors",
    "Outcome": "ipvlab.run.results",
    "ScenarioResult": "ipvlab.run.results",
    "SpecError": "ipvlab.errors",
    "Unobserved": "ipvlab.errors",
    "Verdict": "ipvlab.run.results",
}


def __getattr__(name: str) -> Any:
    if name == "run":
        # The room of that name is callable; importing it sets this attribute.
        return importlib.import_module("ipvlab.run")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
