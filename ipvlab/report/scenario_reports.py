"""The reports of ``ipvlab run`` beside text and JSON, from the same model as those of conformance runs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from ipvlab.report.from_scenarios import as_runs
from ipvlab.report.html import format_html
from ipvlab.report.json_report import write_text_whole
from ipvlab.report.junit import format_junit
from ipvlab.run.prepare import Prepared
from ipvlab.run.results import ScenarioResult
from ipvlab.run.topology import topology_of


def write_reports(
    prepared: Sequence[Prepared],
    results: Sequence[ScenarioResult],
    junit_file: str | None,
    html_file: str | None,
) -> None:
    """Write the reports that have a file; raises OSError where one cannot be written."""
    topologies = {each.scenario.name: topology_of(each) for each in prepared} if html_file else {}
    report = html_file or junit_file
    folder = Path(report).absolute().parent if report is not None else None
    runs = as_runs(results, datetime.datetime.now(datetime.UTC), topologies, folder)
    if junit_file is not None:
        write_text_whole(Path(junit_file), format_junit(runs))
    if html_file is not None:
        write_text_whole(Path(html_file), format_html(runs))
