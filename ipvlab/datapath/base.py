"""The whole port that a datapath implements: parents, sub-interfaces, endpoints, switch ports.

A datapath knows nothing of Docker, of scenarios or of probes. It gets live
namespaces and makes links in them; what it makes dies with the namespaces.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ipvlab.spec.values import Flag, Interface, Mode

if TYPE_CHECKING:
    # Loading it needs Linux; the simulated datapath, which uses Link, does not.
    from ipvlab.linux.namespaces import Namespace


@dataclasses.dataclass(slots=True)
class Link:
    """A live interface of a node, as probes and later commands need to know it."""

    name: str
    index: int
    mac: bytes
    mtu: int = 1500
    addresses: list[Interface] = dataclasses.field(default_factory=list)
    #: False where the link answers no ARP and asks none (ipvlan in l3 and l3s).
    has_arp: bool = True
    is_up: bool = True
    #: ``wire`` (a plug in a wire), ``vlan``, ``isolated`` or ``endpoint``.
    kind: str = "wire"
    #: For ``vlan``: the link below and its tag; for ``endpoint``: the parent in the host.
    below: str | None = None
    vlan: int | None = None
    #: The wire that the link plugs into, for kind ``wire``.
    wire: str | None = None
    #: The link-local address that it lost when it was set down, and gets again when set up.
    link_local: Interface | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class PortFilter:
    """How a switch port treats tags; VLAN 1 is what travels untagged inside the switch."""

    access: int | None = None
    trunk: tuple[int, ...] = ()
    native: int | None = None


#: A link whose readiness matters: its namespace and index, and the other end of its pair.
End: TypeAlias = "tuple[Namespace, int, tuple[Namespace, int] | None]"


class Pump(Protocol):
    """What moves packets that wait for ipvlab itself between two hops."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing can wait: every packet takes the fast path."""

    def move(self) -> int:
        """Move what waits, on the calling thread and so on its CPU; how many packets that were."""

    def losses(self) -> int:
        """Packets lost so far for want of room."""

    @property
    def defers_work(self) -> bool:
        """Whether a driver puts work off to a worker, so that it is in no queue of a CPU."""

    def flush(self) -> bool:
        """Let work that was put off be done; False when that cannot be seen."""

    def traffic(self) -> int:
        """A count that grows whenever work that was put off may have set something in motion."""


class NothingDeferred:
    """The part of a pump for a datapath whose drivers put nothing off."""

    defers_work = False

    def flush(self) -> bool:
        """Nothing was put off."""
        return True

    def traffic(self) -> int:
        """Nothing was set in motion."""
        return 0


class IdlePump(NothingDeferred):
    """The pump of a datapath on which the kernel moves everything."""

    is_idle = True

    def move(self) -> int:
        """Nothing waits."""
        return 0

    def losses(self) -> int:
        """Nothing is lost."""
        return 0


class Datapath(Protocol):
    """What carries the packets of one lab."""

    @property
    def name(self) -> str:
        """``kernel``, ``bpf`` or ``sim``."""

    def new_index(self) -> int:
        """An interface index that no other link of the lab has."""

    def is_means(self, index: int) -> bool:
        """Whether a link of a host is there for the datapath's own sake, and no user's."""

    def add_vlan(self, host: Namespace, name: str, base: Link, vlan: int, mac: bytes | None = None) -> Link:
        """Create an 802.1Q link on ``base``, down, with the base's MTU and, if none is given, its MAC."""

    def add_isolated(self, host: Namespace, name: str, mac: bytes) -> Link:
        """Create a parent whose frames lead nowhere, down."""

    def remove_link(self, host: Namespace, link: Link) -> None:
        """Delete a sub-interface or isolated parent made by this datapath."""

    def add_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        name: str,
        mode: Mode,
        flag: Flag,
        addresses: Sequence[Interface],
    ) -> Link:
        """Create an ipvlan sub-interface in ``container``: up, addressed, link-local included."""

    def ends(self, host: Namespace, container: Namespace, link: Link) -> list[End]:
        """The links whose readiness an endpoint depends on."""

    def set_mode(self, host: Namespace, parent: Link, mode: Mode, flag: Flag | None) -> None:
        """Change the mode, and the flag if one is given, of a parent and so of all its endpoints."""

    def follow(self) -> list[End]:
        """Let endpoints follow their parents' MAC, MTU and carrier; the links that came up by it."""

    def expect_rules(self, host: Namespace) -> None:
        """Get ready for what a program in a host is about to do to its netfilter."""

    def held_pump(self) -> AbstractContextManager[Pump]:
        """Keep packets that wait for ipvlab where they are, but for what the holder moves himself."""

    def remove_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        link: Link,
        *,
        goes_with_container: bool = False,
    ) -> None:
        """Forget an endpoint and delete its sub-interface; a container that goes takes it along."""

    def learn_address(self, host: Namespace, link: Link, address: Interface) -> None:
        """Take note of an address that a host's link or an endpoint is about to get.

        ``host`` is the host's namespace, also when the link is a container's.
        Raises :class:`ipvlab.errors.KernelRefusal` when a sibling has it.
        """

    def forget_address(self, host: Namespace, link: Link, address: Interface) -> None:
        """Take note of an address that a host's link or an endpoint has lost."""

    def filter_port(self, switch: Namespace, index: int, port: PortFilter | None) -> None:
        """Make a switch port filter and tag as asked, both ways; None carries every VLAN as it comes."""

    def close(self) -> None:
        """Release programs and maps; links die with their namespaces."""
