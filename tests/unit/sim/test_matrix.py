"""The reachability of a thousand containers, predicted by a handful of walks."""

from __future__ import annotations

import ipaddress
import time
from pathlib import Path

from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.session import parse_command
from ipvlab.run.console import Console
from ipvlab.run.matrix import predict
from ipvlab.run.sim import SimGround
from ipvlab.spec.model import HostSpec, InterfaceSpec, RouteSpec, Wire
from ipvlab.spec.values import Dialect, Family
from tests.unit.sim.town import Town, container, pair

HOSTS, EACH = 10, 100


def thousand() -> SimGround:
    """Ten hosts with routes to each other's L3 network of a hundred containers, both families."""
    hosts = {
        f"h{number}": HostSpec(
            interfaces={
                "eth0": InterfaceSpec(
                    wire="lan",
                    addresses=(
                        ipaddress.ip_interface(f"10.0.0.{number + 1}/24"),
                        ipaddress.ip_interface(f"fd00::{number + 1}/64"),
                    ),
                )
            },
            routes=tuple(
                RouteSpec(to=ipaddress.ip_network(to), via=ipaddress.ip_address(via))
                for other in range(HOSTS)
                if other != number
                for to, via in (
                    (f"10.{other + 1}.0.0/24", f"10.0.0.{other + 1}"),
                    (f"fd00:{other + 1}::/64", f"fd00::{other + 1}"),
                )
            ),
        )
        for number in range(HOSTS)
    }
    ground = SimGround("thousand", lambda _host, name: name)
    console = Console(ground, Dialect.DOCS)
    ground.add_topology({"lan": Wire()}, hosts, {})
    for number, host in enumerate(hosts):
        engine = console.add_host(host)
        line = (
            f"docker network create -d ipvlan --subnet=10.{number + 1}.0.0/24 "
            f"--subnet=fd00:{number + 1}::/64 -o parent=eth0 -o ipvlan_mode=l3 n"
        )
        assert console.run(host, parse_command(line)).exit_code == 0
        for count in range(EACH):
            engine.run_container(ContainerRequest((EndpointRequest("n"),), name=f"c{number}-{count}"))
    return ground


def test_a_thousand_containers_are_predicted_by_few_walks_in_seconds() -> None:
    ground = thousand()
    started = time.perf_counter()
    matrix = predict(ground)
    cells = [cell for _, _, _, cell in matrix]
    seconds = time.perf_counter() - started
    assert len(cells) == 2 * 999_000
    assert all(cell.reply and cell.ttl == 64 for cell in cells)
    assert matrix.class_count == HOSTS
    assert matrix.walk_count == 2 * HOSTS * HOSTS
    # A bound, not a measure: on an idle core it takes about one second.
    assert seconds < 30


def test_a_route_to_one_container_puts_it_in_a_class_of_its_own(tmp_path: Path) -> None:
    scenario = pair("l3", net=5)
    scenario["hosts"]["h1"]["containers"]["c"] = container(13, 5)  # type: ignore[index]  # plain JSON
    scenario["routers"]["x"]["routes"] = [{"to": "10.5.0.11/32", "via": "10.0.0.254"}]  # type: ignore[index]  # same
    town = Town(scenario, tmp_path)
    matrix = predict(town.ground, ["a", "b", "c", "x"])
    assert matrix.class_count == 3
    assert matrix.cell("x", "a", Family.IPV4).reply
    assert not matrix.cell("x", "b", Family.IPV4).reply
    assert not matrix.cell("x", "c", Family.IPV4).request


def test_a_pair_without_a_family_in_common_is_no_round_trip(tmp_path: Path) -> None:
    scenario = pair("l2")
    scenario["routers"]["x"]["interfaces"]["eth0"]["addresses"] = ["10.0.0.1/24"]  # type: ignore[index]  # plain JSON
    matrix = predict(Town(scenario, tmp_path).ground, ["a", "x"])
    assert matrix.cell("a", "x", Family.IPV4).reply
    assert not matrix.cell("a", "x", Family.IPV6).request
    assert not matrix.cell("x", "a", Family.IPV6).request
