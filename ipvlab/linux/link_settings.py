"""The sysctls of one link: only a link's own entries of the neighbour tables exist in a namespace."""

from __future__ import annotations

#: Paths below /proc/sys/net/, with LINK for the link's name, and their values: IPv6 on, and a tenth of
#: a second between solicitations, which is what duplicate address detection and a dead neighbour take.
LINK_WITH_IPV6 = {
    "ipv6/conf/LINK/disable_ipv6": "0",
    "ipv6/neigh/LINK/retrans_time_ms": "100",
}
LINK_OF_A_HOST = {**LINK_WITH_IPV6, "ipv4/neigh/LINK/retrans_time_ms": "100"}


def for_link(name: str, settings: dict[str, str]) -> dict[str, str]:
    """A table with the name of a link put in."""
    return {path.replace("LINK", name): value for path, value in settings.items()}
