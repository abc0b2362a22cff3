"""The tables of a simulated machine: what commands change, and what expectations read.

Changes follow the kernel: an address brings its connected route, a link that
goes down loses its routes and IPv6 addresses.
"""

from __future__ import annotations

import errno
import ipaddress
from typing import Literal

from ipvlab.datapath.sim.machine import Machine, SimLink
from ipvlab.errors import KernelRefusal
from ipvlab.rules.groups import ANY4, ANY6
from ipvlab.rules.stack import Route
from ipvlab.spec.routes import RouteText
from ipvlab.spec.values import Address, Interface, Subnet

#: The metrics of IPv6 routes that are connected and that were added by hand (ipv6/route.h).
METRIC_CONNECTED6, METRIC_STATIC6 = 256, 1024
EVERYTHING = {4: ipaddress.ip_network(f"{ANY4}/0"), 6: ipaddress.ip_network(f"{ANY6}/0")}
_LINK_LOCAL = ipaddress.ip_network("fe80::/10")


def add_address(machine: Machine, link: SimLink, address: Interface) -> None:
    """Give a link an address, and the machine its connected route while the link is up."""
    link.addresses.append(address)
    if link.is_up:
        _connect(machine, link, address)


def remove_address(machine: Machine, link: SimLink, address: Interface, *, promotes: bool = False) -> None:
    """Take an address from a link; an IPv4 primary takes its secondaries along (__inet_del_ifa)."""
    secondaries = [
        held
        for held in link.addresses
        if held.version == 4 and held.network == address.network and held != address
    ]
    is_primary = address.version == 4 and _primary(link, address) == address
    link.addresses.remove(address)
    if is_primary and not promotes:
        for held in secondaries:
            link.addresses.remove(held)
    still_connected = any(held.network == address.network for held in link.addresses)
    if not still_connected:
        machine.routes[:] = [
            route
            for route in machine.routes
            if not (route.proto == "kernel" and route.dev == link.name and route.to == address.network)
        ]
    if address.version == 4 and not any(held.version == 4 for held in link.addresses):
        # The last one takes every route by the link along (fib_frontend.c: fib_disable_ip).
        machine.routes[:] = [r for r in machine.routes if r.dev != link.name or r.version != 4]
    gone = {address.ip, *(held.ip for held in secondaries if held not in link.addresses)}
    machine.routes[:] = [route for route in machine.routes if route.source not in gone]


def _primary(link: SimLink, address: Interface) -> Interface:
    return next(held for held in link.addresses if held.network == address.network)


def _connect(machine: Machine, link: SimLink, address: Interface) -> None:
    """The connected route of an address (fib_frontend.c: fib_add_ifaddr; addrconf_prefix_route)."""
    if isinstance(address, ipaddress.IPv6Interface):
        route = Route(address.network, link.name, metric=METRIC_CONNECTED6, proto="kernel")
    elif address.network.prefixlen == 32:
        return
    else:
        route = Route(address.network, link.name, source=address.ip, proto="kernel")
    if not any(
        held.to == route.to and held.dev == route.dev and held.proto == "kernel" for held in machine.routes
    ):
        machine.routes.append(route)


def connect_link(machine: Machine, link: SimLink) -> None:
    """A link comes up: its addresses bring their connected routes; routes added by hand do not come back."""
    for address in link.addresses:
        _connect(machine, link, address)


def disconnect_link(machine: Machine, link: SimLink) -> None:
    """A link goes down: routes by it, its neighbours and its IPv6 addresses go."""
    forget_link(machine, link)
    for address in [held for held in link.addresses if held.version == 6]:
        if address.ip.is_link_local:
            link.link_local = address
        link.addresses.remove(address)


def disable_ipv6(machine: Machine, link: SimLink) -> None:
    """IPv6 leaves a link: its addresses, routes and neighbours go (net/ipv6/addrconf.c: addrconf_ifdown)."""
    link.has_ipv6, link.link_local = False, None
    link.addresses[:] = [held for held in link.addresses if held.version == 4]
    machine.routes[:] = [route for route in machine.routes if route.dev != link.name or route.version == 4]
    for key in [key for key in machine.neighbours if key[0] == link.name and key[1].version == 6]:
        del machine.neighbours[key]


def forget_link(machine: Machine, link: SimLink) -> None:
    """Forget routes and neighbours of a link that is down or gone."""
    machine.routes[:] = [route for route in machine.routes if route.dev != link.name]
    for key in [key for key in machine.neighbours if key[0] == link.name]:
        del machine.neighbours[key]


def add_route(
    machine: Machine, version: int, to: Subnet | None, via: Address | None, dev: str | None
) -> None:
    """Add a route of the main table; ``to`` None is the default route.

    Raises :class:`KernelRefusal` as the kernel: EEXIST for one that is there,
    ENETUNREACH or EHOSTUNREACH for a gateway that is on no link (fib_check_nh).
    """
    target = to if to is not None else EVERYTHING[version]
    link = _egress(machine, version, via, dev)
    metric = METRIC_STATIC6 if version == 6 else 0
    route = Route(target, link, via, metric=metric)
    for held in machine.routes:
        is_same = held.to == target and held.metric == metric
        if is_same:
            # IPv6 as well, whatever the way: the request says NLM_F_EXCL (ip6_fib.c: fib6_add_rt2node).
            raise KernelRefusal("File exists", errno=errno.EEXIST)
    machine.routes.append(route)


def _egress(machine: Machine, version: int, via: Address | None, dev: str | None) -> str:
    if via is None:
        assert dev is not None
        _refuse_useless(machine.links[dev], version)
        return dev
    if dev is not None and version == 6 and via.is_link_local:
        _refuse_useless(machine.links[dev], version)
    if via.version == 6 and via.is_link_local and dev is not None:
        return dev
    holder = machine.stack.local.get(via)
    if holder is not None and version == 6:
        words = "Gateway can not be a local address"
        raise KernelRefusal("Invalid argument", errno=errno.EINVAL, explanation=words)
    if holder is not None and dev in (None, holder):
        # Of no use, and not refused (fib_semantics.c: fib_check_nh_v4_gw takes RTN_LOCAL too).
        return holder
    for route in machine.stack.matching(via):
        if route.via is None and dev in (None, route.dev):
            return route.dev
    number = errno.ENETUNREACH if version == 4 else errno.EHOSTUNREACH
    words = "Nexthop has invalid gateway" if version == 4 else ""
    text = "Network is unreachable" if version == 4 else "No route to host"
    raise KernelRefusal(text, errno=number, explanation=words)


def _refuse_useless(link: SimLink, version: int) -> None:
    """Refuse a link that nothing can leave by (fib_check_nh_nongw, fib6_nh_init)."""
    if version == 6 and not link.has_ipv6:
        raise KernelRefusal(
            "IPv6 is disabled on the device",
            errno=errno.EACCES,
            explanation="IPv6 is disabled on nexthop device",
        )
    if not link.is_up:
        words = "Device for nexthop is not up" if version == 4 else "Nexthop device is not up"
        raise KernelRefusal("Network is down", errno=errno.ENETDOWN, explanation=words)


def remove_route(
    machine: Machine, version: int, to: Subnet | None, via: Address | None, dev: str | None
) -> None:
    """Delete the first route that matches what is named; raises :class:`KernelRefusal` where none does."""
    target = to if to is not None else EVERYTHING[version]
    for route in machine.routes:
        if route.to == target and via in (None, route.via) and dev in (None, route.dev):
            machine.routes.remove(route)
            return
    if version == 6 and to is None and via is None and dev is None:
        # The root of the IPv6 table has an entry that nobody can delete (ip6_fib.c: __ip6_del_rt).
        raise KernelRefusal("No such file or directory", errno=errno.ENOENT)
    raise KernelRefusal("No such process", errno=errno.ESRCH)


def read_routes(machine: Machine, version: Literal[4, 6]) -> list[RouteText]:
    """The main table's routes of a family, fe80::/10 left out, in the order of ``ip route``."""
    found = []
    for route in machine.routes:
        if route.version != version or (version == 6 and route.to.subnet_of(_LINK_LOCAL)):  # type: ignore[arg-type]  # same version
            continue
        if route.dev not in machine.links:
            continue
        found.append(_text(route))
    found.sort(key=lambda text: (0 if text.to == "default" else 1, str(text.to)))
    return found


def _text(route: Route) -> RouteText:
    is_link_scope = route.version == 4 and route.via is None
    return RouteText(
        to="default" if route.to.prefixlen == 0 else route.to,
        via=route.via,
        dev=route.dev,
        src=route.source,
        metric=route.metric if route.version == 6 else None,
        proto=route.proto,
        scope="link" if is_link_scope else "global",
        pref="medium" if route.version == 6 else None,
        version=route.version,
    )


def read_addresses(machine: Machine) -> dict[str, list[Interface]]:
    """The addresses of every link, ``lo`` included."""
    loopback: list[Interface] = [ipaddress.ip_interface("127.0.0.1/8"), ipaddress.ip_interface("::1/128")]
    return {"lo": loopback, **{name: list(link.addresses) for name, link in machine.links.items()}}


def read_links(machine: Machine) -> list[str]:
    """The names of a machine's links, ``lo`` included."""
    return ["lo", *machine.links]
