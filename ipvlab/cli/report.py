"""``ipvlab report``: reports from results that were written as JSON, several implementations in one."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("results", metavar="RESULTS.json...", nargs=-1, required=True, type=click.Path())
@click.option("--html", "html", metavar="FILE", help="Write one page: implementations beside each other.")
@click.option("--markdown", "markdown", metavar="FILE", help="Write Markdown.")
@click.option("--ktap", "ktap", metavar="FILE", help="Write KTAP.")
@click.option("--junit", "junit", metavar="FILE", help="Write JUnit XML.")
@click.option("--json", "json", metavar="FILE", help="Write the results together as JSON.")
@click.option("--report", "report", metavar="FILE", help="Write ConformanceReports (YAML).")
def command(results: tuple[str, ...], **files: str | None) -> int:
    """Write reports from results of earlier runs."""
    from ipvlab.report.conformance_set import exit_code, read_runs, write_set

    if not any(files.values()):
        raise click.UsageError("nothing to write: name a FILE, for example --html report.html")
    runs = read_runs([Path(path) for path in results])
    write_set(runs, files)
    return exit_code(runs)
