"""A datapath that records, and a place to type ``ip`` commands at."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from ipvlab.datapath.base import End, Link, PortFilter, Pump
from ipvlab.driver.ip_grammar import parse_ip
from ipvlab.driver.port import CommandResult
from ipvlab.errors import KernelRefusal
from ipvlab.lab import tables
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.linux.namespaces import Namespace
from ipvlab.spec.values import Flag, Interface, Mode

NodeMaker = Callable[..., Node]
WireMaker = Callable[[Node, Node], tuple[Link, Link]]
Give = Callable[[Node, Interface], None]


class Recorder:
    """A datapath that makes plain links and writes down what it is told."""

    name = "recorder"

    def __init__(self) -> None:
        self.learned: list[str] = []
        self.forgotten: list[str] = []
        self.removed: list[str] = []
        self.taken: set[str] = set()
        self.modes: list[str] = []
        self._index = 50

    def new_index(self) -> int:
        self._index += 1
        return self._index

    def add_vlan(self, host: Namespace, name: str, base: Link, vlan: int, mac: bytes | None = None) -> Link:
        link = Link(
            name, self.new_index(), mac or base.mac, base.mtu, kind="vlan", below=base.name, vlan=vlan
        )
        link.is_up = False
        message = messages.add_link("bridge", name, link.index, link.mac, link.mtu)
        host.netlink.request(message, f"add {name}")
        return link

    def add_isolated(self, host: Namespace, name: str, mac: bytes) -> Link:
        raise NotImplementedError

    def remove_link(self, host: Namespace, link: Link) -> None:
        host.netlink.request(messages.delete_link(link.index), f"delete {link.name}")
        self.removed.append(link.name)

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
        raise NotImplementedError

    def ends(self, host: Namespace, container: Namespace, link: Link) -> list[End]:
        return []

    def set_mode(self, host: Namespace, parent: Link, mode: Mode, flag: Flag | None) -> None:
        self.modes.append(f"{parent.name} {mode} {flag}")

    def follow(self) -> list[End]:
        return []

    def expect_rules(self, host: Namespace) -> None: ...

    def is_means(self, index: int) -> bool:
        return False

    def held_pump(self) -> AbstractContextManager[Pump]:
        raise NotImplementedError

    def remove_endpoint(
        self,
        host: Namespace,
        parent: Link,
        container: Namespace,
        link: Link,
        *,
        goes_with_container: bool = False,
    ) -> None:
        container.netlink.request(messages.delete_link(link.index), f"delete {link.name}")
        self.removed.append(f"{host.name}/{parent.name} {link.name}")

    def learn_address(self, host: Namespace, link: Link, address: Interface) -> None:
        if str(address.ip) in self.taken:
            raise KernelRefusal(f"add address {address}", errno=errno.EADDRINUSE)
        self.learned.append(f"{host.name} {link.name} {address}")

    def forget_address(self, host: Namespace, link: Link, address: Interface) -> None:
        self.forgotten.append(f"{host.name} {link.name} {address}")

    def filter_port(self, switch: Namespace, index: int, port: PortFilter | None) -> None:
        raise NotImplementedError

    def close(self) -> None: ...


class Place:
    """A node ``n1`` with ``eth0`` wired to ``n2``, and a datapath that records."""

    def __init__(self, node: Node, datapath: Recorder, host: Node, other: Node) -> None:
        #: ``other`` is what the wire leads to.
        self.node, self.datapath, self.host, self.other = node, datapath, host, other

    def do(self, line: str) -> CommandResult:
        return carry_out(self.node, parse_ip(line.split()), self.datapath, self.host)

    def succeed(self, line: str) -> str:
        result = self.do(line)
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    def addresses(self, link: str = "eth0") -> list[str]:
        """What the kernel holds; the record of the link holds the same."""
        found = tables.read_addresses(self.node.namespace)[link]
        assert sorted(map(str, found)) == sorted(map(str, self.node.links[link].addresses))
        return [str(address) for address in found]

    def view(self, link: str = "eth0") -> tables.LinkView:
        [view] = [one for one in tables.view_links(self.node.namespace) if one.name == link]
        record = self.node.links[link]
        assert (view.is_up, view.mtu, view.mac) == (record.is_up, record.mtu, record.mac)
        return view
