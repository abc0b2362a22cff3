"""``ipvlab graph``: a scenario as a Mermaid graph."""

from __future__ import annotations

import click


@click.command("graph")
@click.argument("path", type=click.Path())
def command(path: str) -> int:
    """Print the lab of the scenario of file PATH as a Mermaid graph; nothing is built."""
    from pathlib import Path

    from ipvlab.report.mermaid import format_graph
    from ipvlab.run.prepare import prepare

    click.echo(format_graph(prepare(Path(path))), nl=False)
    return 0
