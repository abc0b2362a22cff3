"""The addresses that a user wrote for a container's place on a network.

Source of texts and order: moby ``daemon/container_operations.go``:
validateEndpointSettings; up to 28 ``api/types/network/endpoint.go``: Validate and
IsInRange.
"""

from __future__ import annotations

from ipvlab.driver.addresses import family_word, parse_address
from ipvlab.driver.dialect import DialectRow
from ipvlab.driver.requests import EndpointRequest
from ipvlab.driver.state import Network
from ipvlab.spec.values import Address, Subnet

_WANTS_SUBNET = (
    "user specified IP address is supported only when connecting to networks with user configured subnets"
)


def find_address_faults(network: Network, request: EndpointRequest, row: DialectRow) -> list[str]:
    """What is wrong with the addresses of a request, in the engine's words and order.

    An address that is none, of the wrong family or unspecified comes first, then
    what lies in no subnet of the network. Up to 29.0 that is compared with the
    written subnets, those of a family that is off included, so that a static IPv6
    address may be accepted and never used; later with what is held.
    """
    written = [(version, text) for version, text in ((4, request.ipv4), (6, request.ipv6)) if text]
    faults = [
        f"invalid {family_word(version)} address: {text}"
        for version, text in written
        if read_static(text, version) is None
    ]
    for text in request.link_local:
        address = parse_address(text)
        if address is None or address.is_unspecified:
            faults.append(f"invalid link-local IP address: {text}")
    for version, text in written:
        fault = _find_range_fault(network, read_static(text, version), version, text, row)
        if fault is not None:
            faults.append(fault)
    return faults


def read_static(text: str, version: int) -> Address | None:
    """A static address of one family, or None for what is none."""
    address = parse_address(text)
    if address is None or address.version != version or address.is_unspecified:
        return None
    return address


def _find_range_fault(
    network: Network, address: Address | None, version: int, text: str, row: DialectRow
) -> str | None:
    subnets: list[Subnet]
    if row.ignores_unused_ipv6:
        subnets = [config.subnet for config in network.configs if config.subnet.version == version]
    else:
        if address is None:
            # Such an address does not get as far: it is no value of the API's type.
            return None
        subnets = [pool.subnet for pool in network.pools_of(version)]
    if address is not None and any(address in subnet for subnet in subnets):
        return None
    if not subnets and row.wants_written_subnet:
        return _WANTS_SUBNET
    return row.address_outside.format(address=text)
