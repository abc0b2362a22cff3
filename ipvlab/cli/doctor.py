"""``ipvlab doctor``: which datapaths work here, and the one command that fixes each that does not."""

from __future__ import annotations

import click

#: How a datapath works for a user without privileges.
ENTERED = "ipvlab run enters a user namespace by itself, where it works"


@click.command("doctor")
def command() -> int:
    """Say which datapaths work here, why not, and the one command that would fix it.

    Exits with 0 when `--datapath auto` has one to take, else with 5.
    """
    from ipvlab.errors import EnvironmentUnfit
    from ipvlab.run.doctor import DATAPATHS, choose_name, examine

    found = [examine(datapath) for datapath in DATAPATHS]
    for fitness in found:
        why = f"{ENTERED}; {fitness.why}" if fitness.is_entered else fitness.why
        click.echo(f"{fitness.datapath:<7} {'yes' if fitness.works or fitness.is_entered else 'no':<4} {why}")
        if fitness.fix:
            click.echo(f"{'':12} fix: {fitness.fix}")
    if found[0].is_entered:
        click.echo(f"auto    takes {found[0].datapath}")
        return 0
    try:
        name, _ = choose_name("auto")
    except EnvironmentUnfit:
        click.echo("auto    none works here")
        return 5
    click.echo(f"auto    takes {name}")
    return 0
