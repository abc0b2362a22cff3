"""``ipvlab doctor``: which datapaths work here, and the one command that fixes each that does not."""

from __future__ import annotations

import click


@click.command("doctor")
def command() -> int:
    """Say which datapaths work here, why not, and the one command that would fix it.

    Exits with 0 when `--datapath auto` has one to take, else with 5.
    """
    from ipvlab.errors import EnvironmentUnfit
    from ipvlab.run.doctor import DATAPATHS, choose_name, examine

    for datapath in DATAPATHS:
        fitness = examine(datapath)
        click.echo(f"{datapath:<7} {'yes' if fitness.works else 'no':<4} {fitness.why}")
        if fitness.fix:
            click.echo(f"{'':12} fix: {fitness.fix}")
    try:
        name, _ = choose_name("auto")
    except EnvironmentUnfit:
        click.echo("auto    none works here")
        return 5
    click.echo(f"auto    takes {name}")
    return 0
