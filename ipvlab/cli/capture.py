"""``ipvlab capture``: the packets of an interface of a lab that is up."""

from __future__ import annotations

import click


@click.command("capture")
@click.option("--lab", metavar="NAME", help="The lab; default: the only one that is up.")
@click.argument("place", metavar="NODE:IF")
@click.option("-w", "file", metavar="FILE", help="Write them as pcapng; - is standard output.")
@click.option("-c", "count", metavar="N", type=click.IntRange(min=1), help="End after so many packets.")
def command(lab: str | None, place: str, file: str | None, count: int | None) -> int:
    """Show the packets that cross an interface, a line for each, or write them to a file.

    It goes on until Ctrl-C, the given number, or the end of the lab.
    """
    from ipvlab.report.live_capture import capture_to
    from ipvlab.supervisor.client import open_capture

    node, colon, interface = place.rpartition(":")
    if not colon or not node or not interface:
        raise click.BadParameter(f"{place!r} is not NODE:INTERFACE, as in h1:eth0", param_hint="NODE:IF")
    with open_capture(lab, node, interface) as capture:
        try:
            return capture_to(capture, file, count)
        except BrokenPipeError:
            raise
        except OSError as refusal:
            raise click.ClickException(f"cannot write {file}: {refusal.strerror}") from refusal
