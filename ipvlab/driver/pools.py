"""Reading a network's address configuration, with the engine's own refusals.

Source of texts and order: moby ``daemon/network.go``: validateIpamConfig,
validateIPRange, validateAddress (28: ``api/types/network/ipam.go``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ipvlab.driver.addresses import family_word, parse_address, parse_cidr
from ipvlab.driver.requests import PoolRequest
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Address, Subnet


@dataclasses.dataclass(frozen=True, slots=True)
class PoolConfig:
    """One subnet of a network, read and found consistent in itself."""

    subnet: Subnet
    gateway: Address | None = None
    ip_range: Subnet | None = None
    aux_addresses: tuple[tuple[str, Address], ...] = ()


def read_pools(requests: Sequence[PoolRequest], *, has_ipv6: bool = True) -> tuple[PoolConfig, ...]:
    """Read all subnets of a network; raises :class:`DriverRefusal` (400) that lists every fault.

    Where the network has no IPv6, of an IPv6 subnet only its own form is checked:
    engines keep the rest unread (validateIpamConfig).
    """
    faults: list[str] = []
    pools: list[PoolConfig] = []
    for request in requests:
        ignored: list[str] = []
        parsed = parse_cidr(request.subnet)
        if parsed is None:
            faults.append(f"invalid subnet {request.subnet}: invalid CIDR block notation")
            continue
        is_unused = parsed[1].version == 6 and not has_ipv6
        pools.append(_read_pool(request, *parsed, ignored if is_unused else faults))
    if faults:
        raise DriverRefusal("invalid network config:\n" + list_faults(faults), status=400)
    return tuple(pools)


def subnet_versions(requests: Sequence[PoolRequest]) -> set[int]:
    """The families of the subnets that can be read."""
    return {parsed[1].version for request in requests if (parsed := parse_cidr(request.subnet)) is not None}


def list_faults(faults: Sequence[str]) -> str:
    """Several faults as a bulleted list, one fault as it is (moby ``internal/multierror``)."""
    return faults[0] if len(faults) == 1 else "\n".join(f"* {fault}" for fault in faults)


def _read_pool(request: PoolRequest, address: Address, subnet: Subnet, faults: list[str]) -> PoolConfig:
    if address != subnet.network_address:
        faults.append(f"invalid subnet {address}/{subnet.prefixlen}: it should be {subnet}")
    return PoolConfig(
        subnet=subnet,
        ip_range=_read_range(request.ip_range, subnet, faults),
        gateway=_read_address("gateway", request.gateway, request.gateway, subnet, faults),
        aux_addresses=tuple(
            (key, aux)
            for key, text in request.aux_addresses
            if (aux := _read_address("auxiliary address", key, text, subnet, faults)) is not None
        ),
    )


def _read_range(text: str | None, subnet: Subnet, faults: list[str]) -> Subnet | None:
    if not text:
        return None
    parsed = parse_cidr(text)
    if parsed is None:
        faults.append(f"invalid ip-range {text}: invalid CIDR block notation")
        return None
    address, ip_range = parsed
    if ip_range.version != subnet.version:
        faults.append(f"invalid ip-range {text}: parent subnet is an {family_word(subnet.version)} block")
        return None
    if ip_range.prefixlen < subnet.prefixlen:
        faults.append(f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {subnet}")
    if address != ip_range.network_address:
        faults.append(f"invalid ip-range {address}/{ip_range.prefixlen}: it should be {ip_range}")
    if not subnet.overlaps(ip_range):
        faults.append(f"invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range")
    return ip_range


def _read_address(
    what: str, label: str | None, text: str | None, subnet: Subnet, faults: list[str]
) -> Address | None:
    if not text:
        return None
    address = parse_address(text)
    if address is None:
        faults.append(f"invalid {what} {label}: invalid address")
    elif address.version != subnet.version:
        faults.append(f"invalid {what} {label}: parent subnet is an {family_word(subnet.version)} block")
    elif address not in subnet:
        faults.append(f"invalid {what} {label}: parent subnet {subnet} doesn't contain this address")
    else:
        return address
    return None
