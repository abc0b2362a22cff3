"""Generated labs: topologies of every kind, valid by construction, as the plain values of a scenario file.

One random source decides everything, so a lab is known by its seed and number;
the same code under hypothesis (:func:`labs`) shrinks. Every lab has a *focus*, a
kind of parent that it is sure to contain, and the foci go round in a fixed order,
so that coverage grows evenly and not by luck.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Collection, Sequence

from hypothesis import strategies as st

from ipvlab.spec.source import Plain
from ipvlab.spec.values import Family, Flag, Mode
from tests.agreement.cells import (
    FAMILY_SETS,
    HOOKS,
    ISOLATED,
    PLUG,
    SETTINGS,
    STEP_KINDS,
    VLAN,
    Setting,
    StepKind,
)
from tests.agreement.ground_plan import (
    VLANS,
    Machine,
    Parent,
    Plot,
    Segment,
    host_text,
    router_text,
    wire_names,
)
from tests.agreement.probes import Probe, choose_probes
from tests.agreement.steps import Step, choose_steps

#: A lab has at most so many containers.
MOST_CONTAINERS = 6
#: Families of the focus, one for each time that all foci have had their turn. Only a network of IPv6
#: alone sends mDNS over IPv6, which makes those cells the hardest to fill.
_FAMILY_ROUNDS = ("dual", "ipv6", "dual", "ipv6", "dual", "ipv4", "ipv6")


@dataclasses.dataclass(frozen=True, slots=True)
class Lab:
    """One generated lab: what to build, what to ask of it, and which kinds of parent it has."""

    name: str
    #: ``wires``, ``hosts`` and ``routers`` of a scenario file.
    topology: dict[str, Plain]
    probes: tuple[Probe, ...]
    settings: frozenset[Setting]
    steps: tuple[Step, ...] = ()


def make_lab(
    seed: int, number: int, *, with_hooks: bool = True, kinds: Collection[StepKind] = STEP_KINDS
) -> Lab:
    """Lab ``number`` of a seed, with steps of these kinds; the same on every machine."""
    foci = [each for each in SETTINGS if with_hooks or each.hook == "-"]
    random.Random(seed).shuffle(foci)
    rng = random.Random(f"{seed}/{number}")
    families = _FAMILY_ROUNDS[number // len(foci) % len(_FAMILY_ROUNDS)]
    focus, name = foci[number % len(foci)], f"lab-{seed}-{number}"
    plot, lab = _grow(name, rng, focus, families, with_hooks=with_hooks)
    # Turns of kinds and of foci must not keep step with each other.
    turn = number + number // len(foci)
    return dataclasses.replace(lab, steps=tuple(choose_steps(plot, rng, name, turn, kinds)))


@st.composite
def labs(draw: st.DrawFn, *, with_hooks: bool = True) -> Lab:
    """Labs for hypothesis: any focus, any families, and a random source that shrinks."""
    foci = [each for each in SETTINGS if with_hooks or each.hook == "-"]
    focus = draw(st.sampled_from(foci))
    families = draw(st.sampled_from(sorted(FAMILY_SETS)))
    rng = draw(st.randoms(use_true_random=False))
    turn = draw(st.integers(0, 1000))
    plot, lab = _grow("lab-drawn", rng, focus, families, with_hooks=with_hooks)
    return dataclasses.replace(lab, steps=tuple(choose_steps(plot, rng, lab.name, turn, STEP_KINDS)))


def _grow(
    name: str, rng: random.Random, focus: Setting, families: str, *, with_hooks: bool = True
) -> tuple[Plot, Lab]:
    """A lab around one kind of parent, everything else as the random source has it."""
    plot = Plot(wires=rng.choice((1, 1, 2)), are_ports_tagged=rng.random() < 0.2)
    for number in range(_weigh(rng, {1: 3, 2: 5, 3: 3})):
        _add_host(plot, rng, number, focus if number == 0 else None, families, with_hooks=with_hooks)
    _populate(plot, rng)
    _number_endpoints(plot)
    for number in range(_weigh(rng, {0: 3, 1: 5, 2: 2})):
        _add_router(plot, rng, number)
    for machine in plot.machines:
        _choose_port(plot, rng, machine)
    _give_gateways(plot, rng)
    _connect(plot, rng)
    topology: dict[str, Plain] = {
        "wires": {wire: {} for wire in wire_names(plot)},
        "hosts": {host.name: host_text(plot, host) for host in plot.hosts},
        "routers": {router.name: router_text(router) for router in plot.routers},
    }
    used = [parent for parent in plot.parents if parent.containers]
    settings = frozenset(setting for parent in used for setting in parent.settings)
    return plot, Lab(name, topology, tuple(choose_probes(plot, rng)), settings)


def _number_endpoints(plot: Plot) -> None:
    """Number endpoints in the order of creation: hosts, their containers, the networks of each."""
    for host in plot.hosts:
        for container in plot.containers:
            if container.parents[0].host is host:
                for parent in container.parents:
                    parent.devices[container.name] = len(parent.devices) + 1


def _weigh(rng: random.Random, weights: dict[int, int]) -> int:
    return rng.choices(list(weights), list(weights.values()))[0]


def _add_host(
    plot: Plot, rng: random.Random, number: int, focus: Setting | None, families: str, *, with_hooks: bool
) -> None:
    if focus is not None:
        hooks = [focus.hook] if focus.hook != "-" else []
        is_hairpin = focus.is_hairpin
    else:
        chosen = rng.choice(HOOKS) if with_hooks else "-"
        hooks = [chosen] if chosen != "-" else []
        if hooks and rng.random() < 0.2:
            hooks = sorted({*hooks, rng.choice(HOOKS[1:])})
        is_hairpin = rng.random() < 0.5
    wire = rng.randrange(plot.wires)
    host = Machine(
        f"h{number + 1}",
        number,
        "host",
        wires=[wire],
        families=FAMILY_SETS[rng.choice(("dual", "dual", "dual", "ipv4", "ipv6"))],
        hooks=tuple(hooks),
        is_hairpin=is_hairpin,
        forwards=rng.random() < 0.15,
    )
    if plot.wires == 2 and rng.random() < 0.15:
        host.wires.append(1 - wire)
    places = _choose_places(rng, None if focus is None else focus.link)
    for place in places:
        vlan = VLANS[sum(other.link == VLAN for other in host.parents)] if place == VLAN else None
        is_first = not any(parent.link == place for parent in host.parents)
        is_focus = focus is not None and place == focus.link and is_first
        chosen_families = families if is_focus else rng.choice(("dual", "dual", "ipv6", "ipv6", "ipv4"))
        host.parents.append(
            Parent(
                host=host,
                number=len(host.parents),
                link=place,
                segment=None if place == ISOLATED else Segment(wire, vlan),
                mode=focus.mode if is_focus and focus else rng.choice(list(Mode)),
                flag=focus.flag if is_focus and focus else rng.choice(list(Flag)),
                families=FAMILY_SETS[chosen_families],
                is_internal=rng.random() < 0.3,
            )
        )
    for segment in dict.fromkeys(p.segment for p in host.parents if p.segment is not None and p.link == VLAN):
        if rng.random() < 0.4:
            host.segments.append(segment)
    # A plug without an address is a parent like any other (performance of VLAN labs, K-L3-003).
    if rng.random() < 0.9:
        host.segments += [Segment(each, None) for each in host.wires]
    for parent in host.parents:
        _choose_pools(plot, rng, parent)
    plot.hosts.append(host)


def _choose_places(rng: random.Random, wanted: str | None) -> list[str]:
    """One to three parents: a plug at most, isolated and VLANs as often as they come."""
    places = [wanted] if wanted is not None else []
    if wanted is None and rng.random() < 0.5:
        places.append(PLUG)
    count = _weigh(rng, {1: 2, 2: 4, 3: 4})
    while len(places) < count:
        place = rng.choice((PLUG, PLUG, VLAN, VLAN, ISOLATED))
        if place != PLUG or PLUG not in places:
            places.append(place)
    return places


def _choose_pools(plot: Plot, rng: random.Random, parent: Parent) -> None:
    """The parent's subnets: that of its segment (usual in l2), subnets of its own (usual in l3), or both."""
    wants_segment = parent.segment is not None and rng.random() < (0.75 if parent.mode is Mode.L2 else 0.25)
    wants_own = not wants_segment or rng.random() < 0.25
    for family in parent.families:
        if wants_segment and parent.segment is not None:
            parent.pools.append(parent.segment.subnet(family))
        if wants_own:
            parent.pools.append(parent.own_subnet(family, 0))
            if rng.random() < 0.25:
                parent.pools.append(parent.own_subnet(family, 1))
    plot.parents.append(parent)


def _populate(plot: Plot, rng: random.Random) -> None:
    """Containers: two on the first host's first parent, then one here and there."""
    if rng.random() < 0.02:
        return
    order: list[Parent] = [plot.parents[0]]
    if rng.random() < 0.75:
        order.append(plot.parents[0])
    order += rng.sample(plot.parents[1:], len(plot.parents) - 1)
    while len(order) < MOST_CONTAINERS and rng.random() < 0.7:
        order.append(rng.choice(plot.parents))
    for parent in order[:MOST_CONTAINERS]:
        container = plot.add_container(parent, rng)
        others = [each for each in parent.host.parents if each is not parent]
        if others and rng.random() < 0.08:
            plot.join(container, rng.choice(others), rng)


def _add_router(plot: Plot, rng: random.Random, number: int) -> None:
    wire = rng.randrange(plot.wires)
    router = Machine(
        f"r{number + 1}",
        number,
        "router",
        wires=[wire],
        families=FAMILY_SETS[rng.choice(("dual", "dual", "dual", "ipv4", "ipv6"))],
        hooks=(),
        is_hairpin=rng.random() < 0.1,
        forwards=rng.random() < 0.9,
    )
    if plot.wires == 2 and rng.random() < 0.6:
        router.wires.append(1 - wire)
    router.segments = [Segment(each, None) for each in router.wires if rng.random() < 0.9]
    router.segments += [Segment(wire, vlan) for vlan in VLANS if rng.random() < 0.5]
    plot.routers.append(router)


def _choose_port(plot: Plot, rng: random.Random, machine: Machine) -> None:
    """The switch port of a machine's first interface, where its wire filters tags."""
    if not plot.are_ports_tagged or rng.random() < 0.25:
        return
    used = machine.vlans or [rng.choice(VLANS)]
    if rng.random() < 0.3:
        machine.port = {"access": rng.choice(VLANS)}
        return
    trunk = [vlan for vlan in VLANS if vlan in used or rng.random() < 0.5] or [VLANS[0]]
    if rng.random() < 0.15:
        trunk = trunk[1:] or trunk
    machine.port = {"trunk": list[Plain](trunk)}
    if rng.random() < 0.5:
        machine.port["native"] = rng.choice((1, *trunk))


def _give_gateways(plot: Plot, rng: random.Random) -> None:
    """A pool's gateway: a router of the segment, as a rule; else what the driver makes of none."""
    for parent in plot.parents:
        if parent.mode is not Mode.L2 or parent.segment is None:
            continue
        for router in plot.routers:
            for family in Family:
                address = router.address(parent.segment, family)
                subnet = parent.segment.subnet(family)
                if address is not None and subnet in parent.pools and rng.random() < 0.85:
                    parent.gateways.setdefault(subnet, address)


def _connect(plot: Plot, rng: random.Random) -> None:
    """Routes: to other hosts' own subnets by the address of their parent, and defaults by routers."""
    for machine in plot.machines:
        for parent in plot.parents:
            if parent.host is machine:
                continue
            for pool in parent.own_pools:
                via = _way_to(machine, parent, pool.version)
                if via is not None and rng.random() < (0.8 if parent.mode is not Mode.L2 else 0.15):
                    machine.add_route(str(pool), via)
        routers = [router for router in plot.routers if router is not machine]
        if routers and rng.random() < 0.5:
            _default_by(machine, rng.choice(routers))


def _way_to(machine: Machine, parent: Parent, version: int) -> str | None:
    """An address of the parent's host that a machine shares a segment with; the parent's own first."""
    family = Family.IPV4 if version == 4 else Family.IPV6
    segments: Sequence[Segment | None] = (parent.segment, *parent.host.segments)
    for segment in segments:
        if segment is None or machine.address(segment, family) is None:
            continue
        address = parent.host.address(segment, family)
        if address is not None:
            return str(address)
    return None


def _default_by(machine: Machine, router: Machine) -> None:
    for family in Family:
        for segment in machine.segments:
            via = router.address(segment, family)
            if via is not None and machine.address(segment, family) is not None:
                machine.add_route("default", str(via))
                break
