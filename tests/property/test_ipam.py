"""Address management against a naive model: a set of numbers for each subnet."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from ipvlab.driver.addresses import AddressSet
from ipvlab.driver.dialect import DOCKER_26
from ipvlab.driver.ipam import AddressSpace, Pool, take_address
from ipvlab.driver.pools import PoolConfig
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Address, Subnet

#: Small subnets of both families, whose every address a set can hold.
SUBNETS: list[Subnet] = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/28", "10.0.0.16/29", "10.0.0.0/26", "10.0.0.6/31", "10.0.0.9/32", "10.0.0.0/30",
        "fd00::/124", "fd00::10/125", "fd00::/127", "fd00::/120",
    )
]  # fmt: skip


def addresses_of(subnet: Subnet) -> list[Address]:
    """Every address of a small subnet."""
    return [subnet[number] for number in range(subnet.num_addresses)]


def reserved(subnet: Subnet) -> set[Address]:
    """What no container may have, written the long way."""
    every = addresses_of(subnet)
    if subnet.version == 6:
        return {every[0]}
    return {every[0], every[-1]} if len(every) > 2 else set()


@given(
    st.sampled_from(SUBNETS), st.lists(st.tuples(st.sampled_from("tlrf"), st.integers(0, 63)), max_size=120)
)
def test_an_address_set_agrees_with_a_set(subnet: Subnet, steps: list[tuple[str, int]]) -> None:
    every = addresses_of(subnet)
    real, model = AddressSet(subnet), reserved(subnet)
    for step, number in steps:
        address = every[number % len(every)]
        if step == "t":
            assert real.take(address) == (address not in model)
            model.add(address)
        elif step == "r":
            real.release(address)
            model.discard(address)
        elif step == "f":
            # A run of some length, which later releases cut in pieces.
            free = [candidate for candidate in every if candidate not in model][:number]
            assert [real.take_lowest(subnet) for _ in free] == free
            model.update(free)
        else:
            prefix = subnet.max_prefixlen - number % (subnet.max_prefixlen - subnet.prefixlen + 1)
            within = ipaddress.ip_network(f"{address}/{prefix}", strict=False)
            free = [candidate for candidate in addresses_of(within) if candidate not in model]
            assert real.take_lowest(within) == (free[0] if free else None)
            model.update(free[:1])
        assert len(real) == len(model)
        assert all((one in real) == (one in model) for one in every)
        for part in subnet.subnets(new_prefix=min(subnet.prefixlen + 2, subnet.max_prefixlen)):
            assert real.count_within(part) == sum(one in part for one in model)


class NaiveHost(RuleBasedStateMachine):
    """Pools and addresses of one host, asked for and given back in any order."""

    pools = Bundle("pools")

    @initialize()
    def begin(self) -> None:
        self.space = AddressSpace("h1")
        #: subnet -> (addresses taken, ranges held).
        self.model: dict[Subnet, tuple[set[Address], list[Subnet | None]]] = {}

    @rule(target=pools, subnet=st.sampled_from(SUBNETS), part=st.none() | st.integers(0, 3))
    def request(self, subnet: Subnet, part: int | None) -> object:
        ip_range: Subnet | None = None
        if part is not None:
            is_single = subnet.prefixlen == subnet.max_prefixlen
            halves: list[Subnet] = [subnet] if is_single else [*subnet.subnets()]
            ip_range = halves[part % len(halves)]
        if ip_range is None:
            is_refused = any(set(subnet) & set(held) for held in self.model)
        else:
            is_refused = ip_range in self.model.get(subnet, (set(), []))[1]
        try:
            pool = self.space.request_pool(PoolConfig(subnet, ip_range=ip_range))
        except DriverRefusal:
            assert is_refused
            return multiple()
        assert not is_refused
        _, ranges = self.model.setdefault(subnet, (reserved(subnet), []))
        ranges.append(ip_range)
        return pool, set()

    @rule(held=pools)
    def take(self, held: tuple[Pool, set[Address]]) -> None:
        pool, mine = held
        taken, _ = self.model[pool.subnet]
        free = [address for address in addresses_of(pool.dynamic_range) if address not in taken]
        result = take_address([pool], None)
        if not free:
            assert result is None
            return
        assert result == (pool, free[0])
        taken.add(free[0])
        mine.add(free[0])

    @rule(held=pools, number=st.integers(0, 255))
    def take_static(self, held: tuple[Pool, set[Address]], number: int) -> None:
        pool, mine = held
        taken, _ = self.model[pool.subnet]
        address = pool.subnet[number % pool.subnet.num_addresses]
        if address in taken:
            with pytest.raises(DriverRefusal, match="Address already in use"):
                take_address([pool], address)
        else:
            assert take_address([pool], address) == (pool, address)
            taken.add(address)
            mine.add(address)

    @rule(held=pools, number=st.integers(0, 255))
    def give_back(self, held: tuple[Pool, set[Address]], number: int) -> None:
        pool, mine = held
        if mine:
            address = sorted(mine, key=int)[number % len(mine)]
            pool.addresses.release(address)
            mine.remove(address)
            self.model[pool.subnet][0].remove(address)

    @rule(held=consumes(pools))
    def release(self, held: tuple[Pool, set[Address]]) -> None:
        pool, mine = held
        taken, ranges = self.model[pool.subnet]
        for address in mine:
            pool.addresses.release(address)
            taken.remove(address)
        self.space.release_pool(pool)
        ranges.remove(pool.ip_range)
        if not ranges:
            del self.model[pool.subnet]

    @invariant()
    def counts_agree(self) -> None:
        counted = self.space.count_taken()
        del counted[ipaddress.ip_network("172.17.0.0/16")]
        assert counted == {subnet: len(taken) for subnet, (taken, _) in self.model.items()}


NaiveHost.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestNaiveHost = NaiveHost.TestCase


#: The predefined blocks and the size that each is cut to, as Docker documents them.
BLOCKS = [
    *((f"172.{second}.0.0/16", 16) for second in (17, 18, 19)),
    *((f"172.{second}.0.0/14", 16) for second in (20, 24, 28)),
    ("192.168.0.0/16", 20),
]


@st.composite
def subnets_near_the_pools(draw: st.DrawFn) -> Subnet:
    """A subnet that may lie in, around or beside a predefined block."""
    block, _ = draw(st.sampled_from(BLOCKS))
    first = int(ipaddress.ip_network(block)[0]) + draw(st.integers(-(1 << 16), 1 << 18))
    return ipaddress.ip_network((first, draw(st.integers(11, 32))), strict=False)


def candidates(prefixlen: int | None) -> list[Subnet]:
    """Every automatic pool there is, of one size or of the usual ones, in order."""
    found: list[Subnet] = []
    for block, usual in BLOCKS:
        whole = ipaddress.ip_network(block)
        if whole.prefixlen <= (prefixlen or usual):
            found += whole.subnets(new_prefix=prefixlen or usual)
    return found


@settings(deadline=None)
@given(
    st.lists(subnets_near_the_pools(), max_size=6),
    st.lists(subnets_near_the_pools(), max_size=6),
    st.lists(st.none() | st.integers(14, 22), min_size=1, max_size=8),
)
def test_an_automatic_pool_is_the_first_candidate_that_overlaps_nothing(
    on_link: list[Subnet], written: list[Subnet], sizes: list[int | None]
) -> None:
    space = AddressSpace("h1")
    busy = [*on_link, ipaddress.ip_network("172.17.0.0/16")]
    for subnet in written:
        if not any(subnet.overlaps(other) for other in [*space.count_taken()]):
            space.request_pool(PoolConfig(subnet))
            busy.append(subnet)
    for size in sizes:
        free = (one for one in candidates(size) if not any(one.overlaps(other) for other in busy))
        wanted = next(free, None)
        if wanted is None:
            with pytest.raises(DriverRefusal, match="fully subnetted"):
                space.request_automatic(4, on_link, size)
        else:
            assert space.request_automatic(4, on_link, size).subnet == wanted
            busy.append(wanted)


@given(
    st.lists(subnets_near_the_pools(), max_size=4),
    st.lists(st.none() | st.integers(0, 40), min_size=1, max_size=70),
)
def test_in_26_an_automatic_pool_is_the_next_one_in_turn(
    on_link: list[Subnet], steps: list[int | None]
) -> None:
    """The model walks a ring of pools: every pool that was looked at and held for a moment had its turn."""
    space = AddressSpace("h1", DOCKER_26)
    ring = candidates(None)
    held: list[Pool] = []
    at = 0
    for step in steps:
        if step is not None:
            if held:
                space.release_pool(held.pop(step % len(held)))
            continue
        taken = {pool.subnet for pool in held} | {ring[0]}
        chosen = None
        while chosen is None and (free := [one for one in ring[at:] + ring[:at] if one not in taken]):
            steps_on = (ring[at:] + ring[:at]).index(free[0]) + 1
            at = at + steps_on if at + steps_on < len(ring) else 0
            taken.add(free[0])
            if not any(free[0].overlaps(other) for other in on_link):
                chosen = free[0]
        if chosen is None:
            with pytest.raises(DriverRefusal, match="could not find an available"):
                space.request_automatic(4, on_link)
        else:
            held.append(space.request_automatic(4, on_link))
            assert held[-1].subnet == chosen


@given(st.lists(subnets_near_the_pools(), min_size=1, max_size=8))
def test_of_written_subnets_those_are_refused_that_overlap_an_earlier_one(subnets: list[Subnet]) -> None:
    space = AddressSpace("h1")
    kept = [ipaddress.ip_network("172.17.0.0/16")]
    for subnet in subnets:
        # Two subnets overlap when one holds the other's first address.
        is_refused = any(subnet[0] in other or other[0] in subnet for other in kept)
        try:
            space.request_pool(PoolConfig(subnet))
        except DriverRefusal:
            assert is_refused
        else:
            assert not is_refused
            kept.append(subnet)
