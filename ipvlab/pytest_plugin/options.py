"""What the command line and the ini file of pytest say to ipvlab."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ipvlab.run.recording import CaptureFolder

DATAPATHS = ("auto", "kernel", "bpf", "sim")
#: Option to what it writes.
REPORTS = {
    "json": "the results as JSON (ConformanceRun)",
    "html": "the results as one HTML page",
    "markdown": "the results as Markdown, for the summary of a CI job",
    "ktap": "the results as KTAP",
    "report": "a ConformanceReport (YAML) that can be published",
}


def reports_folder(config: pytest.Config) -> Path | None:
    """The folder of this run's reports, which captures are named from; the page's, where there is one."""
    files = [config.getoption(f"--ipvlab-{name}") for name in ("html", *REPORTS)]
    return next((Path(file).absolute().parent for file in files if file), None)


def open_captures(config: pytest.Config) -> CaptureFolder | None:
    """The folder for captures, where this run is to write some.

    Raises :class:`pytest.UsageError` where it cannot be written to.
    """
    folder = config.getoption("--ipvlab-pcap")
    if not folder:
        return None
    from ipvlab.run.recording import CaptureFolder

    # Two processes of pytest-xdist may build the same lab, and each has packet numbers of its own.
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    try:
        return CaptureFolder(Path(folder), f".{worker}" if worker else "")
    except OSError as refusal:
        why = refusal.strerror or str(refusal)
        raise pytest.UsageError(f"--ipvlab-pcap: cannot write to {folder}: {why}") from refusal


def chosen_datapath(config: pytest.Config) -> str:
    """The datapath that this run asks for: the command line's, else the ini file's.

    Raises :class:`pytest.UsageError` for a name that ipvlab does not know.
    """
    chosen = str(config.getoption("--ipvlab-datapath") or config.getini("ipvlab_datapath"))
    if chosen not in DATAPATHS:
        raise pytest.UsageError(f"ipvlab_datapath: {chosen!r} is none of {', '.join(DATAPATHS)}")
    return chosen


def chosen_implementation(config: pytest.Config) -> str:
    """The implementation under test: named, or ipvlab on the datapath of this run."""
    named = str(config.getoption("--ipvlab-implementation") or config.getini("ipvlab_implementation"))
    if named:
        from ipvlab.implementations.choosing import NAMES

        if named not in NAMES:
            raise pytest.UsageError(f"ipvlab_implementation: {named!r} is none of {', '.join(NAMES)}")
        return named
    from ipvlab.run.doctor import choose_name

    return choose_name(chosen_datapath(config))[0]
