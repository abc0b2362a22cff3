"""Docker's built-in address management: one address space for each family of one host.

Source: libnetwork ``ipams/defaultipam`` (address_space.go, allocator.go),
``ipamutils/utils.go`` for the automatic pools, ``network.go``:
ipamAllocateVersion for gateways and auxiliary addresses.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from ipvlab.driver.addresses import AddressSet
from ipvlab.driver.pools import PoolConfig
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Address, Interface, Subnet

POOL_OVERLAPS = "invalid pool request: Pool overlaps with other one on this address space"
POOLS_EXHAUSTED = "all predefined address pools have been fully subnetted"
ADDRESS_IN_USE = "Address already in use"

#: What every host's predefined network ``bridge`` holds.
BRIDGE_SUBNET = ipaddress.IPv4Network("172.17.0.0/16")


@dataclasses.dataclass(slots=True)
class Pool:
    """One subnet that a network holds; networks with one subnet share its addresses."""

    subnet: Subnet
    ip_range: Subnet | None
    addresses: AddressSet
    #: The gateway that is reserved, written by the user or not.
    gateway: Address | None = None
    aux_addresses: dict[str, Address] = dataclasses.field(default_factory=dict)
    #: Whether the engine chose the subnet.
    is_automatic: bool = False

    @property
    def dynamic_range(self) -> Subnet:
        """Where automatic addresses come from."""
        return self.ip_range or self.subnet

    def interface(self, address: Address) -> Interface:
        """An address with the subnet's prefix length, never the range's."""
        text = f"{address}/{self.subnet.prefixlen}"
        return ipaddress.ip_interface(text)


@dataclasses.dataclass(slots=True)
class _Shared:
    """The addresses of one subnet, and the ranges of it that networks hold (None: all of it)."""

    addresses: AddressSet
    holders: list[Subnet | None]


class AddressSpace:
    """The pools of one host; explicit subnets are never compared with the host's own addresses."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._subnets: dict[Subnet, _Shared] = {}
        self._hold(BRIDGE_SUBNET, None)

    def request_pool(self, config: PoolConfig) -> Pool:
        """Hold a subnet that the user wrote.

        Without a range it must overlap no other pool of its family; with one,
        only the same subnet with the same range is refused (moby#46756).
        Raises :class:`DriverRefusal` (403).
        """
        subnet, ip_range = config.subnet, config.ip_range
        if ip_range is None:
            is_refused = any(_overlap(subnet, held) for held in self._subnets)
        else:
            shared = self._subnets.get(subnet)
            is_refused = shared is not None and ip_range in shared.holders
        if is_refused:
            raise DriverRefusal(POOL_OVERLAPS, status=403)
        return self._hold(subnet, ip_range)

    def request_automatic(self, version: int, on_link: Sequence[Subnet]) -> Pool:
        """Hold the first predefined subnet that overlaps no pool and no subnet of ``on_link``.

        Raises :class:`DriverRefusal` (400) when none is left.
        """
        busy = [*self._subnets, *on_link]
        candidates = _automatic_ipv4() if version == 4 else _automatic_ipv6(self._host)
        for subnet in candidates:
            if not any(_overlap(subnet, other) for other in busy):
                pool = self._hold(subnet, None)
                pool.is_automatic = True
                return pool
        raise DriverRefusal(POOLS_EXHAUSTED, status=400)

    def release_pool(self, pool: Pool) -> None:
        """Give a pool back, with its gateway and auxiliary addresses."""
        if pool.gateway is not None:
            pool.addresses.release(pool.gateway)
        for address in pool.aux_addresses.values():
            pool.addresses.release(address)
        shared = self._subnets[pool.subnet]
        shared.holders.remove(pool.ip_range)
        if not shared.holders:
            del self._subnets[pool.subnet]

    def count_taken(self) -> dict[Subnet, int]:
        """How many addresses of each held subnet are taken (the engine's ``IPsInUse``)."""
        return {subnet: len(shared.addresses) for subnet, shared in self._subnets.items()}

    def _hold(self, subnet: Subnet, ip_range: Subnet | None) -> Pool:
        shared = self._subnets.setdefault(subnet, _Shared(AddressSet(subnet), []))
        shared.holders.append(ip_range)
        return Pool(subnet, ip_range, shared.addresses)


def reserve_gateway(pool: Pool, written: Address | None, *, is_wanted: bool) -> None:
    """Reserve a pool's gateway: the written one, else the first usable one where one is wanted.

    Raises :class:`DriverRefusal` (500) for a gateway that is taken; a pool
    without room for an unwritten gateway stays without one.
    """
    if written is None:
        pool.gateway = pool.addresses.take_lowest(pool.subnet) if is_wanted else None
    elif pool.addresses.take(written):
        pool.gateway = written
    else:
        raise DriverRefusal(f"failed to allocate gateway ({written}): {ADDRESS_IN_USE}")


def reserve_aux(pool: Pool, aux_addresses: Iterable[tuple[str, Address]]) -> None:
    """Reserve auxiliary addresses; raises :class:`DriverRefusal` (500) for one that is taken."""
    for name, address in aux_addresses:
        if not pool.addresses.take(address):
            raise DriverRefusal(
                f"failed to allocate secondary ip address ({name}:{address}): {ADDRESS_IN_USE}"
            )
        pool.aux_addresses[name] = address


def take_address(pools: Sequence[Pool], wanted: Address | None) -> tuple[Pool, Address] | None:
    """Take an address of a network: the wanted one, else the lowest of the first pool with room.

    None means that every pool is full. Raises :class:`DriverRefusal` (403) for a
    wanted address that is taken, and ValueError for one in no pool, which the
    engine has refused before.
    """
    if wanted is None:
        for pool in pools:
            address = pool.addresses.take_lowest(pool.dynamic_range)
            if address is not None:
                return pool, address
        return None
    for pool in pools:
        if wanted in pool.subnet:
            if not pool.addresses.take(wanted):
                raise DriverRefusal(ADDRESS_IN_USE, status=403)
            return pool, wanted
    raise ValueError(f"{wanted} is in no pool")


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)


def _automatic_ipv4() -> Iterator[Subnet]:
    for second in range(17, 32):
        yield ipaddress.IPv4Network((f"172.{second}.0.0", 16))
    yield from ipaddress.IPv4Network("192.168.0.0/16").subnets(new_prefix=20)


def _automatic_ipv6(host: str) -> Iterator[Subnet]:
    """Subnets of a unique local /48: ``fd`` and 40 bits of a hash of the host (27.0 and later)."""
    prefix = b"\xfd" + hashlib.sha256(host.encode()).digest()[:5]
    yield from ipaddress.IPv6Network((prefix + bytes(10), 48)).subnets(new_prefix=64)
