"""How a container joins networks: settings checked, addresses taken, everything planned.

Source: moby ``daemon/container_operations.go``: validateEndpointSettings,
libnetwork ``endpoint.go``: assignAddress.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from ipvlab.driver.addresses import family_word
from ipvlab.driver.announcing import plan_announcement
from ipvlab.driver.default_routes import Join, check_overlaps, choose_routes
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.endpoint_options import choose_names, find_sysctl_faults, plan_sysctls
from ipvlab.driver.ipam import take_address
from ipvlab.driver.pools import list_faults
from ipvlab.driver.port import EndpointPlan
from ipvlab.driver.requests import EndpointRequest
from ipvlab.driver.state import Lease, Network
from ipvlab.driver.static_addresses import find_address_faults, read_static
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Interface

#: What a link-local address of ``link_local_ips`` is prefixed with (libnetwork ``endpoint.go``).
_LINK_LOCAL_BITS = {4: 16, 6: 64}


def check_settings(
    network: Network, request: EndpointRequest, row: DialectRow, *, at_create: bool = False
) -> None:
    """Check a container's settings for one network before anything is made.

    Raises :class:`DriverRefusal` (400) that lists every fault of its addresses
    and sysctls; at creation the network is named too.
    """
    faults = [*find_address_faults(network, request, row), *find_sysctl_faults(request, row)]
    if faults:
        where = f"invalid config for network {network.name}: " if at_create else ""
        raise DriverRefusal(f"{where}invalid endpoint settings:\n{list_faults(faults)}", status=400)


def take_leases(
    network: Network, request: EndpointRequest, keep: Callable[[Lease], object]
) -> tuple[Lease, ...]:
    """Take one address of each enabled family; ``keep`` is told of each as soon as it is held.

    Raises :class:`DriverRefusal`: 403 for an address in use and for a network that
    only holds settings, 500 for full pools.
    """
    if network.request.is_config_only:
        raise DriverRefusal("cannot create endpoint on configuration-only network", status=403)
    leases = []
    for version in network.versions():
        text = request.ipv4 if version == 4 else request.ipv6
        taken = take_address(network.pools_of(version), read_static(text, version) if text else None)
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


def plan_endpoints(joins: Sequence[Join], row: DialectRow) -> tuple[EndpointPlan, ...]:
    """Everything that the datapath is told, with at most one default route for each family.

    Raises :class:`DriverRefusal`: 500 for names, addresses and routes that are in
    each other's way (:func:`choose_names`, :func:`check_overlaps`,
    :func:`choose_routes`) and for what the kernel would refuse.
    """
    interfaces = choose_names([join.request for join in joins], [join.interface for join in joins], row)
    check_overlaps(joins, interfaces)
    for join, interface in zip(joins, interfaces, strict=True):
        _check_link_local(join, interface)
    routes = choose_routes(joins, interfaces, row)
    return tuple(
        EndpointPlan(
            network=join.network.name,
            interface=interface,
            parent=join.network.parent.link,
            mode=join.network.options.mode,
            flag=join.network.options.flag,
            addresses=(*(lease.interface for lease in join.leases), *_link_local(join.request)),
            routes=given,
            sysctls=plan_sysctls(join.request, interface, row),
            announcement=plan_announcement(join, row),
        )
        for join, interface, given in zip(joins, interfaces, routes, strict=True)
    )


def _check_link_local(join: Join, interface: str) -> None:
    """An interface without an IPv6 address has IPv6 off, and takes no link-local one then (EACCES)."""
    if any(lease.version == 6 for lease in join.leases):
        return
    given = [address for address in _link_local(join.request) if address.version == 6]
    if given:
        listed = " ".join(str(address) for address in _link_local(join.request))
        raise DriverRefusal(
            f"failed to add interface {interface} to sandbox: error setting interface "
            f'"{interface}" link local IPs to [{listed}]: permission denied'
        )


def _link_local(request: EndpointRequest) -> tuple[Interface, ...]:
    addresses = (ipaddress.ip_address(text) for text in request.link_local)
    return tuple(ipaddress.ip_interface(f"{a}/{_LINK_LOCAL_BITS[a.version]}") for a in addresses)
