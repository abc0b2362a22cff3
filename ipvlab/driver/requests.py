"""What the engine is asked for: the same values from Compose keys and from command lines.

Addresses and subnets are texts here, as they are in Docker's API: the engine
reads them, and its refusals quote them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ipvlab.driver.options import IFNAME

if TYPE_CHECKING:
    from ipvlab.spec.model import ContainerSpec, EndpointSpec, NetworkSpec


@dataclasses.dataclass(frozen=True, slots=True)
class PoolRequest:
    """One subnet of a network as the user wrote it (API ``IPAM.Config``)."""

    subnet: str
    gateway: str | None = None
    ip_range: str | None = None
    aux_addresses: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class NetworkRequest:
    """A network as asked for; None where the user left the choice to the dialect."""

    name: str
    driver: str = "bridge"
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pools: tuple[PoolRequest, ...] = ()
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    is_internal: bool = False
    is_attachable: bool = False
    ipam_driver: str = "default"
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ipam_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: ``local``, ``swarm`` or ``global``; empty where the driver decides.
    scope: str = ""
    is_ingress: bool = False
    #: A store of settings for other networks, with no link and no pool (``--config-only``).
    is_config_only: bool = False
    #: The name of the config-only network whose settings this one has (``--config-from``).
    config_from: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class EndpointRequest:
    """A container's place on one network, as asked for."""

    network: str
    ipv4: str | None = None
    ipv6: str | None = None
    aliases: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    mac: str | None = None
    #: Higher comes first when networks compete for the default route (28.0 and later).
    gw_priority: int = 0
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def interface(self) -> str | None:
        """The name that the interface is asked to have inside the container."""
        return self.options.get(IFNAME)


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerRequest:
    """A container as asked for; without a name it is called after its host and a number."""

    networks: tuple[EndpointRequest, ...]
    name: str | None = None
    hostname: str | None = None
    image: str = "alpine"
    command: tuple[str, ...] = ()
    is_auto_remove: bool = False
    is_interactive: bool = False
    is_detached: bool = True
    #: Nobody can type (neither ``-i`` nor ``-t``), so that a shell finds the end of its input at once.
    is_stdin_closed: bool = False
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Environment beside PATH, HOME and HOSTNAME (``-e``).
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_tty: bool = False
    #: Where the program starts; empty is ``/``.
    workdir: str = ""
    user: str = ""
    #: Sysctls of the container's namespace (``--sysctl net.ipv4.ip_forward=1``).
    sysctls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: Nameservers, search domains and resolver options instead of the host's (``--dns`` …).
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    #: Further lines of ``/etc/hosts``: name and address (``--add-host``).
    extra_hosts: tuple[tuple[str, str], ...] = ()


def network_request(name: str, spec: NetworkSpec) -> NetworkRequest:
    """The request that Compose's keys of one network stand for."""
    return NetworkRequest(
        name=name,
        driver=spec.driver,
        options=dict(spec.driver_opts),
        pools=tuple(
            PoolRequest(
                subnet=str(pool.subnet),
                gateway=None if pool.gateway is None else str(pool.gateway),
                ip_range=None if pool.ip_range is None else str(pool.ip_range),
                aux_addresses=tuple((key, str(value)) for key, value in pool.aux_addresses.items()),
            )
            for pool in spec.ipam.config
        ),
        enable_ipv4=spec.enable_ipv4,
        enable_ipv6=spec.enable_ipv6,
        is_internal=spec.internal,
        is_attachable=spec.attachable,
        ipam_driver=spec.ipam.driver,
        labels=dict(spec.labels),
    )


def container_request(name: str, spec: ContainerSpec) -> ContainerRequest:
    """The request that Compose's keys of one service stand for."""
    return ContainerRequest(
        name=name,
        hostname=spec.hostname,
        networks=tuple(_endpoint_request(network, endpoint) for network, endpoint in spec.networks.items()),
    )


def _endpoint_request(network: str, spec: EndpointSpec) -> EndpointRequest:
    options = dict(spec.driver_opts)
    if spec.interface_name is not None:
        # Compose carries interface_name as this option of the engine (28.1 and later).
        options[IFNAME] = spec.interface_name
    return EndpointRequest(
        network=network,
        ipv4=None if spec.ipv4_address is None else str(spec.ipv4_address),
        ipv6=None if spec.ipv6_address is None else str(spec.ipv6_address),
        aliases=spec.aliases,
        link_local=tuple(str(address) for address in spec.link_local_ips),
        mac=spec.mac_address,
        gw_priority=spec.gw_priority,
        options=options,
    )
