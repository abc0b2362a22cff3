"""The first half of creating a network: what is asked for, read and held, before the driver is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.ipam import AddressSpace, Pool, reserve_aux, reserve_gateway
from ipvlab.driver.options import ENABLE_IPV4, ENABLE_IPV6, read_options, read_switch
from ipvlab.driver.pools import PoolConfig, read_pools
from ipvlab.driver.requests import NetworkRequest
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Mode, Subnet

#: Networks that every host has.
PREDEFINED = ("bridge", "host", "none")
#: ``default`` is no network, and its name is reserved all the same.
RESERVED = (*PREDEFINED, "default")


@dataclasses.dataclass(frozen=True, slots=True)
class WantedNetwork:
    """A request that is consistent in itself, its families decided."""

    request: NetworkRequest
    configs: tuple[PoolConfig, ...]
    has_ipv4: bool
    has_ipv6: bool


def read_request(request: NetworkRequest, row: DialectRow) -> WantedNetwork:
    """Read a request without looking at what exists.

    Raises :class:`DriverRefusal` for a reserved name (403), a switch that is no
    boolean, a faulty subnet, range, gateway or auxiliary address, or a blank
    name (400), in this order (moby ``daemon/network.go``: createNetwork).
    """
    if request.name in RESERVED:
        # The space at the end is the engine's.
        raise DriverRefusal(f"operation is not permitted on predefined {request.name} network ", status=403)
    switch4, switch6 = read_switch(request.options, ENABLE_IPV4), read_switch(request.options, ENABLE_IPV6)
    # The field of the request wins over the option of the same meaning.
    enable_ipv4 = switch4 if request.enable_ipv4 is None else request.enable_ipv4
    enable_ipv6 = switch6 if request.enable_ipv6 is None else request.enable_ipv6
    configs = read_pools(request.pools)
    if not request.name.strip():
        raise DriverRefusal("invalid name: name is empty", status=400)
    has_subnet = {config.subnet.version for config in configs}
    if enable_ipv6 is None:
        enable_ipv6 = row.subnets_choose_families and 6 in has_subnet
    if enable_ipv4 is None:
        enable_ipv4 = not (row.subnets_choose_families and enable_ipv6 and has_subnet == {6})
    return WantedNetwork(request, configs, enable_ipv4, enable_ipv6)


def check_drivers(request: NetworkRequest) -> None:
    """Refuse a network driver or an address driver that a lab's hosts do not have."""
    if request.driver != "ipvlan":
        raise DriverRefusal(
            f"the hosts of a lab have no network driver '{request.driver}': "
            "ipvlan is the only one (-d ipvlan)"
        )
    if request.ipam_driver != "default":
        raise DriverRefusal(
            f"the hosts of a lab have no IPAM driver '{request.ipam_driver}': default is the only one",
            status=400,
        )


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
    wants_gateway = _wants_gateway(wanted.request, row)
    pools: list[Pool] = []
    for version, is_enabled in ((4, wanted.has_ipv4), (6, wanted.has_ipv6)):
        if not is_enabled:
            continue
        configs = [config for config in wanted.configs if config.subnet.version == version]
        for config in configs:
            pool = space.request_pool(config)
            undo.callback(space.release_pool, pool)
            reserve_gateway(pool, config.gateway, is_wanted=wants_gateway)
            reserve_aux(pool, config.aux_addresses)
            pools.append(pool)
        if not configs:
            pool = space.request_automatic(version, on_link_subnets())
            undo.callback(space.release_pool, pool)
            reserve_gateway(pool, None, is_wanted=wants_gateway)
            pools.append(pool)
    return tuple(pools)


def _wants_gateway(request: NetworkRequest, row: DialectRow) -> bool:
    try:
        options = read_options(request.options)
    except DriverRefusal:
        # The same refusal follows when the driver reads the options after the pools.
        return False
    is_routed = options.mode is Mode.L2 and bool(options.parent) and not request.is_internal
    return row.reserves_l2_gateway if is_routed else row.reserves_useless_gateway
