"""Which networks a container joins, and how: the options of ``run``, ``create`` and ``network connect``.

Source of rules and texts: docker/cli ``opts/network.go``,
``cli/command/container/opts.go``: parseNetworkOpts, applyContainerOptions, and
``cli/command/network/connect.go``.
"""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from ipvlab.driver.flag_values import is_address, is_mac, read_network_fields
from ipvlab.driver.flags import ClientFault, Options
from ipvlab.driver.requests import EndpointRequest
from ipvlab.spec.values import Dialect

_Setting = TypeVar("_Setting")
#: What is no user-defined network (``container.NetworkMode``: IsUserDefined).
_MODES = ("bridge", "host", "none", "default", "")


def read_network_flags(options: Options, dialect: Dialect) -> tuple[EndpointRequest, ...]:
    """The networks of ``docker run`` in the order written; without one it is ``bridge``.

    ``--ip``, ``--ip6``, ``--mac-address``, ``--link-local-ip`` and
    ``--network-alias`` belong to the first. Raises :class:`ClientFault` (exit code 125).
    """
    fault = options.verb.late_fault
    if dialect is Dialect.DOCKER_29:
        _check_addresses(options, ("ip", "ip6", "link-local-ip"))
    requests = [_read_network(text, options, dialect) for text in options.all("network")]
    requests = requests or [EndpointRequest("bridge")]
    first = requests[0]

    def choose(option: str, own: _Setting | None, what: str, per_network: _Setting | None) -> _Setting | None:
        if own and per_network:
            raise fault(f"conflicting options: cannot specify both {option} and per-network {what}")
        return own or per_network

    requests[0] = dataclasses.replace(
        first,
        aliases=choose("--network-alias", options.all("network-alias"), "alias", first.aliases) or (),
        ipv4=choose("--ip", options.last("ip"), "IPv4 address", first.ipv4),
        ipv6=choose("--ip6", options.last("ip6"), "IPv6 address", first.ipv6),
        mac=choose("--mac-address", options.last("mac-address"), "MAC address", first.mac),
        link_local=choose(
            "--link-local-ip",
            options.all("link-local-ip"),
            "link-local IP addresses",
            first.link_local,
        )
        or (),
    )
    seen: set[str] = set()
    for request in requests:
        name = request.network
        if not name:
            raise fault("no name set for network")
        is_mode = name in _MODES or name.startswith("container:")
        if is_mode and request.aliases:
            raise fault("network-scoped aliases are only supported for user-defined networks")
        if is_mode and len(requests) > 1:
            raise fault(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        if request.mac and not is_mac(request.mac):
            raise fault(f"{request.mac} is not a valid mac address")
        if name in seen:
            raise fault(f'network "{name}" is specified multiple times')
        seen.add(name)
    return tuple(requests)


def read_connect_flags(options: Options, network: str, dialect: Dialect) -> EndpointRequest:
    """The endpoint that ``docker network connect`` asks for; raises :class:`ClientFault` (exit code 1)."""
    if dialect is Dialect.DOCKER_29:
        _check_addresses(options, ("ip", "ip6", "link-local-ip"))
    driver_options: dict[str, str] = {}
    for text in options.all("driver-opt"):
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ClientFault("invalid key/value pair format in driver options", 1)
        driver_options[key.strip()] = value.strip()
    return EndpointRequest(
        network=network,
        ipv4=options.last("ip") or None,
        ipv6=options.last("ip6") or None,
        aliases=options.all("alias"),
        link_local=options.all("link-local-ip"),
        gw_priority=options.number("gw-priority") or 0,
        options=driver_options,
    )


def _read_network(text: str, options: Options, dialect: Dialect) -> EndpointRequest:
    """One ``--network``: a name, or ``name=N,alias=A,ip=…``, its fields checked when it was read."""
    fields = read_network_fields(text)
    if fields is None:
        return EndpointRequest(text)

    def all_of(key: str) -> tuple[str, ...]:
        return tuple(value for name, value in fields or () if name == key)

    def last_of(key: str) -> str | None:
        values = all_of(key)
        return values[-1] or None if values else None

    if dialect is Dialect.DOCKER_26 and all_of("gw-priority"):
        raise options.verb.fault(
            f'invalid argument "{text}" for "--network" flag: invalid field key gw-priority'
        )
    if dialect is Dialect.DOCKER_29:
        for address in (*all_of("ip"), *all_of("ip6"), *all_of("link-local-ip")):
            if not is_address(address):
                raise options.verb.fault(
                    f'invalid argument "{text}" for "--network" flag: '
                    f'ParseAddr("{address}"): unable to parse IP'
                )
    pairs = (option.partition("=") for option in all_of("driver-opt"))
    return EndpointRequest(
        network=last_of("name") or "",
        ipv4=last_of("ip"),
        ipv6=last_of("ip6"),
        aliases=all_of("alias"),
        link_local=all_of("link-local-ip"),
        mac=last_of("mac-address"),
        gw_priority=int(last_of("gw-priority") or "0", 0),
        options={key.strip(): value.strip() for key, _, value in pairs},
    )


def _check_addresses(options: Options, names: tuple[str, ...]) -> None:
    """Since 29 these options are addresses to the client (pflag: IPVar); before, the engine reads them."""
    for name in names:
        for text in options.all(name):
            if text and not is_address(text):
                raise options.verb.fault(
                    f'invalid argument "{text}" for "--{name}" flag: failed to parse IP: "{text}"'
                )
