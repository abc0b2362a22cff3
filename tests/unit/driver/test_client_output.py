"""Lists, inspects and formats: what Docker's own client prints of the same engine, byte for byte.

The genuine client asks a daemon that answers with the engine's own JSON; the
lab's command prints from the same engine. Both must come out alike.
"""

from __future__ import annotations

import datetime
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ipvlab.driver.api_json import (
    container_json,
    container_summary,
    info_json,
    inspect_network_json,
    networks_json,
    version_json,
)
from ipvlab.driver.commands import execute
from ipvlab.driver.filters import filter_containers, filter_networks
from ipvlab.driver.grammar import parse_docker
from ipvlab.driver.port import CommandResult
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.client_lines import (
    CONTAINER_TEMPLATES,
    FORMATS,
    LINES,
    NETWORK_TEMPLATES,
    PS_TEMPLATES,
    lines_of,
)
from tests.unit.driver.genuine_client import daemon, needs_client, type_line
from tests.unit.driver.recording_port import Host


def answer_from(host: Host, method: str, target: str) -> tuple[int, object]:
    """What the engine's HTTP API answers to a reading request."""
    path, query = urlsplit(target).path.split("/")[1:], parse_qs(urlsplit(target).query)
    filters = {name: tuple(values) for name, values in json.loads(query.get("filters", ["{}"])[0]).items()}
    engine = host.engine
    assert method == "GET"
    try:
        match path:
            case ["networks"]:
                return 200, filter_networks(engine, networks_json(engine), filters)
            case ["networks", name]:
                return 200, inspect_network_json(engine, name)
            case ["containers", "json"]:
                last = int(query.get("limit", ["0"])[0]) or None
                found = filter_containers(engine, filters, shows_all="all" in query, last=last)
                return 200, [container_summary(container, host.docker_host) for container in found]
            case ["containers", name, "json"]:
                return 200, container_json(engine.find_container(name), host.docker_host)
            case ["version"]:
                return 200, version_json(engine)
            case ["info"]:
                return 200, info_json(host.docker_host)
    except DriverRefusal as refusal:
        return refusal.status, {"message": refusal.what}
    return 404, {"message": f"no such {path[0]}: {path[-2]}"}


def furnish() -> Host:
    """A host with networks of many names, and containers in every state."""
    host = Host("eth1", "eth2", dialect=Dialect.DOCKER_28)
    start = datetime.datetime.now(datetime.UTC)
    host.now = start - datetime.timedelta(days=3, microseconds=120)
    host.ok(
        "network create -d ipvlan --subnet 192.168.1.0/24 --gateway 192.168.1.1 --ip-range 192.168.1.64/26 "
        "--aux-address nas=192.168.1.70 --label tier=back -o parent=eth0 "
        "-o ipvlan_mode=l2 db_net"
    )
    host.ok("network create -d ipvlan --ipv6 --subnet fd01::/64 --attachable --label 'x=<&>é' net10")
    host.ok("network create -d ipvlan --internal -o parent=eth1 net9")
    host.ok("network create -d ipvlan -o ipvlan_mode=l3 -o parent=eth2 --label tier=front Net2")
    host.ok(
        "run -itd --net db_net --name c1 -h box -e A=1 --label tier=back --network-alias web alpine /bin/sh"
    )
    host.now += datetime.timedelta(hours=20)
    host.ok("run -d --net net10 --name c2 --ip6 fd01::9 busybox:1.36 sleep 'a very long time indeed'")
    host.now += datetime.timedelta(hours=20)
    host.ok("run -itd --network name=net9,gw-priority=5 --name c3 alpine")
    host.ok("stop c2")
    host.ok("create --net db_net --name c4 docker.io/library/alpine:3.20 top")
    # Ages are told in whole hours, so that both clients tell the same one.
    host.now = start + datetime.timedelta(minutes=10)
    return host


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, str, Path]]:
    host, folder = furnish(), tmp_path_factory.mktemp("client")
    with daemon(lambda method, target: answer_from(host, method, target), folder) as path:
        yield host, path, folder


def compare(place: tuple[Host, str, Path], words: list[str]) -> None:
    host, path, folder = place
    ours = execute(host.docker_host, parse_docker(["docker", *words], allows_programs=True))
    assert ours == type_line(words, path, folder)


@needs_client
@pytest.mark.docker("D-API-014", "D-API-018")
@pytest.mark.parametrize("line", lines_of(LINES))
def test_a_line_prints_what_the_genuine_client_prints(place: tuple[Host, str, Path], line: str) -> None:
    compare(place, shlex.split(line))


@needs_client
@pytest.mark.parametrize("template", lines_of(FORMATS))
def test_a_format_of_network_ls_is_carried_out_as_go_does(
    place: tuple[Host, str, Path], template: str
) -> None:
    compare(place, ["network", "ls", "--format", template])


@needs_client
@pytest.mark.parametrize("template", lines_of(NETWORK_TEMPLATES))
@pytest.mark.parametrize("network", ["db_net", "net10"])
def test_a_format_of_network_inspect_is_carried_out_as_go_does(
    place: tuple[Host, str, Path], template: str, network: str
) -> None:
    compare(place, ["network", "inspect", "--format", template, network])


@needs_client
@pytest.mark.parametrize("template", lines_of(CONTAINER_TEMPLATES))
@pytest.mark.parametrize("container", ["c1", "c2", "c4"])
def test_a_format_of_inspect_is_carried_out_as_go_does(
    place: tuple[Host, str, Path], template: str, container: str
) -> None:
    compare(place, ["inspect", "--format", template, container])


@needs_client
@pytest.mark.parametrize("template", lines_of(PS_TEMPLATES))
def test_a_format_of_ps_is_carried_out_as_go_does(place: tuple[Host, str, Path], template: str) -> None:
    compare(place, ["ps", "-a", "--format", template])


def test_the_genuine_client_asks_for_filters_by_name_and_value() -> None:
    """``--filter driver=ipvlan`` is sent as a map of maps (6.1), which the filters read by their keys."""
    host = furnish()
    views = filter_networks(host.engine, networks_json(host.engine), {"driver": {"ipvlan": True}})
    assert [view["Name"] for view in views] == ["db_net", "net10", "net9", "Net2"]


def test_what_is_compared_is_no_failure_of_both() -> None:
    host = furnish()
    assert execute(host.docker_host, parse_docker(["docker", "ps", "-q"])) == CommandResult(
        0, "".join(f"{host.engine.containers[name].id[:12]}\n" for name in ("c3", "c1"))
    )
