"""``ipvlab run``: build scenarios, probe them, print the verdicts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ipvlab.run.recording import CaptureFolder


@click.command("run")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--datapath",
    type=click.Choice(["auto", "kernel", "bpf", "sim"]),
    default="auto",
    show_default=True,
    help="What carries the packets.",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the results as JSON; - is standard output.",
)
@click.option(
    "--junit", "junit_file", metavar="FILE", type=click.Path(dir_okay=False), help="Write JUnit XML."
)
@click.option(
    "--html",
    "html_file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write one HTML page: every verdict, with its lab drawn and its evidence.",
)
@click.option(
    "--pcap",
    "pcap_folder",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Write a pcapng of each scenario: every wire and interface, and what each probe is for.",
)
@click.option(
    "-k", "expression", metavar="EXPR", help="Only scenarios whose name or title fits: words, and, or, not."
)
@click.option(
    "--keep-on-failure",
    "keeps_failed",
    is_flag=True,
    help="A lab that fails stays up, under its scenario's name (ipvlab ps).",
)
@click.option("-v", "--verbose", is_flag=True, help="Show each scenario's lesson and every verdict.")
def command(
    paths: tuple[str, ...],
    datapath: str,
    json_file: str | None,
    junit_file: str | None,
    html_file: str | None,
    pcap_folder: str | None,
    expression: str | None,
    keeps_failed: bool,
    verbose: bool,
) -> int:
    """Build, probe and tear down scenario files, or all of a folder (*.ipvlab.yaml)."""
    from ipvlab.report.exercise_text import add_result
    from ipvlab.report.json_report import format_json, write_text_whole
    from ipvlab.report.terminal import TerminalReport
    from ipvlab.run.batch import exit_code, find_scenarios, prepare_all, run_all, select
    from ipvlab.run.doctor import enter_own_namespaces
    from ipvlab.run.exercise import find_hints

    for file in (json_file, junit_file, html_file):
        if file not in (None, "-"):
            _check_writable(Path(file))
    try:
        prepared = select(prepare_all(find_scenarios([Path(path) for path in paths])), expression)
    except ValueError as error:
        raise click.UsageError(f"-k {expression!r}: {error}") from error
    hints = find_hints(each.path for each in prepared)
    captures = _open_folder(pcap_folder) if pcap_folder is not None else None
    run_one = None
    if keeps_failed:
        from ipvlab.supervisor.keeping import check_free, run_and_keep

        check_free(each.scenario.name for each in prepared)
        run_one = run_and_keep
    else:
        enter_own_namespaces(datapath)
    stream: IO[str] = sys.stderr if json_file == "-" else sys.stdout
    report = TerminalReport(stream, is_verbose=verbose)
    results = []
    for result in run_all(prepared, datapath, run_one, captures):
        add_result(report, stream, result, hints)
        results.append(result)
    report.add_total(results)
    if json_file == "-":
        sys.stdout.write(format_json(results))
    elif json_file is not None:
        write_text_whole(Path(json_file), format_json(results))
    if junit_file is not None or html_file is not None:
        from ipvlab.report.scenario_reports import write_reports

        write_reports(prepared, results, junit_file, html_file)
    return exit_code(results)


def _open_folder(folder: str) -> CaptureFolder:
    """The folder for captures; one that cannot be made or written to is bad usage."""
    from ipvlab.run.recording import CaptureFolder

    try:
        return CaptureFolder(Path(folder))
    except OSError as refusal:
        raise click.ClickException(f"cannot write captures to {folder}: {refusal.strerror}") from refusal


def _check_writable(path: Path) -> None:
    """A report that cannot be written is bad usage, found out before anything is built."""
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise click.ClickException(f"cannot write {path}: {folder} is no folder that this user may write to")
