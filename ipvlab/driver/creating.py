"""The first half of creating a network: what is asked for, read and held, before the driver is asked.

Source of rules, texts and order: moby ``daemon/network.go``: createNetwork,
libnetwork ``controller.go``: NewNetwork, ``network.go``: ipamAllocate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.ipam import (
    AddressSpace,
    Pool,
    refuse_range_without_subnet,
    reserve_aux,
    reserve_gateway,
)
from ipvlab.driver.options import ENABLE_IPV4, ENABLE_IPV6, DriverOptions, read_options, read_switch
from ipvlab.driver.pools import PoolConfig, read_pools, subnet_versions
from ipvlab.driver.requests import NetworkRequest
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Mode, Subnet

#: Networks that every host has.
PREDEFINED = ("bridge", "host", "none")
#: ``default`` is no network, and its name is reserved all the same.
RESERVED = (*PREDEFINED, "default")
#: Drivers of Docker that the hosts of a lab do not have; any other unknown one would be a plugin.
_ABSENT_DRIVERS = frozenset({"bridge", "host", "null", "overlay", "macvlan"})
DEFAULT_IPAM = "default"
NULL_IPAM = "null"


@dataclasses.dataclass(frozen=True, slots=True)
class WantedNetwork:
    """A request that is consistent in itself, its families decided."""

    request: NetworkRequest
    configs: tuple[PoolConfig, ...]
    has_ipv4: bool
    has_ipv6: bool

    def configs_of(self, version: int) -> tuple[PoolConfig, ...]:
        """The written subnets of one family, in order."""
        return tuple(config for config in self.configs if config.subnet.version == version)


def read_request(request: NetworkRequest, row: DialectRow) -> WantedNetwork:
    """Read a request without looking at what exists.

    Raises :class:`DriverRefusal` for a reserved name (403), a switch that is no
    boolean, a faulty subnet, range, gateway or auxiliary address, or a blank
    name (400), in this order.
    """
    if request.name in RESERVED:
        # The space at the end is the engine's.
        raise DriverRefusal(f"operation is not permitted on predefined {request.name} network ", status=403)
    request, enable_ipv4, enable_ipv6 = _decide_switches(request, row)
    versions = subnet_versions(request.pools)
    if enable_ipv6 is None:
        enable_ipv6 = row.subnets_choose_families and 6 in versions
    if enable_ipv4 is None:
        enable_ipv4 = not (row.subnets_choose_families and enable_ipv6 and versions == {6})
    configs = read_pools(request.pools, has_ipv6=enable_ipv6)
    if not request.name.strip():
        raise DriverRefusal(row.blank_name.format(name=request.name), status=400)
    return WantedNetwork(request, configs, enable_ipv4, enable_ipv6)


def _decide_switches(
    request: NetworkRequest, row: DialectRow
) -> tuple[NetworkRequest, bool | None, bool | None]:
    """What fields and options say of the families; a field wins, and its option is then dropped."""
    if not row.has_family_switches:
        # The HTTP API before 1.48 has no EnableIPv4, and the engine reads neither option.
        return request, True, request.enable_ipv6
    options = dict(request.options)
    decided: list[bool | None] = []
    for field, key in ((request.enable_ipv4, ENABLE_IPV4), (request.enable_ipv6, ENABLE_IPV6)):
        if field is None:
            decided.append(read_switch(options, key))
        else:
            options.pop(key, None)
            decided.append(field)
    return dataclasses.replace(request, options=options), decided[0], decided[1]


def check_driver(request: NetworkRequest) -> None:
    """Refuse a network driver that a lab's hosts do not have, and what ipvlan networks cannot be."""
    if request.driver in _ABSENT_DRIVERS:
        raise DriverRefusal(
            f"the hosts of a lab have no network driver '{request.driver}': "
            "ipvlan is the only one (-d ipvlan)"
        )
    if request.driver != "ipvlan":
        raise DriverRefusal(f'plugin "{request.driver}" not found', status=404)
    if request.is_ingress:
        raise DriverRefusal("Ingress network can only be global scope network", status=403)


def check_scope(request: NetworkRequest) -> None:
    """Refuse a swarm's scope (403): the hosts of a lab form no swarm."""
    if request.scope == "swarm":
        raise DriverRefusal("cannot create a swarm scoped network when swarm is not active", status=403)


def hold_pools(
    space: AddressSpace,
    wanted: WantedNetwork,
    row: DialectRow,
    on_link_subnets: Callable[[], Sequence[Subnet]],
    undo: ExitStack,
) -> tuple[Pool, ...]:
    """Hold the pools of the enabled families, IPv4 first, with gateways and auxiliary addresses.

    A subnet of a disabled family is stored with the network and not held. What
    is held is given back when ``undo`` unwinds. Raises :class:`DriverRefusal`.
    """
    ipam = wanted.request.ipam_driver
    if ipam == NULL_IPAM:
        _check_null_ipam(wanted, row)
        return ()
    if ipam != DEFAULT_IPAM:
        raise DriverRefusal(f'plugin "{ipam}" not found', status=404)
    wants_gateway = _wants_gateway(wanted.request, row)
    pools: list[Pool] = []

    def keep(pool: Pool, config: PoolConfig | None) -> None:
        undo.callback(space.release_pool, pool)
        reserve_gateway(
            pool,
            None if config is None else config.gateway,
            is_wanted=wants_gateway,
            within=pool.dynamic_range if row.takes_gateway_from_range else pool.subnet,
        )
        reserve_aux(pool, () if config is None else config.aux_addresses)
        pools.append(pool)

    for version, is_enabled in ((4, wanted.has_ipv4), (6, wanted.has_ipv6)):
        if not is_enabled:
            continue
        configs = wanted.configs_of(version)
        # On-link routes count for IPv4 only (netutils/utils_linux.go: InferReservedNetworks).
        on_link = on_link_subnets() if version == 4 and wanted.request.scope != "global" else ()
        for config in configs:
            if row.sizes_automatic_pools and config.subnet.network_address.is_unspecified:
                keep(_request_sized(space, config, on_link), config)
            else:
                keep(space.request_pool(config), config)
        if not configs:
            keep(space.request_automatic(version, on_link), None)
    return tuple(pools)


def held_configs(wanted: WantedNetwork, pools: Sequence[Pool]) -> tuple[PoolConfig, ...]:
    """The written subnets, with the chosen one where a written one gave only a size."""
    rest = {version: [pool for pool in pools if pool.subnet.version == version] for version in (4, 6)}
    configs = []
    for config in wanted.configs:
        held = rest[config.subnet.version]
        configs.append(dataclasses.replace(config, subnet=held.pop(0).subnet) if held else config)
    return tuple(configs)


def _request_sized(space: AddressSpace, config: PoolConfig, on_link: Sequence[Subnet]) -> Pool:
    """A pool of a written size, of which the engine chooses the place (``0.0.0.0/24``)."""
    if config.ip_range is not None:
        raise refuse_range_without_subnet(config.ip_range)
    pool = space.request_automatic(config.subnet.version, on_link, config.subnet.prefixlen)
    pool.is_automatic = False
    return pool


def _check_null_ipam(wanted: WantedNetwork, row: DialectRow) -> None:
    """Refuse the null address driver where addresses are wanted: it gives none (``ipams/null``)."""
    for version, is_enabled in ((4, wanted.has_ipv4), (6, wanted.has_ipv6)):
        if is_enabled and wanted.configs_of(version):
            raise DriverRefusal("null ipam driver does not handle specific address pool requests", status=400)
        if is_enabled and version == 6 and not row.null_ipam_has_ipv6:
            raise DriverRefusal("null ipam driver does not handle IPv6 address pool requests", status=400)
    for version, is_enabled in ((4, wanted.has_ipv4), (6, wanted.has_ipv6)):
        if is_enabled:
            raise DriverRefusal(f"ipv{version} pool is empty", status=row.empty_pool_status)


def effective_parent(request: NetworkRequest, options: DriverOptions, row: DialectRow) -> str:
    """The parent as written, or nothing where the network is to have one of its own."""
    if request.is_internal and not row.internal_keeps_parent:
        return ""
    return options.parent


def _wants_gateway(request: NetworkRequest, row: DialectRow) -> bool:
    """Whether a gateway is reserved that nobody wrote (section 1.5; ``drivers/ipvlan``: GetSkipGwAlloc)."""
    try:
        options = read_options(request.options)
    except DriverRefusal:
        # The same refusal follows when the driver reads the options after the pools.
        return row.reserves_useless_gateway
    is_routed = options.mode is Mode.L2 and bool(options.parent) and not request.is_internal
    return row.reserves_l2_gateway if is_routed else row.reserves_useless_gateway
