"""``ipvlab shell``: a shell in a node of a lab that is up."""

from __future__ import annotations

import click


@click.command("shell")
@click.option("--lab", metavar="NAME", help="The lab; default: the only one that is up.")
@click.argument("node")
def command(lab: str | None, node: str) -> int:
    """Open a shell in NODE: bash, or sh where there is none.

    On a host `docker` is that host's Docker. `ip` hands links of type vlan,
    dummy and ipvlan to the lab, so that they work on every kernel.
    """
    from ipvlab.cli.own_failures import own_failures
    from ipvlab.supervisor.client import open_shell

    return own_failures(lambda: open_shell(lab, node))
