"""How a container joins networks: settings checked, addresses taken, interfaces named, routes planned.

Source: moby ``daemon/container_operations.go``: validateEndpointSettings,
libnetwork ``endpoint.go``: assignAddress, ``sandbox.go``: Endpoint.Less,
``drivers/ipvlan/ipvlan_joinleave.go``: Join.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence

from ipvlab.driver.addresses import family_word, parse_address
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.ipam import take_address
from ipvlab.driver.pools import list_faults
from ipvlab.driver.port import EndpointPlan, RoutePlan
from ipvlab.driver.requests import EndpointRequest
from ipvlab.driver.state import Lease, Network
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Address, Interface, Mode

#: What a link-local address of ``link_local_ips`` is prefixed with (libnetwork ``endpoint.go``).
_LINK_LOCAL_BITS = {4: 16, 6: 64}


def check_settings(network: Network, request: EndpointRequest) -> None:
    """Check a container's settings for one network before anything is made.

    Raises :class:`DriverRefusal` (400) that lists every fault: an address that
    is none, of the wrong family, unspecified, or in no subnet of an enabled family.
    """
    faults: list[str] = []
    for version, text in ((4, request.ipv4), (6, request.ipv6)):
        if text is None:
            continue
        address = _read_static(text, version)
        if address is None:
            faults.append(f"invalid {family_word(version)} address: {text}")
        elif not any(address in pool.subnet for pool in network.pools_of(version)):
            faults.append(f"no configured subnet contains IP address {text}")
    for text in request.link_local:
        address = parse_address(text)
        if address is None or not address.is_link_local:
            faults.append(f"invalid link-local IP address: {text}")
    if faults:
        raise DriverRefusal(
            f"invalid config for network {network.name}: invalid endpoint settings:\n{list_faults(faults)}",
            status=400,
        )


def take_leases(
    network: Network, request: EndpointRequest, keep: Callable[[Lease], object]
) -> tuple[Lease, ...]:
    """Take one address of each enabled family; ``keep`` is told of each as soon as it is held.

    Raises :class:`DriverRefusal`: 403 for an address in use, 500 for full pools.
    """
    leases = []
    for version in network.versions():
        text = request.ipv4 if version == 4 else request.ipv6
        taken = take_address(network.pools_of(version), None if text is None else _read_static(text, version))
        if taken is None:
            raise DriverRefusal(
                f"no available {family_word(version)} addresses on this network's address pools: "
                f"{network.name} ({network.id})"
            )
        pool, address = taken
        lease = Lease(pool, pool.interface(address))
        keep(lease)
        leases.append(lease)
    return tuple(leases)


def name_interfaces(requests: Sequence[EndpointRequest]) -> tuple[str, ...]:
    """The names inside the container: the wished one, else the first free of eth0, eth1 …

    Raises :class:`DriverRefusal` for a name that is wished twice.
    """
    names: list[str] = []
    for request in requests:
        wished = request.interface
        if wished is None:
            wished = next(name for name in _ethernet_names() if name not in names)
        elif wished in names:
            raise DriverRefusal(f"error renaming interface to {wished}: file exists")
        names.append(wished)
    return tuple(names)


def plan_endpoints(
    joins: Sequence[tuple[Network, EndpointRequest, tuple[Lease, ...]]], row: DialectRow
) -> tuple[EndpointPlan, ...]:
    """Everything that the datapath is told, with at most one default route for each family.

    Networks compete for it by ``gw_priority``, the higher first, then in the
    order they are joined; one that has no default route to give is passed over.
    """
    interfaces = name_interfaces([request for _, request, _ in joins])
    order = sorted(range(len(joins)), key=lambda at: -joins[at][1].gw_priority)
    routes: dict[int, list[RoutePlan]] = {at: [] for at in order}
    routed: set[int] = set()
    for at in order:
        network, _, leases = joins[at]
        for lease in leases:
            route = _default_route(network, lease, interfaces[at], row)
            if route is not None and lease.version not in routed:
                routed.add(lease.version)
                routes[at].append(route)
    return tuple(
        EndpointPlan(
            network=network.name,
            interface=interfaces[at],
            parent=network.parent.link,
            mode=network.options.mode,
            flag=network.options.flag,
            addresses=(*(lease.interface for lease in leases), *_link_local(request)),
            routes=tuple(routes[at]),
        )
        for at, (network, request, leases) in enumerate(joins)
    )


def _default_route(network: Network, lease: Lease, dev: str, row: DialectRow) -> RoutePlan | None:
    if network.request.is_internal:
        return None
    if network.options.mode is Mode.L2:
        if not network.is_external or lease.pool.gateway is None:
            return None
        return RoutePlan("default", lease.pool.gateway, dev, lease.version)
    if not network.is_external and not row.routes_l3_without_parent:
        return None
    return RoutePlan("default", None, dev, lease.version)


def _link_local(request: EndpointRequest) -> tuple[Interface, ...]:
    addresses = (ipaddress.ip_address(text) for text in request.link_local)
    return tuple(ipaddress.ip_interface(f"{a}/{_LINK_LOCAL_BITS[a.version]}") for a in addresses)


def _read_static(text: str, version: int) -> Address | None:
    address = parse_address(text)
    if address is None or address.version != version or address.is_unspecified:
        return None
    return address


def _ethernet_names() -> Iterator[str]:
    number = 0
    while True:
        yield f"eth{number}"
        number += 1
