"""What the command line and the ini file of pytest say to ipvlab."""

from __future__ import annotations

import pytest

DATAPATHS = ("auto", "kernel", "bpf", "sim")
#: Option to what it writes.
REPORTS = {
    "json": "the results as JSON (ConformanceRun)",
    "html": "the results as one HTML page",
    "markdown": "the results as Markdown, for the summary of a CI job",
    "ktap": "the results as KTAP",
    "report": "a ConformanceReport (YAML) that can be published",
}


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
