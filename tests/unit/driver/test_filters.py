"""``--filter``: which networks and containers it leaves, and which filters are none."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ipvlab.driver.api_json import networks_json
from ipvlab.driver.filters import filter_containers, filter_networks
from ipvlab.errors import DriverRefusal
from tests.unit.driver.recording_port import Host


@pytest.fixture
def host() -> Host:
    host = Host("eth1")
    host.ok("network create -d ipvlan --label tier=back --label keep n1")
    host.ok("network create -d ipvlan --label tier=front n2")
    host.run("--net n1 --name a --label tier=back")
    host.ok("run -itd --net n2 --name b busybox:1.36")
    host.ok("create --net n1 --name c alpine:latest")
    host.run("--net n1 --name d")
    host.ok("stop d")
    return host


def networks(host: Host, filters: Mapping[str, str]) -> list[object]:
    wanted = {name: tuple(values.split()) for name, values in filters.items()}
    return [view["Name"] for view in filter_networks(host.engine, networks_json(host.engine), wanted)]


def containers(
    host: Host, filters: Mapping[str, str], *, shows_all: bool = True, last: int | None = None
) -> str:
    wanted = {name: tuple(values.split()) for name, values in filters.items()}
    found = filter_containers(host.engine, wanted, shows_all=shows_all, last=last)
    return "".join(container.name for container in found)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "bridge host none n1 n2"),
        ({"driver": "ipvlan"}, "n1 n2"),
        ({"driver": "ipvlan host"}, "host n1 n2"),
        ({"driver": "macvlan"}, ""),
        ({"name": "n1"}, "n1"),
        ({"name": "n"}, "none n1 n2"),
        ({"name": "^n[0-9]$"}, "n1 n2"),
        ({"name": "["}, ""),
        ({"label": "tier"}, "n1 n2"),
        ({"label": "tier keep"}, "n1"),
        ({"label": "tier=front"}, "n2"),
        ({"type": "builtin"}, "bridge host none"),
        ({"type": "custom"}, "n1 n2"),
        ({"type": "custom builtin"}, "bridge host none n1 n2"),
        ({"dangling": "true"}, ""),
        ({"dangling": "0"}, "bridge host none n1 n2"),
        ({"scope": "swarm"}, ""),
        ({"scope": "local", "driver": "null"}, "none"),
    ],
)
def test_networks_are_filtered_as_docker_does(host: Host, filters: dict[str, str], names: str) -> None:
    assert networks(host, filters) == names.split()


def test_a_network_dangles_when_nothing_that_runs_is_on_it(host: Host) -> None:
    host.ok("rm -f b")
    assert networks(host, {"dangling": "true"}) == ["n2"]


def test_ids_are_matched_by_any_part(host: Host) -> None:
    id_ = host.engine.networks["n1"].id
    assert networks(host, {"id": id_[:12]}) == ["n1"]
    assert containers(host, {"id": host.engine.containers["a"].id[:20]}) == "a"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "dcba"),
        ({"name": "a"}, "a"),
        ({"name": "^/[ab]$"}, "ba"),
        ({"status": "running"}, "ba"),
        ({"status": "created exited"}, "dc"),
        ({"exited": "137"}, "d"),
        ({"exited": "0"}, ""),
        ({"network": "n1"}, "dca"),
        ({"network": "n2 n1"}, "dcba"),
        ({"network": "nosuch"}, ""),
        ({"ancestor": "alpine"}, "dca"),
        ({"ancestor": "busybox:1.36"}, "b"),
        ({"label": "tier=back"}, "a"),
        ({"before": "c"}, "ba"),
        ({"since": "b"}, "dc"),
        ({"since": "a", "before": "d"}, "cb"),
        ({"volume": "x"}, ""),
        ({"health": "none"}, "dcba"),
        ({"is-task": "false"}, "dcba"),
    ],
)
def test_containers_are_filtered_as_docker_does(host: Host, filters: dict[str, str], names: str) -> None:
    assert containers(host, filters) == names


def test_without_all_only_what_runs_unless_a_status_or_the_last_are_asked_for(host: Host) -> None:
    assert containers(host, {}, shows_all=False) == "ba"
    assert containers(host, {"status": "exited"}, shows_all=False) == "d"
    assert containers(host, {}, shows_all=False, last=3) == "dcb"
    assert containers(host, {"network": "n1"}, shows_all=False) == "a"


def test_a_network_is_found_by_the_beginning_of_its_id(host: Host) -> None:
    assert containers(host, {"network": host.engine.networks["n2"].id[:12]}) == "b"


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"foo": "x"}, "invalid filter 'foo'"),
        ({"dangling": "maybe"}, "invalid filter 'dangling=[maybe]'"),
        ({"type": "x"}, "invalid filter: 'type'='x'"),
    ],
)
def test_a_network_filter_that_is_none_is_refused(host: Host, filters: dict[str, str], text: str) -> None:
    with pytest.raises(DriverRefusal) as caught:
        networks(host, filters)
    assert (caught.value.what, caught.value.status) == (text, 400)


@pytest.mark.parametrize(
    ("filters", "text", "status"),
    [
        ({"foo": "x"}, "invalid filter 'foo'", 400),
        ({"status": "up"}, 'invalid value for state ("up"): must be one of "created"', 400),
        ({"exited": "x"}, 'strconv.Atoi: parsing "x": invalid syntax', 400),
        ({"before": "nosuch"}, "No such container: nosuch", 404),
    ],
)
def test_a_container_filter_that_is_none_is_refused(
    host: Host, filters: dict[str, str], text: str, status: int
) -> None:
    with pytest.raises(DriverRefusal) as caught:
        containers(host, filters)
    assert text in caught.value.what
    assert caught.value.status == status
