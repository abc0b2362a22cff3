"""The verdicts of the scenario folder, as they are held against each other."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

from ipvlab import run

PROJECT = Path(__file__).parents[2]
SCENARIOS = sorted((PROJECT / "scenarios").glob("*.ipvlab.yaml"))

#: Each verdict by its id, with what was observed; reasons and proofs may differ.
Verdicts = dict[str, str]


def comparable(result: dict[str, object]) -> Verdicts:
    """A scenario's verdicts, of its JSON report."""
    verdicts = result["verdicts"]
    assert isinstance(verdicts, list)
    return {each["id"]: json.dumps([each["verdict"], each["observed"]]) for each in verdicts}


@functools.cache
def observed(path: Path, datapath: str) -> Verdicts:
    """A scenario's verdicts here; it runs once, and those who compare share the result."""
    result = json.loads(run(path, datapath).to_json())
    assert result["datapath"] == datapath
    return comparable(result)


def recorded() -> dict[tuple[str, str], Verdicts]:
    """What the machine outside of the guest found, by datapath and scenario; see ci/guest_step.py."""
    found = {}
    for report in sorted(Path(os.environ["IPVLAB_NATIVE_VERDICTS"]).glob("*.json")):
        for result in json.loads(report.read_text()):
            found[report.stem, result["scenario"]] = comparable(result)
    return found
