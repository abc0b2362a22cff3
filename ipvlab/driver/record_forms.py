"""The form that networks and containers have in an engine's records: JSON values.

The fields that Docker's own driver has bear their names
(``ipvlan_store.go``: MarshalJSON).
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Mapping
from typing import TypeAlias

from ipvlab.driver.options import DriverOptions
from ipvlab.driver.parents import Parent
from ipvlab.driver.plain import from_plain, to_plain
from ipvlab.driver.pools import PoolConfig
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest
from ipvlab.driver.state import Container, ContainerState, Network
from ipvlab.spec.values import Address, Flag, Interface, Mode, Subnet

Plain: TypeAlias = "Mapping[str, object]"


@dataclasses.dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool that a network held."""

    config: PoolConfig
    gateway: Address | None
    is_automatic: bool


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network as it was written down; its pools are still to be held."""

    name: str
    id: str
    created: datetime.datetime
    request: NetworkRequest
    configs: tuple[PoolConfig, ...]
    options: DriverOptions
    parent: Parent
    pools: tuple[PoolRecord, ...]
    has_ipv4: bool
    has_ipv6: bool


@dataclasses.dataclass(frozen=True, slots=True)
class PlaceRecord:
    """A running container's place on a network."""

    id: str
    network_id: str
    interface: str
    addresses: tuple[Interface, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container as it was written down, and the places that it had if it ran."""

    container: Container
    places: tuple[PlaceRecord, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class HostRecord:
    """What is counted over all restarts of one host's engine."""

    starts: int = 0
    unnamed: int = 0


def network_form(network: Network) -> dict[str, object]:
    """What is written down of a network."""
    return {
        "name": network.name,
        "ID": network.id,
        "created": network.created.isoformat(),
        "request": to_plain(network.request),
        "configs": [_config_plain(config) for config in network.configs],
        "Parent": network.options.parent,
        "IpvlanMode": str(network.options.mode),
        "IpvlanFlag": str(network.options.flag),
        "Internal": network.parent.is_isolated,
        "CreatedSubIface": network.parent.is_made,
        "link": network.parent.link,
        "pools": [
            {
                **_config_plain(
                    PoolConfig(pool.subnet, None, pool.ip_range, tuple(pool.aux_addresses.items()))
                ),
                "gateway": None if pool.gateway is None else str(pool.gateway),
                "is_automatic": pool.is_automatic,
            }
            for pool in network.pools
        ],
        "has_ipv4": network.has_ipv4,
        "has_ipv6": network.has_ipv6,
    }


def container_form(container: Container) -> dict[str, object]:
    """What is written down of a container."""
    return {
        "name": container.name,
        "id": container.id,
        "created": container.created.isoformat(),
        "hostname": container.hostname,
        "request": to_plain(container.request),
        "joins": to_plain(container.joins),
        "state": str(container.state),
        "exit_code": container.exit_code,
        "started": None if container.started is None else container.started.isoformat(),
        "finished": None if container.finished is None else container.finished.isoformat(),
        "error": container.error,
        "places": [
            {
                "id": endpoint.id,
                "network": endpoint.network.id,
                "interface": endpoint.interface,
                "addresses": [str(lease.interface) for lease in endpoint.leases],
            }
            for endpoint in container.endpoints
        ],
    }


def _config_plain(config: PoolConfig) -> dict[str, object]:
    return {
        "subnet": str(config.subnet),
        "gateway": None if config.gateway is None else str(config.gateway),
        "ip_range": None if config.ip_range is None else str(config.ip_range),
        "aux_addresses": {name: str(address) for name, address in config.aux_addresses},
    }


def _read_config(plain: Plain) -> PoolConfig:
    aux = plain.get("aux_addresses")
    return PoolConfig(
        _subnet(plain["subnet"]),
        None if plain.get("gateway") is None else ipaddress.ip_address(str(plain["gateway"])),
        None if plain.get("ip_range") is None else _subnet(plain["ip_range"]),
        tuple((str(name), ipaddress.ip_address(str(value))) for name, value in aux.items())
        if isinstance(aux, dict)
        else (),
    )


def read_network(plain: Plain) -> NetworkRecord:
    """A network from its record; raises ValueError, TypeError or KeyError for a faulty one."""
    pools = []
    for pool in _mappings(plain["pools"]):
        config = _read_config(pool)
        gateway = config.gateway
        config = dataclasses.replace(config, gateway=None)
        pools.append(PoolRecord(config, gateway, bool(pool.get("is_automatic"))))
    # A record from before there were flags (Docker 20.10) lacks its own.
    flag = Flag(str(plain.get("IpvlanFlag") or Flag.BRIDGE))
    return NetworkRecord(
        name=str(plain["name"]),
        id=str(plain["ID"]),
        created=datetime.datetime.fromisoformat(str(plain["created"])),
        request=from_plain(NetworkRequest, plain["request"]),
        configs=tuple(_read_config(config) for config in _mappings(plain["configs"])),
        options=DriverOptions(str(plain["Parent"]), Mode(str(plain["IpvlanMode"])), flag),
        parent=Parent(str(plain["link"]), bool(plain["CreatedSubIface"]), bool(plain["Internal"])),
        pools=tuple(pools),
        has_ipv4=bool(plain["has_ipv4"]),
        has_ipv6=bool(plain["has_ipv6"]),
    )


def read_container(plain: Plain) -> ContainerRecord:
    """A container from its record; raises ValueError, TypeError or KeyError for a faulty one."""
    exit_code = plain.get("exit_code")
    container = Container(
        name=str(plain["name"]),
        id=str(plain["id"]),
        created=datetime.datetime.fromisoformat(str(plain["created"])),
        hostname=str(plain["hostname"]),
        request=from_plain(ContainerRequest, plain["request"]),
        state=ContainerState(str(plain["state"])),
        joins=tuple(from_plain(EndpointRequest, join) for join in _mappings(plain["joins"])),
        exit_code=exit_code if isinstance(exit_code, int) else None,
        started=_moment(plain.get("started")),
        finished=_moment(plain.get("finished")),
        error=str(plain.get("error") or ""),
    )
    places = tuple(
        PlaceRecord(
            str(place["id"]),
            str(place["network"]),
            str(place["interface"]),
            tuple(ipaddress.ip_interface(str(text)) for text in _items(place["addresses"])),
        )
        for place in _mappings(plain["places"])
    )
    return ContainerRecord(container, places)


def _moment(text: object) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(str(text))


def _subnet(text: object) -> Subnet:
    return ipaddress.ip_network(str(text))


def _items(content: object) -> list[object]:
    if not isinstance(content, list):
        raise TypeError("a list is missing")
    return content


def _mappings(content: object) -> list[Plain]:
    found: list[Plain] = []
    for item in _items(content):
        if not isinstance(item, dict):
            raise TypeError("a mapping is missing")
        found.append(item)
    return found
