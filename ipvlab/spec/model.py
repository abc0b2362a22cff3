"""What a user asked for, as frozen values; the JSON Schema is generated from these classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictInt

from ipvlab.spec.expectations import (
    Addresses,
    Blocked,
    Broadcast,
    Delivers,
    Expectation,
    Fails,
    Links,
    OnWire,
    Pair,
    Reach,
    Resolves,
    Routes,
    Undelivered,
)
from ipvlab.spec.networks import (
    ContainerSpec,
    EndpointSpec,
    Ipam,
    IpamConfig,
    NetworkSpec,
    Value,
    fill_absent,
)
from ipvlab.spec.scalars import (
    SCENARIO_NAME_PATTERN,
    AddressText,
    DestinationText,
    InterfaceText,
    Lines,
    LinkName,
    Mac,
    Names,
    NodeName,
    VlanId,
)
from ipvlab.spec.values import Dialect

__all__ = [
    "Addresses",
    "Blocked",
    "Broadcast",
    "ContainerSpec",
    "Delivers",
    "EndpointSpec",
    "Expectation",
    "Fails",
    "Firewall",
    "HostSpec",
    "InterfaceSpec",
    "Ipam",
    "IpamConfig",
    "Lines",
    "LinkName",
    "Links",
    "Mac",
    "Names",
    "NetworkSpec",
    "NodeName",
    "NodeSpec",
    "OnWire",
    "Pair",
    "Port",
    "Reach",
    "Resolves",
    "RouteSpec",
    "RouterSpec",
    "Routes",
    "Scenario",
    "Step",
    "Undelivered",
    "Value",
    "VlanId",
    "Wire",
]


class Wire(Value):
    """An Ethernet segment; with more than two ends, or a VLAN-aware port, a learning switch."""


class Port(Value):
    """How a switch port treats tags: access, or trunk with an optional native VLAN; hairpin."""

    access: VlanId | None = Field(
        default=None, description="The VLAN of an access port; its end is untagged."
    )
    trunk: tuple[VlanId, ...] | None = Field(default=None, description="The VLANs that pass tagged.")
    native: VlanId | None = Field(default=None, description="The VLAN of a trunk's untagged frames.")
    hairpin: StrictBool = Field(
        default=False, description="Whether a frame may go back out of the port it came in by (for vepa)."
    )

    @property
    def is_vlan_aware(self) -> bool:
        """Whether the port filters or tags frames."""
        return self.access is not None or self.trunk is not None or self.native is not None


class InterfaceSpec(Value):
    """An interface of a host or router: plugged into a wire, or an 802.1Q link made by hand."""

    wire: str | None = Field(default=None, description="The wire it is plugged into.")
    parent: LinkName | None = Field(
        default=None, description="An earlier interface of the node that the VLAN rides on."
    )
    vlan: VlanId | None = Field(default=None, description="The VLAN id, together with `parent`.")
    addresses: tuple[InterfaceText, ...] = Field(default=(), description="Addresses with prefix length.")
    mac: Mac | None = Field(default=None, description="Absent: derived from lab, node and interface name.")
    mtu: Annotated[StrictInt, Field(ge=68, le=65535)] | None = Field(
        default=None, description="In bytes; absent, 1500."
    )
    port: Port | None = Field(default=None, description="The switch port at the wire's end.")


class RouteSpec(Value):
    """A static route of a host or router."""

    to: DestinationText = Field(description="`default`, a subnet or an address.")
    via: AddressText | None = Field(default=None, description="The gateway.")
    dev: LinkName | None = Field(default=None, description="The interface.")


class Firewall(Value):
    """Hooks of a node's namespace that drop what probes send (echo and UDP, both families)."""

    prerouting: Literal["drop"] | None = Field(default=None, description="Before routing.")
    input: Literal["drop"] | None = Field(default=None, description="What is for the node itself.")
    forward: Literal["drop"] | None = Field(default=None, description="What the node forwards.")
    output: Literal["drop"] | None = Field(default=None, description="What the node itself sends.")
    postrouting: Literal["drop"] | None = Field(default=None, description="After routing.")


class NodeSpec(Value):
    """What hosts and routers share."""

    interfaces: dict[LinkName, InterfaceSpec] = Field(default={}, description="By name, in order.")
    routes: tuple[RouteSpec, ...] = Field(default=(), description="Static routes.")
    firewall: Firewall = Field(default=Firewall(), description="Hooks that drop probes.")
    commands: Lines = Field(
        default=(), description="Commands a person would type there, one a line; `#` begins a comment."
    )


class RouterSpec(NodeSpec):
    """A host without Docker; it forwards unless told otherwise."""

    forwarding: StrictBool = Field(default=True, description="Whether it forwards IPv4 and IPv6.")


class HostSpec(NodeSpec):
    """A host with Docker, in a network namespace of its own."""

    forwarding: StrictBool = Field(default=False, description="Whether it forwards IPv4 and IPv6.")
    networks: Annotated[
        dict[str, NetworkSpec],
        BeforeValidator(fill_absent, json_schema_input_type=dict[str, NetworkSpec | None]),
    ] = Field(default={}, description="Its ipvlan networks, made in order.")
    containers: dict[NodeName, ContainerSpec] = Field(
        default={}, description="Its containers, started in order."
    )


class Step(Value):
    """State changes, node by node in the order written, and what holds after them."""

    do: dict[str, Lines] = Field(description="Node to command lines; any node.")
    expect: tuple[Expectation, ...] = Field(default=(), description="What holds afterwards.")


class Scenario(Value):
    """A scenario file: wires, hosts, routers, expectations and steps."""

    name: Annotated[str, Field(pattern=SCENARIO_NAME_PATTERN)] = Field(
        description="The scenario's name: lower-case letters, digits and `-`."
    )
    title: str = Field(default="", description="One line.")
    about: str = Field(default="", description="The lesson; shown by `run -v` and in reports.")
    dialect: Dialect = Field(default=Dialect.DOCS, description="Whose rules the driver follows.")
    wires: Annotated[
        dict[NodeName, Wire],
        BeforeValidator(fill_absent, json_schema_input_type=dict[NodeName, Wire | None]),
    ] = Field(default={}, description="Ethernet segments.")
    hosts: dict[NodeName, HostSpec] = Field(default={}, description="Hosts with Docker, built in order.")
    routers: dict[NodeName, RouterSpec] = Field(default={}, description="Hosts without Docker.")
    expect: tuple[Expectation, ...] = Field(default=(), description="What holds once all is built.")
    steps: tuple[Step, ...] = Field(default=(), description="State changes afterwards, in order.")
