"""Which of a container's networks gives it its default route, and the conflicts of its addresses.

Source: libnetwork ``sandbox.go``: Endpoint.Less, ``default_gateway.go``:
selectGatewayEndpoint, ``drivers/ipvlan/ipvlan_joinleave.go``: Join,
``osl/interface_linux.go``: checkRouteConflict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.port import RoutePlan
from ipvlab.driver.requests import EndpointRequest
from ipvlab.driver.state import Endpoint, Lease, Network
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Mode, Subnet


@dataclasses.dataclass(frozen=True, slots=True)
class Join:
    """A container's place on a network, with its addresses taken and nothing made yet."""

    network: Network
    request: EndpointRequest
    leases: tuple[Lease, ...]
    #: The interface's name, where it has one already.
    interface: str | None = None


def choose_routes(
    joins: Sequence[Join], interfaces: Sequence[str], row: DialectRow
) -> list[tuple[RoutePlan, ...]]:
    """The default routes of each join: at most one a family in all.

    The first in the order of :func:`precedence` has it; an endpoint with both
    families is preferred to one that comes before it with a single one. Up to 27
    an L3 network does not compete: a second default is refused (500).
    """
    offers = [_offers(join, interface, row) for join, interface in zip(joins, interfaces, strict=True)]
    if not row.l3_competes_for_default:
        return _choose_without_l3(joins, offers, row)
    order = sorted(range(len(joins)), key=lambda at: precedence(joins[at], offers[at], row))
    first = {version: next((at for at in order if version in offers[at]), None) for version in (4, 6)}
    both = next((at for at in order if len(offers[at]) == 2), None)
    if both is not None and not _both_before(order, both, first):
        first = {4: both, 6: both}
    chosen: list[tuple[RoutePlan, ...]] = [()] * len(joins)
    for at, offer in enumerate(offers):
        chosen[at] = tuple(route for version, route in offer.items() if first[version] == at)
    return chosen


def precedence(join: Join, offer: dict[int, RoutePlan], row: DialectRow) -> tuple[int, bool, int, str]:
    """What sorts a container's networks: the least comes first, for default routes and for names.

    The greater ``gw_priority``, a network that is not internal, the one that
    offers routes for more families, the name.
    """
    priority = join.request.gw_priority if row.has_endpoint_wishes else 0
    if row.l3_competes_for_default:
        weight = len(offer)
    else:
        weight = sum({4: 1, 6: 2}[version] for version, route in offer.items() if route.via is not None)
    return -priority, join.network.request.is_internal, -weight, join.network.name


def by_precedence(endpoints: Sequence[Endpoint], row: DialectRow) -> list[Endpoint]:
    """A container's endpoints in the order of :func:`precedence`, in which names are looked up."""

    def key(endpoint: Endpoint) -> tuple[int, bool, int, str]:
        join = Join(endpoint.network, endpoint.request, endpoint.leases, endpoint.interface)
        return precedence(join, _offers(join, endpoint.interface, row), row)

    return sorted(endpoints, key=key)


def check_overlaps(joins: Sequence[Join], interfaces: Sequence[str]) -> None:
    """Refuse a container two networks whose subnets overlap.

    Raises :class:`DriverRefusal` (500), at the network that comes second.
    """
    connected: list[tuple[Subnet, Lease]] = []
    for join, interface in zip(joins, interfaces, strict=True):
        for lease in join.leases:
            address = lease.interface
            for subnet, other in connected:
                if subnet.version != lease.version:
                    continue
                if address.ip in subnet or subnet.network_address in address.network:
                    raise DriverRefusal(
                        f"failed to add interface {interface} to sandbox: error setting interface "
                        f'"{interface}" {"IP" if lease.version == 4 else "IPv6"} to {address}: '
                        f"cannot program address {address} in sandbox interface because it conflicts "
                        f"with existing route {{Dst: {subnet} Src: {other.interface.ip}}}"
                    )
        connected += [(lease.interface.network, lease) for lease in join.leases]


def _both_before(order: Sequence[int], both: int, first: dict[int, int | None]) -> bool:
    """Whether each family has been given away before the first endpoint with both is come to."""
    places = [order.index(at) for at in first.values() if at is not None]
    return all(place < order.index(both) for place in places)


def _choose_without_l3(
    joins: Sequence[Join], offers: Sequence[dict[int, RoutePlan]], row: DialectRow
) -> list[tuple[RoutePlan, ...]]:
    """Up to 27: one endpoint with an IPv4 gateway is the gateway of both families, L3 adds its own route."""
    order = sorted(range(len(joins)), key=lambda at: precedence(joins[at], offers[at], row))
    gateways = [at for at in order if 4 in offers[at] and offers[at][4].via is not None]
    chosen: list[tuple[RoutePlan, ...]] = []
    held: set[int] = set()
    for at, (join, offer) in enumerate(zip(joins, offers, strict=True)):
        is_l3 = join.network.options.mode is not Mode.L2
        routes = tuple(offer.values()) if is_l3 or gateways[:1] == [at] else ()
        for route in routes:
            if route.version in held:
                raise _second_default(route, is_l3=is_l3)
        held |= {route.version for route in routes}
        chosen.append(routes)
    return chosen


def _second_default(route: RoutePlan, *, is_l3: bool) -> DriverRefusal:
    if is_l3:
        anywhere = "0.0.0.0/0" if route.version == 4 else "::/0"
        return DriverRefusal(f"failed to add static route {anywhere}: file exists")
    family = "" if route.version == 4 else "IPv6 "
    return DriverRefusal(f"failed to set {family}gateway while updating gateway: file exists")


def _offers(join: Join, dev: str, row: DialectRow) -> dict[int, RoutePlan]:
    """The default routes that a network can give, by family."""
    routes = ((lease.version, _default_route(join.network, lease, dev, row)) for lease in join.leases)
    return {version: route for version, route in routes if route is not None}


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
