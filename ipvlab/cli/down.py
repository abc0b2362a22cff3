"""``ipvlab down``: end a lab that is up."""

from __future__ import annotations

import click


@click.command("down")
@click.argument("lab", required=False)
@click.option("--all", "is_for_all", is_flag=True, help="End all labs of this user.")
def command(lab: str | None, is_for_all: bool) -> int:
    """End a lab that is up, or the only one; it is gone when this returns."""
    from ipvlab.errors import LabNotFound
    from ipvlab.supervisor.client import end_lab
    from ipvlab.supervisor.names import choose_lab, find_labs

    if is_for_all and lab is not None:
        raise click.UsageError("name a lab or say --all, not both")
    if not is_for_all:
        name = choose_lab(lab)
        end_lab(name)
        click.echo(f"{name} is down")
        return 0
    for found in find_labs():
        try:
            end_lab(found.name)
        except LabNotFound:
            continue
        click.echo(f"{found.name} is down")
    return 0
