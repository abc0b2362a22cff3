"""The pools that the engine chooses itself when no subnet is written.

Source: libnetwork ``ipamutils/utils.go``: localScopeDefaultNetworks,
``ipams/defaultipam/address_space.go``: allocatePredefinedPool, and for 26
``ipam/allocator.go`` of the same name.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence

from ipvlab.driver.dialect import DialectRow
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Subnet

#: Blocks, and the prefix length that each is cut to; in this order.
_IPV4_BLOCKS: tuple[tuple[ipaddress.IPv4Network, int], ...] = (
    (ipaddress.IPv4Network("172.17.0.0/16"), 16),
    (ipaddress.IPv4Network("172.18.0.0/16"), 16),
    (ipaddress.IPv4Network("172.19.0.0/16"), 16),
    (ipaddress.IPv4Network("172.20.0.0/14"), 16),
    (ipaddress.IPv4Network("172.24.0.0/14"), 16),
    (ipaddress.IPv4Network("172.28.0.0/14"), 16),
    (ipaddress.IPv4Network("192.168.0.0/16"), 20),
)


class PredefinedPools:
    """The predefined pools of one host, and which of them is next."""

    def __init__(self, host: str, row: DialectRow) -> None:
        self._row = row
        self._ula = _ula_block(host)
        #: Where engines up to 26 go on; it moves with every choice, kept or not.
        self._turn = 0

    def choose(
        self, version: int, busy: Sequence[Subnet], avoided: Sequence[Subnet], prefixlen: int | None = None
    ) -> Subnet | None:
        """A predefined subnet that overlaps nothing of ``busy`` and ``avoided``, or None.

        It is the lowest one; up to 26, the next one in turn. ``prefixlen`` is the
        wished size. Raises :class:`DriverRefusal` (400) when no block is that large.
        """
        if version == 6 and not self._row.has_ula_pools:
            return None
        if version == 4 and not self._row.reuses_pools_at_once:
            return self._choose_in_turn(busy, avoided)
        blocks: Sequence[tuple[Subnet, int]] = _IPV4_BLOCKS if version == 4 else ((self._ula, 64),)
        if prefixlen:
            blocks = [(block, prefixlen) for block, _ in blocks if block.prefixlen <= prefixlen]
            if not blocks:
                raise DriverRefusal("invalid address pool", status=400)
        taken = [*busy, *avoided]
        return next((found for block, size in blocks if (found := _lowest_free(block, size, taken))), None)

    def _choose_in_turn(self, busy: Sequence[Subnet], avoided: Sequence[Subnet]) -> Subnet | None:
        """As 26 does: the next one; what the host has on link is held while the search goes on."""
        every = list(_cut_ipv4())
        held = list(busy)
        while True:
            turned = every[self._turn :] + every[: self._turn]
            free = [at for at, subnet in enumerate(turned) if not any(subnet.overlaps(one) for one in held)]
            if not free:
                return None
            chosen = turned[free[0]]
            # Not a remainder: one step beyond the end begins anew at the first.
            turn = self._turn + free[0] + 1
            self._turn = 0 if turn >= len(every) else turn
            if not any(chosen.overlaps(one) for one in avoided):
                return chosen
            held.append(chosen)


def _cut_ipv4() -> Iterator[Subnet]:
    for block, prefixlen in _IPV4_BLOCKS:
        yield from block.subnets(new_prefix=prefixlen)


def _lowest_free(block: Subnet, prefixlen: int, taken: Sequence[Subnet]) -> Subnet | None:
    """The lowest subnet of a block that overlaps nothing; costs no more for small ones than for large."""
    size = 1 << (block.max_prefixlen - prefixlen)
    start = int(block.network_address)
    while start <= int(block.broadcast_address):
        subnet = _subnet(block.version, start, prefixlen)
        in_the_way = [int(other.broadcast_address) for other in taken if other.overlaps(subnet)]
        if not in_the_way:
            return subnet
        start = (max(in_the_way) // size + 1) * size
    return None


def _subnet(version: int, start: int, prefixlen: int) -> Subnet:
    if version == 4:
        return ipaddress.IPv4Network((start, prefixlen))
    return ipaddress.IPv6Network((start, prefixlen))


def _ula_block(host: str) -> ipaddress.IPv6Network:
    """A unique local /48: ``fd`` and 40 bits of a hash of the host (``daemon.go``: deriveULABaseNetwork)."""
    prefix = b"\xfd" + hashlib.sha256(host.encode()).digest()[3:8]
    return ipaddress.IPv6Network((prefix + bytes(10), 48))
