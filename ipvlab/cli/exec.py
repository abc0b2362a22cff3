"""``ipvlab exec``: run a program in a node of a lab that is up."""

from __future__ import annotations

import click

#: The node comes first; whatever follows it is the program's, options included.
SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("exec", context_settings=SETTINGS)
@click.option("--lab", metavar="NAME", help="The lab; default: the only one that is up.")
@click.argument("node")
@click.argument("program", metavar="[--] CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(lab: str | None, node: str, program: tuple[str, ...]) -> int:
    """Run a program of this machine in NODE and exit with its status; 125 is a failure of ipvlab's own."""
    from ipvlab.cli.own_failures import own_failures
    from ipvlab.supervisor.client import exec_in_node

    argv = program[1:] if program[0] == "--" else program
    if not argv:
        raise click.UsageError("name a program after --")
    return own_failures(lambda: exec_in_node(lab, node, argv))
