"""Docker's statements on joining (D-JOIN) whose truth is a link or a route, on real namespaces."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pytest

from ipvlab import run
from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.engine import Engine
from ipvlab.driver.port import CommandResult
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.workloads import PortWorkloads
from ipvlab.errors import KernelRefusal
from ipvlab.lab.live import LiveLab
from ipvlab.lab.tables import read_addresses, read_links, read_routes, view_addresses, view_links
from ipvlab.spec.values import Dialect
from tests.netns.conftest import DATAPATHS
from tests.netns.topology import on_each_datapath, running_lab

HOSTS: dict[str, dict[str, object]] = {
    "h1": {"interfaces": {"eth0": {"wire": "lan", "mtu": 1400}, "eth1": {"wire": "lan"}}},
    "h2": {"interfaces": {"eth0": {"wire": "lan"}}},
}
every_dialect = pytest.mark.parametrize("dialect", list(Dialect))
#: ``ifname`` and ``gw-priority`` count since 28.0, endpoints' sysctls since 27.0.
newer_dialects = pytest.mark.parametrize(
    "dialect", [each for each in Dialect if each is not Dialect.DOCKER_26]
)
SYSCTLS = "com.docker.network.endpoint.sysctls"
IFNAME = "com.docker.network.endpoint.ifname"


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LiveLab]:
    """Two hosts on a wire; h1 has two links on it, the first with an MTU of 1400."""
    request.getfixturevalue("each_datapath")
    with running_lab(HOSTS) as lab:
        yield lab


def nothing(_container: str, _argv: object) -> CommandResult:
    return CommandResult(0)


def docker_of(lab: LiveLab, dialect: Dialect) -> DockerHost:
    """The Docker of h1."""
    engine = Engine("h1", lab.host_port("h1", nothing), dialect)
    return DockerHost(engine, PortWorkloads(engine.port.execute))


def create(
    host: DockerHost,
    name: str,
    *subnets: str,
    parent: str,
    gateways: tuple[str | None, ...] = (),
    **more: str,
) -> None:
    """An ipvlan network."""
    pools = tuple(
        PoolRequest(subnet, gateways[at] if gateways else None) for at, subnet in enumerate(subnets)
    )
    has_ipv6 = any(":" in subnet for subnet in subnets)
    options = {"parent": parent, **more}
    host.create_network(NetworkRequest(name, "ipvlan", options, pools, enable_ipv6=has_ipv6))


def start(host: DockerHost, name: str, *joins: EndpointRequest | str, **more: Mapping[str, str]) -> None:
    """A container on networks."""
    wanted = tuple(EndpointRequest(join) if isinstance(join, str) else join for join in joins)
    host.run(ContainerRequest(wanted, name=name, **more))  # type: ignore[arg-type]  # sysctls only


def routes(lab: LiveLab, node: str, version: Literal[4, 6] = 4) -> list[str]:
    """The main table, as ``ip route`` begins its lines."""
    found = read_routes(lab.nodes[node].namespace, version)
    return sorted(f"{route.to}{f' via {route.via}' if route.via else ''} dev {route.dev}" for route in found)


def sysctl(lab: LiveLab, node: str, path: str) -> str:
    """A sysctl of a node's namespace."""
    return lab.nodes[node].namespace.call(lambda: Path("/proc/sys/net", path).read_text().strip())


@on_each_datapath
@pytest.mark.docker("D-JOIN-001", "D-JOIN-018")
@every_dialect
def test_interfaces_are_eth0_eth1_and_nothing_else_is_there(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "a", "10.0.1.0/24", parent="eth0")
    create(host, "b", "10.0.2.0/24", parent="eth1")
    start(host, "c", "a")
    host.connect("b", "c", EndpointRequest("b"))
    assert read_links(lab.nodes["c"].namespace) == ["lo", "eth0", "eth1"]
    host.disconnect("a", "c")
    assert read_links(lab.nodes["c"].namespace) == ["lo", "eth1"]
    host.connect("a", "c", EndpointRequest("a"))
    assert sorted(read_links(lab.nodes["c"].namespace)) == ["eth0", "eth1", "lo"]


@on_each_datapath
@pytest.mark.docker("D-JOIN-002", "D-JOIN-003")
@every_dialect
def test_an_endpoint_has_the_mtu_and_the_mac_of_its_parent(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "a", "10.0.1.0/24", parent="eth0")
    start(host, "c", "a")
    parent = lab.nodes["h1"].links["eth0"]
    [seen] = [link for link in view_links(lab.nodes["c"].namespace) if link.name == "eth0"]
    assert (seen.mtu, seen.mac) == (1400, parent.mac)


@on_each_datapath
@pytest.mark.docker("D-JOIN-004", "D-JOIN-005")
@every_dialect
def test_ipv6_is_on_only_where_there_is_an_address_of_it(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "four", "10.0.1.0/24", parent="eth0")
    create(host, "both", "10.0.2.0/24", "fd02::/64", parent="eth1")
    start(host, "c", "four", "both")
    switches = {name: sysctl(lab, "c", f"ipv6/conf/{name}/disable_ipv6") for name in ("eth0", "eth1")}
    assert switches == {"eth0": "1", "eth1": "0"}
    # Loopback keeps its own address though new links are without IPv6.
    assert "::1/128" in {str(address) for address in read_addresses(lab.nodes["c"].namespace)["lo"]}
    given = [view for view in view_addresses(lab.nodes["c"].namespace) if view.address.version == 6]
    assert any(str(view.address).startswith("fd02::") for view in given)
    assert not any(view.is_tentative or view.has_failed for view in given)


@on_each_datapath
@pytest.mark.docker("D-JOIN-006", "D-JOIN-008", "D-JOIN-009", "D-JOIN-010")
@every_dialect
def test_the_kernels_routes_are_those_of_mode_and_kind(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    subnets, gateways = ("10.0.1.0/24", "fd01::/64"), ("10.0.1.254", "fd01::22")
    connected = [["10.0.1.0/24 dev eth0"], ["fd01::/64 dev eth0"]]

    def seen(parent: str = "eth0", **options: str) -> list[list[str]]:
        create(host, "n", *subnets, parent=parent, gateways=gateways, **options)
        start(host, "c", "n")
        found = [routes(lab, "c", 4), routes(lab, "c", 6)]
        host.remove("c", force=True)
        host.remove_network("n")
        return found

    assert seen() == [
        ["10.0.1.0/24 dev eth0", "default via 10.0.1.254 dev eth0"],
        ["default via fd01::22 dev eth0", "fd01::/64 dev eth0"],
    ]
    for mode in ("l3", "l3s"):
        assert seen(ipvlan_mode=mode) == [
            ["10.0.1.0/24 dev eth0", "default dev eth0"],
            ["default dev eth0", "fd01::/64 dev eth0"],
        ]
    assert seen(parent="") == connected
    host.create_network(
        NetworkRequest(
            "quiet", "ipvlan", {"parent": "eth0", "ipvlan_mode": "l3"},
            (PoolRequest("10.0.1.0/24", "10.0.1.254"),), is_internal=True,
        )
    )  # fmt: skip
    start(host, "c", "quiet")
    assert routes(lab, "c") == connected[0]


@on_each_datapath
@pytest.mark.docker("D-JOIN-015", "D-JOIN-016")
@every_dialect
def test_the_kernels_default_route_moves_with_the_networks(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "b", "10.0.1.0/24", "fd01::/64", parent="eth0", gateways=("10.0.1.254", "fd01::22"))
    create(host, "a", "10.0.2.0/24", "fd02::/64", parent="eth1", gateways=("10.0.2.254", "fd02::22"))
    start(host, "c", "b")
    host.connect("a", "c", EndpointRequest("a"))

    def defaults() -> list[str]:
        return [line for version in (4, 6) for line in routes(lab, "c", version) if "default" in line]

    by_a = ["default via 10.0.2.254 dev eth1", "default via fd02::22 dev eth1"]
    by_b = ["default via 10.0.1.254 dev eth0", "default via fd01::22 dev eth0"]
    assert defaults() == by_a
    host.disconnect("a", "c")
    assert defaults() == by_b
    if dialect is not Dialect.DOCKER_26:
        host.connect("a", "c", EndpointRequest("a", gw_priority=-1))
        assert defaults() == by_b
        host.disconnect("b", "c")
        assert defaults() == by_a
        host.disconnect("a", "c")
        assert (defaults(), read_links(lab.nodes["c"].namespace)) == ([], ["lo"])


@on_each_datapath
@pytest.mark.docker("D-JOIN-016")
def test_a_default_route_that_a_user_deleted_is_no_hindrance(lab: LiveLab) -> None:
    from ipvlab.driver.ip_grammar import parse_ip
    from ipvlab.lab.iproute import carry_out

    host = docker_of(lab, Dialect.DOCKER_28)
    create(host, "b", "10.0.1.0/24", parent="eth0", gateways=("10.0.1.254",))
    create(host, "a", "10.0.2.0/24", parent="eth1", gateways=("10.0.2.254",))
    start(host, "c", "b")
    node = lab.nodes["c"]
    result = carry_out(node, parse_ip("ip route del default".split()), lab.datapath, lab.nodes["h1"])
    assert result.exit_code == 0
    host.connect("a", "c", EndpointRequest("a"))
    assert "default via 10.0.2.254 dev eth1" in routes(lab, "c")


@on_each_datapath
@pytest.mark.docker("D-OPT-022", "D-OPT-023")
@newer_dialects
def test_name_and_sysctls_of_an_endpoint_are_the_kernels(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "a", "10.0.1.0/24", parent="eth0")
    create(host, "b", "10.0.2.0/24", parent="eth1")
    wishes = {
        IFNAME: "foo.bar",
        SYSCTLS: "net.ipv6.conf.IFNAME.disable_ipv6=0,net.ipv4.conf.IFNAME.rp_filter=2",
    }
    start(host, "c", "a")
    host.connect("b", "c", EndpointRequest("b", options=wishes))
    assert read_links(lab.nodes["c"].namespace) == ["lo", "eth0", "foo.bar"]
    assert sysctl(lab, "c", "ipv6/conf/foo.bar/disable_ipv6") == "0"
    assert sysctl(lab, "c", "ipv4/conf/foo.bar/rp_filter") == "2"
    assert sysctl(lab, "c", "ipv6/conf/eth0/disable_ipv6") == "1"
    assert sysctl(lab, "c", "ipv4/conf/eth0/rp_filter") == "0"


@on_each_datapath
@pytest.mark.docker("D-OPT-023")
@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("net.ipv4.conf.IFNAME.nosuch=1", "/proc/sys/net/ipv4/conf/eth1/nosuch is not a sysctl file"),
        ("net.ipv4.conf.IFNAME.rp_filter=x",
         "unable to write to '/proc/sys/net/ipv4/conf/eth1/rp_filter': invalid argument"),
    ],
)  # fmt: skip
def test_a_sysctl_that_the_kernel_has_not_undoes_the_join(lab: LiveLab, setting: str, text: str) -> None:
    host = docker_of(lab, Dialect.DOCKER_29)
    create(host, "a", "10.0.1.0/24", parent="eth0")
    create(host, "b", "10.0.2.0/24", parent="eth1")
    start(host, "c", "a")
    held = host.engine.held_addresses()
    with pytest.raises(KernelRefusal) as caught:
        host.connect("b", "c", EndpointRequest("b", options={SYSCTLS: setting}))
    assert caught.value.what == text
    assert read_links(lab.nodes["c"].namespace) == ["lo", "eth0"]
    assert host.engine.held_addresses() == held
    host.connect("b", "c", EndpointRequest("b"))


@on_each_datapath
@every_dialect
def test_sysctls_of_a_container_are_its_namespaces(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "a", "10.0.1.0/24", parent="eth0")
    start(host, "c", "a", sysctls={"net.ipv4.ip_forward": "1"})
    start(host, "d", "a")
    assert (sysctl(lab, "c", "ipv4/ip_forward"), sysctl(lab, "d", "ipv4/ip_forward")) == ("1", "0")


@on_each_datapath
def test_a_renamed_container_is_the_same_node_by_another_name(lab: LiveLab) -> None:
    host = docker_of(lab, Dialect.DOCKER_28)
    create(host, "a", "10.0.1.0/24", parent="eth0")
    start(host, "c", "a")
    start(host, "d", "a")
    node = lab.nodes["c"]
    host.rename("c", "e")
    assert list(lab.nodes) == ["h1", "h2", "e", "d"]
    assert lab.nodes["e"] is node
    host.disconnect("a", "e")
    assert read_links(node.namespace) == ["lo"]
    host.remove("e", force=True)
    assert list(lab.nodes) == ["h1", "h2", "d"]


@on_each_datapath
@pytest.mark.docker("D-PERS-002", "D-PERS-004")
@every_dialect
def test_an_engine_restarts_on_a_live_host(lab: LiveLab, dialect: Dialect) -> None:
    host = docker_of(lab, dialect)
    create(host, "v", "10.0.1.0/24", parent="eth0.20", gateways=("10.0.1.254",))
    create(host, "i", "10.0.2.0/24", parent="")
    start(host, "c", "v", "i")
    before = (routes(lab, "c"), read_links(lab.nodes["c"].namespace))
    host.restart_engine(keeps_running=True)
    assert (routes(lab, "c"), read_links(lab.nodes["c"].namespace)) == before
    host.restart_engine()
    assert "c" not in lab.nodes
    isolated = host.engine.networks["i"].parent.link
    port = host.engine.port
    for link in ("eth0.20", isolated):
        port.remove_link(link)
    host.restart_engine()
    assert {"eth0.20", isolated} <= set(read_links(lab.nodes["h1"].namespace))
    host.start("c")
    assert (routes(lab, "c"), read_links(lab.nodes["c"].namespace)) == before
    host.remove("c", force=True)
    for network in ("v", "i"):
        host.remove_network(network)
    assert {"eth0.20", isolated}.isdisjoint(read_links(lab.nodes["h1"].namespace))


@pytest.mark.docker("D-JOIN-015", "D-JOIN-016", "D-PERS-001")
@pytest.mark.parametrize("datapath", ["sim", *DATAPATHS])
def test_a_scenario_connects_renames_restarts_and_its_packets_follow(tmp_path: Path, datapath: str) -> None:
    path = tmp_path / "connect.ipvlab.yaml"
    path.write_text(
        textwrap.dedent(
            """\
            name: connect
            wires: {lan: {}, dmz: {}}
            hosts:
              h1:
                interfaces: {eth0: {wire: lan}, eth1: {wire: dmz}}
                commands: |
                  docker network create -d ipvlan --subnet=10.0.1.0/24 --gateway=10.0.1.254 -o parent=eth0 b
                  docker network create -d ipvlan --subnet=10.0.2.0/24 --gateway=10.0.2.254 -o parent=eth1 a
                  docker run --net=b --name=c -itd alpine /bin/sh
            routers:
              r1: {interfaces: {eth0: {wire: lan, addresses: [10.0.1.254/24]}}}
              r2: {interfaces: {eth0: {wire: dmz, addresses: [10.0.2.254/24]}}}
            expect:
              - reach: {from: c, to: r1}
              - blocked: {from: c, to: r2}
            steps:
              - do: {h1: ["docker network connect a c"]}
                expect:
                  - reach: {from: c, to: [r1, r2]}
                  - routes: {in: c, ipv4: [default via 10.0.2.254 dev eth1, 10.0.1.0/24 dev eth0,
                                           10.0.2.0/24 dev eth1]}
              - do: {h1: ["docker network disconnect a c"]}
                expect:
                  - reach: {from: c, to: r1}
                  - blocked: {from: c, to: r2}
                  - routes: {in: c, ipv4: [default via 10.0.1.254 dev eth0, 10.0.1.0/24 dev eth0]}
                  - links: {in: c, present: [eth0], absent: [eth1]}
              - do:
                  h1: ["docker network connect a c", "docker network disconnect b c", "restart docker",
                       "docker start c"]
                expect:
                  - reach: {from: c, to: r2}
                  - blocked: {from: c, to: r1}
                  - addresses: {in: c, eth0: [10.0.2.1/24]}
            """
        )
    )
    result = run(path, datapath=datapath)
    assert result.ok, [
        (verdict.id, verdict.observed, verdict.reason) for verdict in result.verdicts if not verdict
    ]
