"""What Docker's commands print about networks and containers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence

from ipvlab.driver.engine import Engine
from ipvlab.driver.pools import PoolConfig
from ipvlab.driver.state import SHORT_ID, Container, Endpoint, Network

_JsonObject = dict[str, object]


def network_json(networks: Iterable[Network], engine: Engine) -> str:
    """The text of ``docker network inspect``: the engine's JSON (28.2), indented by four spaces."""
    shows_gateway = engine.row.shows_implicit_gateway
    return json.dumps([_network(network, shows_gateway) for network in networks], indent=4) + "\n"


def network_table(engine: Engine, *, is_quiet: bool) -> str:
    """The text of ``docker network ls``: the predefined networks and the host's own, by name."""
    drivers = {"none": "null"}
    rows = [(id_, name, drivers.get(name, name)) for name, id_ in engine.predefined.items()]
    rows += [(network.id, network.name, "ipvlan") for network in engine.networks.values()]
    rows.sort(key=lambda row: row[1])
    if is_quiet:
        return _lines(row[0][:SHORT_ID] for row in rows)
    return _table(
        ("NETWORK ID", "NAME", "DRIVER", "SCOPE"),
        [(id_[:SHORT_ID], name, driver, "local") for id_, name, driver in rows],
    )


def container_table(engine: Engine, *, shows_all: bool, is_quiet: bool) -> str:
    """The text of ``docker ps``: the newest first; stopped ones only when all are asked for."""
    containers = [c for c in engine.containers.values() if shows_all or c.is_running][::-1]
    if is_quiet:
        return _lines(container.id[:SHORT_ID] for container in containers)
    now = engine.clock()
    rows = [_container_row(container, now) for container in containers]
    return _table(("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"), rows)


def _network(network: Network, shows_implicit_gateway: bool) -> _JsonObject:
    request = network.request
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created.isoformat().replace("+00:00", "Z"),
        "Scope": "local",
        "Driver": "ipvlan",
        "EnableIPv4": network.has_ipv4,
        "EnableIPv6": network.has_ipv6,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": _pools(network, shows_implicit_gateway),
        },
        "Internal": request.is_internal,
        "Attachable": request.is_attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {endpoint.container.id: _endpoint(endpoint) for endpoint in network.endpoints.values()},
        "Options": dict(request.options),
        "Labels": dict(request.labels),
    }


def _pools(network: Network, shows_implicit_gateway: bool) -> list[_JsonObject]:
    """Written subnets first, IPv4 before IPv6, then automatic ones, which show what they reserve."""
    held = {pool.subnet: pool for pool in network.pools}
    views = []
    for config in sorted(network.configs, key=lambda config: config.subnet.version):
        pool = held.get(config.subnet)
        gateway = config.gateway
        if gateway is None and pool is not None and shows_implicit_gateway:
            gateway = pool.gateway
        views.append(_pool(PoolConfig(config.subnet, gateway, config.ip_range, config.aux_addresses)))
    views += [_pool(PoolConfig(pool.subnet, pool.gateway)) for pool in network.pools if pool.is_automatic]
    return views


def _pool(config: PoolConfig) -> _JsonObject:
    view: _JsonObject = {"Subnet": str(config.subnet)}
    if config.ip_range is not None:
        view["IPRange"] = str(config.ip_range)
    if config.gateway is not None:
        view["Gateway"] = str(config.gateway)
    if config.aux_addresses:
        view["AuxiliaryAddresses"] = {name: str(address) for name, address in config.aux_addresses}
    return view


def _endpoint(endpoint: Endpoint) -> _JsonObject:
    held = {lease.version: str(lease.interface) for lease in endpoint.leases}
    return {
        "Name": endpoint.container.name,
        "EndpointID": endpoint.id,
        # An ipvlan endpoint has its parent's MAC, and the engine records none.
        "MacAddress": "",
        "IPv4Address": held.get(4, ""),
        "IPv6Address": held.get(6, ""),
    }


def _container_row(container: Container, now: datetime.datetime) -> tuple[str, ...]:
    age = _age(now - container.created)
    command = " ".join(container.request.command) or "/bin/sh"
    shown = command if len(command) <= 20 else command[:19] + "…"
    status = f"Up {age}" if container.is_running else f"Exited (0) {age} ago"
    shown_id, image, name = container.id[:SHORT_ID], container.request.image, container.name
    return (shown_id, image, f'"{shown}"', f"{age} ago", status, "", name)


def _age(passed: datetime.timedelta) -> str:
    """An age in Docker's words (go-units: HumanDuration), as far as a lab gets."""
    seconds = int(passed.total_seconds())
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = seconds // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = (minutes + 30) // 60
    return "About an hour" if hours == 1 else f"{hours} hours"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as the client's tabwriter lays them out: ten characters at least, three of them blank."""
    table = [header, *rows]
    widths = [max(10, *(len(row[at]) + 3 for row in table)) for at in range(len(header) - 1)]
    return _lines(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1]
        for row in table
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
