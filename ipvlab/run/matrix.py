"""Who reaches whom in a whole lab, predicted: pairs that cannot differ are walked once.

Two containers are of one *class* when no table of the lab can tell them apart:
they sit on the same parents of the same host, their routes are the same, and
each of their addresses lies inside exactly the same prefixes of the lab (the
routes and subnets of every node, broadcast addresses and gateways among them).
So every look-up that one's address meets ends at the same entry as the other's.
An address that two nodes hold, or that is somebody's gateway, is in a class alone.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ipvlab.datapath.sim.machine import Machine
from ipvlab.probe.questions import ReachQuestion
from ipvlab.probe.sim import SimProber
from ipvlab.run.directory import aim, families
from ipvlab.run.sim import SimGround
from ipvlab.spec.values import Address, Family, Subnet

Key = tuple[object, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """What becomes of a probe of one pair in one family."""

    request: bool
    reply: bool
    ttl: int | None


#: One side has no address of the family.
IMPOSSIBLE = Cell(False, False, None)


class Matrix:
    """The predicted reachability of every ordered pair of nodes, in both families."""

    def __init__(self, classes: dict[str, int], cells: dict[tuple[int, int, Family], Cell]) -> None:
        self._classes = classes
        self._cells = cells

    @property
    def class_count(self) -> int:
        """How many classes there are."""
        return len(set(self._classes.values()))

    @property
    def walk_count(self) -> int:
        """How many probes were walked."""
        return len(self._cells)

    def cell(self, source: str, target: str, family: Family) -> Cell:
        """What becomes of a probe from one node to another; raises KeyError for unknown nodes."""
        return self._cells[self._classes[source], self._classes[target], family]

    def __iter__(self) -> Iterator[tuple[str, str, Family, Cell]]:
        """Every ordered pair in both families."""
        for source, source_class in self._classes.items():
            for family in Family:
                row = {
                    target_class: cell
                    for (of, target_class, held), cell in self._cells.items()
                    if of == source_class and held is family
                }
                for target, target_class in self._classes.items():
                    if target != source:
                        yield source, target, family, row[target_class]


def predict(
    ground: SimGround, names: Iterable[str] | None = None, *, proto: str = "icmp", merges: bool = True
) -> Matrix:
    """Predict who reaches whom among nodes, by default all containers.

    Every walk begins without a known neighbour, so that no order of pairs
    matters. ``merges`` False walks every pair, which is what the classes are
    tested against.
    """
    machines = ground.lab.nodes
    wanted = [machines[name] for name in names] if names is not None else _containers(machines.values())
    classes = _classify(wanted, list(machines.values())) if merges else _each_alone(wanted)
    members: dict[int, list[Machine]] = {}
    for machine in wanted:
        members.setdefault(classes[machine.name], []).append(machine)
    world = ground.lab.world
    prober = SimProber(world)
    walkers = {machine.name for group in members.values() for machine in group[:2]}
    walkers.update(machine.name for machine in machines.values() if machine.kind != "container")
    world.audience = frozenset(walkers)
    cells: dict[tuple[int, int, Family], Cell] = {}
    try:
        for source_class, sources in members.items():
            for target_class, targets in members.items():
                others = [machine for machine in targets[:2] if machine is not sources[0]]
                if not others:
                    continue
                pair = (sources[0], others[0])
                for family in Family:
                    world.forget_neighbours()
                    cells[source_class, target_class, family] = _walk(prober, *pair, family, proto)
    finally:
        world.audience = None
        world.forget_neighbours()
    return Matrix(classes, cells)


def _containers(machines: Iterable[Machine]) -> list[Machine]:
    return [machine for machine in machines if machine.kind == "container"]


def _walk(prober: SimProber, source: Machine, target: Machine, family: Family, proto: str) -> Cell:
    address = aim(source, target, family)
    if address is None or family not in families(source):
        return IMPOSSIBLE
    question = ReachQuestion(source.name, target.name, address, "udp" if proto == "udp" else "icmp")
    seen = prober.reach(question)
    return Cell(seen.request, seen.reply, seen.ttl)


def _each_alone(machines: Sequence[Machine]) -> dict[str, int]:
    return {machine.name: number for number, machine in enumerate(machines)}


def _classify(wanted: Sequence[Machine], everyone: Sequence[Machine]) -> dict[str, int]:
    """The class of each node, by number."""
    landscape = _Landscape(everyone)
    numbers: dict[Key, int] = {}
    return {machine.name: numbers.setdefault(landscape.key(machine), len(numbers)) for machine in wanted}


class _Landscape:
    """Every prefix that any table of the lab tells apart, and which addresses stand out."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        #: (version, prefix length) -> the networks of that length.
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        holders: Counter[Address] = Counter()
        self._singular: set[Address] = set()
        for machine in machines:
            for route in machine.routes:
                self._add(route.to)
                if route.via is not None:
                    self._singular.add(route.via)
            for link in machine.links.values():
                for held in link.addresses:
                    if held.version == 6 and held.ip.is_link_local:
                        continue
                    holders[held.ip] += 1
                    if held.network.prefixlen < held.network.max_prefixlen:
                        self._add(held.network)
                        self._singular.add(held.network.broadcast_address)
        self._singular.update(address for address, count in holders.items() if count > 1)

    def _add(self, subnet: Subnet) -> None:
        networks = self._prefixes.setdefault((subnet.version, subnet.prefixlen), set())
        networks.add(int(subnet.network_address))

    def key(self, machine: Machine) -> Key:
        """What tells a node from others; equal keys are one class."""
        if machine.kind != "container":
            return ("node", machine.name)
        own = [held.ip for link in machine.links.values() for held in link.addresses]
        routes = tuple(
            (
                route.to,
                route.via,
                route.dev,
                route.metric,
                own.index(route.source) if route.source in own else route.source,
            )
            for route in machine.routes
        )
        links = tuple(
            (
                link.name,
                link.kind,
                link.below,
                link.is_up,
                link.has_arp,
                link.has_ipv6,
                frozenset(link.joined),
                tuple(self._place(held.ip, held.network) for held in link.addresses),
            )
            for link in machine.links.values()
        )
        return ("container", machine.host, machine.forwards, machine.dropping, links, routes)

    def _place(self, address: Address, subnet: Subnet) -> Key:
        """Where an address lies among all prefixes of the lab."""
        if address.version == 6 and address.is_link_local:
            return (6, "link-local", subnet.prefixlen)
        if address in self._singular or subnet.prefixlen == subnet.max_prefixlen:
            return (address.version, address)
        bits, number = subnet.max_prefixlen, int(address)
        around = frozenset(
            (length, number >> (bits - length) << (bits - length))
            for (version, length), networks in self._prefixes.items()
            if version == address.version and number >> (bits - length) << (bits - length) in networks
        )
        return (address.version, subnet, around)
