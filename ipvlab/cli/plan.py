"""``ipvlab plan``: what a scenario would build, without privileges."""

from __future__ import annotations

import click


@click.command("plan")
@click.argument("path", type=click.Path())
def command(path: str) -> int:
    """Print what the scenario of file PATH would build; nothing is built."""
    from pathlib import Path

    from ipvlab.report.plan_text import format_plan
    from ipvlab.run.prepare import prepare

    click.echo(format_plan(prepare(Path(path))), nl=False)
    return 0
