"""What ``exec``, ``shell`` and ``docker`` end with when it is ipvlab that fails, not the command."""

from __future__ import annotations

from collections.abc import Callable

import click

from ipvlab.errors import IpvlabError

#: As Docker's client does it; a command's own status is passed on.
OWN_FAILURE = 125


def own_failures(act: Callable[[], int]) -> int:
    """The status of ``act``, or 125 with its error told where it raises one."""
    try:
        return act()
    except IpvlabError as error:
        click.echo(error, err=True)
        return OWN_FAILURE
