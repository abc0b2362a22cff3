"""What the engine says of containers: the JSON of API 1.50, which 26 knows a little less of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ipvlab.driver.ages import tell_status
from ipvlab.driver.json_text import JsonObject, by_key, moment
from ipvlab.driver.requests import EndpointRequest
from ipvlab.driver.state import Container, ContainerState, Endpoint
from ipvlab.spec.values import Dialect, Mode

if TYPE_CHECKING:
    from ipvlab.driver.docker_host import DockerHost
    from ipvlab.driver.engine import Engine

#: What every container finds programs in; images bring the same.
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What a container runs when nothing is said: the command of the image ``alpine``.
DEFAULT_COMMAND = ("/bin/sh",)


def image_id(image: str) -> str:
    """The id under which a lab knows an image: made from its name, since every name is known."""
    return "sha256:" + hashlib.sha256(b"image\0" + normal_image(image).encode()).hexdigest()


def normal_image(image: str) -> str:
    """An image's name with its tag: ``alpine`` is ``alpine:latest``."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def program_of(container: Container) -> tuple[str, ...]:
    """What the container runs: its entry point and command, else the image's shell."""
    return tuple(container.request.command) or DEFAULT_COMMAND


def joins_of(container: Container) -> Iterator[tuple[str, EndpointRequest, Endpoint | None]]:
    """The networks that a container is on, or is to be on when it runs, in the order joined."""
    left = list(container.endpoints)
    for request in container.joins or container.request.networks:
        endpoint = next((e for e in left if e.request is request or e.network.name == request.network), None)
        if endpoint is not None:
            left.remove(endpoint)
        yield endpoint.network.name if endpoint is not None else request.network, request, endpoint
    for endpoint in left:
        yield endpoint.network.name, endpoint.request, endpoint


def container_json(container: Container, host: DockerHost, *, pid: int = 0) -> JsonObject:
    """The answer to ``GET /containers/X/json``; ``pid`` is that of the main program, where there is one."""
    engine, request = host.engine, container.request
    path, *arguments = program_of(container)
    home = f"/var/lib/docker/containers/{container.id}"
    return {
        "Id": container.id,
        "Created": moment(container.created),
        "Path": path,
        "Args": arguments,
        "State": _state(container, pid),
        "Image": image_id(request.image),
        "ResolvConfPath": f"{home}/resolv.conf",
        "HostnamePath": f"{home}/hostname",
        "HostsPath": f"{home}/hosts",
        "LogPath": f"{home}/{container.id}-json.log",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(container),
        "GraphDriver": {"Data": None, "Name": "overlay2"},
        "Mounts": [],
        "Config": _config(container),
        "NetworkSettings": _network_settings(container, engine),
    }


def container_summary(container: Container, host: DockerHost) -> JsonObject:
    """One entry of the answer to ``GET /containers/json``."""
    engine = host.engine
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.request.image,
        "ImageID": image_id(container.request.image),
        "Command": " ".join(program_of(container)),
        "Created": int(container.created.timestamp()),
        "Ports": [],
        "Labels": by_key(container.request.labels),
        "State": str(container.state),
        "Status": tell_status(container, engine.clock()),
        "HostConfig": {"NetworkMode": network_mode(container)},
        "NetworkSettings": {"Networks": networks_of(container, engine)},
        "Mounts": [],
    }


def network_mode(container: Container) -> str:
    """``HostConfig.NetworkMode``: the first network that was asked for."""
    networks = container.request.networks
    return networks[0].network if networks else "bridge"


def networks_of(container: Container, engine: Engine) -> JsonObject:
    """``NetworkSettings.Networks``, by name as Go writes maps."""
    settings = {
        name: _endpoint_settings(name, request, endpoint, container, engine)
        for name, request, endpoint in joins_of(container)
    }
    return {name: settings[name] for name in sorted(settings)}


def _state(container: Container, pid: int) -> JsonObject:
    is_running = container.is_running
    return {
        "Status": str(container.state),
        "Running": is_running,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": pid if is_running else 0,
        "ExitCode": container.exit_code or 0,
        "Error": container.error,
        "StartedAt": moment(container.started),
        "FinishedAt": moment(None if container.started is None else container.finished),
    }


def _endpoint_settings(
    name: str, request: EndpointRequest, endpoint: Endpoint | None, container: Container, engine: Engine
) -> JsonObject:
    """One network's settings (``api/types/network/endpoint.go``); a stopped container has no addresses."""
    held = {lease.version: lease for lease in endpoint.leases} if endpoint else {}
    network = endpoint.network if endpoint else engine.networks.get(name)
    network_id = network.id if network is not None else engine.predefined.get(name, "")
    view: JsonObject = {
        "IPAMConfig": _ipam_config(request),
        "Links": None,
        "Aliases": list(request.aliases) or None,
        "MacAddress": "",
        "DriverOpts": by_key(request.options) or None,
    }
    if engine.row.dialect is not Dialect.DOCKER_26:
        view["GwPriority"] = request.gw_priority
    has_gateway = endpoint is not None and endpoint.network.options.mode is Mode.L2
    has_gateway = has_gateway and endpoint is not None and endpoint.network.is_external
    gateways = {
        version: str(lease.pool.gateway)
        for version, lease in held.items()
        if has_gateway and lease.pool.gateway is not None
    }
    return view | {
        "NetworkID": "" if container.state is ContainerState.CREATED else network_id,
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": gateways.get(4, ""),
        "IPAddress": str(held[4].interface.ip) if 4 in held else "",
        "IPPrefixLen": held[4].interface.network.prefixlen if 4 in held else 0,
        "IPv6Gateway": gateways.get(6, ""),
        "GlobalIPv6Address": str(held[6].interface.ip) if 6 in held else "",
        "GlobalIPv6PrefixLen": held[6].interface.network.prefixlen if 6 in held else 0,
        "DNSNames": _dns_names(request, container) if network is not None else None,
    }


def _ipam_config(request: EndpointRequest) -> JsonObject | None:
    config: JsonObject = {}
    if request.ipv4:
        config["IPv4Address"] = request.ipv4
    if request.ipv6:
        config["IPv6Address"] = request.ipv6
    if request.link_local:
        config["LinkLocalIPs"] = list(request.link_local)
    return config or None


def _dns_names(request: EndpointRequest, container: Container) -> list[str]:
    names = (container.name, *request.aliases, container.id[:12], container.hostname)
    return list(dict.fromkeys(names))


def _config(container: Container) -> JsonObject:
    request = container.request
    is_attached = not request.is_detached
    return {
        "Hostname": container.hostname,
        "Domainname": "",
        "User": request.user,
        "AttachStdin": is_attached and request.is_interactive,
        "AttachStdout": is_attached,
        "AttachStderr": is_attached,
        "Tty": request.has_tty,
        "OpenStdin": request.is_interactive,
        "StdinOnce": is_attached and request.is_interactive,
        "Env": [*(f"{key}={value}" for key, value in request.env.items()), f"PATH={DEFAULT_PATH}"],
        "Cmd": list(program_of(container)),
        "Image": request.image,
        "Volumes": None,
        "WorkingDir": request.workdir,
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": by_key(request.labels),
    }


def _host_config(container: Container) -> JsonObject:
    """``HostConfig`` with the client's defaults; only what a lab heeds is the container's own."""
    request = container.request
    before: JsonObject = {
        "Binds": None,
        "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": network_mode(container),
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": request.is_auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "ConsoleSize": [0, 0],
        "CapAdd": None,
        "CapDrop": None,
        "CgroupnsMode": "private",
        "Dns": [],
        "DnsOptions": [],
        "DnsSearch": [],
        "ExtraHosts": None,
        "GroupAdd": None,
        "IpcMode": "private",
        "Cgroup": "",
        "Links": None,
        "OomScoreAdj": 0,
        "PidMode": "",
        "Privileged": False,
        "PublishAllPorts": False,
        "ReadonlyRootfs": False,
        "SecurityOpt": None,
        "UTSMode": "",
        "UsernsMode": "",
        "ShmSize": 67108864,
    }
    sysctls: JsonObject = {"Sysctls": by_key(request.sysctls)} if request.sysctls else {}
    return before | sysctls | {"Runtime": "runc", "Isolation": ""} | _resources() | _hidden_paths()


def _resources() -> JsonObject:
    none: JsonObject = dict.fromkeys(("CpuShares", "Memory", "NanoCpus"), 0)
    return none | {
        "CgroupParent": "",
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": "",
        "CpusetMems": "",
        "Devices": [],
        "DeviceCgroupRules": None,
        "DeviceRequests": None,
        "MemoryReservation": 0,
        "MemorySwap": 0,
        "MemorySwappiness": None,
        "OomKillDisable": None,
        "PidsLimit": None,
        "Ulimits": [],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


def _hidden_paths() -> JsonObject:
    """Empty in a lab: its containers see the machine's own files."""
    return {"MaskedPaths": [], "ReadonlyPaths": []}


def _network_settings(container: Container, engine: Engine) -> JsonObject:
    """The fields beside ``Networks`` are the default bridge's, and empty without it."""
    sandbox = hashlib.sha256(b"sandbox\0" + container.id.encode()).hexdigest() if container.is_running else ""
    return {
        "Bridge": "",
        "SandboxID": sandbox,
        "SandboxKey": f"/var/run/docker/netns/{sandbox[:12]}" if sandbox else "",
        "Ports": {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": "",
        "Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "MacAddress": "",
        "Networks": networks_of(container, engine),
    }
