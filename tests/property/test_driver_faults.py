"""Whatever step the machine refuses, engine and machine agree afterwards, and nothing is lost."""

from __future__ import annotations

import dataclasses
import datetime
import errno
import functools
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.engine import Engine
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.store import MemoryStore
from ipvlab.driver.workloads import PortWorkloads
from ipvlab.errors import DriverRefusal, KernelRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import RecordingPort

#: ``remove_link`` is not among them: a parent that the kernel does not let go is left (delVlanLink).
_CHANGES = frozenset(
    {"add_vlan", "add_isolated", "add_container", "remove_container", "rename_container",
     "set_sysctls", "change_routes", "attach", "detach"}
)  # fmt: skip
MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@dataclasses.dataclass
class FailingPort(RecordingPort):
    """A machine that refuses the change after so many, and no other."""

    changes_left: int = -1

    def __getattribute__(self, name: str) -> object:
        method = super().__getattribute__(name)
        return functools.partial(self._change, method) if name in _CHANGES else method

    def _change(self, method: Callable[..., None], *arguments: object) -> None:
        if self.changes_left == 0:
            self.changes_left = -1
            raise KernelRefusal("the machine refuses", errno=errno.EBUSY)
        self.changes_left -= 1
        method(*arguments)


class FullStore(MemoryStore):
    """A store that has room for so many writes more."""

    writes_left = -1

    def write(self, name: str, content: bytes) -> None:
        if self.writes_left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.writes_left -= 1
        super().write(name, content)


class World:
    """A host with four networks and three containers, and what may be done to it."""

    def __init__(self) -> None:
        self.port = FailingPort()
        self.port.links["eth1"] = True
        self.store = FullStore()
        self.engine = Engine("h1", self.port, Dialect.DOCS, clock=lambda: MOMENT, store=self.store)
        self.host = DockerHost(self.engine, PortWorkloads(self.port.execute, lambda: MOMENT))
        for name, parent, subnets in (
            ("a", "eth0.10", ["10.0.1.0/24"]),
            ("b", "eth0.20", ["10.0.2.0/24", "fd02::/64"]),
            ("c", "eth1", ["10.0.3.0/24", "fd03::/64"]),
            ("d", "", ["10.0.4.0/24"]),
        ):
            self.network(name, parent, *subnets)
        sysctls = {"net.ipv4.ip_forward": "1"}
        self.host.create(ContainerRequest(_joins("a", "b"), name="one", sysctls=sysctls))
        self.host.run(ContainerRequest(_joins("d"), name="two"))
        self.host.run(ContainerRequest(_joins("c", "a"), name="three", is_auto_remove=True))

    def network(self, name: str, parent: str, *subnets: str) -> None:
        """Create a network."""
        self.host.create_network(
            NetworkRequest(
                name,
                "ipvlan",
                {"parent": parent} if parent else {},
                tuple(PoolRequest(subnet) for subnet in subnets),
            )
        )

    def act(self, deed: tuple[str, ...]) -> None:
        """Do one thing."""
        verb, *names = deed
        match verb:
            case "start":
                self.host.start(names[0])
            case "stop":
                self.host.stop(names[0])
            case "connect":
                priority = 1 if names[0] > "b" else 0
                self.host.connect(names[0], names[1], EndpointRequest(names[0], gw_priority=priority))
            case "disconnect":
                self.host.disconnect(names[0], names[1])
            case "rename":
                self.host.rename(names[0], "other")
            case "remove":
                self.host.remove(names[0], force=True)
            case "create":
                self.network("e", names[0], "10.0.5.0/24")
            case "drop":
                self.host.remove_network(names[0])

    def image(self) -> object:
        """Everything that is to be as it was after a refusal."""
        return (
            self.port.snapshot(),
            {
                name: (network.id, network.parent, sorted(network.endpoints))
                for name, network in self.engine.networks.items()
            },
            {
                name: (
                    container.id,
                    container.state,
                    container.joins,
                    [(e.id, e.network.name, e.interface, e.plan) for e in container.endpoints],
                )
                for name, container in self.engine.containers.items()
            },
            self.engine.held_addresses(),
        )

    def check(self) -> None:
        """Engine and machine agree: what one says is there, the other has, and no more."""
        running = {c.name: c for c in self.engine.containers.values() if c.is_running}
        assert self.port.containers == {
            name: {endpoint.interface: endpoint.plan for endpoint in container.endpoints}
            for name, container in running.items()
        }
        parents = {network.parent.link for network in self.engine.networks.values()}
        assert set(self.port.links) == {"lo", "eth0", "eth1"} | parents
        taken = dict.fromkeys(self.engine.held_addresses(), 0)
        for network in self.engine.networks.values():
            assert sorted(network.endpoints) == sorted(
                name for name, c in running.items() if any(e.network is network for e in c.endpoints)
            )
            for endpoint in network.endpoints.values():
                assert network.find_named(endpoint.container.name) == (endpoint,)
                for lease in endpoint.leases:
                    assert lease.interface.ip in lease.pool.addresses
                    taken[lease.pool.subnet] += 1
            for pool in network.pools:
                ends = 1 if pool.subnet.version == 6 else 2
                assert self.engine.held_addresses()[pool.subnet] == (
                    taken[pool.subnet] + ends + (pool.gateway is not None)
                )
        for container in self.engine.containers.values():
            assert container.is_running or not container.endpoints

    def reload(self) -> object:
        """What another engine makes of the same store and machine."""
        before = self.image()
        self.engine.restart()
        return before


def _joins(*networks: str) -> tuple[EndpointRequest, ...]:
    return tuple(EndpointRequest(network) for network in networks)


_NAMES = st.sampled_from(["one", "two", "three"])
_NETWORKS = st.sampled_from(["a", "b", "c", "d", "e"])
_DEEDS = st.one_of(
    st.tuples(st.sampled_from(["start", "stop", "rename", "remove"]), _NAMES),
    st.tuples(st.sampled_from(["connect", "disconnect"]), _NETWORKS, _NAMES),
    st.tuples(st.just("create"), st.sampled_from(["eth0.30", "eth0", ""])),
    st.tuples(st.just("drop"), _NETWORKS),
)


@given(st.lists(_DEEDS, max_size=6), _DEEDS, st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_a_step_that_the_kernel_refuses_is_undone_whole(
    before: list[tuple[str, ...]], deed: tuple[str, ...], step: int
) -> None:
    world = World()
    for each in before:
        _attempt(world, each)
        world.check()
    image = world.image()
    world.port.changes_left = step
    is_done = _attempt(world, deed)
    world.port.changes_left = -1
    world.check()
    if not is_done:
        assert world.image() == image
    assert world.reload() == world.image()
    world.check()


@given(st.lists(_DEEDS, max_size=6), _DEEDS, st.integers(0, 2))
@settings(max_examples=100, deadline=None)
def test_a_change_that_cannot_be_written_down_is_undone_whole(
    before: list[tuple[str, ...]], deed: tuple[str, ...], writes: int
) -> None:
    world = World()
    for each in before:
        _attempt(world, each)
    image = world.image()
    world.store.writes_left = writes
    is_done = _attempt(world, deed)
    world.check()
    if not is_done:
        assert world.image() == image
    # There is room again: nothing that happened meanwhile is lost.
    world.store.writes_left = -1
    assert world.reload() == world.image()
    world.check()


def _attempt(world: World, deed: tuple[str, ...]) -> bool:
    try:
        world.act(deed)
    except (DriverRefusal, KernelRefusal):
        return False
    return True
