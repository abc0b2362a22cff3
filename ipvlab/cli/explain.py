"""``ipvlab explain``: why a probe ends as it does, hop by hop, with the rule behind each step."""

from __future__ import annotations

import click


@click.command("explain")
@click.argument("path", type=click.Path())
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="[TO]", required=False)
@click.option(
    "--kind",
    metavar="KIND",
    help="ping (default) or udp; without TO: broadcast (default), directed, arp, multicast, mdns, nd, ra.",
)
@click.option("--family", type=click.Choice(["ipv4", "ipv6"]), help="Default: each that both have.")
@click.option("--destination", metavar="ADDRESS", help="The address to send to, or to ask for.")
@click.option("--interface", metavar="NAME", help="The interface that a broadcast leaves by.")
@click.option("--step", type=click.IntRange(min=0), default=0, help="After so many of the scenario's steps.")
def command(
    path: str,
    source: str,
    target: str | None,
    kind: str | None,
    family: str | None,
    destination: str | None,
    interface: str | None,
    step: int,
) -> int:
    """Explain what becomes of a probe in the scenario of file PATH; needs no privileges.

    FROM and TO are nodes, or NODE/ADDRESS. Without TO it is a broadcast.
    """
    import ipaddress
    from pathlib import Path

    from ipvlab.run.explain import KINDS, Wanted, explain
    from ipvlab.run.prepare import prepare
    from ipvlab.spec.values import Family

    if kind is not None and kind not in KINDS:
        raise click.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}", param_hint="--kind")
    if destination is not None:
        try:
            ipaddress.ip_address(destination)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--destination") from error
    wanted = Wanted(source, target, kind, Family(family) if family else None, destination, interface, step)
    blocks = ["\n".join(each.lines()) for each in explain(prepare(Path(path)), wanted)]
    click.echo("\n\n".join(blocks))
    return 0
