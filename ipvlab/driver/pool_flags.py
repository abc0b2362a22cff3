"""Which gateway, range and auxiliary address belongs to which ``--subnet``: the client's own arithmetic.

Source of rules and texts: docker/cli ``cli/command/network/create.go``:
createIPAMConfig, subnetMatches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ipvlab.driver.addresses import parse_address, parse_cidr
from ipvlab.driver.flags import ClientFault, Options
from ipvlab.driver.requests import PoolRequest


def read_pool_flags(options: Options) -> tuple[PoolRequest, ...]:
    """The pools of ``docker network create``, in the order written.

    Docker's client sends several subnets in the chance order of a Go map; the
    documents speak of the written one. Raises :class:`ClientFault` (exit code 1).
    """
    subnets = options.split("subnet")
    ranges, gateways = options.split("ip-range"), options.split("gateway")
    if len(subnets) < max(len(ranges), len(gateways)):
        raise _fault("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, PoolRequest] = {}
    for subnet in subnets:
        if any(_matches(subnet, other) or _matches(other, subnet) for other in pools):
            raise _fault("multiple overlapping subnet configuration is not supported")
        pools[subnet] = PoolRequest(subnet)
    for text in ranges:
        if parse_cidr(text) is None:
            raise _fault(f"invalid CIDR address: {text}")
        for subnet in _matching(pools, text, "range"):
            held = pools[subnet].ip_range
            if held is not None:
                raise _fault(
                    f"cannot configure multiple ranges ({text}, {held}) on the same subnet ({subnet})"
                )
            pools[subnet] = dataclasses.replace(pools[subnet], ip_range=text)
    for text in gateways:
        for subnet in _matching(pools, text, "gateway"):
            held = pools[subnet].gateway
            if held is not None:
                raise _fault(
                    f"cannot configure multiple gateways ({text}, {held}) for the same subnet ({subnet})"
                )
            pools[subnet] = dataclasses.replace(pools[subnet], gateway=text)
    for name, text in options.pairs("aux-address").items():
        for subnet in _matching(pools, text, "aux-address"):
            aux = (*pools[subnet].aux_addresses, (name, text))
            pools[subnet] = dataclasses.replace(pools[subnet], aux_addresses=aux)
    return tuple(pools.values())


def _matching(pools: Sequence[str] | dict[str, PoolRequest], text: str, what: str) -> list[str]:
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


def _fault(text: str) -> ClientFault:
    return ClientFault(text, 1)
