"""Docker's statements on how containers join and leave networks (D-JOIN), by dialect."""

from __future__ import annotations

import pytest

from ipvlab.driver.container_json import container_json
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.state import Container
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import CREATE, D26, D28, D29, DOCS, TEN, every_dialect, host_of
from tests.unit.driver.recording_port import Host, addresses, routes

DUAL = "--subnet=10.0.0.0/24 --subnet=fd01::/64"
#: IPv6 needs its flag in engines, and has it in the documents' commands where they are right.
DUAL_ON = f"{DUAL} --ipv6"
GATEWAYS = "--gateway=10.0.0.1 --gateway=fd01::22"
WITH_GW_PRIORITY = pytest.mark.parametrize("dialect", [DOCS, D28, D29])


def interfaces(container: Container) -> list[tuple[str, str]]:
    """Networks and interface names of a container."""
    return [(endpoint.network.name, endpoint.interface) for endpoint in container.endpoints]


def on_machine(host: Host, container: Container) -> list[str]:
    """The routes that the machine was told, after all changes."""
    plans = host.port.containers[container.name].values()
    return [
        f"{route.to}{f' via {route.via}' if route.via else ''} dev {route.dev}"
        for plan in plans
        for route in plan.routes
    ]


def networks_of(host: Host, container: Container) -> dict[str, dict[str, object]]:
    """``NetworkSettings.Networks`` of ``docker inspect``."""
    settings = container_json(container, host.docker_host)["NetworkSettings"]
    assert isinstance(settings, dict)
    networks = settings["Networks"]
    assert isinstance(networks, dict)
    return networks


def three(dialect: Dialect) -> Host:
    """A host with three L2 networks: ``a`` and ``b`` with a gateway, ``quiet`` internal."""
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 --gateway=10.0.1.1 -o parent=eth0 b")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 --gateway=10.0.2.1 -o parent=eth1 a")
    host.ok(f"{CREATE} --subnet=10.0.3.0/24 --internal quiet")
    return host


@pytest.mark.docker("D-JOIN-001")
@every_dialect
def test_interfaces_take_the_lowest_free_number(dialect: Dialect) -> None:
    host = three(dialect)
    container = host.run("--net=b --name=c")
    host.ok("network connect a c")
    host.ok("network connect quiet c")
    assert interfaces(container) == [("b", "eth0"), ("a", "eth1"), ("quiet", "eth2")]
    host.ok("network disconnect a c")
    assert interfaces(container) == [("b", "eth0"), ("quiet", "eth2")]
    host.ok("network connect a c")
    assert interfaces(container) == [("b", "eth0"), ("quiet", "eth2"), ("a", "eth1")]
    assert sorted(host.port.containers["c"]) == ["eth0", "eth1", "eth2"]


@pytest.mark.docker("D-JOIN-003")
@every_dialect
def test_inspect_names_no_mac(dialect: Dialect) -> None:
    host = three(dialect)
    container = host.run("--net=b --name=c")
    assert networks_of(host, container)["b"]["MacAddress"] == ""


@pytest.mark.docker("D-JOIN-006")
@every_dialect
def test_l2_with_a_gateway_has_one_default_route_by_it(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {DUAL_ON} {GATEWAYS} -o parent=eth0 n")
    assert routes(host.run("--net=n")) == ["default via 10.0.0.1 dev eth0", "default via fd01::22 dev eth0"]


@pytest.mark.docker("D-JOIN-007")
@pytest.mark.parametrize(
    ("dialect", "expected"),
    [(dialect, ["default via 10.0.0.1 dev eth0"]) for dialect in (DOCS, D26, D28)] + [(D29, [])],
)
def test_l2_without_a_gateway_has_no_default_route_since_29(dialect: Dialect, expected: list[str]) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} -o parent=eth0 n")
    assert routes(host.run("--net=n")) == expected


@pytest.mark.docker("D-JOIN-008")
@pytest.mark.parametrize("gateways", ["", GATEWAYS])
@pytest.mark.parametrize("mode", ["l3", "l3s"])
@every_dialect
def test_l3_routes_everything_by_the_interface(dialect: Dialect, mode: str, gateways: str) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {DUAL_ON} {gateways} -o parent=eth0 -o ipvlan_mode={mode} n")
    assert routes(host.run("--net=n")) == ["default dev eth0", "default dev eth0"]


@pytest.mark.docker("D-JOIN-009", "D-JOIN-011")
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
@every_dialect
def test_without_a_parent_there_is_no_default_route_but_the_documents_l3_one(
    dialect: Dialect, mode: str
) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {DUAL_ON} {GATEWAYS} -o ipvlan_mode={mode} n")
    expected = ["default dev eth0"] * 2 if dialect is DOCS and mode != "l2" else []
    assert routes(host.run("--net=n")) == expected


@pytest.mark.docker("D-JOIN-010")
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
@every_dialect
def test_an_internal_network_has_no_default_route(dialect: Dialect, mode: str) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {DUAL_ON} {GATEWAYS} --internal -o parent=eth0 -o ipvlan_mode={mode} n")
    assert routes(host.run("--net=n")) == []


@pytest.mark.docker("D-JOIN-012")
@every_dialect
def test_the_gateway_is_that_of_the_containers_own_subnet(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(
        f"{CREATE} --subnet=10.0.0.0/24 --subnet=10.0.1.0/24 --gateway=10.0.0.254 --gateway=10.0.1.254 "
        "-o parent=eth0 n"
    )
    assert routes(host.run("--net=n --ip=10.0.1.9")) == ["default via 10.0.1.254 dev eth0"]
    assert routes(host.run("--net=n --ip=10.0.0.9")) == ["default via 10.0.0.254 dev eth0"]


@pytest.mark.docker("D-JOIN-013")
@pytest.mark.parametrize(
    ("options", "gateways"),
    [
        ("-o parent=eth0", ("10.0.0.1", "fd01::22")),
        ("-o parent=eth0 -o ipvlan_mode=l3", ("", "")),
        ("-o parent=eth0 -o ipvlan_mode=l3s", ("", "")),
        ("-o parent=eth0 --internal", ("", "")),
        ("", ("", "")),
    ],
)
@every_dialect
def test_inspect_shows_a_gateway_only_where_the_container_routes_by_it(
    dialect: Dialect, options: str, gateways: tuple[str, str]
) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {DUAL_ON} {GATEWAYS} {options} n")
    shown = networks_of(host, host.run("--net=n --name=c"))["n"]
    assert (shown["Gateway"], shown["IPv6Gateway"]) == gateways


@pytest.mark.docker("D-JOIN-014")
@every_dialect
def test_a_container_has_one_address_of_each_family(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(
        f"{CREATE} --subnet=10.0.0.0/24 --subnet=10.0.1.0/24 --subnet=fd01::/64 --subnet=fd02::/64 --ipv6 "
        "--gateway=10.0.0.254 --gateway=10.0.1.254 -o parent=eth0 n"
    )
    assert [address.rpartition("/")[2] for address in addresses(host.run("--net=n"))] == ["24", "64"]


@pytest.mark.docker("D-JOIN-015")
@every_dialect
def test_the_default_route_is_the_first_networks_by_name(dialect: Dialect) -> None:
    host = three(dialect)
    container = host.run("--net=b --name=c")
    assert on_machine(host, container) == ["default via 10.0.1.1 dev eth0"]
    host.ok("network connect a c")
    assert on_machine(host, container) == ["default via 10.0.2.1 dev eth1"]
    host.ok("network connect quiet c")
    assert on_machine(host, container) == ["default via 10.0.2.1 dev eth1"]


@pytest.mark.docker("D-JOIN-015")
@WITH_GW_PRIORITY
def test_a_higher_gateway_priority_comes_before_the_name(dialect: Dialect) -> None:
    host = three(dialect)
    container = host.run("--net=name=b,gw-priority=1 --name=c")
    host.ok("network connect a c")
    assert on_machine(host, container) == ["default via 10.0.1.1 dev eth0"]
    host.ok("network disconnect a c")
    host.ok("network connect --gw-priority=2 a c")
    assert on_machine(host, container) == ["default via 10.0.2.1 dev eth1"]
    host.ok("network disconnect a c")
    host.ok("network connect --gw-priority=-1 a c")
    assert on_machine(host, container) == ["default via 10.0.1.1 dev eth0"]


@pytest.mark.docker("D-JOIN-015")
def test_26_knows_no_gateway_priority() -> None:
    host = three(D26)
    joins = (EndpointRequest("b", gw_priority=7), EndpointRequest("a"))
    container = host.engine.run_container(ContainerRequest(joins))
    assert on_machine(host, container) == ["default via 10.0.2.1 dev eth1"]


@pytest.mark.docker("D-JOIN-015")
@WITH_GW_PRIORITY
def test_a_network_with_both_families_is_the_gateway_of_both(dialect: Dialect) -> None:
    """Even where one with a single family has the higher priority (selectGatewayEndpoint)."""
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 --gateway=10.0.1.1 -o parent=eth0 four")
    host.ok(f"{CREATE} {DUAL_ON} {GATEWAYS} -o parent=eth1 both")
    container = host.run("--net=name=four,gw-priority=5 --net=both")
    assert on_machine(host, container) == ["default via 10.0.0.1 dev eth1", "default via fd01::22 dev eth1"]


@pytest.mark.docker("D-JOIN-015")
@WITH_GW_PRIORITY
def test_each_family_may_have_its_own_gateway(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 --gateway=10.0.1.1 -o parent=eth0 four")
    host.ok(f"{CREATE} --ipv4=false --ipv6 --subnet=fd01::/64 --gateway=fd01::22 -o parent=eth1 six")
    container = host.run("--net=six --net=four")
    assert on_machine(host, container) == ["default via fd01::22 dev eth0", "default via 10.0.1.1 dev eth1"]


@pytest.mark.docker("D-JOIN-016")
@every_dialect
def test_the_default_route_moves_when_its_network_is_left(dialect: Dialect) -> None:
    host = three(dialect)
    container = host.run("--net=b --name=c")
    host.ok("network connect a c")
    host.ok("network disconnect a c")
    assert on_machine(host, container) == ["default via 10.0.1.1 dev eth0"]
    assert routes(container) == on_machine(host, container)
    host.ok("network connect quiet c")
    host.ok("network disconnect b c")
    assert on_machine(host, container) == []


@pytest.mark.docker("D-JOIN-015", "D-JOIN-016")
@WITH_GW_PRIORITY
def test_an_l3_network_competes_for_the_default_route_since_28(dialect: Dialect) -> None:
    host = three(dialect)
    host.ok("network rm quiet")
    host.ok(f"{CREATE} --subnet=10.0.4.0/24 -o parent=eth0.30 -o ipvlan_mode=l3 aa")
    container = host.run("--net=b --name=c")
    host.ok("network connect aa c")
    assert on_machine(host, container) == ["default dev eth1"]
    host.ok("network disconnect aa c")
    assert on_machine(host, container) == ["default via 10.0.1.1 dev eth0"]


@pytest.mark.docker("D-JOIN-015")
def test_up_to_27_a_second_default_route_is_refused() -> None:
    host = three(D26)
    host.ok(f"{CREATE} --subnet=10.0.4.0/24 -o parent=eth0.30 -o ipvlan_mode=l3 l3")
    host.ok(f"{CREATE} --subnet=10.0.5.0/24 -o parent=eth0.31 -o ipvlan_mode=l3s l3s")
    host.run("--net=b --name=c")
    assert host.refused("network connect l3 c") == "failed to add static route 0.0.0.0/0: file exists"
    host.run("--net=l3 --name=d")
    assert host.refused("network connect b d") == "failed to set gateway while updating gateway: file exists"
    assert host.refused("network connect l3s d") == "failed to add static route 0.0.0.0/0: file exists"


@pytest.mark.docker("D-JOIN-017")
@every_dialect
def test_networks_with_overlapping_subnets_cannot_be_joined_by_one_container(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.1 --ip-range=10.0.0.0/26 -o parent=eth0 one")
    host.ok(f"{TEN} --ip-range=10.0.0.64/26 --internal two")
    container = host.run("--net=one --name=c")
    mine = container.endpoints[0].addresses[0]
    first = {DOCS: "10.0.0.64", D28: "10.0.0.64", D29: "10.0.0.64", D26: "10.0.0.65"}[dialect]
    expected = (
        'failed to add interface eth1 to sandbox: error setting interface "eth1" IP to '
        f"{first}/24: cannot program address {first}/24 in sandbox interface because it conflicts with "
        f"existing route {{Dst: 10.0.0.0/24 Src: {mine}}}"
    )
    assert host.refused("network connect two c") == expected
    # The address was given back.
    assert host.run("--net=two").endpoints[0].addresses[0].exploded == first


@pytest.mark.docker("D-JOIN-018")
@every_dialect
def test_nothing_but_the_networks_own_interfaces_is_made(dialect: Dialect) -> None:
    host = three(dialect)
    container = host.run("--net=quiet --name=c")
    host.ok("network connect b c")
    assert list(host.port.containers["c"]) == [name for _, name in interfaces(container)] == ["eth0", "eth1"]


@pytest.mark.docker("D-JOIN-020")
@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_how_often_a_container_announces_itself_is_checked_at_create(dialect: Dialect) -> None:
    host = host_of(dialect)
    option = "com.docker.network.advertise_addr_nmsgs"
    assert "must be in the range 0 to 3" in host.refused(f"{TEN} -o {option}=4 n")
    host.ok(f"{TEN} -o {option}=0 n")
