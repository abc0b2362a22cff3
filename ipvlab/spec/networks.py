"""Networks and containers as written, in Compose's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from ipvlab.spec.scalars import (
    AddressText,
    IPv4Text,
    IPv6Text,
    Labels,
    LinkName,
    Options,
    SubnetText,
)


class Value(BaseModel):
    """The common ground of all scenario values: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def fill_absent(written: object) -> object:
    """Compose writes an entry that says nothing as a key without a value; it is an empty mapping."""
    if isinstance(written, Mapping):
        return {key: {} if value is None else value for key, value in written.items()}
    return written


class IpamConfig(Value):
    """One pool of a network."""

    subnet: SubnetText = Field(description="The subnet, without host bits.")
    gateway: AddressText | None = Field(
        default=None, description="The gateway, inside the subnet; its default depends on mode and dialect."
    )
    ip_range: SubnetText | None = Field(
        default=None, description="The part of the subnet that automatic addresses come from."
    )
    aux_addresses: dict[str, AddressText] = Field(
        default={}, description="Addresses of the subnet that are never given to a container, by name."
    )


class Ipam(Value):
    """A network's address management."""

    driver: str = Field(default="default", description="The address driver; only `default` allocates.")
    config: tuple[IpamConfig, ...] = Field(
        default=(), description="The pools, used in the order written; none means an automatic one."
    )


class NetworkSpec(Value):
    """A network of a host; equal specs give equal plans."""

    driver: Literal["ipvlan"] = Field(default="ipvlan", description="The network driver.")
    driver_opts: Options = Field(
        default={},
        description="`parent`, `ipvlan_mode` (l2, l3, l3s) and `ipvlan_flag` (bridge, private, vepa); "
        "others are kept and have no effect.",
    )
    internal: StrictBool = Field(default=False, description="Whether nothing may leave the host.")
    attachable: StrictBool = Field(default=False, description="Kept and shown; no meaning on one host.")
    enable_ipv4: StrictBool | None = Field(default=None, description="Whether containers get IPv4.")
    enable_ipv6: StrictBool | None = Field(
        default=None, description="Whether containers get IPv6; absent, the dialect decides."
    )
    ipam: Ipam = Field(default=Ipam(), description="Subnets, gateways and ranges.")
    labels: Labels = Field(default={}, description="Kept and shown; a mapping or a list of `key=value`.")


class EndpointSpec(Value):
    """A container's place on one network."""

    ipv4_address: IPv4Text | None = Field(default=None, description="Its IPv4 address; absent, allocated.")
    ipv6_address: IPv6Text | None = Field(default=None, description="Its IPv6 address; absent, allocated.")
    aliases: tuple[str, ...] = Field(default=(), description="More names that it has on this network.")
    link_local_ips: tuple[AddressText, ...] = Field(
        default=(), description="Additional link-local addresses."
    )
    mac_address: str | None = Field(
        default=None, description="Refused, as Docker does: all endpoints of a parent share its MAC."
    )
    gw_priority: StrictInt = Field(
        default=0, description="The network with the highest number gives the default route."
    )
    interface_name: LinkName | None = Field(
        default=None, description="The interface's name inside the container; absent, eth0, eth1, …"
    )
    driver_opts: Options = Field(default={}, description="Options of this endpoint.")


def _endpoints(written: object) -> object:
    """Compose's short form, a list of network names, as the long one."""
    if isinstance(written, list | tuple) and all(isinstance(name, str) for name in written):
        repeated = sorted({name for name in written if written.count(name) > 1})
        if repeated:
            raise ValueError(f"names {repeated[0]!r} twice; a container joins a network once")
        return {name: {} for name in written}
    return fill_absent(written)


class ContainerSpec(Value):
    """A container and the networks it joins, in order."""

    networks: Annotated[
        dict[str, EndpointSpec],
        BeforeValidator(_endpoints, json_schema_input_type=dict[str, EndpointSpec | None] | tuple[str, ...]),
    ] = Field(default={}, description="Networks of its host: a list of names, or a mapping with settings.")
    hostname: str | None = Field(default=None, description="Its host name; absent, derived from its id.")
