"""``ipvlab run``: build scenarios, probe them, print the verdicts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

import click


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
    "-k", "expression", metavar="EXPR", help="Only scenarios whose name or title fits: words, and, or, not."
)
@click.option("-v", "--verbose", is_flag=True, help="Show each scenario's lesson and every verdict.")
def command(
    paths: tuple[str, ...], datapath: str, json_file: str | None, expression: str | None, verbose: bool
) -> int:
    """Build, probe and tear down scenario files, or all of a folder (*.ipvlab.yaml)."""
    from ipvlab.report.json_report import format_json, write_text_whole
    from ipvlab.report.terminal import TerminalReport
    from ipvlab.run.batch import exit_code, find_scenarios, prepare_all, run_all, select
    from ipvlab.run.doctor import enter_own_namespaces

    if json_file not in (None, "-"):
        _check_writable(Path(json_file))
    try:
        prepared = select(prepare_all(find_scenarios([Path(path) for path in paths])), expression)
    except ValueError as error:
        raise click.UsageError(f"-k {expression!r}: {error}") from error
    enter_own_namespaces(datapath)
    stream: IO[str] = sys.stderr if json_file == "-" else sys.stdout
    report = TerminalReport(stream, is_verbose=verbose)
    results = []
    for result in run_all(prepared, datapath):
        report.add(result)
        results.append(result)
    report.add_total(results)
    if json_file == "-":
        sys.stdout.write(format_json(results))
    elif json_file is not None:
        write_text_whole(Path(json_file), format_json(results))
    return exit_code(results)


def _check_writable(path: Path) -> None:
    """A report that cannot be written is bad usage, found out before anything is built."""
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise click.ClickException(f"cannot write {path}: {folder} is no folder that this user may write to")
