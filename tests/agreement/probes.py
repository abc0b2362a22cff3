"""What is asked of a generated lab: probes of every kind from every parent's containers, and the tables."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Mapping, Sequence

from ipvlab.spec.source import Plain
from ipvlab.spec.values import Address, BroadcastKind, Family
from tests.agreement.cells import ON_WIRE, UNICASTS, Cell, Setting
from tests.agreement.ground_plan import Container, Machine, Parent, Plot, wire_name

#: Probes between any two nodes, beside those that every parent gets.
MOST_ODD_PAIRS = 16
_GROUPS = {Family.IPV4: ("239.1.2.3", "224.0.0.114"), Family.IPV6: ("ff15::4242", "ff02::114")}
#: How often a parent's containers send each kind of broadcast, where twice would leave cells thin.
_ROUNDS = {**dict.fromkeys(BroadcastKind, 4), BroadcastKind.MULTICAST: 6, BroadcastKind.MDNS: 6}
#: Broadcasts whose destination follows from the sender's addresses where none is written.
_AIMED = (BroadcastKind.DIRECTED, BroadcastKind.ARP, BroadcastKind.ND)
Node = Container | Machine


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """One expectation to be: its kind and claim, without what will be expected."""

    kind: str
    claim: Mapping[str, Plain]
    #: The cells of the coverage table that it counts in.
    cells: frozenset[Cell] = frozenset()


def choose_probes(plot: Plot, rng: random.Random) -> Iterator[Probe]:
    """The probes of a lab, in the order of its expectations."""
    chooser = Chooser(plot, rng)
    for parent in plot.parents:
        if parent.containers:
            yield from chooser.unicasts(parent)
            yield from chooser.broadcasts(parent)
    yield from chooser.odd_pairs()
    yield from chooser.machine_broadcasts()
    for node in chooser.nodes:
        yield from probe_tables(node, ("eth0",))


def probe_tables(node: Node, links: Sequence[str]) -> Iterator[Probe]:
    """The routes of a node, and the addresses of its links."""
    yield Probe("routes", {"in": node.name})
    for link in links:
        yield Probe("addresses", {"in": node.name, link: []})


def probe_address(rng: random.Random, source: Node, target: Node, address: Address) -> Probe:
    """A probe of any unicast kind to one address, whether the target has it or not."""
    family = Family.of(address)
    kind = rng.choice(UNICASTS)
    claim: dict[str, Plain] = {"from": source.name, "to": target.name, "family": str(family)}
    claim["address"] = str(address)
    if kind != "one-way":
        claim["proto"] = kind
    cells = (Cell(setting, kind, family) for setting in (*_settings(source), *_settings(target)))
    return Probe(kind, claim, frozenset(cells))


class Chooser:
    """Picks senders, receivers and addresses.

    ``names_all`` has every destination written, since a lab's addresses may be gone by the time it is asked.
    """

    def __init__(self, plot: Plot, rng: random.Random, *, names_all: bool = False) -> None:
        self._names_all = names_all
        self._plot = plot
        self._rng = rng
        self.nodes: list[Node] = [*plot.hosts, *plot.containers, *plot.routers]

    def unicasts(self, parent: Parent, rounds: int = 2) -> Iterator[Probe]:
        """Every unicast kind in every family from the parent's containers: to a sibling, and elsewhere."""
        for family in parent.families:
            for kind in (*UNICASTS, ON_WIRE):
                for round_ in range(rounds):
                    sender = self._rng.choice(parent.containers)
                    siblings = [each for each in parent.containers if each is not sender]
                    if siblings and round_ == 0:
                        target: Node = self._rng.choice(siblings)
                    else:
                        target = self._target(sender, parent, family)
                    yield self._pair(kind, family, sender, target)

    def _target(self, sender: Container, parent: Parent, family: Family) -> Node:
        """The own host, a router or anybody else; of the family, if anybody is."""
        others = [each for each in self.nodes if each is not sender and family in each.families]
        choices: list[Node] = [parent.host]
        if others:
            choices += self._rng.choices(others, k=3)
        return self._rng.choice(choices)

    def _pair(self, kind: str, family: Family, source: Node, target: Node) -> Probe:
        claim: dict[str, Plain] = {"from": source.name, "to": target.name, "family": str(family)}
        address = self._address(target, family)
        if address is not None:
            claim["address"] = str(address)
        if kind == ON_WIRE:
            wires = _wires_near(source) or _wires_near(target) or [0]
            claim["wire"] = wire_name(self._rng.choice(wires))
        elif kind in UNICASTS[:2]:
            claim["proto"] = kind
            if self._rng.random() < 0.1:
                claim["via"] = []
        elif self._rng.random() < 0.1:
            claim["via"] = []
        settings = [*_settings(source), *_settings(target)]
        return Probe(kind, claim, frozenset(Cell(setting, kind, family) for setting in settings))

    def _address(self, target: Node, family: Family) -> Address | None:
        """One of the target's addresses by name, an address that nobody has, or the file's own choice."""
        held = target.addresses(family)
        dice = self._rng.random()
        if dice < 0.08:
            return self._nobody(target, family)
        if held and dice < 0.3:
            return self._rng.choice(held)
        return None

    def _nobody(self, target: Node, family: Family) -> Address | None:
        held = target.addresses(family)
        if not held:
            return None
        pools = [segment.subnet(family) for segment in getattr(target, "segments", ())]
        pools += [pool for parent in self._plot.parents for pool in parent.pools if Family.of(pool) is family]
        around = [pool for pool in pools if held[0] in pool]
        return around[0][77] if around else None

    def broadcasts(self, parent: Parent, most: int = max(_ROUNDS.values())) -> Iterator[Probe]:
        """Every kind of broadcast from the parent's containers, each from two of them if there are two."""
        for kind in BroadcastKind:
            first = self._rng.randrange(2) if most == 1 else 0
            for round_ in range(first, first + min(most, _ROUNDS[kind])):
                family = parent.families[round_ % len(parent.families)]
                if kind is BroadcastKind.MDNS:
                    # The family of mDNS follows from the interface's addresses (the scenario file's rule).
                    family = parent.families[0]
                sender = self._rng.choice(parent.containers)
                interface = f"eth{sender.parents.index(parent)}"
                settings = list(parent.settings)
                probe = self._broadcast(kind, family, sender, interface, parent.families)
                if probe is not None:
                    cells = {Cell(setting, kind, _family_of(kind, family)) for setting in settings}
                    yield dataclasses.replace(probe, cells=frozenset(cells))

    def _broadcast(
        self,
        kind: BroadcastKind,
        family: Family,
        sender: Node,
        interface: str,
        families: tuple[Family, ...],
    ) -> Probe | None:
        family = _family_of(kind, family)
        # Without an address of the family there is no subnet to choose a destination from.
        if family not in families:
            return None
        claim: dict[str, Plain] = {"from": sender.name, "kind": str(kind), "interface": interface}
        if kind is BroadcastKind.MULTICAST:
            claim["destination"] = self._rng.choice(_GROUPS[family])
        elif kind in (BroadcastKind.ARP, BroadcastKind.ND) and self._rng.random() < 0.6:
            asked = [address for node in self.nodes for address in node.addresses(family)]
            if asked:
                claim["destination"] = str(self._rng.choice(asked))
        if self._names_all and kind in _AIMED and "destination" not in claim:
            pools = [pool for each in self._plot.parents for pool in each.pools if Family.of(pool) is family]
            if not pools:
                return None
            pool = self._rng.choice(pools)
            claim["destination"] = str(pool[-1] if kind is BroadcastKind.DIRECTED else pool[200])
        return Probe("broadcast", claim)

    def odd_pairs(self, most: int = MOST_ODD_PAIRS) -> Iterator[Probe]:
        """Probes between any two nodes: hosts and routers send too."""
        pairs = [(one, other) for one in self.nodes for other in self.nodes if one is not other]
        for source, target in self._rng.sample(pairs, min(len(pairs), most)):
            yield from self._common_pair(source, target)

    def either_way(self, one: Node, other: Node) -> Iterator[Probe]:
        """One probe each way between two nodes."""
        yield from self._common_pair(one, other)
        yield from self._common_pair(other, one)

    def _common_pair(self, source: Node, target: Node) -> Iterator[Probe]:
        common = [family for family in source.families if family in target.families]
        if common:
            kind = self._rng.choice((*UNICASTS, ON_WIRE))
            yield self._pair(kind, self._rng.choice(common), source, target)

    def machine_broadcasts(self) -> Iterator[Probe]:
        """Broadcasts of hosts and routers, by any of their interfaces."""
        for machine in self._plot.machines:
            for segment in machine.segments:
                name = segment.interface
                if segment.vlan is None:
                    name = f"eth{machine.wires.index(segment.wire)}"
                kinds = self._rng.sample(list(BroadcastKind), 2)
                for kind in kinds:
                    family = self._rng.choice(machine.families)
                    probe = self._broadcast(kind, family, machine, name, machine.families)
                    if probe is not None:
                        yield probe


def _family_of(kind: BroadcastKind, family: Family) -> Family:
    if kind in (BroadcastKind.LIMITED, BroadcastKind.DIRECTED, BroadcastKind.ARP):
        return Family.IPV4
    return Family.IPV6 if kind in (BroadcastKind.ND, BroadcastKind.RA) else family


def _settings(node: Node) -> list[Setting]:
    if isinstance(node, Machine):
        return []
    return [setting for parent in node.parents for setting in parent.settings]


def _wires_near(node: Node) -> list[int]:
    """The wires of a machine, or of a container's parents that are on one."""
    if isinstance(node, Machine):
        return list(node.wires)
    return [parent.segment.wire for parent in node.parents if parent.segment is not None]
