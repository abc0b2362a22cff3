"""What clients send, as the driver's requests: networks, places on networks, containers.

Sources: moby ``api/types/network``, ``api/types/container``,
``daemon/server/router/container/container_routes.go``: postContainersCreate.
"""

from __future__ import annotations

import re

from ipvlab.driver.addresses import parse_address
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.workloads import ProgramRequest
from ipvlab.engine_api.fields import Fields
from ipvlab.engine_api.messages import ApiVersion
from ipvlab.engine_api.versions import KNOWS_ENABLE_IPV4, TAKES_SEVERAL_NETWORKS
from ipvlab.errors import DriverRefusal

_NAME_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_DOMAIN_PART = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*(?::[0-9]+)?"
#: distribution/reference ``regexp.go``: ReferenceRegexp.
_REFERENCE = re.compile(
    rf"(?:{_DOMAIN}/)?{_NAME_PART}(?:/{_NAME_PART})*(?::[\w][\w.-]{{0,127}})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?",
    re.ASCII,
)
_EXTRA_HOST = re.compile(r"([^:=]+)[:=]\[?([^\[\]]+)\]?")
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
#: What a container may ask for that no lab does, and what becomes of it.
_WITHOUT_EFFECT = {
    "Binds": "volumes are not mounted",
    "Mounts": "volumes are not mounted",
    "VolumesFrom": "volumes are not mounted",
    "Devices": "devices are those of the lab's host",
    "Memory": "memory is not limited",
    "NanoCpus": "processors are not limited",
    "PidsLimit": "processes are not limited",
    "ReadonlyRootfs": "the root file system stays as it is",
    "Tmpfs": "no tmpfs is mounted",
}


def network_request(body: Fields, version: ApiVersion) -> NetworkRequest:
    """The network that ``POST /networks/create`` asks for."""
    ipam = body.part("IPAM")
    return NetworkRequest(
        name=body.text("Name"),
        driver=body.text("Driver") or "bridge",
        options=body.map_of_texts("Options"),
        pools=tuple(_pool_request(pool) for pool in ipam.list_of_parts("Config")),
        enable_ipv4=body.choice("EnableIPv4") if version >= KNOWS_ENABLE_IPV4 else None,
        enable_ipv6=body.choice("EnableIPv6"),
        is_internal=body.flag("Internal"),
        is_attachable=body.flag("Attachable"),
        ipam_driver=ipam.text("Driver") or "default",
        labels=body.map_of_texts("Labels"),
        ipam_options=ipam.map_of_texts("Options"),
        scope=body.text("Scope"),
        is_ingress=body.flag("Ingress"),
        is_config_only=body.flag("ConfigOnly"),
        config_from=body.part("ConfigFrom").text("Network"),
    )


def _pool_request(pool: Fields) -> PoolRequest:
    return PoolRequest(
        subnet=pool.text("Subnet"),
        gateway=pool.text("Gateway") or None,
        ip_range=pool.text("IPRange") or None,
        aux_addresses=tuple(pool.map_of_texts("AuxiliaryAddresses").items()),
    )


def endpoint_request(network: str, body: Fields) -> EndpointRequest:
    """A place on one network, as ``EndpointSettings`` tell it."""
    ipam = body.part("IPAMConfig")
    return EndpointRequest(
        network=network,
        ipv4=ipam.text("IPv4Address") or None,
        ipv6=ipam.text("IPv6Address") or None,
        aliases=body.texts("Aliases"),
        link_local=ipam.texts("LinkLocalIPs"),
        mac=body.text("MacAddress") or None,
        gw_priority=body.number("GwPriority"),
        options=body.map_of_texts("DriverOpts"),
    )


def container_request(name: str, body: Fields, version: ApiVersion) -> tuple[ContainerRequest, list[str]]:
    """The container that ``POST /containers/create`` asks for, and what of it a lab leaves out.

    Raises :class:`DriverRefusal` (400) for an image that is no reference, for
    several networks before API 1.44, and for what contradicts itself.
    """
    host = body.part("HostConfig")
    if host.flag("AutoRemove") and host.part("RestartPolicy").text("Name") not in ("", "no"):
        raise DriverRefusal("can't create 'AutoRemove' container with restart policy", status=400)
    is_attached = any(body.flag(f"Attach{stream}") for stream in ("Stdin", "Stdout", "Stderr"))
    request = ContainerRequest(
        networks=_networks(body, host, version),
        name=name.removeprefix("/") or None,
        hostname=body.text("Hostname") or None,
        image=check_image(body.text("Image")),
        command=(*body.words("Entrypoint"), *body.words("Cmd")),
        is_auto_remove=host.flag("AutoRemove"),
        is_interactive=body.flag("OpenStdin"),
        is_detached=not is_attached,
        is_stdin_closed=not (body.flag("OpenStdin") or body.flag("Tty")),
        labels=body.map_of_texts("Labels"),
        env=_environment(body),
        has_tty=body.flag("Tty"),
        workdir=body.text("WorkingDir"),
        user=body.text("User"),
        sysctls=host.map_of_texts("Sysctls"),
        dns=host.texts("Dns"),
        dns_search=host.texts("DnsSearch"),
        dns_options=host.texts("DnsOptions"),
        extra_hosts=tuple(_extra_host(text) for text in host.texts("ExtraHosts")),
    )
    return request, _warnings(host)


def check_image(image: str) -> str:
    """An image's name; raises :class:`DriverRefusal` (400) for what is no reference."""
    if not image or not (_REFERENCE.fullmatch(image) or _IMAGE_ID.fullmatch(image)):
        raise DriverRefusal("invalid reference format", status=400)
    return image


def exec_request(body: Fields) -> ProgramRequest:
    """The program that ``POST /containers/X/exec`` asks for; raises :class:`DriverRefusal` (400) for none."""
    argv = body.words("Cmd")
    if not argv:
        raise DriverRefusal("No exec command specified", status=400)
    return ProgramRequest(
        argv=argv,
        env=_environment(body),
        has_tty=body.flag("Tty"),
        has_stdin=body.flag("AttachStdin"),
        workdir=body.text("WorkingDir") or "/",
        user=body.text("User"),
        size=console_size(body),
    )


def console_size(body: Fields) -> tuple[int, int] | None:
    """``ConsoleSize``: rows and columns, or None where nothing is said."""
    match body.items("ConsoleSize"):
        case [int(rows), int(columns)] if 0 < rows < 65536 and 0 < columns < 65536:
            return rows, columns
    return None


def _networks(body: Fields, host: Fields, version: ApiVersion) -> tuple[EndpointRequest, ...]:
    """The networks to join: that of ``NetworkMode`` first, then the others in the order sent.

    A plain ``--net=N`` says so in ``NetworkMode`` only; several, or one with
    settings, are in ``EndpointsConfig``, which the client's own map has in any order.
    """
    mode = host.text("NetworkMode")
    mode = "bridge" if mode in ("", "default") else mode
    settings = body.part("NetworkingConfig").parts("EndpointsConfig")
    if len(settings) > 1 and version < TAKES_SEVERAL_NETWORKS:
        raise DriverRefusal(
            f"Container cannot be created with multiple network endpoints: {', '.join(settings)}", status=400
        )
    if "default" in settings:
        settings["bridge"] = settings.pop("default")
    if not settings:
        settings = {mode: Fields({}, "EndpointSettings")}
    names = sorted(settings, key=lambda network: network != mode)
    requests = [endpoint_request(network, settings[network]) for network in names]
    mac = body.text("MacAddress")
    if mac and requests[0].mac is None:
        # Before API 1.44 the address was the container's, and meant its first network.
        requests[0] = endpoint_request(names[0], settings[names[0]].with_member("MacAddress", mac))
    return tuple(requests)


def _environment(body: Fields) -> dict[str, str]:
    """``Env``; a name without ``=`` asks for the variable to be left out, and sets nothing here."""
    pairs = (text.partition("=") for text in body.texts("Env"))
    return {name: value for name, equals, value in pairs if name and equals}


def _extra_host(text: str) -> tuple[str, str]:
    """``NAME:ADDRESS`` or ``NAME=ADDRESS``; ``host-gateway`` would be the bridge's, which no lab has."""
    match = _EXTRA_HOST.fullmatch(text)
    if match is None:
        raise DriverRefusal(f'bad format for add-host: "{text}"', status=400)
    if parse_address(match[2]) is None:
        raise DriverRefusal(f'invalid IP address in add-host: "{match[2]}"', status=400)
    return match[1], match[2]


def _warnings(host: Fields) -> list[str]:
    warnings = [
        f"HostConfig.{name} is without effect in a lab: {reason}"
        for name, reason in _WITHOUT_EFFECT.items()
        if not host.is_empty(name)
    ]
    if host.part("RestartPolicy").text("Name") not in ("", "no"):
        warnings.append("HostConfig.RestartPolicy is without effect in a lab: what ends stays ended")
    return warnings
