"""What an engine has again after a restart (D-PERS), and what it does where its store is full or spoiled."""

from __future__ import annotations

import datetime
import errno
import json
import os
from collections.abc import Callable

import pytest

from ipvlab.driver.engine import Engine
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.state import ContainerState
from ipvlab.driver.store import MemoryStore
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect, Flag
from tests.unit.driver.dialects import CREATE, D26, START, every_dialect, host_of
from tests.unit.driver.recording_port import Host, RecordingPort, addresses, routes

MOMENT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def furnish(host: Host) -> None:
    """Networks of every kind, and a container on some of them."""
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 --gateway=10.0.1.1 --aux-address=x=10.0.1.9 -o parent=eth0 a")
    host.ok(f"{CREATE} -o parent=eth0.20 -o ipvlan_mode=l3 -o ipvlan_flag=vepa --label k=v auto")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 --ip-range=10.0.2.64/26 --subnet=fd02::/64 --ipv6 isolated")
    host.ok(f"{CREATE} --internal --subnet=10.0.3.0/24 quiet")
    host.ok(f"{CREATE} --config-only --subnet=10.0.4.0/24 -o parent=eth1 settings")
    host.ok(f"{CREATE} --config-from settings from")
    host.run("--net=a --name=c --hostname=box -e A=1 --network-alias web")
    host.ok("network connect isolated c")
    host.run("--rm --net=auto --name=gone")


def image(host: Host) -> object:
    """Everything that an engine knows of its networks."""
    return [
        (
            network.name, network.id, network.created, network.request, network.configs, network.options,
            network.parent, network.has_ipv4, network.has_ipv6, network.is_lost,
            [(p.subnet, p.ip_range, p.gateway, p.aux_addresses, p.is_automatic) for p in network.pools],
        )
        for network in host.engine.networks.values()
    ]  # fmt: skip


@pytest.mark.docker("D-PERS-001")
@every_dialect
def test_networks_survive_a_restart_with_everything_they_have(dialect: Dialect) -> None:
    host = host_of(dialect)
    furnish(host)
    before = image(host)
    host.docker_host.restart_engine()
    assert image(host) == before


@every_dialect
def test_containers_are_stopped_by_a_restart_and_may_be_started_again(dialect: Dialect) -> None:
    host = host_of(dialect)
    furnish(host)
    old = host.engine.containers["c"]
    host.docker_host.restart_engine()
    assert host.port.containers == {}
    assert list(host.engine.containers) == ["c"]  # the one with --rm is gone
    container = host.engine.containers["c"]
    assert (container.state, container.exit_code, container.endpoints) == (ContainerState.EXITED, 137, [])
    assert (container.id, container.created, container.hostname, container.request, container.joins) == (
        old.id, old.created, old.hostname, old.request, old.joins,
    )  # fmt: skip
    host.ok("start c")
    assert [endpoint.network.name for endpoint in container.endpoints] == ["a", "isolated"]
    assert host.engine.networks["a"].find_named("WEB") == (container.endpoints[0],)


def test_no_id_comes_twice_over_a_restart(host: Host) -> None:
    ids = set()
    for _ in range(3):
        ids.add(host.ok(f"{CREATE} n"))
        ids.add(host.run("--net=n --name=c").id)
        host.ok("rm -f c")
        host.ok("network rm n")
        host.docker_host.restart_engine()
    assert len(ids) == 6


def test_unnamed_containers_are_counted_on_over_a_restart(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n")
    host.run("--rm --net=n")
    host.docker_host.restart_engine()
    assert host.run("--net=n").name == "h1-3"


@pytest.mark.docker("D-PERS-002")
@every_dialect
def test_a_missing_parent_that_the_driver_can_make_is_made_again(dialect: Dialect) -> None:
    host = host_of(dialect)
    vlan = host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth0.20 vlan")
    isolated = host.ok(f"{CREATE} --subnet=10.0.2.0/24 isolated")
    di = f"di-{isolated[:12]}"
    for link in ("eth0.20", di):
        del host.port.links[link]
    host.port.vlans.clear()
    host.docker_host.restart_engine()
    assert host.port.vlans == {"eth0.20": ("eth0", 20)}
    assert di in host.port.links
    host.run("--net=vlan")
    host.run("--net=isolated")
    host.docker_host.restart_engine()
    host.ok(f"network rm {vlan} {isolated}")
    assert set(host.port.links) == {"lo", "eth0", "eth1"}


@pytest.mark.docker("D-PERS-002")
def test_a_vlan_made_by_hand_that_is_made_again_goes_with_its_network(host: Host) -> None:
    host.port.links["eth0.30"] = True
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth0.30 n")
    del host.port.links["eth0.30"]
    for _ in range(2):
        host.docker_host.restart_engine()
        assert host.port.vlans == {"eth0.30": ("eth0", 30)}
    host.ok("network rm n")
    assert "eth0.30" not in host.port.links


@pytest.mark.docker("D-PERS-003")
@every_dialect
def test_a_network_without_its_hand_made_parent_is_listed_and_can_be_removed(dialect: Dialect) -> None:
    host = host_of(dialect, "foo")
    network_id = host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=foo n")
    host.run("--net=n --name=c")
    host.docker("stop c")
    del host.port.links["foo"]
    host.docker_host.restart_engine()
    assert "n" in host.ok("network ls --format '{{.Name}}'").split()
    [fault] = host.engine.faults
    assert fault.startswith(f"could not create ipvlan network for id {network_id[:7]} from persistent state")
    with pytest.raises(DriverRefusal) as caught:
        host.engine.start_container("c")
    assert caught.value.what == (
        f'{START[dialect]}failed to create endpoint c on network n: network id "{network_id}" not found'
    )
    # The link comes back: only a restart brings the network back.
    host.port.links["foo"] = True
    with pytest.raises(DriverRefusal, match="not found"):
        host.engine.start_container("c")
    host.docker_host.restart_engine()
    host.ok("start c")
    host.ok("rm -f c")
    host.ok("network rm n")
    assert "foo" in host.port.links


@pytest.mark.docker("D-PERS-003")
def test_a_removed_network_is_no_ghost_after_the_next_restart(host: Host) -> None:
    host.port.links["foo"] = True
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=foo n")
    del host.port.links["foo"]
    host.docker_host.restart_engine()
    host.ok("network rm n")
    host.port.links["foo"] = True
    host.docker_host.restart_engine()
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=foo again")


@pytest.mark.docker("D-PERS-003")
def test_a_parent_that_the_kernel_refuses_leaves_its_network_listed(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth0.20 n")
    del host.port.links["eth0.20"]
    host.port.refusing = {"add_vlan"}
    host.docker_host.restart_engine()
    assert (host.engine.networks["n"].is_lost, len(host.engine.faults)) == (True, 1)
    host.port.refusing = set()
    host.docker_host.restart_engine()
    assert (host.engine.networks["n"].is_lost, host.engine.faults) == (False, ())


@pytest.mark.docker("D-PERS-004")
@every_dialect
def test_with_live_restore_running_containers_keep_what_they_have(dialect: Dialect) -> None:
    host = host_of(dialect)
    furnish(host)
    old = host.engine.containers["c"]
    before = (addresses(old), routes(old), [(e.id, e.interface) for e in old.endpoints])
    machine = host.port.snapshot()
    held = host.engine.held_addresses()
    host.docker_host.restart_engine(keeps_running=True)
    container = host.engine.containers["c"]
    assert container.is_running
    assert (
        addresses(container),
        routes(container),
        [(e.id, e.interface) for e in container.endpoints],
    ) == before
    assert (host.port.snapshot(), host.engine.held_addresses()) == (machine, held)
    taken = {address for each in host.engine.containers.values() for address in addresses(each)}
    assert taken.isdisjoint(addresses(host.run("--net=a")))
    assert (
        host.docker("run -d --rm --net=a --ip=" + addresses(container)[0][:-3] + " alpine").exit_code == 125
    )
    host.ok("network disconnect isolated c")
    host.ok("rm -f c gone")


@pytest.mark.docker("D-PERS-005")
def test_a_record_without_a_flag_is_that_of_a_bridge() -> None:
    port, store = RecordingPort(), MemoryStore()
    Engine("h1", port, store=store).create_network(
        NetworkRequest(
            "n", "ipvlan", {"parent": "eth0", "ipvlan_flag": "vepa"}, (PoolRequest("10.0.0.0/24"),)
        )
    )
    [name] = [name for name in store.names() if name.startswith("network-")]
    record = json.loads(store.read(name) or b"")
    assert record.pop("IpvlanFlag") == "vepa"
    store.write(name, json.dumps(record).encode())
    engine = Engine("h1", port, store=store)
    assert engine.networks["n"].options.flag is Flag.BRIDGE
    container = engine.run_container(ContainerRequest((EndpointRequest("n"),)))
    assert container.endpoints[0].plan.flag is Flag.BRIDGE


@pytest.mark.docker("D-PERS-006")
@every_dialect
def test_a_restored_network_holds_its_parent_and_its_subnet(dialect: Dialect) -> None:
    host = host_of(dialect)
    first = host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth0 n")
    host.docker_host.restart_engine()
    again = host.refused(f"{CREATE} --subnet=10.0.2.0/24 -o parent=eth0 other")
    assert again == f"network di-{first[:12]} is already using parent interface eth0"
    assert "Pool overlaps" in host.refused(f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth1 other")


def test_26_goes_on_without_a_prefix_after_a_restart() -> None:
    host = host_of(D26)
    host.ok("create --net=nosuch --name=c alpine")
    host.docker_host.restart_engine()
    assert host.engine.row.dialect is D26


class Full(MemoryStore):
    """A store without room; ``is_full`` says since when."""

    is_full = False

    def write(self, name: str, content: bytes) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(name, content)


def test_a_full_store_undoes_what_cannot_be_written_down() -> None:
    port, store = RecordingPort(), Full()
    engine = Engine("h1", port, store=store)
    request = NetworkRequest("n", "ipvlan", {"parent": "eth0.20"}, (PoolRequest("10.0.0.0/24"),))
    network = engine.create_network(request)
    container = engine.create_container(ContainerRequest((EndpointRequest("n"),), name="c"))
    store.is_full = True
    before = port.snapshot()

    def refused(act: Callable[[], object]) -> tuple[str, int]:
        with pytest.raises(DriverRefusal) as caught:
            act()
        return caught.value.what, caught.value.status

    other = NetworkRequest("m", "ipvlan", {"parent": "eth0.30"}, (PoolRequest("10.0.1.0/24"),))
    assert refused(lambda: engine.create_network(other)) == (
        "failed to save network m: no space left on device", 500,
    )  # fmt: skip
    text = "failed to save container c: no space left on device"
    assert refused(lambda: engine.start_container("c")) == (text, 500)
    assert refused(lambda: engine.rename_container("c", "d")) == (
        "failed to save container d: no space left on device", 500,
    )  # fmt: skip
    assert refused(lambda: engine.connect("x", "c", EndpointRequest("x"))) == (text, 500)
    assert refused(lambda: engine.create_container(ContainerRequest((EndpointRequest("n"),)))) == (
        "failed to save container h1-1: no space left on device", 500,
    )  # fmt: skip
    assert (port.snapshot(), list(engine.networks), list(engine.containers)) == (before, ["n"], ["c"])
    assert (container.state, len(network.pools[0].addresses)) == (ContainerState.CREATED, 3)
    # What needs no room works, and what is removed stays so.
    engine.remove_container("c")
    engine.remove_network("n")
    assert Engine("h1", port, store=store).networks == {}


def test_a_stop_while_the_store_is_full_is_written_down_later() -> None:
    port, store = RecordingPort(), Full()
    engine = Engine("h1", port, store=store)
    engine.create_network(NetworkRequest("n", "ipvlan", {}, (PoolRequest("10.0.0.0/24"),)))
    engine.run_container(ContainerRequest((EndpointRequest("n"),), name="c"))
    store.is_full = True
    engine.stop_container("c", 3)
    assert port.containers == {}
    with pytest.raises(DriverRefusal, match="no space left on device"):
        engine.restart()
    assert engine.containers["c"].exit_code == 3  # nothing was dropped
    store.is_full = False
    engine.restart()
    container = engine.containers["c"]
    assert (container.state, container.exit_code, container.endpoints) == (ContainerState.EXITED, 3, [])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"order": 1}', b"\xff", b'{"order":1,"name":"n","ID":"x"}', b"null"],
)
@pytest.mark.parametrize("kind", ["network", "container"])
def test_a_spoiled_record_costs_only_what_it_was_about(kind: str, content: bytes) -> None:
    port, store = RecordingPort(), MemoryStore()
    engine = Engine("h1", port, store=store)
    engine.create_network(NetworkRequest("n", "ipvlan", {}, (PoolRequest("10.0.0.0/24"),)))
    store.write(f"{kind}-0", content)
    store.write("host", content)
    engine.restart()
    assert list(engine.networks) == ["n"]
    assert any(f"record {kind}-0 cannot be read" in fault for fault in engine.faults)
