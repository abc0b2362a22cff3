"""What a step changes: the command lines of each kind, and what the plot is after them."""

from __future__ import annotations

import dataclasses
import ipaddress
import random
from collections.abc import Callable

from ipvlab.spec.values import Address, Family, Flag, Interface, Mode
from tests.agreement.cells import ISOLATED, StepKind
from tests.agreement.ground_plan import Container, Parent, Plot
from tests.agreement.probes import Node

#: MTUs that parents get; below 1280 a link has no IPv6.
_MTUS = (1280, 1400, 1500, 2000, 576)
_FAR = (ipaddress.ip_network("10.99.0.0/16"), ipaddress.ip_network("2001:db8:99::/48"))


@dataclasses.dataclass(slots=True)
class Change:
    """Commands so far, and whom they are about."""

    parent: Parent
    lines: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    touched: list[Node] = dataclasses.field(default_factory=list)
    started: list[Container] = dataclasses.field(default_factory=list)
    #: Addresses worth a probe, with the node that has or had them.
    addresses: list[tuple[Node, Address]] = dataclasses.field(default_factory=list)
    #: Whether nodes know their neighbours wrongly after it; when a kernel finds out is a matter of time.
    moves_addresses: bool = False

    def type(self, node: Node, line: str) -> None:
        """A command line on a node."""
        self.lines.append((node.name, line))
        if node not in self.touched:
            self.touched.append(node)


class Changes:
    """Makes one change after another, each on the lab as the last one left it."""

    def __init__(self, plot: Plot, rng: random.Random) -> None:
        self._plot = plot
        self._rng = rng
        self._down: set[tuple[str, str]] = set()
        self._added: list[tuple[Node, str, Interface]] = []
        self._routes: list[tuple[Node, str]] = []
        self._fresh = 0
        self._makers: dict[StepKind, Callable[[Parent], Change | None]] = {
            StepKind.MODE: self._mode,
            StepKind.FLAG: self._flag,
            StepKind.PARENT_DOWN: self._parent_down,
            StepKind.PARENT_UP: self._parent_up,
            StepKind.ENDPOINT_DOWN: self._endpoint_down,
            StepKind.ENDPOINT_UP: self._endpoint_up,
            StepKind.MTU: self._mtu,
            StepKind.MAC: self._mac,
            StepKind.ROUTE_ADD: self._route_add,
            StepKind.ROUTE_DEL: self._route_del,
            StepKind.ADDRESS_ADD: self._address_add,
            StepKind.ADDRESS_DEL: self._address_del,
            StepKind.CONTAINER_RM: self._container_rm,
            StepKind.CONTAINER_RUN: self._container_run,
            StepKind.NETWORK_AGAIN: self._network_again,
        }

    def make(self, kind: StepKind, parent: Parent) -> Change | None:
        """A change of a kind to a parent or what is on it, or None where there is nothing to change."""
        return self._makers[kind](parent)

    def _mode(self, parent: Parent) -> Change | None:
        change = Change(parent)
        mode = self._rng.choice([each for each in Mode if each is not parent.mode])
        flag = self._rng.choice((None, *Flag))
        self._set_mode(change, mode, flag)
        return change

    def _flag(self, parent: Parent) -> Change | None:
        change = Change(parent)
        flag = self._rng.choice([each for each in Flag if each is not parent.flag])
        self._set_mode(change, parent.mode, flag)
        return change

    def _set_mode(self, change: Change, mode: Mode, flag: Flag | None) -> None:
        parent = change.parent
        container = self._rng.choice(parent.containers)
        words = f"ip link set {_link(container, parent)} type ipvlan mode {mode}"
        change.type(container, words + (f" {flag}" if flag is not None else ""))
        parent.mode, parent.flag = mode, flag or Flag.BRIDGE

    def _parent_down(self, parent: Parent) -> Change | None:
        if parent.link == ISOLATED:
            return None
        change = Change(parent)
        change.type(parent.host, f"ip link set {interface_of(parent)} down")
        self._down.add((parent.host.name, interface_of(parent)))
        return change

    def _parent_up(self, parent: Parent) -> Change | None:
        if parent.link == ISOLATED:
            return None
        # A kernel that sees the carrier of a bare pair go forgets neighbours there (neigh_carrier_down).
        change = Change(parent, moves_addresses=True)
        link = interface_of(parent)
        base = link.partition(".")[0]
        if (parent.host.name, link) not in self._down:
            link = self._rng.choice((link, base))
            change.type(parent.host, f"ip link set {link} down")
        for each in dict.fromkeys((base, link)):
            change.type(parent.host, f"ip link set {each} up")
        self._down -= {(parent.host.name, each) for each in (base, link)}
        return change

    def _endpoint_down(self, parent: Parent) -> Change | None:
        change = Change(parent)
        container = self._rng.choice(parent.containers)
        change.type(container, f"ip link set {_link(container, parent)} down")
        self._down.add((container.name, _link(container, parent)))
        return change

    def _endpoint_up(self, parent: Parent) -> Change | None:
        change = Change(parent)
        down = [each for each in parent.containers if (each.name, _link(each, parent)) in self._down]
        container = self._rng.choice(down or parent.containers)
        link = _link(container, parent)
        if not down:
            change.type(container, f"ip link set {link} down")
        change.type(container, f"ip link set {link} up")
        self._down.discard((container.name, link))
        return change

    def _mtu(self, parent: Parent) -> Change | None:
        if parent.link == ISOLATED:
            return None
        change = Change(parent)
        link = self._rng.choice((interface_of(parent), interface_of(parent).partition(".")[0]))
        change.type(parent.host, f"ip link set {link} mtu {self._rng.choice(_MTUS)}")
        return change

    def _mac(self, parent: Parent) -> Change | None:
        if parent.link == ISOLATED:
            return None
        change = Change(parent, moves_addresses=True)
        link = interface_of(parent).partition(".")[0]
        self._fresh += 1
        mac = bytes((2, 0, 0, parent.host.number, parent.number, self._fresh))
        change.type(parent.host, f"ip link set {link} address {mac.hex(':')}")
        return change

    def _route_add(self, parent: Parent) -> Change | None:
        change = Change(parent)
        container = self._rng.choice(parent.containers)
        family = self._rng.choice(parent.families)
        node: Node = self._rng.choice((container, container, parent.host))
        link = _link(container, parent) if node is container else "eth0"
        others: list[Node] = [*self._plot.machines, *parent.containers]
        vias = [address for each in others if each is not node for address in each.addresses(family)]
        to = self._rng.choice(("default", str(_FAR[family is Family.IPV6]), *map(str, self._pools(family))))
        words = f"ip {'-6 ' if family is Family.IPV6 else ''}route add {to}"
        words += f" via {self._rng.choice(vias)}" if vias and self._rng.random() < 0.6 else f" dev {link}"
        change.type(node, words)
        self._routes.append((node, words))
        return change

    def _pools(self, family: Family) -> list[object]:
        return [pool for parent in self._plot.parents for pool in parent.pools if Family.of(pool) is family]

    def _route_del(self, parent: Parent) -> Change | None:
        change = Change(parent)
        mine = [each for each in self._routes if each[0] in (*parent.containers, parent.host)]
        if mine and self._rng.random() < 0.5:
            added, words = self._rng.choice(mine)
            change.type(added, words.replace(" add ", " del "))
            return change
        container = self._rng.choice(parent.containers)
        family = self._rng.choice(parent.families)
        node: Node = self._rng.choice((container, container, parent.host))
        routes = ["default"]
        if node is parent.host and parent.host.routes:
            routes = [str(route["to"]) for route in parent.host.routes]
        routes.append(str(self._rng.choice([pool for pool in parent.pools if Family.of(pool) is family])))
        to = self._rng.choice(routes)
        family = Family.of(ipaddress.ip_network(to)) if to != "default" else family
        change.type(node, f"ip {'-6 ' if family is Family.IPV6 else ''}route del {to}")
        return change

    def _address_add(self, parent: Parent) -> Change | None:
        change = Change(parent, moves_addresses=True)
        container = self._rng.choice(parent.containers)
        family = self._rng.choice(parent.families)
        pool = self._rng.choice([each for each in parent.pools if Family.of(each) is family])
        self._fresh += 1
        address: Address = pool[100 + self._fresh]
        node: Node = container
        link = _link(container, parent)
        taken = [held for each in parent.containers for held in each.addresses(family) if held in pool]
        if taken and self._rng.random() < 0.15:
            address = self._rng.choice(taken)
        elif self._rng.random() < 0.25 and parent.link != ISOLATED:
            node, link = parent.host, interface_of(parent)
        length = pool.prefixlen if self._rng.random() < 0.7 else pool.max_prefixlen
        change.type(node, f"ip addr add {address}/{length} dev {link}")
        self._added.append((node, link, ipaddress.ip_interface(f"{address}/{length}")))
        change.addresses.append((node, address))
        return change

    def _address_del(self, parent: Parent) -> Change | None:
        change = Change(parent, moves_addresses=True)
        held = [each for each in self._added if each[0] in (*parent.containers, parent.host)]
        if not held or self._rng.random() < 0.5:
            held = []
            for container in parent.containers:
                written = container.written[container.parents.index(parent)]
                for address in written.values():
                    pool = next(each for each in parent.pools if address in each)
                    held.append((container, _link(container, parent), _with_length(address, pool.prefixlen)))
            host = parent.host
            if parent.segment in host.segments:
                for family in host.families:
                    own = host.address(parent.segment, family)
                    if own is not None:
                        length = parent.segment.subnet(family).prefixlen
                        held.append((host, interface_of(parent), _with_length(own, length)))
        if not held:
            return None
        node, link, interface = self._rng.choice(held)
        change.type(node, f"ip addr del {interface} dev {link}")
        change.addresses.append((node, interface.ip))
        return change

    def _container_rm(self, parent: Parent) -> Change | None:
        change = Change(parent, moves_addresses=True)
        container = self._rng.choice(parent.containers)
        change.type(parent.host, f"docker rm -f {container.name}")
        self._remove(container)
        return change

    def _remove(self, container: Container) -> None:
        self._plot.containers.remove(container)
        for parent in container.parents:
            parent.containers.remove(container)
            parent.devices.pop(container.name, None)
        for number in range(len(container.parents)):
            self._down.discard((container.name, f"eth{number}"))

    def _container_run(self, parent: Parent) -> Change | None:
        change = Change(parent, moves_addresses=True)
        if len(self._plot.containers) > 1 and self._rng.random() < 0.5:
            gone = self._rng.choice(parent.containers)
            change.type(parent.host, f"docker rm -f {gone.name}")
            self._remove(gone)
        self._run(change)
        return change

    def _run(self, change: Change) -> None:
        """One container more, with written addresses as often as not."""
        parent = change.parent
        self._fresh += 1
        container = Container(f"x{self._fresh}", 40 + self._fresh, [], [])
        self._plot.containers.append(container)
        self._plot.join(container, parent, self._rng)
        options = ""
        for family, address in container.written[0].items():
            options += f" --ip6={address}" if family is Family.IPV6 else f" --ip={address}"
        words = f"docker run -itd --net={parent.network}{options} --name={container.name} alpine"
        change.type(parent.host, words)
        change.touched.append(container)
        change.started.append(container)

    def _network_again(self, parent: Parent) -> Change | None:
        """Remove a network with its containers and create it again, of any mode and flag."""
        change = Change(parent, moves_addresses=True)
        gone = list(parent.containers)
        change.type(parent.host, f"docker rm -f {' '.join(each.name for each in gone)}")
        for container in gone:
            self._remove(container)
        change.type(parent.host, f"docker network rm {parent.network}")
        parent.mode, parent.flag = self._rng.choice(list(Mode)), self._rng.choice(list(Flag))
        parent.devices.clear()
        words = f"docker network create -d ipvlan -o ipvlan_mode={parent.mode} -o ipvlan_flag={parent.flag}"
        words += "".join(f" --subnet={pool}" for pool in parent.pools)
        words += "".join(f" --gateway={gateway}" for gateway in parent.gateways.values())
        if parent.link != ISOLATED:
            words += f" -o parent={interface_of(parent)}"
        elif parent.is_internal:
            words += " --internal"
        change.type(parent.host, f"{words} {parent.network}")
        for _ in range(self._rng.choice((1, 2))):
            self._run(change)
        return change


def _link(container: Container, parent: Parent) -> str:
    return f"eth{container.parents.index(parent)}"


def interface_of(parent: Parent) -> str:
    assert parent.segment is not None
    return parent.segment.interface


def _with_length(address: Address, length: int) -> Interface:
    return ipaddress.ip_interface(f"{address}/{length}")
