"""``ipvlab ps``: the labs that are up, and their nodes."""

from __future__ import annotations

import click


@click.command("ps")
@click.option("--json", "is_json", is_flag=True, help="As JSON, with every node's namespace and API socket.")
@click.option("-v", "--verbose", is_flag=True, help="Also each lab's scenario and log, and its nodes' paths.")
def command(is_json: bool, verbose: bool) -> int:
    """List the labs of this user that are up, and their nodes."""
    from ipvlab.supervisor.client import list_labs
    from ipvlab.supervisor.listing import as_json, as_text

    reports = list_labs()
    click.echo(as_json(reports) if is_json else as_text(reports, is_verbose=verbose), nl=False)
    return 0
