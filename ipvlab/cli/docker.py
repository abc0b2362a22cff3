"""``ipvlab docker``: Docker's commands for a host of a lab that is up."""

from __future__ import annotations

import click

SETTINGS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.command("docker", context_settings=SETTINGS)
@click.option("--lab", metavar="NAME", help="The lab; default: the only one that is up.")
@click.argument("host")
@click.argument("arguments", metavar="[--] COMMAND...", nargs=-1, type=click.UNPROCESSED)
def command(lab: str | None, host: str, arguments: tuple[str, ...]) -> int:
    """Give HOST a Docker command, as in: ipvlab docker h1 -- network ls.

    Exits as Docker's client does; 125 is also a failure of ipvlab's own.
    """
    from ipvlab.cli.own_failures import own_failures
    from ipvlab.supervisor.docker_client import run_docker

    argv = arguments[1:] if arguments[:1] == ("--",) else arguments
    return own_failures(lambda: run_docker(lab, host, argv))
