"""``ipvlab up``: build a scenario's lab and leave it up."""

from __future__ import annotations

import click


@click.command("up")
@click.argument("path", type=click.Path())
@click.option("--name", metavar="NAME", help="What the lab is called; default: as its scenario.")
@click.option(
    "--datapath",
    type=click.Choice(["auto", "kernel", "bpf", "sim"]),
    default="auto",
    show_default=True,
    help="What carries the packets.",
)
def command(path: str, name: str | None, datapath: str) -> int:
    """Build the lab of the scenario of file PATH and return once it is ready; it stays up.

    Its command lines are carried out; steps and expectations are left to `ipvlab run`.
    """
    from pathlib import Path

    from ipvlab.run.prepare import prepare
    from ipvlab.supervisor.client import describe_lab
    from ipvlab.supervisor.life import bring_up
    from ipvlab.supervisor.names import check_name

    prepared = prepare(Path(path))
    lab = check_name(prepared.scenario.name if name is None else name)
    why = bring_up(prepared, lab, datapath)
    for line in describe_lab(lab, why):
        click.echo(line)
    return 0
