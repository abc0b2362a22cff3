"""``docker network create``: which gateway, range and auxiliary address belongs to which ``--subnet``.

Source of rules and texts: docker/cli ``cli/command/network/create.go``:
createIPAMConfig, subnetMatches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from ipvlab.driver.addresses import parse_address, parse_cidr
from ipvlab.driver.flags import ClientFault, Options
from ipvlab.driver.requests import NetworkRequest, PoolRequest
from ipvlab.spec.values import Dialect


def read_network_request(options: Options, dialect: Dialect = Dialect.DOCS) -> NetworkRequest:
    """The network that the line asks for; raises :class:`ClientFault` (exit code 1, or 125 since 29)."""
    return NetworkRequest(
        name=options.arguments[0],
        driver=options.last("driver") or "bridge",
        options=options.pairs("opt"),
        pools=read_pool_flags(options, dialect),
        enable_ipv4=options.switch("ipv4"),
        enable_ipv6=options.switch("ipv6"),
        is_internal=bool(options.switch("internal")),
        is_attachable=bool(options.switch("attachable")),
        ipam_driver=options.last("ipam-driver") or "default",
        labels=options.pairs("label"),
        ipam_options=options.pairs("ipam-opt"),
        scope=options.last("scope") or "",
        is_ingress=bool(options.switch("ingress")),
        is_config_only=bool(options.switch("config-only")),
        config_from=options.last("config-from") or "",
    )


def read_pool_flags(options: Options, dialect: Dialect = Dialect.DOCS) -> tuple[PoolRequest, ...]:
    """The pools of ``docker network create``, in the order written.

    Docker's client sends several subnets in the chance order of a Go map
    (D-IPAM-026); a lab keeps the written one in every dialect, as the documents
    have it and the API would: a scenario must come out alike each time.
    Raises :class:`ClientFault` (exit code 1).
    """
    subnets = options.all("subnet")
    ranges, gateways = options.all("ip-range"), options.all("gateway")
    is_typed = dialect is Dialect.DOCKER_29
    if is_typed:
        ranges = _check_typed(options, ranges, gateways)
    if len(subnets) < max(len(ranges), len(gateways)):
        raise _fault("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, PoolRequest] = {}
    for subnet in subnets:
        if any(_matches(subnet, other) or _matches(other, subnet) for other in pools):
            raise _fault("multiple overlapping subnet configuration is not supported")
        if is_typed and parse_cidr(subnet) is None:
            raise _fault(_parse_prefix_text(subnet))
        pools[subnet] = PoolRequest(subnet)
    for text in ranges:
        if parse_cidr(text) is None:
            raise _fault(f"invalid CIDR address: {text}")
        for subnet in _matching(pools, text, "range"):
            held = pools[subnet].ip_range
            if held:
                raise _fault(
                    f"cannot configure multiple ranges ({text}, {held}) on the same subnet ({subnet})"
                )
            pools[subnet] = dataclasses.replace(pools[subnet], ip_range=text)
    for text in gateways:
        for subnet in _matching(pools, text, "gateway"):
            held = pools[subnet].gateway
            if held:
                raise _fault(
                    f"cannot configure multiple gateways ({text}, {held}) for the same subnet ({subnet})"
                )
            pools[subnet] = dataclasses.replace(pools[subnet], gateway=text)
    for name, text in options.pairs("aux-address").items():
        if is_typed and parse_address(text) is None:
            raise _fault(f'ParseAddr("{text}"): unable to parse IP')
        for subnet in _matching(pools, text, "aux-address"):
            aux = (*pools[subnet].aux_addresses, (name, text))
            pools[subnet] = dataclasses.replace(pools[subnet], aux_addresses=aux)
    return tuple(pools.values())


def _matching(pools: Iterable[str], text: str, what: str) -> list[str]:
    matching = [subnet for subnet in pools if _matches(subnet, text)]
    if not matching:
        raise _fault(f"no matching subnet for {what} {text}")
    return matching


def _matches(subnet: str, text: str) -> bool:
    parsed = parse_cidr(subnet)
    if parsed is None:
        raise _fault(f"invalid subnet: invalid CIDR address: {subnet}")
    if "/" in text:
        other = parse_cidr(text)
        if other is None:
            raise _fault(f"invalid CIDR address: {text}")
        address = other[0]
    else:
        found = parse_address(text)
        if found is None:
            return False
        address = found
    return address in parsed[1]


def _check_typed(options: Options, ranges: Sequence[str], gateways: Sequence[str]) -> tuple[str, ...]:
    """Since 29 the client reads ranges and gateways itself (pflag: IPNetSlice, IPSlice) and masks ranges."""
    masked = []
    for text in ranges:
        parsed = parse_cidr(text.strip())
        if parsed is None:
            raise options.verb.fault(
                f'invalid argument "{text}" for "--ip-range" flag: '
                f"invalid string being converted to CIDR: {text}"
            )
        masked.append(str(parsed[1]))
    for text in gateways:
        if parse_address(text.strip()) is None:
            raise options.verb.fault(
                f'invalid argument "{text}" for "--gateway" flag: '
                f"invalid string being converted to IP address: {text}"
            )
    return tuple(masked)


def _parse_prefix_text(text: str) -> str:
    if "/" not in text:
        return f"netip.ParsePrefix(\"{text}\"): no '/'"
    address, _, bits = text.rpartition("/")
    found = parse_address(address)
    if found is None:
        return f'netip.ParsePrefix("{text}"): ParseAddr("{address}"): unable to parse IP'
    if not bits.isdecimal():
        return f'netip.ParsePrefix("{text}"): bad bits after slash: "{bits}"'
    return f'netip.ParsePrefix("{text}"): prefix length out of range'


def _fault(text: str) -> ClientFault:
    return ClientFault(text, 1)
