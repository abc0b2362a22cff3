"""The life of networks and containers: names, ids, states, and nothing left of what failed."""

from __future__ import annotations

import pytest

from ipvlab.driver.engine import Engine
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.state import ContainerState
from ipvlab.errors import DriverRefusal, KernelRefusal
from tests.unit.driver.recording_port import Host, RecordingPort, addresses

CREATE = "network create -d ipvlan --subnet=10.0.0.0/24 -o parent=eth0"


@pytest.mark.parametrize("name", ["bridge", "host", "none", "default"])
def test_a_reserved_name_is_refused(host: Host, name: str) -> None:
    text = host.refused(f"network create -d ipvlan {name}")
    assert text == f"operation is not permitted on predefined {name} network "


def test_a_name_is_used_once(host: Host) -> None:
    host.ok(f"{CREATE} n")
    assert host.refused("network create -d ipvlan n") == "network with name n already exists"


def test_a_blank_name_is_refused(host: Host) -> None:
    assert host.refused("network create -d ipvlan ' '") == "invalid name: name is empty"


def test_a_faulty_subnet_is_told_before_a_name_in_use(host: Host) -> None:
    host.ok(f"{CREATE} n")
    assert "it should be" in host.refused("network create -d ipvlan --subnet=10.0.9.1/24 n")


def test_another_driver_than_ipvlan_is_refused(host: Host) -> None:
    assert "no network driver 'bridge'" in host.refused("network create n")
    assert "no network driver 'macvlan'" in host.refused("network create -d macvlan n")


@pytest.mark.parametrize("refused", ["add_isolated", "add_vlan"])
def test_a_kernel_that_refuses_the_parent_leaves_nothing(host: Host, refused: str) -> None:
    host.port.refusing = {refused}
    parent = "" if refused == "add_isolated" else "-o parent=eth0.20"
    host.refused(f"network create -d ipvlan --subnet=10.0.0.0/24 {parent} n")
    host.port.refusing = set()
    host.ok(f"network create -d ipvlan --subnet=10.0.0.0/24 {parent} n")


def test_a_link_that_was_made_and_not_set_up_is_removed_again() -> None:
    class HalfPort(RecordingPort):
        def add_vlan(self, name: str, base: str, vlan: int) -> None:
            super().add_vlan(name, base, vlan)
            raise KernelRefusal("cannot set it up", errno=100)

    port = HalfPort()
    before = port.snapshot()
    request = NetworkRequest("n", "ipvlan", {"parent": "eth0.20"}, (PoolRequest("10.0.0.0/24"),))
    with pytest.raises(DriverRefusal, match=r"failed to create eth0\.20 vlan link: network is down"):
        Engine("h1", port).create_network(request)
    assert port.snapshot() == before


def test_a_failed_second_pool_gives_the_first_one_back(host: Host) -> None:
    host.ok("network create -d ipvlan --subnet=10.9.0.0/24 other")
    host.refused("network create -d ipvlan --subnet=10.0.0.0/24 --subnet=10.9.0.0/16 n")
    host.ok("network create -d ipvlan --subnet=10.0.0.0/24 n")


@pytest.mark.parametrize("refused", ["add_container", "attach"])
def test_a_kernel_that_refuses_a_container_leaves_nothing(host: Host, refused: str) -> None:
    host.ok(f"{CREATE} n")
    host.port.refusing = {refused}
    assert host.refused("run --net=n --name=c alpine") == f"{refused} failed"
    host.port.refusing = set()
    assert addresses(host.run("--net=n --name=c")) == ["10.0.0.2/24"]


def test_a_refused_second_interface_takes_the_first_one_with_it(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.ok("network create -d ipvlan --subnet=10.0.1.0/24 m")
    host.port.refusing, host.port.attaches_allowed = {"attach"}, 1
    assert host.refused("run --net=n --net=m --name=c alpine") == "attach failed"


def test_a_refused_second_network_gives_the_first_ones_address_back(host: Host) -> None:
    host.ok(f"{CREATE} n")
    assert host.refused("run --net=n --net=nosuch --name=c alpine") == (
        "failed to set up container networking: network nosuch not found"
    )


def test_a_container_name_is_used_once_until_it_is_removed(host: Host) -> None:
    host.ok(f"{CREATE} n")
    first = host.ok("run -itd --net=n --name=c alpine")
    assert host.refused("run --net=n --name=c alpine") == (
        f'Conflict. The container name "/c" is already in use by container "{first}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    host.ok("rm -f c")
    host.run("--net=n --name=c")


@pytest.mark.parametrize("name", ["-c", "a/b", "ä", "a b"])
def test_a_container_name_has_dockers_letters(host: Host, name: str) -> None:
    host.ok(f"{CREATE} n")
    assert "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in host.refused(f"run --net=n '--name={name}' alpine")


def test_unnamed_containers_are_counted_per_host(host: Host) -> None:
    host.ok(f"{CREATE} n")
    names = [host.run("--net=n").name]
    host.run("--net=n --name=named")
    host.refused("run --net=nosuch alpine")  # it was created as h1-2
    names.append(host.run("--net=n").name)
    host.ok("rm -f h1-1")
    names.append(host.run("--net=n").name)
    assert names == ["h1-1", "h1-3", "h1-4"]


def test_a_name_that_looks_like_a_number_is_passed_over(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=h1-1")
    assert host.run("--net=n").name == "h1-2"


def test_ids_are_the_same_every_time_and_differ_by_host_and_use() -> None:
    def ids(name: str) -> list[str]:
        host = Host(name=name)
        created = [host.ok(f"{CREATE} n"), host.ok("run -itd --net=n --name=c alpine")]
        host.ok("rm -f c")
        return [*created, host.ok("run -itd --net=n --name=c alpine")]

    first = ids("h1")
    assert ids("h1") == first
    assert not set(first) & set(ids("h2"))
    assert len(set(first)) == 3
    assert all(len(one) == 64 and int(one, 16) for one in first)


def test_networks_and_containers_are_found_by_id_name_and_prefix(host: Host) -> None:
    network_id = host.ok(f"{CREATE} n")
    container_id = host.ok("run -itd --net=n --name=c alpine")
    engine = host.engine
    for reference in (network_id, "n", network_id[:5]):
        assert engine.inspect_network(reference).name == "n"
    for reference in (container_id, "c", "/c", container_id[:12]):
        assert engine.find_container(reference).name == "c"
    assert host.run(f"--net={network_id[:12]}").endpoints[0].network.name == "n"


def test_a_name_wins_over_the_beginning_of_an_id(host: Host) -> None:
    network_id = host.ok(f"{CREATE} n")
    host.ok(f"network create -d ipvlan {network_id[:4]}")
    assert host.engine.inspect_network(network_id[:4]).name == network_id[:4]


def test_an_ambiguous_or_unknown_reference_is_refused(host: Host) -> None:
    for number in range(17):
        host.ok(f"network create -d ipvlan --subnet=10.1.{number}.0/24 n{number}")
    ids = [network.id for network in host.engine.networks.values()]
    twice = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)
    count = sum(one[0] == twice for one in ids)
    with pytest.raises(DriverRefusal) as caught:
        host.engine.inspect_network(twice)
    assert caught.value.what == (f"network {twice} is ambiguous ({count} matches found based on ID prefix)")
    assert caught.value.status == 400
    with pytest.raises(DriverRefusal, match="network  not found"):
        host.engine.inspect_network("")
    with pytest.raises(DriverRefusal, match="No such container: x") as caught:
        host.engine.find_container("x")
    assert caught.value.status == 404


def test_a_network_in_use_is_not_removed(host: Host) -> None:
    host.ok(f"{CREATE} n")
    first, second = host.run("--net=n --name=a"), host.run("--net=n --name=b")
    with pytest.raises(DriverRefusal) as caught:
        host.engine.remove_network("n")
    assert caught.value.status == 403
    assert caught.value.what == (
        "error while removing network: network n has active endpoints "
        f'(name:"a" id:"{first.endpoints[0].id[:12]}", name:"b" id:"{second.endpoints[0].id[:12]}")'
    )
    host.ok("rm -f a b")
    host.ok("network rm n")


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_a_predefined_network_is_not_removed(host: Host, name: str) -> None:
    with pytest.raises(DriverRefusal) as caught:
        host.engine.remove_network(name)
    assert (caught.value.what, caught.value.status) == (
        f"{name} is a pre-defined network and cannot be removed",
        403,
    )


def test_stopping_takes_namespace_and_addresses_and_keeps_the_record(host: Host) -> None:
    host.ok(f"{CREATE} n")
    container = host.run("--net=n --name=c")
    host.ok("stop c")
    assert host.port.containers == {}
    assert host.engine.containers["c"].state is ContainerState.EXITED
    assert container.endpoints == []
    assert addresses(host.run("--net=n --name=d")) == ["10.0.0.2/24"]
    host.ok("stop c")
    host.ok("rm c")
    assert set(host.engine.containers) == {"d"}


def test_stopping_a_container_with_rm_removes_it(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--rm --net=n --name=c")
    host.ok("stop c")
    assert host.engine.containers == {}


def test_a_running_container_is_removed_only_by_force(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=c")
    with pytest.raises(DriverRefusal) as caught:
        host.engine.remove_container("c")
    assert caught.value.status == 409
    assert caught.value.what == (
        'cannot remove container "c": container is running: '
        "stop the container before removing or force remove"
    )
    host.engine.remove_container("c", force=True)
    assert host.port.containers == {}


def test_the_views_of_an_engine_cannot_be_written(host: Host) -> None:
    host.ok(f"{CREATE} n")
    with pytest.raises(TypeError):
        host.engine.networks["m"] = host.engine.networks["n"]  # type: ignore[index]  # that is the point


def test_the_same_plans_come_from_requests_as_from_command_lines(host: Host) -> None:
    host.ok(f"{CREATE} n")
    typed = host.run("--net=n --ip=10.0.0.9 --network-alias=db --name=c")
    other = Host("eth1")
    other.engine.create_network(
        NetworkRequest("n", "ipvlan", {"parent": "eth0"}, (PoolRequest("10.0.0.0/24"),))
    )
    request = ContainerRequest((EndpointRequest("n", ipv4="10.0.0.9", aliases=("db",)),), name="c")
    asked = other.engine.run_container(request)
    assert asked.endpoints[0].plan == typed.endpoints[0].plan
    assert asked.endpoints[0].names == typed.endpoints[0].names
    assert asked.id == typed.id
