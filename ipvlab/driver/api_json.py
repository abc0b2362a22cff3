"""The engine's answers as JSON: one set of builders for the text commands and the HTTP API.

Key order and presence are those of Docker's API 1.50; what 26 does not know yet and
29 no longer shows is decided by the dialect (docker-ipvlan reference, 6.1).
Containers are in :mod:`ipvlab.driver.container_json`, and may be had from here.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ipvlab.driver.container_json import (
    container_json,
    container_summary,
    image_id,
    network_mode,
    normal_image,
)
from ipvlab.driver.ipam import BRIDGE_SUBNET
from ipvlab.driver.json_text import JsonObject, by_key, compact, indented, moment
from ipvlab.driver.pools import PoolConfig
from ipvlab.driver.releases import RELEASES
from ipvlab.driver.state import Endpoint, Network
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost
    from ipvlab.driver.engine import Engine

__all__ = [
    "compact",
    "container_json",
    "container_summary",
    "image_id",
    "indented",
    "info_json",
    "inspect_network_json",
    "network_json",
    "network_mode",
    "networks_json",
    "normal_image",
    "version_json",
]

#: What the predefined networks say of themselves; only ``bridge`` has a pool.
_PREDEFINED_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}
_BRIDGE_OPTIONS = {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "true",
    "com.docker.network.bridge.host_binding_ipv4": str(ipaddress.IPv4Address(0)),
    "com.docker.network.bridge.name": "docker0",
    "com.docker.network.driver.mtu": "1500",
}
#: The predefined networks are as old as their engine; a lab tells one time for all.
_PREDEFINED_SINCE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def network_json(network: Network, engine: Engine, *, with_containers: bool) -> JsonObject:
    """A network as ``GET /networks/X`` tells it; a list leaves its containers out (an empty map)."""
    request = network.request
    endpoints = network.endpoints.values() if with_containers else ()
    containers = {endpoint.container.id: _endpoint(endpoint) for endpoint in endpoints}
    view: JsonObject = {
        "Name": network.name,
        "Id": network.id,
        "Created": moment(network.created),
        "Scope": request.scope or "local",
        # A network that only holds settings belongs to no driver.
        "Driver": "null" if request.is_config_only else request.driver,
    }
    view |= _families(engine, has_ipv4=network.has_ipv4, has_ipv6=network.has_ipv6)
    view["IPAM"] = {
        "Driver": request.ipam_driver,
        "Options": by_key(request.ipam_options),
        "Config": list(_pools(network, engine)),
    }
    return view | {
        "Internal": request.is_internal,
        "Attachable": request.is_attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": request.config_from},
        "ConfigOnly": request.is_config_only,
        "Containers": {key: containers[key] for key in sorted(containers)},
        "Options": by_key(request.options),
        "Labels": by_key(request.labels),
    }


def networks_json(engine: Engine) -> list[JsonObject]:
    """The answer to ``GET /networks``: the predefined networks and the host's own, containers left out."""
    views = [_predefined(name, id_, engine) for name, id_ in engine.predefined.items()]
    return views + [network_json(n, engine, with_containers=False) for n in engine.networks.values()]


def inspect_network_json(engine: Engine, reference: str) -> JsonObject:
    """The answer to ``GET /networks/X``, predefined ones included.

    Raises :class:`DriverRefusal`: 404 for an unknown network, 400 for an ambiguous prefix.
    """
    if reference in engine.predefined:
        return _predefined(reference, engine.predefined[reference], engine)
    try:
        return network_json(engine.inspect_network(reference), engine, with_containers=True)
    except DriverRefusal as refusal:
        matches = [name for name, id_ in engine.predefined.items() if reference and id_.startswith(reference)]
        if refusal.status == 404 and len(matches) == 1:
            return _predefined(matches[0], engine.predefined[matches[0]], engine)
        raise


def version_json(engine: Engine) -> JsonObject:
    """The answer to ``GET /version``; the platform says that a lab answers, not a daemon."""
    release = RELEASES[engine.row.dialect]
    kernel, architecture = os.uname().release, _architecture()
    details: JsonObject = {
        "ApiVersion": release.api,
        "Arch": architecture,
        "BuildTime": release.built,
        "Experimental": "false",
        "GitCommit": release.commit,
        "GoVersion": release.go,
        "KernelVersion": kernel,
        "MinAPIVersion": release.minimum_api,
        "Os": "linux",
    }
    return {
        "Platform": {"Name": f"ipvlab (dialect {engine.row.dialect})"},
        "Components": [{"Name": "Engine", "Version": release.version, "Details": details}],
        "Version": release.version,
        "ApiVersion": release.api,
        "MinAPIVersion": release.minimum_api,
        "GitCommit": release.commit,
        "GoVersion": release.go,
        "Os": "linux",
        "Arch": architecture,
        "KernelVersion": kernel,
        "BuildTime": release.built,
    }


def info_json(host: DockerHost) -> JsonObject:
    """The answer to ``GET /info``, as far as clients read it."""
    engine = host.engine
    release = RELEASES[engine.row.dialect]
    containers = list(engine.containers.values())
    running = sum(container.is_running for container in containers)
    return {
        "ID": hashlib.sha256(b"engine\0" + engine.host.encode()).hexdigest()[:36],
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": len(containers) - running,
        "Images": len({normal_image(container.request.image) for container in containers}),
        "Driver": "overlay2",
        "DriverStatus": [],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "null"],
            "Authorization": None,
            "Log": ["json-file"],
        },
        "MemoryLimit": False,
        "SwapLimit": False,
        "CpuCfsPeriod": False,
        "CpuCfsQuota": False,
        "CPUShares": False,
        "CPUSet": False,
        "PidsLimit": False,
        "IPv4Forwarding": True,
        "Debug": False,
        "NFd": 0,
        "OomKillDisable": False,
        "NGoroutines": 0,
        "SystemTime": moment(engine.clock()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "none",
        "CgroupVersion": "2",
        "NEventsListener": 0,
        "KernelVersion": os.uname().release,
        "OperatingSystem": "ipvlab",
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": platform.machine(),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": None,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "GenericResources": None,
        "DockerRootDir": "/var/lib/docker",
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": engine.host,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": release.version,
        "Runtimes": {"runc": {"path": "runc"}},
        "DefaultRuntime": "runc",
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "docker-init",
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": ""},
        "InitCommit": {"ID": ""},
        "SecurityOptions": [],
        "Warnings": None,
    }


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _families(engine: Engine, *, has_ipv4: bool, has_ipv6: bool) -> JsonObject:
    """``EnableIPv4`` came with API 1.48 (28.0)."""
    if engine.row.dialect is Dialect.DOCKER_26:
        return {"EnableIPv6": has_ipv6}
    return {"EnableIPv4": has_ipv4, "EnableIPv6": has_ipv6}


def _predefined(name: str, id_: str, engine: Engine) -> JsonObject:
    config: list[JsonObject] | None = None
    if name == "bridge":
        config = [{"Subnet": str(BRIDGE_SUBNET), "Gateway": str(next(BRIDGE_SUBNET.hosts()))}]
    view: JsonObject = {
        "Name": name,
        "Id": id_,
        "Created": moment(_PREDEFINED_SINCE),
        "Scope": "local",
        "Driver": _PREDEFINED_DRIVERS[name],
    }
    return (
        view
        | _families(engine, has_ipv4=True, has_ipv6=False)
        | {
            "IPAM": {"Driver": "default", "Options": None, "Config": config},
            "Internal": False,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {},
            "Options": dict(_BRIDGE_OPTIONS) if name == "bridge" else {},
            "Labels": {},
        }
    )


def _pools(network: Network, engine: Engine) -> Iterator[JsonObject]:
    """Written subnets first, IPv4 before IPv6, then automatic ones, which show what they reserve."""
    held = {pool.subnet: pool for pool in network.pools}
    for config in sorted(network.configs, key=lambda config: config.subnet.version):
        pool = held.get(config.subnet)
        is_unused = pool is None and not network.request.is_config_only
        if is_unused and not engine.row.shows_unused_subnets:
            continue
        gateway = config.gateway
        if gateway is None and pool is not None and engine.row.shows_implicit_gateway:
            gateway = pool.gateway
        yield _pool(PoolConfig(config.subnet, gateway, config.ip_range, config.aux_addresses))
    for pool in network.pools:
        if pool.is_automatic:
            yield _pool(PoolConfig(pool.subnet, pool.gateway))


def _pool(config: PoolConfig) -> JsonObject:
    view: JsonObject = {"Subnet": str(config.subnet)}
    if config.ip_range is not None:
        view["IPRange"] = str(config.ip_range)
    if config.gateway is not None:
        view["Gateway"] = str(config.gateway)
    if config.aux_addresses:
        view["AuxiliaryAddresses"] = {name: str(address) for name, address in sorted(config.aux_addresses)}
    return view


def _endpoint(endpoint: Endpoint) -> JsonObject:
    held = {lease.version: str(lease.interface) for lease in endpoint.leases}
    return {
        "Name": endpoint.container.name,
        "EndpointID": endpoint.id,
        # An ipvlan endpoint has its parent's MAC, and the engine records none.
        "MacAddress": "",
        "IPv4Address": held.get(4, ""),
        "IPv6Address": held.get(6, ""),
    }
