"""Docker's SDK for Python (PyPI's ``docker``) against a host's Engine API, Compose's requests included."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from tests.netns.engine_place import EnginePlace, engine_place

#: The SDK closes the sockets of streams by halves and leaves the rest to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed.*socket:ResourceWarning", "ignore:Exception ignored in.*socket"
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[EnginePlace]:
    """Two hosts, each behind its API."""
    with engine_place(tmp_path) as made:
        yield made


@pytest.fixture
def client(place: EnginePlace) -> Iterator[docker.DockerClient]:
    """A client of ``h1``."""
    made = docker.DockerClient(base_url=f"unix://{place.path()}", timeout=60)
    yield made
    made.close()
    # What it leaves is found now, and not in another test.
    gc.collect()


def make_network(client: docker.DockerClient, name: str = "db_net", parent: str = "eth0") -> Network:
    pool = IPAMPool(subnet="192.168.1.0/24", gateway="192.168.1.1")
    return client.networks.create(
        name, driver="ipvlan", ipam=IPAMConfig(pool_configs=[pool]), options={"parent": parent}
    )


def test_the_version_is_negotiated(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.version()["ApiVersion"] == "1.50"
    assert client.info()["Name"] == "h1"
    assert client.df()["Containers"] == []


def test_networks_are_made_listed_and_removed(client: docker.DockerClient) -> None:
    network = make_network(client)
    assert [each.name for each in client.networks.list(filters={"driver": "ipvlan"})] == ["db_net"]
    assert [each.name for each in client.networks.list(names=["db"])] == ["db_net"]
    assert client.networks.get(network.id[:12]).attrs["Options"] == {"parent": "eth0"}
    with pytest.raises(APIError) as refused:
        make_network(client)
    assert (refused.value.status_code, refused.value.explanation) == (
        409,
        "network with name db_net already exists",
    )
    assert client.networks.prune() == {"NetworksDeleted": ["db_net"]}
    with pytest.raises(NotFound):
        client.networks.get("db_net")


def test_containers_run_and_what_they_write_is_returned(client: docker.DockerClient) -> None:
    make_network(client)
    written = client.containers.run(
        "alpine", ["sh", "-c", "echo out; hostname"], network="db_net", remove=True
    )
    assert written.splitlines()[0] == b"out"
    with pytest.raises(docker.errors.ContainerError) as failed:
        client.containers.run("alpine", ["sh", "-c", "echo no >&2; exit 3"], network="db_net", remove=True)
    assert (failed.value.exit_status, failed.value.stderr) == (3, b"no\n")
    assert client.containers.list(all=True) == []


def test_a_container_lives_and_is_acted_on(client: docker.DockerClient) -> None:
    make_network(client)
    container = client.containers.run(
        "alpine", ["sh", "-c", "echo up; sleep 1000; true"], network="db_net", detach=True, name="c1",
        labels={"a": "b"}, environment={"A": "1"}, tty=False,
    )  # fmt: skip
    assert container.status in ("created", "running")
    container.reload()
    assert container.status == "running"
    logs = container.logs(stream=True, follow=True)
    assert next(logs) == b"up\n"
    logs.close()
    assert container.exec_run(["sh", "-c", "echo $B; exit 4"], environment={"B": "2"}) == (4, b"2\n")
    assert (
        container.exec_run("cat /etc/hostname", demux=True).output[0].strip() == container.short_id.encode()
    )
    assert next(row[-1] for row in container.top()["Processes"]).startswith("sh -c")
    assert [each.name for each in client.containers.list(filters={"label": "a=b"})] == ["c1"]
    container.rename("c2")
    container.stop(timeout=1)
    assert container.wait()["StatusCode"] in (137, 143)
    container.start()
    container.kill()
    container.restart(timeout=0)
    with pytest.raises(APIError) as refused:
        container.remove()
    assert refused.value.status_code == 409
    container.remove(force=True)
    with pytest.raises(NotFound):
        client.containers.get("c2")


def test_an_exec_socket_carries_both_ways(client: docker.DockerClient) -> None:
    make_network(client)
    client.containers.run(
        "alpine", "/bin/sh", network="db_net", detach=True, tty=True, stdin_open=True, name="c1"
    )
    made = client.api.exec_create("c1", ["cat"], stdin=True, tty=False)
    stream = client.api.exec_start(made, socket=True)
    sock = stream._sock
    sock.sendall(b"both ways")
    sock.shutdown(socket.SHUT_WR)
    read = b""
    while piece := sock.recv(1000):
        read += piece
    stream.close()
    sock.close()
    assert read == b"\1\0\0\0\0\0\0\x09both ways"
    assert client.api.exec_inspect(made)["ExitCode"] == 0


def test_networks_are_joined_and_left_while_the_container_runs(client: docker.DockerClient) -> None:
    first = make_network(client)
    second = client.networks.create("second", driver="ipvlan", internal=True)
    container = client.containers.run("alpine", "sleep 1000", network="db_net", detach=True, name="c1")
    second.connect(container, aliases=["web"])
    container.reload()
    assert set(container.attrs["NetworkSettings"]["Networks"]) == {"db_net", "second"}
    assert container.exec_run("ip -o link show eth1").exit_code == 0
    first.disconnect(container)
    first.reload()
    assert first.attrs["Containers"] == {}
    second.disconnect(container, force=True)
    with pytest.raises(APIError) as refused:
        first.connect("nosuch")
    assert refused.value.status_code == 404


def test_events_are_streamed_as_they_happen(client: docker.DockerClient) -> None:
    stream = client.events(decode=True, filters={"type": "network"})
    network = make_network(client)
    event = next(stream)
    assert (event["Type"], event["Action"], event["Actor"]["ID"]) == ("network", "create", network.id)
    network.remove()
    assert next(stream)["Action"] == "destroy"
    stream.close()


def test_images_are_there_once_pulled(client: docker.DockerClient) -> None:
    with pytest.raises(ImageNotFound):
        client.images.get("tool:1")
    assert client.images.pull("tool", tag="1").tags == ["tool:1"]
    assert [image.tags for image in client.images.list()] == [["tool:1"]]
    client.images.remove("tool:1")
    assert client.images.list() == []


def test_the_requests_of_compose_make_its_project(client: docker.DockerClient) -> None:
    labels = {"com.docker.compose.project": "p", "com.docker.compose.network": "front"}
    pools = [IPAMPool(subnet="10.1.0.0/24", gateway="10.1.0.254"), IPAMPool(subnet="10.2.0.0/24")]
    client.networks.create(
        "p_front", driver="ipvlan", options={"parent": "eth0.50", "ipvlan_mode": "l3"},
        ipam=IPAMConfig(driver="default", pool_configs=pools), labels=labels, check_duplicate=True,
    )  # fmt: skip
    assert [
        each.name for each in client.networks.list(filters={"label": "com.docker.compose.project=p"})
    ] == ["p_front"]
    config = {
        "p_front": client.api.create_endpoint_config(
            aliases=["web", "p-web-1"], ipv4_address="10.1.0.5", link_local_ips=["169.254.9.9"]
        )
    }
    made = client.api.create_container(
        "alpine",
        ["sleep", "1000"],
        name="p-web-1",
        labels={**labels, "com.docker.compose.service": "web"},
        host_config=client.api.create_host_config(network_mode="p_front", restart_policy={"Name": "always"}),
        networking_config={"EndpointsConfig": config},
    )
    assert "RestartPolicy" in made["Warnings"][0]
    client.api.start(made)
    shown = client.api.inspect_container(made)
    place = shown["NetworkSettings"]["Networks"]["p_front"]
    assert (place["IPAddress"], place["Aliases"]) == ("10.1.0.5", ["web", "p-web-1"])
    assert client.networks.get("p_front").attrs["IPAM"]["Config"] == [
        {"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.254"},
        {"Subnet": "10.2.0.0/24"},
    ]
    assert client.containers.get("p-web-1").exec_run("ip -4 -o addr show eth0").output.count(b"inet ") == 2
    client.api.remove_container(made, force=True, v=True)
    client.networks.get("p_front").remove()


def test_an_old_client_may_not_join_several_networks_at_once(place: EnginePlace) -> None:
    old = docker.DockerClient(base_url=f"unix://{place.path()}", version="1.43")
    config = {name: old.api.create_endpoint_config() for name in ("a", "b")}
    with pytest.raises(APIError) as refused:
        old.api.create_container("alpine", networking_config={"EndpointsConfig": config})
    old.close()
    assert (refused.value.status_code, refused.value.explanation) == (
        400,
        "Container cannot be created with multiple network endpoints: a, b",
    )
