"""The command lines of Docker's IPvlan documents, word for word, and what the documents say of them."""

from __future__ import annotations

import pytest

from ipvlab.driver.commands import execute
from ipvlab.driver.grammar import DockerCommand
from ipvlab.driver.ip_grammar import AddressShow, LinkDelete, LinkSet, Ping, RouteShow, VlanAdd
from ipvlab.driver.names import lookup
from ipvlab.driver.session import Session, parse_lines
from tests.unit.driver.recording_port import Host, addresses, routes


class Terminal:
    """A host's terminal: blocks are typed, and Docker's lines carried out."""

    def __init__(self, *links: str) -> None:
        self.host = Host(*links)
        self.session = Session(self.host.engine)

    def type(self, block: str) -> list[str]:
        """Type a block; the texts of the daemon's errors."""
        errors = []
        for parsed in parse_lines(block.split("\n")):
            if isinstance(parsed.command, DockerCommand):
                result = execute(self.host.docker_host, parsed.command)
                self.session.settle(parsed.command, result)
                if result.exit_code:
                    errors.append(result.stderr)
        return errors

    def containers(self) -> dict[str, list[str]]:
        """The addresses of every container."""
        return {name: addresses(c) for name, c in self.host.engine.containers.items()}


@pytest.fixture
def terminal() -> Terminal:
    """A host's terminal."""
    return Terminal()


DB_NET = """
docker network create -d ipvlan \\
  --subnet=192.168.1.0/24 \\
  --gateway=192.168.1.1 \\
  -o ipvlan_mode=l2 \\
  -o parent=eth0 db_net
"""
DB_NET_IPV = """
docker network create -d ipvlan \\
  --subnet=192.168.1.0/24 \\
  -o parent=eth0 db_net_ipv
docker run --net=db_net_ipv --name=ipv1 -itd alpine /bin/sh
docker run --net=db_net_ipv --name=ipv2 -it --rm alpine /bin/sh
ping -c 4 ipv1
"""
IPNET210 = """
docker network create -d ipvlan \\
  --subnet=192.168.214.0/24 \\
  --subnet=10.1.214.0/24 \\
  -o ipvlan_mode=l3 ipnet210
docker run --net=ipnet210 --ip=192.168.214.10 -itd alpine /bin/sh
docker run --net=ipnet210 --ip=10.1.214.10 -itd alpine /bin/sh
docker run --net=ipnet210 --ip=192.168.214.9 -it --rm alpine ping -c 2 10.1.214.10
docker run --net=ipnet210 --ip=10.1.214.9 -it --rm alpine ping -c 2 192.168.214.10
"""


def test_l2_the_first_container_has_2_and_routes_via_the_gateway(terminal: Terminal) -> None:
    assert terminal.type(DB_NET + "docker run --net=db_net -it --rm alpine /bin/sh") == []
    assert terminal.containers() == {"h1-1": ["192.168.1.2/24"]}
    assert routes(terminal.host.engine.containers["h1-1"]) == ["default via 192.168.1.1 dev eth0"]


def test_l2_without_a_gateway_names_resolve_and_the_ping_is_typed_in_ipv2(terminal: Terminal) -> None:
    assert terminal.type(DB_NET_IPV) == []
    assert terminal.containers() == {"ipv1": ["192.168.1.2/24"], "ipv2": ["192.168.1.3/24"]}
    ping = parse_lines(DB_NET_IPV.split("\n"))[-1].command
    assert ping == Ping("ipv1", count=4)
    assert terminal.session.place(ping) == "ipv2"
    answer = lookup(terminal.host.engine, "ipv2", "ipv1", "A")
    assert [str(address) for address in answer.addresses] == ["192.168.1.2"]


def test_both_networks_of_the_documents_on_eth0_exclude_each_other(terminal: Terminal) -> None:
    terminal.type(DB_NET)
    overlap, *not_found = terminal.type(DB_NET_IPV)
    assert "Pool overlaps with other one on this address space" in overlap
    assert ["network db_net_ipv not found" in error for error in not_found] == [True, True]


def test_three_isolated_networks_have_parents_of_their_own_and_no_gateway(terminal: Terminal) -> None:
    block = """
docker network create -d ipvlan \\
  --subnet=192.168.10.0/24 isolated1

docker network create -d ipvlan \\
  --subnet=192.168.11.0/24 --internal isolated2

docker network create -d ipvlan isolated3
docker run --net=isolated1 -itd alpine
docker run --net=isolated2 -itd alpine
docker run --net=isolated3 -itd alpine
"""
    assert terminal.type(block) == []
    assert terminal.containers() == {
        "h1-1": ["192.168.10.1/24"],
        "h1-2": ["192.168.11.1/24"],
        "h1-3": ["172.18.0.1/16"],
    }
    containers = terminal.host.engine.containers.values()
    assert [routes(container) for container in containers] == [[], [], []]
    assert all(link.startswith("di-") for link in set(terminal.host.port.links) - {"lo", "eth0"})


def test_trunk_vlans_are_made_on_eth0_and_go_with_their_networks(terminal: Terminal) -> None:
    block = """
docker network create -d ipvlan \\
  --subnet=192.168.20.0/24 \\
  --gateway=192.168.20.1 \\
  -o parent=eth0.20 ipvlan20
docker network create -d ipvlan \\
  --subnet=192.168.30.0/24 \\
  --gateway=192.168.30.1 \\
  -o parent=eth0.30 \\
  -o ipvlan_mode=l2 ipvlan30
"""
    assert terminal.type(block) == []
    assert terminal.host.port.vlans == {"eth0.20": ("eth0", 20), "eth0.30": ("eth0", 30)}
    assert terminal.type("docker network rm ipvlan20 ipvlan30") == []
    assert set(terminal.host.port.links) == {"lo", "eth0"}


def test_two_l2_subnets_are_used_in_the_order_written_with_their_own_gateways(terminal: Terminal) -> None:
    block = """
docker network create -d ipvlan \\
  --subnet=192.168.114.0/24 --subnet=192.168.116.0/24 \\
  --gateway=192.168.114.254 --gateway=192.168.116.254 \\
  -o parent=eth0.114 \\
  -o ipvlan_mode=l2 ipvlan114
docker run --net=ipvlan114 -itd alpine
docker run --net=ipvlan114 --ip=192.168.116.10 -itd alpine
"""
    assert terminal.type(block) == []
    assert terminal.containers() == {"h1-1": ["192.168.114.1/24"], "h1-2": ["192.168.116.10/24"]}
    assert [routes(c) for c in terminal.host.engine.containers.values()] == [
        ["default via 192.168.114.254 dev eth0"],
        ["default via 192.168.116.254 dev eth0"],
    ]


def test_l3_without_a_parent_routes_between_its_subnets(terminal: Terminal) -> None:
    assert terminal.type(IPNET210) == []
    assert terminal.containers() == {"h1-1": ["192.168.214.10/24"], "h1-2": ["10.1.214.10/24"]}
    assert [routes(c) for c in terminal.host.engine.containers.values()] == [["default dev eth0"]] * 2
    assert terminal.host.port.executed == [
        ("h1-3", ("ping", "-c", "2", "10.1.214.10")),
        ("h1-4", ("ping", "-c", "2", "192.168.214.10")),
    ]


def test_ipv6_only_has_no_ipv4(terminal: Terminal) -> None:
    block = """
docker network create -d ipvlan \\
  --ipv6 --subnet=2001:db8:abc2::/64 --gateway=2001:db8:abc2::22 \\
  -o parent=eth0.139 v6ipvlan139
docker run --net=v6ipvlan139 -it --rm alpine /bin/sh
ip -6 route
docker run --net=v6ipvlan139 -it --rm alpine /bin/sh
ping6 2001:db8:abc2::1
"""
    assert terminal.type(block) == []
    assert terminal.containers() == {"h1-1": ["2001:db8:abc2::1/64"], "h1-2": ["2001:db8:abc2::2/64"]}
    assert routes(terminal.host.engine.containers["h1-1"]) == ["default via 2001:db8:abc2::22 dev eth0"]
    assert terminal.session.container == "h1-2"


IPVLAN140 = """
docker network create -d ipvlan \\
  --subnet=192.168.140.0/24 --subnet=192.168.142.0/24 \\
  --gateway=192.168.140.1 --gateway=192.168.142.1 \\
  --subnet=2001:db8:abc9::/64 --gateway=2001:db8:abc9::22 \\
  -o parent=eth0.140 \\
  -o ipvlan_mode=l2 ipvlan140
"""


def test_dual_stack_l2_has_both_families_without_the_option(terminal: Terminal) -> None:
    assert terminal.type(IPVLAN140 + "docker run --net=ipvlan140 -itd alpine") == []
    assert terminal.containers() == {"h1-1": ["192.168.140.2/24", "2001:db8:abc9::1/64"]}
    assert routes(terminal.host.engine.containers["h1-1"]) == [
        "default via 192.168.140.1 dev eth0",
        "default via 2001:db8:abc9::22 dev eth0",
    ]


def test_dual_stack_l2_the_documents_address_of_another_subnet_is_refused(terminal: Terminal) -> None:
    line = "docker run --net=ipvlan140 --ip6=2001:db8:abc2::51 -it --rm alpine /bin/sh"
    [error] = terminal.type(IPVLAN140 + line)
    assert "no configured subnet contains IP address 2001:db8:abc2::51" in error
    assert terminal.containers() == {}
    assert terminal.type("docker run --net=ipvlan140 --ip6=2001:db8:abc9::51 -it --rm alpine /bin/sh") == []
    assert terminal.containers() == {"h1-1": ["192.168.140.2/24", "2001:db8:abc9::51/64"]}


def test_dual_stack_l3_every_container_has_both_families_whatever_it_was_given(terminal: Terminal) -> None:
    block = """
docker network create -d ipvlan \\
  --subnet=192.168.110.0/24 \\
  --subnet=192.168.112.0/24 \\
  --subnet=2001:db8:abc6::/64 \\
  -o parent=eth0 \\
  -o ipvlan_mode=l3 ipnet110
docker run --net=ipnet110 -it --rm alpine /bin/sh
docker run --net=ipnet110 --ip6=2001:db8:abc6::10 -it --rm alpine /bin/sh
docker run --net=ipnet110 --ip=192.168.112.30 -it --rm alpine /bin/sh
docker run --net=ipnet110 --ip6=2001:db8:abc6::50 --ip=192.168.112.50 -it --rm alpine /bin/sh
"""
    assert terminal.type(block) == []
    assert terminal.containers() == {
        "h1-1": ["192.168.110.1/24", "2001:db8:abc6::1/64"],
        "h1-2": ["192.168.110.2/24", "2001:db8:abc6::10/64"],
        "h1-3": ["192.168.112.30/24", "2001:db8:abc6::2/64"],
        "h1-4": ["192.168.112.50/24", "2001:db8:abc6::50/64"],
    }
    for container in terminal.host.engine.containers.values():
        assert routes(container) == ["default dev eth0", "default dev eth0"]


@pytest.mark.parametrize("name", ["eth0.40", "foo"])
def test_a_vlan_made_by_hand_survives_its_network_whatever_its_name(name: str) -> None:
    by_hand = f"""
ip link add link eth0 name {name} type vlan id 40
ip link set {name} up
"""
    assert [parsed.command for parsed in parse_lines(by_hand.split("\n"))] == [
        VlanAdd("eth0", name, 40),
        LinkSet(name, is_up=True),
    ]
    terminal = Terminal(name)
    block = f"""
docker network create -d ipvlan \\
  --subnet=192.168.40.0/24 \\
  --gateway=192.168.40.1 \\
  -o parent={name} ipvlan40
docker run --net=ipvlan40 -it --name ivlan_test5 --rm alpine /bin/sh
docker run --net=ipvlan40 -it --name ivlan_test6 --rm alpine /bin/sh
"""
    assert terminal.type(block) == []
    assert list(terminal.containers()) == ["ivlan_test5", "ivlan_test6"]
    assert terminal.type("docker rm -f ivlan_test5 ivlan_test6\ndocker network rm ipvlan40") == []
    assert name in terminal.host.port.links


def test_the_lines_that_are_not_dockers_are_read() -> None:
    lines = ["ip addr show eth0", "ip a show eth0", "ip route", "ip -6 route", "ip link del foo"]
    assert [parsed.command for parsed in parse_lines(lines)] == [
        AddressShow("eth0"),
        AddressShow("eth0"),
        RouteShow(4),
        RouteShow(6),
        LinkDelete("foo"),
    ]
