"""Containers from creation to removal, by the engine's texts and states."""

from __future__ import annotations

import pytest

from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.state import ContainerState
from ipvlab.errors import DriverRefusal, KernelRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import CREATE, IN_USE, START, TEN, every_dialect, host_of
from tests.unit.driver.recording_port import Host, addresses


def refusal(host: Host, line: str) -> str:
    """What the daemon says to a command that it refuses."""
    result = host.docker(line)
    assert result.exit_code != 0, result
    return result.stderr.partition("Error response from daemon: ")[2].partition("\n")[0]


@pytest.mark.docker("D-IPAM-021")
@every_dialect
def test_a_failed_start_leaves_the_container_created(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} n")
    host.run("--net=n --ip=10.0.0.9 --name=holder")
    text = f"{START[dialect]}{IN_USE}"
    assert refusal(host, "run -itd --net=n --ip=10.0.0.9 --name=c alpine") == text
    container = host.engine.containers["c"]
    assert container.state is ContainerState.CREATED
    assert (container.exit_code, container.error, container.endpoints) == (128, text, [])
    host.ok("rm -f holder")
    host.ok("start c")
    assert (container.state, container.error, container.exit_code) == (ContainerState.RUNNING, "", 0)


@pytest.mark.docker("D-IPAM-021")
@every_dialect
def test_a_failed_start_with_rm_leaves_nothing(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} n")
    host.run("--net=n --ip=10.0.0.9")
    assert refusal(host, "run -d --rm --net=n --ip=10.0.0.9 --name=c alpine").endswith(IN_USE)
    assert "c" not in host.engine.containers


@pytest.mark.docker("D-IPAM-023")
@every_dialect
def test_a_stopped_containers_static_address_may_be_taken(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} n")
    host.run("--net=n --ip=10.0.0.9 --name=c")
    host.ok("stop c")
    host.run("--net=n --ip=10.0.0.9 --name=other")
    assert refusal(host, "start c") == f"{START[dialect]}{IN_USE}"
    with pytest.raises(DriverRefusal) as caught:
        host.engine.start_container("c")
    assert caught.value.status == 403
    container = host.engine.containers["c"]
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 128)
    host.ok("rm -f other")
    host.ok("restart c")
    assert addresses(container) == ["10.0.0.9/24"]


@pytest.mark.docker("D-IPAM-024")
@every_dialect
def test_a_dynamic_address_may_change_across_a_stop(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.254 n")
    container = host.run("--net=n --name=c")
    host.ok("stop c")
    host.run("--net=n")
    host.ok("start c")
    assert addresses(container) == ["10.0.0.2/24"]


@every_dialect
def test_an_unknown_network_is_no_fault_before_the_start(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok("create -it --net=later --name=c alpine")
    with pytest.raises(DriverRefusal) as caught:
        host.engine.start_container("c")
    text = f"{START[dialect]}network later not found"
    assert (caught.value.what, caught.value.status) == (text, 404)
    host.ok(f"{CREATE} --subnet=10.0.7.0/24 --gateway=10.0.7.254 later")
    host.ok("start c")
    assert addresses(host.engine.containers["c"]) == ["10.0.7.1/24"]


def test_settings_are_checked_again_at_the_start(host: Host) -> None:
    host.ok("create -it --net=later --ip=10.0.0.9 --name=c alpine")
    host.ok(f"{CREATE} --subnet=10.0.7.0/24 later")
    with pytest.raises(DriverRefusal) as caught:
        host.engine.start_container("c")
    assert caught.value.status == 400
    assert caught.value.what.endswith("no configured subnet contains IP address 10.0.0.9")


def test_a_network_called_by_its_id_is_known_by_its_name_from_the_start_on(host: Host) -> None:
    network_id = host.ok(f"{TEN} n")
    container = host.run(f"--net={network_id} --name=c")
    assert [join.network for join in container.joins] == ["n"]
    host.ok("network disconnect n c")
    assert container.joins == ()


def test_start_and_stop_of_what_is_so_already_change_nothing(host: Host) -> None:
    host.ok(f"{TEN} n")
    container = host.run("--net=n --name=c")
    started = container.started
    host.ok("start c")
    assert container.started is started
    host.ok("stop c")
    finished = container.finished
    host.ok("stop c")
    assert (container.finished, container.exit_code) == (finished, 137)


def test_rm_refuses_a_running_container(host: Host) -> None:
    host.ok(f"{TEN} n")
    host.run("--net=n --name=c")
    assert refusal(host, "rm c") == (
        'cannot remove container "c": container is running: '
        "stop the container before removing or force remove"
    )
    host.ok("rm -f c")
    assert host.port.containers == {}


def test_a_stop_removes_a_container_with_rm_and_a_restart_does_not(host: Host) -> None:
    host.ok(f"{TEN} n")
    host.run("--rm --net=n --name=c")
    host.ok("restart c")
    assert host.engine.containers["c"].is_running
    host.ok("stop c")
    assert "c" not in host.engine.containers


def test_kill_needs_a_running_container(host: Host) -> None:
    host.ok(f"{TEN} n")
    container = host.run("--net=n --name=c")
    host.ok("kill -s TERM c")
    assert container.is_running  # a shell that is the first process ignores it
    host.ok("kill c")
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 137)
    assert refusal(host, "kill c") == f"cannot kill container: c: container {container.id} is not running"


def test_a_renamed_container_answers_to_its_new_name_only(host: Host) -> None:
    host.ok(f"{TEN} n")
    container = host.run("--net=n --name=old")
    host.run("--net=n --name=taken")
    host.ok("rename old new")
    network = host.engine.networks["n"]
    assert list(host.engine.containers) == ["new", "taken"]
    assert sorted(network.endpoints) == ["new", "taken"]
    assert (network.find_named("new"), network.find_named("old")) == ((container.endpoints[0],), ())
    assert sorted(host.port.containers) == ["new", "taken"]
    assert host.engine.find_container("new") is container
    holder = host.engine.containers["taken"]
    assert refusal(host, "rename new taken") == (
        'Error when allocating new name: Conflict. The container name "/taken" is already in use by '
        f'container "{holder.id}". You have to remove (or rename) that container to be able to '
        "reuse that name."
    )
    same = "Renaming a container with the same name as its current name"
    assert refusal(host, "rename new new") == same
    with pytest.raises(DriverRefusal, match="Neither old nor new names may be empty"):
        host.engine.rename_container("new", "/")
    with pytest.raises(DriverRefusal, match=r"Error when allocating new name: Invalid container name \(_x\)"):
        host.engine.rename_container("new", "_x")
    host.ok("stop new")
    host.ok("rename new again")
    host.ok("start again")


def test_a_stopped_container_changes_its_networks_too(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 one")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 two")
    container = host.run("--net=one --name=c")
    host.ok("stop c")
    host.ok("network connect --ip 10.0.2.9 two c")
    host.ok("network connect two c")  # once more changes nothing
    host.ok("network connect later c")
    host.ok("network disconnect one c")
    assert [(join.network, join.ipv4) for join in container.joins] == [("two", "10.0.2.9"), ("later", None)]
    assert refusal(host, "start c") == f"{START[Dialect.DOCS]}network later not found"
    host.ok("network disconnect later c")
    host.ok("start c")
    assert addresses(container) == ["10.0.2.9/24"]


def test_disconnect_says_what_is_wrong(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 one")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 two")
    container = host.run("--net=one --name=c")
    assert refusal(host, "network disconnect two c") == (
        f"container {container.id} is not connected to network two"
    )
    assert refusal(host, "network disconnect nosuch c") == "network nosuch not found"
    assert refusal(host, "network disconnect -f nosuch c") == (
        f"container {container.id} is not connected to the network nosuch"
    )
    assert refusal(host, "network disconnect one nosuch") == "No such container: nosuch"
    host.ok("stop c")
    assert refusal(host, "network disconnect two c") == (
        f"container {container.id} is not connected to the network two"
    )


def test_a_network_that_went_can_be_left_with_force(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 one")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 two")
    container = host.run("--net=one --name=c")
    host.ok("stop c")
    host.ok("network connect two c")
    host.ok("network rm two")
    host.ok("network disconnect -f two c")
    host.ok("start c")
    assert [endpoint.network.name for endpoint in container.endpoints] == ["one"]


def test_connect_says_what_is_wrong(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 one")
    host.run("--net=one --name=c")
    assert refusal(host, "network connect nosuch c") == "network nosuch not found"
    assert refusal(host, "network connect one nosuch") == "No such container: nosuch"
    assert refusal(host, "network connect one c") == "endpoint with name c already exists in network one"
    assert "have no network 'bridge'" in host.docker("network connect bridge c").stderr
    host.run("--net=none --name=alone")
    assert refusal(host, "network connect one alone") == (
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    )
    host.ok("network disconnect none alone")
    host.ok("network connect one alone")
    assert "in private (none) mode" in refusal(host, "network connect none alone")
    host.ok("network disconnect one alone")
    host.ok("network connect none alone")
    host.ok("restart alone")
    assert host.port.containers["alone"] == {}


def test_a_network_in_use_can_be_removed_once_its_containers_are_stopped(host: Host) -> None:
    host.ok(f"{TEN} n")
    host.run("--net=n --name=c")
    assert "has active endpoints" in refusal(host, "network rm n")
    host.ok("stop c")
    host.ok("network rm n")
    assert refusal(host, "start c") == f"{START[Dialect.DOCS]}network n not found"


def test_prune_takes_what_no_running_container_is_on(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 --label keep=yes -o parent=eth0.10 one")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 two")
    host.ok(f"{CREATE} --subnet=10.0.3.0/24 --label keep=no three")
    host.ok(f"{CREATE} --config-only --subnet=10.0.4.0/24 settings")
    host.run("--net=two --name=c")
    prune = host.docker_host.prune_networks
    assert prune({"label": ("keep=yes",), "label!": ("keep",)}) == []
    assert prune({"label": ("keep=no",)}) == ["three"]
    assert prune({"until": ("1h",)}) == []
    assert prune({"until": ("2026-01-01T00:00:00Z",), "label!": ("keep=yes",)}) == []
    assert prune() == ["one"]
    assert (list(host.engine.networks), "eth0.10" in host.port.links) == (["two", "settings"], False)
    host.ok("stop c")
    assert prune({"until": ("1767225600",)}) == ["two"]


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"dangling": ("true",)}, "invalid filter 'dangling'"),
        ({"until": ("1h", "2h")}, "more than one until filter specified"),
        ({"until": ("soon",)}, 'failed to parse value as time or duration: "soon"'),
    ],
)
def test_a_prune_filter_that_is_none_removes_nothing(
    host: Host, filters: dict[str, tuple[str, ...]], text: str
) -> None:
    host.ok(f"{TEN} n")
    with pytest.raises(DriverRefusal) as caught:
        host.docker_host.prune_networks(filters)
    assert (caught.value.what, caught.value.status) == (text, 400)
    assert list(host.engine.networks) == ["n"]


def test_what_the_kernel_refuses_at_start_is_remembered_too(host: Host) -> None:
    host.ok(f"{TEN} n")
    container = host.engine.create_container(ContainerRequest((EndpointRequest("n"),), name="c"))
    host.port.refusing = {"attach"}
    with pytest.raises(KernelRefusal):
        host.docker_host.start("c")
    assert (container.state, container.error) == (ContainerState.CREATED, "attach failed")
    host.port.refusing = set()
    host.docker_host.start("c")
