"""What generated labs found, kept as scenario files: all datapaths must give these verdicts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ipvlab.run.prepare import prepare
from tests.agreement.files import compare_file
from tests.agreement.observe import observed_on, open_datapath

#: A guest has the real ipvlan.
LIVE = ("bpf", "kernel") if "IPVLAB_GUEST" in os.environ else ("bpf",)
FOUND = sorted((Path(__file__).parent / "found").glob("*.ipvlab.yaml"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name.partition(".")[0])
def test_rules_say_what_the_file_says(path: Path) -> None:
    verdicts = observed_on(prepare(path), "sim", open_datapath)

    assert verdicts
    assert [str(each) for each in verdicts if not each] == []


@pytest.mark.parametrize("datapath", LIVE)
@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name.partition(".")[0])
def test_live_datapaths_give_the_same_verdicts(path: Path, datapath: str) -> None:
    assert [str(each) for each in compare_file(path, ("sim", datapath))] == []
