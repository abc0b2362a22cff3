"""What differs between Docker's documents and its engines: one row a dialect, and nowhere else.

A rule that all dialects share is not in this table. ``docs`` is complete; the
engines' rows come with the issue that builds them whole.
"""

from __future__ import annotations

import dataclasses

from ipvlab.errors import DialectUnbuilt
from ipvlab.spec.values import Dialect


@dataclasses.dataclass(frozen=True, slots=True)
class DialectRow:
    """The answers of one dialect to the questions on which documents and engines disagree."""

    dialect: Dialect
    #: An IPv6 subnet enables IPv6 without ``--ipv6``, and a network with only such subnets has no IPv4.
    subnets_choose_families: bool
    #: An L2 network with a parent reserves the first usable address of a subnet without ``--gateway``.
    reserves_l2_gateway: bool
    #: L3, L3S and isolated networks reserve a gateway that nobody routes through (engines up to 27.5).
    reserves_useless_gateway: bool
    #: ``network inspect`` shows a reserved gateway that the user did not write, of a written subnet.
    shows_implicit_gateway: bool
    #: ``--internal`` with a parent attaches to that parent (engines) or to an isolated one (documents).
    internal_keeps_parent: bool
    #: An L3 network without a parent has a default route, so that its own subnets reach each other.
    routes_l3_without_parent: bool
    #: The driver's options are checked before the address pools (28.0 to 28.5), not after them.
    checks_options_before_pools: bool
    #: What precedes the text of an error at container start (28.1 and later).
    start_prefix: str


DOCS = DialectRow(
    dialect=Dialect.DOCS,
    subnets_choose_families=True,
    reserves_l2_gateway=True,
    reserves_useless_gateway=False,
    shows_implicit_gateway=False,
    internal_keeps_parent=False,
    routes_l3_without_parent=True,
    checks_options_before_pools=False,
    start_prefix="failed to set up container networking: ",
)

ROWS: dict[Dialect, DialectRow] = {Dialect.DOCS: DOCS}


def find_row(dialect: Dialect) -> DialectRow:
    """The row of a dialect; raises :class:`DialectUnbuilt` where this version has none."""
    row = ROWS.get(dialect)
    if row is None:
        built = ", ".join(str(known) for known in ROWS)
        raise DialectUnbuilt(
            f"dialect {dialect} is not built yet", hint=f"write `dialect: {built}`, or leave it out"
        )
    return row
