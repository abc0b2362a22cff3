"""Where each kind of broadcast is sent to, on live and simulated labs alike."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from ipvlab.probe.questions import BroadcastQuestion
from ipvlab.rules.groups import ALL_NODES, LIMITED_BROADCAST
from ipvlab.spec.values import Address, BroadcastKind, Interface

MDNS4, MDNS6 = ipaddress.IPv4Address("224.0.0.251"), ipaddress.IPv6Address("ff02::fb")


def find_destination(
    question: BroadcastQuestion, held: Sequence[Interface], taken: Iterable[Interface]
) -> Address | None:
    """The destination, or for ARP and ND the address asked for; None where it needs one and has none.

    ``held`` are the addresses of the sending link, ``taken`` those of the whole
    lab: what is asked for by default is the last address that nobody has.
    """
    if question.destination is not None:
        return question.destination
    if question.kind is BroadcastKind.LIMITED:
        return LIMITED_BROADCAST
    if question.kind is BroadcastKind.RA:
        return ALL_NODES
    if question.kind is BroadcastKind.MDNS:
        return MDNS4 if question.family == "ipv4" else MDNS6
    version = 6 if question.kind is BroadcastKind.ND else 4
    subnet = next((address.network for address in held if address.version == version), None)
    if question.kind is BroadcastKind.MULTICAST or subnet is None:
        return None
    if question.kind is BroadcastKind.DIRECTED:
        return subnet.broadcast_address
    owned = {address.ip for address in taken}
    last = int(subnet.broadcast_address) - (1 if version == 4 else 0)
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    free = (kind(number) for number in range(last, int(subnet.network_address), -1))
    return next((address for address in free if address not in owned), None)
