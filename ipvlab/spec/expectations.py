"""What must hold in a lab: one class for each kind of expectation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from ipvlab.spec.networks import Value
from ipvlab.spec.scalars import AddressText, InterfaceText, LinkName, Names, VlanId
from ipvlab.spec.values import BroadcastKind, Family, Interface

Ttl = Annotated[StrictInt, Field(ge=1, le=255)]
"""A TTL or hop limit."""

_TTL_WORDS = "TTL or hop limit of the request as a socket of the receiver reads it."
_VIA_WORDS = "The nodes that forward it, in order."


class Pair(Value):
    """From whom to whom; lists mean every ordered pair, a node and itself left out."""

    from_: Names = Field(
        alias="from", description="Who sends: a node, `node/address`, `host/container`, or a list of them."
    )
    to: Names = Field(description="Whom to, in the same forms.")
    family: Family | None = Field(default=None, description="Absent: each family that both nodes have.")
    address: AddressText | None = Field(
        default=None, description="The address to send to, one of the receiver's."
    )


class Reach(Pair):
    """A round trip that must succeed."""

    proto: Literal["icmp", "udp"] = Field(default="icmp", description="What is echoed.")
    ttl: Ttl | None = Field(default=None, description=_TTL_WORDS)
    via: tuple[str, ...] | None = Field(default=None, description=_VIA_WORDS)


class Blocked(Pair):
    """A round trip that must not succeed; its absence is proved."""

    proto: Literal["icmp", "udp"] = Field(default="icmp", description="What is sent.")


class Delivers(Pair):
    """A datagram that must arrive, whatever becomes of an answer."""

    ttl: Ttl | None = Field(default=None, description=_TTL_WORDS)
    via: tuple[str, ...] | None = Field(default=None, description=_VIA_WORDS)


class Undelivered(Pair):
    """A datagram that must not arrive; its absence is proved."""


class Broadcast(Value):
    """A broadcast and the exact set of nodes that hear it."""

    from_: Names = Field(alias="from", description="Who sends: a node, or a list of them.")
    heard_by: tuple[str, ...] = Field(
        description="Every node whose protocol layer takes it, the sender left out; all others are silent."
    )
    kind: BroadcastKind = Field(default=BroadcastKind.LIMITED, description="What is sent.")
    destination: AddressText | None = Field(
        default=None,
        description="Needed for multicast; the subnet's broadcast address for directed; whom to ask for in "
        "arp and nd.",
    )
    interface: LinkName | None = Field(
        default=None,
        description="The interface it leaves by; absent, the one whose subnet holds the destination, else "
        "the first.",
    )


class Routes(Value):
    """The main routing table of a node, compared as a set."""

    in_: str = Field(alias="in", description="The node.")
    ipv4: tuple[str, ...] | None = Field(default=None, description="IPv4 routes as `ip route` writes them.")
    ipv6: tuple[str, ...] | None = Field(
        default=None, description="IPv6 routes, fe80::/10 and multicast left out."
    )


class Addresses(BaseModel):
    """The addresses of a node's interfaces: interface name to addresses, beside ``in``."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)
    __pydantic_extra__: dict[str, tuple[InterfaceText, ...]]

    in_: str = Field(alias="in", description="The node; every other key is an interface and its addresses.")

    @property
    def interfaces(self) -> dict[str, tuple[Interface, ...]]:
        """The written interfaces and their expected addresses."""
        return dict(self.__pydantic_extra__)


class Resolves(Value):
    """What a name resolves to in a container; an empty list means that it must not resolve."""

    in_: str = Field(alias="in", description="The node that asks.")
    name: str = Field(description="The name asked for.")
    to: tuple[AddressText, ...] = Field(description="Its addresses of both families, in any order.")


class Links(Value):
    """Which links a node has and has not, by name."""

    in_: str = Field(alias="in", description="The node.")
    present: tuple[str, ...] = Field(default=(), description="Names of links that must exist.")
    absent: tuple[str, ...] = Field(default=(), description="Names of links that must not exist.")


class OnWire(Value):
    """What a capture of a wire sees of one probe."""

    wire: str = Field(description="The wire that is captured.")
    from_: str = Field(alias="from", description="Who sends.")
    to: str = Field(description="Whom to.")
    family: Family | None = Field(default=None, description="Absent: the first family that both nodes have.")
    address: AddressText | None = Field(default=None, description="The address to send to.")
    vlan: VlanId | None = Field(
        default=None, description="The tag of the frames, `null` for untagged; absent, not compared."
    )
    source_mac: str | None = Field(
        default=None,
        description="A MAC address, or `node.interface` for that of an interface; `null` means that nothing "
        "of the probe crosses the wire. Absent, not compared.",
    )


class Fails(Value):
    """A command that must fail, and a text that its standard error must contain."""

    on: str = Field(description="The node whose command it is.")
    command: str = Field(description="The command line.")
    error: str = Field(description="A part of what it prints to standard error.")


class Expectation(Value):
    """One expectation: exactly one of the kinds."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    reach: Reach | None = Field(default=None, description="A round trip succeeds.")
    blocked: Blocked | None = Field(default=None, description="A round trip does not succeed.")
    delivers: Delivers | None = Field(default=None, description="A datagram arrives.")
    undelivered: Undelivered | None = Field(default=None, description="A datagram does not arrive.")
    broadcast: Broadcast | None = Field(default=None, description="Who hears a broadcast.")
    routes: Routes | None = Field(default=None, description="The routes of a node.")
    addresses: Addresses | None = Field(default=None, description="The addresses of a node.")
    resolves: Resolves | None = Field(default=None, description="What a name resolves to.")
    links: Links | None = Field(default=None, description="The links of a node.")
    on_wire: OnWire | None = Field(default=None, description="What crosses a wire.")
    fails: Fails | None = Field(default=None, description="A command fails.")
