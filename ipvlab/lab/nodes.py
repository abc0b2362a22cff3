"""The live nodes of a lab: hosts, routers and containers, each a namespace with links."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ipvlab.datapath.base import Link
from ipvlab.linux.namespaces import Namespace
from ipvlab.spec.values import Address, Family, Interface, NodeKind

if TYPE_CHECKING:
    from ipvlab.lab.processes import NodeFiles, Sandbox

#: The mark (SO_MARK) of the prober's control packets, which never leave ``lo``. A node's
#: firewall lets them pass: they prove that a listener hears, and are not traffic of the lab.
CONTROL_MARK = 0x69764C62


@dataclasses.dataclass(slots=True)
class Node:
    """A host, router or container that exists now."""

    #: Unique in the lab: ``h1``, ``gw``, ``a1``; ``h1/a1`` where a bare name is ambiguous.
    name: str
    kind: NodeKind
    namespace: Namespace
    links: dict[str, Link] = dataclasses.field(default_factory=dict)
    #: For a container: the host that it runs on.
    host: str | None = None
    hostname: str = ""
    #: What commands in the node read below /etc; None is a plain machine that knows itself.
    files: NodeFiles | None = None
    #: Mount, uts and pid namespaces, made at the node's first command.
    sandbox: Sandbox | None = None
    #: A folder that its programs see as /run; None where nobody made one for it.
    run_folder: str | None = None

    def addresses(self, family: Family | None = None) -> Iterator[Interface]:
        """The node's addresses in the order they were given, link-local ones left out."""
        for link in self.links.values():
            for address in link.addresses:
                if address.ip.is_link_local and address.version == 6:
                    continue
                if family is None or Family.of(address) is family:
                    yield address

    def link_of(self, address: Address) -> Link | None:
        """The link that holds an address, or the first whose subnet contains it."""
        for link in self.links.values():
            if any(held.ip == address for held in link.addresses):
                return link
        for link in self.links.values():
            if any(address in held.network for held in link.addresses):
                return link
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class WireTap:
    """Where a capture of a wire listens: an interface, or every port of a switch."""

    wire: str
    namespace: Namespace
    #: The interface to bind to, or None for all of the namespace's.
    index: int | None
