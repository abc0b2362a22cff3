"""Docker's built-in address management: one address space for each family of one host.

Source: libnetwork ``ipams/defaultipam`` (address_space.go, allocator.go; up to 26
``ipam/allocator.go``), and ``network.go``: ipamAllocateVersion for gateways and
auxiliary addresses. The automatic pools are in ``predefined.py``.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Sequence

from ipvlab.driver.addresses import AddressSet, family_word
from ipvlab.driver.dialect import DOCS, DialectRow
from ipvlab.driver.pools import PoolConfig
from ipvlab.driver.predefined import PredefinedPools
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Address, Interface, Subnet

ADDRESS_IN_USE = "Address already in use"
#: ipamapi: ErrNoAvailableIPs, ErrIPOutOfRange, ErrInvalidSubPool.
_NO_ADDRESS = "no available addresses on this pool"
_OUT_OF_RANGE = "requested address is out of range"
_INVALID_RANGE = "invalid address subpool"

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
    #: Whether the engine chose the subnet, and the user wrote none.
    is_automatic: bool = False

    @property
    def dynamic_range(self) -> Subnet:
        """Where automatic addresses come from."""
        return self.ip_range or self.subnet

    @property
    def taken_count(self) -> int:
        """How many addresses of the subnet are taken, whoever has them (API 1.52: ``IPsInUse``)."""
        return len(self.addresses)

    @property
    def available_count(self) -> int:
        """How many automatic addresses are left to this network (API 1.52: ``DynamicIPsAvailable``)."""
        return self.dynamic_range.num_addresses - self.addresses.count_within(self.dynamic_range)

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

    def __init__(self, host: str, row: DialectRow = DOCS) -> None:
        self._row = row
        self._predefined = PredefinedPools(host, row)
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
            raise DriverRefusal(self._row.pool_overlaps, status=403)
        return self._hold(subnet, ip_range)

    def request_automatic(
        self, version: int, on_link: Sequence[Subnet], prefixlen: int | None = None
    ) -> Pool:
        """Hold a predefined subnet that overlaps no pool and no subnet of ``on_link``.

        ``prefixlen`` is the wished size (29.0). Raises :class:`DriverRefusal` (400;
        404 up to 26) when none is left, or no predefined block is that large.
        """
        busy = [subnet for subnet in self._subnets if subnet.version == version]
        avoided = [subnet for subnet in on_link if subnet.version == version]
        subnet = self._predefined.choose(version, busy, avoided, prefixlen)
        if subnet is None:
            raise DriverRefusal(
                self._row.pools_exhausted.format(family=family_word(version)),
                status=self._row.pools_exhausted_status,
            )
        pool = self._hold(subnet, None)
        pool.is_automatic = True
        return pool

    def restore_pool(
        self,
        config: PoolConfig,
        gateway: Address | None,
        *,
        is_automatic: bool = False,
    ) -> Pool:
        """Hold again what a network held before its engine restarted; nothing is checked against others.

        The subnet and the gateway are those that were chosen then. Addresses that
        another network of the subnet took in the meantime are left to it.
        """
        pool = self._hold(config.subnet, config.ip_range)
        pool.is_automatic = is_automatic
        if gateway is not None and pool.addresses.take(gateway):
            pool.gateway = gateway
        for name, address in config.aux_addresses:
            if pool.addresses.take(address):
                pool.aux_addresses[name] = address
        return pool

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


def refuse_range_without_subnet(ip_range: Subnet) -> DriverRefusal:
    """The refusal of a range of a pool that only names its size (29.0, ``defaultipam``: RequestPool)."""
    return DriverRefusal(
        f'failed to parse pool request for address space "LocalDefault" pool "" subpool "{ip_range}": '
        f"{_INVALID_RANGE}"
    )


def reserve_gateway(
    pool: Pool, written: Address | None, *, is_wanted: bool, within: Subnet | None = None
) -> None:
    """Reserve a pool's gateway: the written one, else the lowest free one of ``within`` where one is wanted.

    ``within`` is the subnet unless it says otherwise. Raises :class:`DriverRefusal`
    (500) for a gateway that is taken or outside, and when none is free.
    """
    if written is None:
        if is_wanted:
            pool.gateway = pool.addresses.take_lowest(within or pool.subnet)
            if pool.gateway is None:
                raise DriverRefusal(f"failed to allocate gateway (): {_NO_ADDRESS}")
    elif written not in pool.subnet:
        raise DriverRefusal(f"failed to allocate gateway ({written}): {_OUT_OF_RANGE}")
    elif pool.addresses.take(written):
        pool.gateway = written
    else:
        raise DriverRefusal(f"failed to allocate gateway ({written}): {ADDRESS_IN_USE}")


def reserve_aux(pool: Pool, aux_addresses: Iterable[tuple[str, Address]]) -> None:
    """Reserve auxiliary addresses.

    Raises :class:`DriverRefusal`: 403 for one outside of the pool, 500 for one that is taken.
    """
    for name, address in aux_addresses:
        if address not in pool.subnet:
            raise DriverRefusal(
                f"auxiliary address: ({name}:{address}) must belong to the master pool: {pool.subnet}",
                status=403,
            )
        if not pool.addresses.take(address):
            raise DriverRefusal(
                f"failed to allocate secondary ip address ({name}:{address}): {ADDRESS_IN_USE}"
            )
        pool.aux_addresses[name] = address


def take_address(pools: Sequence[Pool], wanted: Address | None) -> tuple[Pool, Address] | None:
    """Take an address of a network: the wanted one, else the lowest of the first pool with room.

    None means that every pool is full. Raises :class:`DriverRefusal`: 403 for a
    wanted address that is taken, 400 for one in no pool (``endpoint.go``:
    assignAddressVersion).
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
    raise DriverRefusal(
        f"invalid address {wanted}: It does not belong to any of this network's subnets", status=400
    )


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)
