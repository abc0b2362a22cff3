"""``ipvlab conformance``: hold implementations against the suite, and write one set of reports over all."""

from __future__ import annotations

from pathlib import Path

import click

REPORTS = ("json", "html", "markdown", "ktap", "junit", "report")


@click.command("conformance")
@click.option(
    "--implementation",
    "implementations",
    metavar="NAME",
    multiple=True,
    help="sim, bpf, kernel, docker, podman or cni, several times for several. Absent: ipvlab itself.",
)
@click.option("-k", "expression", metavar="EXPR", help="Only tests that fit, as in pytest.")
@click.option(
    "-n", "processes", metavar="N", default="0", show_default=True, help="Processes (pytest-xdist)."
)
@click.option(
    "--pcap",
    "pcap_folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a pcapng of each lab, in a folder for each implementation.",
)
@click.option("--list", "is_list", is_flag=True, help="List the requirements; nothing is run.")
@click.option("--json", "json", metavar="FILE", help="Write the results as JSON (a list of ConformanceRun).")
@click.option("--html", "html", metavar="FILE", help="Write one page: implementations beside each other.")
@click.option("--markdown", "markdown", metavar="FILE", help="Write Markdown.")
@click.option("--ktap", "ktap", metavar="FILE", help="Write KTAP.")
@click.option("--junit", "junit", metavar="FILE", help="Write JUnit XML.")
@click.option("--report", "report", metavar="FILE", help="Write ConformanceReports (YAML).")
def command(
    implementations: tuple[str, ...],
    expression: str | None,
    processes: str,
    pcap_folder: Path | None,
    is_list: bool,
    **files: str | None,
) -> int:
    """Say, requirement by requirement, whether implementations of ipvlan are right, and prove it."""
    from ipvlab.report.conformance_set import exit_code, list_requirements, run_suite, write_set

    if is_list:
        click.echo(list_requirements())
        return 0
    chosen = list(implementations)
    if not chosen:
        from ipvlab.run.doctor import choose_name

        chosen = [choose_name("auto")[0]]
    runs = [
        run_suite(name, expression, processes, pcap_folder / name if pcap_folder is not None else None)
        for name in chosen
    ]
    write_set(runs, files)
    return exit_code(runs)
