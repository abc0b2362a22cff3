"""Docker's statements on networks (D-OPT, D-PAR) whose truth is a link or a packet, on real namespaces."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipvlab import Lab, run
from ipvlab.driver.engine import Engine
from ipvlab.driver.ip_grammar import parse_ip
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.errors import DriverRefusal
from ipvlab.lab.iproute import carry_out
from ipvlab.lab.live import LiveLab
from ipvlab.lab.processes import run_command
from ipvlab.lab.tables import view_links
from ipvlab.spec.values import Dialect, Flag, Mode
from tests.netns.conftest import DATAPATHS
from tests.netns.topology import no_commands, on_each_datapath, running_lab

HOSTS: dict[str, dict[str, object]] = {
    "h1": {
        "interfaces": {
            "eth0": {"wire": "lan", "mtu": 1400},
            "eth0.40": {"parent": "eth0", "vlan": 40},
            "foo": {"parent": "eth0", "vlan": 41},
        }
    },
    "h2": {"interfaces": {"eth0": {"wire": "lan"}}},
}

every_dialect = pytest.mark.parametrize("dialect", list(Dialect))


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LiveLab]:
    """Two hosts on a wire; h1 has an MTU of 1400 and two VLAN links made by hand."""
    request.getfixturevalue("each_datapath")
    with running_lab(HOSTS) as lab:
        yield lab


def engine_of(lab: LiveLab, dialect: Dialect) -> Engine:
    """The engine of h1."""
    return Engine("h1", lab.host_port("h1", no_commands), dialect)


@dataclasses.dataclass(frozen=True)
class KernelLink:
    """What a link is, without what a kernel notices later on its own (carrier, operstate)."""

    index: int
    is_up: bool
    mtu: int
    mac: bytes


def kernel_links(lab: LiveLab, node: str = "h1") -> dict[str, KernelLink]:
    """The links of a node as its kernel has them, but for those that only the datapath needs."""
    return {
        link.name: KernelLink(link.index, link.is_up, link.mtu, link.mac)
        for link in view_links(lab.nodes[node].namespace)
        if not lab.datapath.is_means(link.index)
    }


def create(engine: Engine, name: str, subnet: str, **options: str) -> None:
    """An ipvlan network of one subnet."""
    engine.create_network(NetworkRequest(name, "ipvlan", options, (PoolRequest(subnet),)))


def start(engine: Engine, name: str, network: str) -> None:
    """A container on one network."""
    engine.run_container(ContainerRequest((EndpointRequest(network),), name=name))


@on_each_datapath
@pytest.mark.docker("D-PAR-001", "D-PAR-002", "D-PAR-003", "D-PAR-004")
@every_dialect
def test_links_that_the_driver_makes_are_up_and_go_with_their_network(lab: LiveLab, dialect: Dialect) -> None:
    engine = engine_of(lab, dialect)
    before = set(kernel_links(lab))
    create(engine, "v", "10.0.20.0/24", parent="eth0.20")
    create(engine, "i", "10.0.21.0/24")
    made = {name: link for name, link in kernel_links(lab).items() if name not in before}
    assert set(made) == {"eth0.20", f"di-{engine.networks['i'].id[:12]}"}
    assert all(link.is_up for link in made.values())
    for name in "vi":
        engine.remove_network(name)
    assert set(kernel_links(lab)) == before


@on_each_datapath
@pytest.mark.docker("D-PAR-005", "D-PAR-006")
@every_dialect
def test_links_made_by_hand_outlive_their_networks(lab: LiveLab, dialect: Dialect) -> None:
    engine = engine_of(lab, dialect)
    before = kernel_links(lab)
    create(engine, "a", "10.0.40.0/24", parent="eth0.40")
    create(engine, "b", "10.0.41.0/24", parent="foo")
    for name in "ab":
        engine.remove_network(name)
    assert kernel_links(lab) == before


@on_each_datapath
@pytest.mark.docker("D-PAR-022")
@every_dialect
def test_a_parent_that_is_down_is_accepted_and_stays_down(lab: LiveLab, dialect: Dialect) -> None:
    engine = engine_of(lab, dialect)
    down(lab, "foo")
    create(engine, "a", "10.0.41.0/24", parent="foo")
    start(engine, "c", "a")
    assert not kernel_links(lab)["foo"].is_up
    assert "eth0" in kernel_links(lab, "c")
    assert "c" in engine.networks["a"].endpoints


@on_each_datapath
@pytest.mark.docker("D-PAR-024")
@every_dialect
def test_a_vlan_on_a_base_that_is_down_is_refused_and_leaves_no_link(lab: LiveLab, dialect: Dialect) -> None:
    engine = engine_of(lab, dialect)
    down(lab, "eth0")
    before = kernel_links(lab)
    for _ in range(2):
        with pytest.raises(DriverRefusal, match=r"failed to enable eth0\.20 .* network is down"):
            create(engine, "v", "10.0.20.0/24", parent="eth0.20")
    assert kernel_links(lab) == before


@on_each_datapath
@pytest.mark.docker("D-PAR-013")
@every_dialect
def test_one_tag_twice_on_one_link_is_refused_by_the_kernel_and_told(lab: LiveLab, dialect: Dialect) -> None:
    engine = engine_of(lab, dialect)
    create(engine, "v", "10.0.20.0/24", parent="eth0.020")
    before = kernel_links(lab)
    assert "eth0.020" in before
    with pytest.raises(DriverRefusal, match=r"failed to create eth0\.20 vlan link: file exists"):
        create(engine, "w", "10.0.21.0/24", parent="eth0.20")
    assert kernel_links(lab) == before


@on_each_datapath
@pytest.mark.docker("D-OPT-008")
@every_dialect
def test_the_option_of_the_mtu_changes_none(lab: LiveLab, dialect: Dialect) -> None:
    engine = engine_of(lab, dialect)
    create(engine, "a", "10.0.20.0/24", parent="eth0", **{"com.docker.network.driver.mtu": "1300"})
    start(engine, "c", "a")
    assert kernel_links(lab)["eth0"].mtu == 1400
    assert kernel_links(lab, "c")["eth0"].mtu == 1400


@pytest.mark.docker("D-IPAM-002")
@pytest.mark.parametrize("datapath", ["sim", *DATAPATHS])
@every_dialect
def test_automatic_pools_keep_clear_of_on_link_routes_made_by_hand(
    tmp_path: Path, dialect: Dialect, datapath: str
) -> None:
    path = tmp_path / "routes.ipvlab.yaml"
    path.write_text(
        textwrap.dedent(
            f"""\
            name: routes
            dialect: {dialect}
            wires: {{lan: {{}}}}
            hosts:
              h1:
                interfaces: {{eth0: {{wire: lan, addresses: [172.19.5.1/24]}}}}
                routes: [{{to: 172.20.0.0/16, via: 172.19.5.9}}]
                commands: |
                  ip route add 172.18.7.0/24 dev eth0
                  docker network create -d ipvlan n
                  docker run --net=n --name=c -itd alpine /bin/sh
              h2: {{interfaces: {{eth0: {{wire: lan}}}}}}
            expect:
              - routes: {{in: c, ipv4: ["172.20.0.0/16 dev eth0"]}}
            """
        )
    )
    # Without a parent the documents and every engine give the network no default route.
    result = run(path, datapath=datapath)
    assert result.ok, [(verdict.id, verdict.observed) for verdict in result.verdicts if not verdict]


@on_each_datapath
@pytest.mark.docker("D-IPAM-002")
def test_automatic_pools_keep_clear_of_the_hosts_nameservers(lab: LiveLab) -> None:
    engine = engine_of(lab, Dialect.DOCKER_28)
    script = ["sh", "-c", "echo nameserver 172.18.0.53 > /etc/resolv.conf"]
    run_command(lab.nodes["h1"], script)
    engine.create_network(NetworkRequest("n", "ipvlan"))
    assert [str(pool.subnet) for pool in engine.networks["n"].pools] == ["172.19.0.0/16"]


def down(lab: LiveLab, name: str) -> None:
    """Set a link of h1 down, as `ip link set` does."""
    node = lab.nodes["h1"]
    result = carry_out(node, parse_ip(["ip", "link", "set", name, "down"]), lab.datapath, node)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.docker("D-OPT-001", "D-OPT-002", "D-OPT-004", "D-OPT-006", "D-PAR-003", "D-PAR-016")
@pytest.mark.parametrize("datapath", DATAPATHS)
@pytest.mark.parametrize("dialect", [Dialect.DOCKER_26, Dialect.DOCKER_28, Dialect.DOCKER_29])
def test_every_pair_of_mode_and_flag_carries_packets_as_its_flag_says(
    tmp_path: Path, dialect: Dialect, datapath: str
) -> None:
    """Nine networks on VLANs of one link; one that names neither mode nor flag is as l2 and bridge."""
    pairs = [(mode, flag) for mode in Mode for flag in Flag]
    commands, expect = [], []
    for number, (mode, flag) in enumerate(pairs, 20):
        options = f"-o ipvlan_mode={mode} -o ipvlan_flag={flag}" if number != 20 else ""
        subnet = f"--subnet=10.0.{number}.0/24 --gateway=10.0.{number}.254"
        commands.append(
            f"docker network create -d ipvlan {subnet} -o parent=eth0.{number} {options} n{number}"
        )
        run_on = f"docker run -itd --net=n{number}"
        commands += [f"{run_on} --name={name}{number} alpine /bin/sh" for name in "ab"]
        kind = "reach" if flag is Flag.BRIDGE else "blocked"
        expect.append(f"- {kind}: {{from: a{number}, to: b{number}}}")
        expect.append(f"- links: {{in: h1, present: [eth0.{number}]}}")
    path = tmp_path / "pairs.ipvlab.yaml"
    path.write_text(
        f"name: pairs\ndialect: {dialect}\nwires: {{lan: {{}}}}\n"
        "hosts:\n  h1:\n    interfaces: {eth0: {wire: lan}}\n    commands: |\n"
        + textwrap.indent("\n".join(commands), " " * 6)
        + "\n  h2: {interfaces: {eth0: {wire: lan}}}\nexpect:\n"
        + textwrap.indent("\n".join(expect), " " * 2)
        + "\n"
    )
    result = run(path, datapath=datapath)
    assert result.ok, [(verdict.id, verdict.reason) for verdict in result.verdicts if not verdict]
    assert len(result.verdicts) == 18


@pytest.mark.parametrize("datapath", ["sim", *DATAPATHS])
def test_the_links_of_a_host_are_those_that_somebody_asked_for(datapath: str) -> None:
    with Lab(datapath=datapath, dialect="docker-28") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("10.0.0.1/24"), eth1=lan.port())
        lab.host("h2", eth0=lan.port())
        for create in (
            "-o parent=eth0.20 tagged",
            "-o parent=eth0 -o ipvlan_mode=l3 routed",
            "-o parent=eth1 -o ipvlan_mode=l3s filtered",
            "alone",
        ):
            assert h1.docker(f"network create -d ipvlan {create}").exit_code == 0
        for network in ("tagged", "routed", "filtered", "alone"):
            h1.container(f"on-{network}", network=network)
        isolated = f"di-{h1.docker('network ls -q -f name=alone').stdout.strip()}"
        assert sorted(lab.ground().read_links("h1")) == [isolated, "eth0", "eth0.20", "eth1", "lo"]
        assert lab.ground().read_links("on-tagged") == ["lo", "eth0"]
        assert h1.docker("rm -f on-tagged on-alone").exit_code == 0
        assert h1.docker("network rm tagged alone").exit_code == 0
        assert sorted(lab.ground().read_links("h1")) == ["eth0", "eth1", "lo"]


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_tap_to_the_hosts_netfilter_is_no_link_of_the_hosts(datapath: str, tmp_path: Path) -> None:
    with Lab(datapath=datapath) as lab:
        lan = lab.wire("lan")
        h1, h2 = (lab.host(name, eth0=lan.port(f"10.0.0.{at}/24")) for at, name in ((1, "h1"), (2, "h2")))
        create = "network create -d ipvlan --subnet 10.0.0.0/24 -o parent=eth0 -o ipvlan_mode=l3s n"
        assert h1.docker(create).exit_code == 0
        c = h1.container("c", network="n", ip="10.0.0.9")
        rules = tmp_path / "rules"
        rules.write_text("table inet t {\n chain c { type filter hook input priority 0; counter\n }\n}\n")
        assert h1.execute(["nft", "-f", str(rules)]).exit_code == 0
        assert c.delivers(h2)
        assert sorted(lab.ground().read_links("h1")) == ["eth0", "lo"]
