"""Whether a starting endpoint announces its addresses to its neighbours, how often and how fast.

Source: moby ``daemon/libnetwork/osl/interface_linux.go``: advertiseAddrs,
``network_unix.go``: advertiseAddrNMsgs and advertiseAddrInterval.
"""

from __future__ import annotations

from ipvlab.driver.default_routes import Join
from ipvlab.driver.dialect import Announcing, DialectRow
from ipvlab.driver.options import ADVERTISE_COUNT, ADVERTISE_INTERVAL, read_integer
from ipvlab.driver.port import Announcement
from ipvlab.spec.values import Mode

#: Messages for each address, and milliseconds between them, unless the network says otherwise.
_COUNT, _INTERVAL = 3, 1000


def plan_announcement(join: Join, row: DialectRow) -> Announcement | None:
    """What an endpoint announces: the one address of each family, none in l3 and l3s.

    There the first message fails, since such a link has neither ARP nor
    neighbours, and the engine then sends no other. A network that carries one
    of the two options is announced in the documents' dialect as in 29.
    """
    options = join.network.request.options
    is_asked = ADVERTISE_COUNT in options or ADVERTISE_INTERVAL in options
    if join.network.options.mode is not Mode.L2 or not join.leases or row.announcing is Announcing.NEVER:
        return None
    is_for_moved = row.announcing is Announcing.MOVED and not is_asked
    count = 1 if is_for_moved else read_integer(options.get(ADVERTISE_COUNT, str(_COUNT)))
    interval = read_integer(options.get(ADVERTISE_INTERVAL, str(_INTERVAL)))
    if not count or interval is None:
        return None
    addresses = tuple(lease.interface.ip for lease in join.leases)
    return Announcement(addresses, count, interval / 1000, is_for_moved)
