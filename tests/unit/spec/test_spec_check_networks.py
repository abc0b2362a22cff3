"""What networks and containers of one host cannot say."""

from __future__ import annotations

import pytest

from ipvlab.errors import (
    AddressOutside,
    AddressTaken,
    NetworkNotFound,
    ParentNotFound,
    ParentTaken,
    SpecError,
    SubnetOverlap,
    ValueInvalid,
)
from tests.unit.spec.refusals import accept, refuse, refuse_one

HOST = """
name: x
dialect: DIALECT
wires: {lan: {}}
hosts:
  h1:
    interfaces:
      eth0: {wire: lan}
      eth0.40: {parent: eth0, vlan: 40}
      a.b: {wire: lan}
    networks:
      NETWORKS
    containers:
      CONTAINERS
"""


def _host(*networks: str, containers: tuple[str, ...] = ("c0: {}",), dialect: str = "docs") -> str:
    return (
        HOST.replace("DIALECT", dialect)
        .replace("NETWORKS", "\n      ".join(networks))
        .replace("CONTAINERS", "\n      ".join(containers))
    )


def _parent(name: str) -> str:
    return f'n: {{driver_opts: {{parent: §"{name}"}}}}'


@pytest.mark.parametrize(
    ("parent", "error", "words"),
    [
        ("lo", ParentNotFound, "loopback interface is not a valid ipvlan parent link"),
        ("lo.10", ParentNotFound, "loopback interface is not a valid ipvlan parent link"),
        ("foo", ParentNotFound, "invalid subinterface vlan name foo, example formatting is eth0.10"),
        ("eth9.10", ParentNotFound, "-o parent interface was not found on the host: eth9"),
        ("eth9.4095", ParentNotFound, "-o parent interface was not found on the host: eth9"),
        (
            "eth0.10.20",
            ParentNotFound,
            "is: name.vlan_id, ex. eth0.10 for vlan 10, instead received eth0.10.20",
        ),
        ("eth0.abc", ParentNotFound, "unable to parse a valid vlan id from: abc (ex. eth0.10 for vlan 10)"),
        ("eth0.", ParentNotFound, "unable to parse a valid vlan id from:  (ex. eth0.10 for vlan 10)"),
        ("eth0.0", ValueInvalid, "vlan id must be between 1-4094, received: 0"),
        ("eth0.4095", ValueInvalid, "vlan id must be between 1-4094, received: 4095"),
        ("eth0.-1", ValueInvalid, "vlan id must be between 1-4094, received: -1"),
        ("eth0.0000000000020", ValueInvalid, "longer than 15 bytes"),
    ],
)
def test_a_parent_that_cannot_be_is_refused_in_the_engines_words(
    parent: str, error: type[SpecError], words: str
) -> None:
    assert words in refuse_one(_host(_parent(parent)), error).what


@pytest.mark.parametrize("parent", ["eth0", "eth0.40", "a.b", "eth0.20", "eth0.1", "eth0.4094", ""])
def test_a_parent_that_exists_or_can_be_made_is_accepted(parent: str) -> None:
    accept(_host(_parent(parent).replace("§", "")))


def test_a_misspelt_parent_names_the_nearest() -> None:
    assert "Did you mean 'eth0'?" in refuse_one(_host(_parent("eht0")), ParentNotFound).hint


def test_one_network_holds_a_parent() -> None:
    error = refuse_one(
        _host("n: {driver_opts: {parent: eth0}}", "m: {driver_opts: {parent: §eth0}}"), ParentTaken
    )
    assert error.code == "IPV210"
    assert "network n is already using parent interface eth0" in error.what


def test_a_link_and_its_vlan_are_two_parents() -> None:
    accept(_host("n: {driver_opts: {parent: eth0}}", "m: {driver_opts: {parent: eth0.20}}"))


def test_an_internal_network_leaves_its_parent_alone_in_docs_only() -> None:
    networks = (
        "n: {driver_opts: {parent: eth0}}",
        "m: {internal: true, driver_opts: {parent: §eth0}}",
        "k: {internal: true, driver_opts: {parent: §eth9}}",
    )
    accept(_host(*networks).replace("§", ""))
    assert [error.code for error in refuse(_host(*networks, dialect="docker-28"))] == ["IPV210", "IPV201"]


@pytest.mark.parametrize(
    ("option", "valid"),
    [
        ("ipvlan_mode: §l4", "l2, l3, l3s"),
        ("ipvlan_mode: §L2", "l2, l3, l3s"),
        ("ipvlan_flag: §bridged", "bridge, private, vepa"),
        ("ipvlan_flag: §true", "bridge, private, vepa"),
    ],
)
def test_an_unknown_mode_or_flag_names_the_valid_ones(option: str, valid: str) -> None:
    assert f"Valid: {valid}." in refuse_one(_host(f"n: {{driver_opts: {{{option}}}}}"), ValueInvalid).hint


def test_options_that_the_driver_does_not_know_are_accepted() -> None:
    accept(_host("n: {driver_opts: {ipvlan_mod: l4, mode: l3}}"))


def _pool(pool: str) -> str:
    return _host(f"n: {{ipam: {{config: [{pool}]}}}}")


@pytest.mark.parametrize(
    ("pool", "error"),
    [
        ("{subnet: 10.0.0.0/24, gateway: §10.0.1.1}", AddressOutside),
        ('{subnet: 10.0.0.0/24, gateway: §"2001:db8::1"}', AddressOutside),
        ("{subnet: 10.0.0.0/24, ip_range: §10.0.1.0/25}", AddressOutside),
        ("{subnet: 10.0.0.0/24, ip_range: §10.0.0.0/16}", AddressOutside),
        ('{subnet: 10.0.0.0/24, ip_range: §"2001:db8::/120"}', AddressOutside),
        ("{subnet: 10.0.0.0/24, aux_addresses: {a: §10.0.1.1}}", AddressOutside),
        ("{subnet: 10.0.0.0/24, gateway: 10.0.0.1, aux_addresses: {a: §10.0.0.1}}", AddressTaken),
        ("{subnet: 10.0.0.0/24, aux_addresses: {a: 10.0.0.5, b: §10.0.0.5}}", AddressTaken),
        ("{subnet: 10.0.0.0/24}, {subnet: §10.0.0.128/25}", SubnetOverlap),
        ("{subnet: §172.17.0.0/24}", SubnetOverlap),
    ],
)
def test_a_pool_that_contradicts_its_subnet_is_refused(pool: str, error: type[SpecError]) -> None:
    refuse_one(_pool(pool), error)


def test_a_pool_within_its_subnet_is_accepted() -> None:
    accept(
        _pool(
            "{subnet: 10.0.0.0/24, gateway: 10.0.0.254, ip_range: 10.0.0.0/24, aux_addresses: {a: 10.0.0.5}},"
            ' {subnet: 10.0.1.0/24}, {subnet: "2001:db8::/64", gateway: "2001:db8::22"}'
        )
    )


def _two(first: str, second: str) -> str:
    return _host(f"n: {{ipam: {{config: [{{{first}}}]}}}}", f"m: {{ipam: {{config: [{{{second}}}]}}}}")


def test_subnets_of_two_networks_of_one_host_must_not_overlap() -> None:
    error = refuse_one(_two("subnet: 10.0.0.0/24", "subnet: §10.0.0.0/16"), SubnetOverlap)
    assert "Pool overlaps with other one on this address space" in error.what
    assert "of network n on h1" in error.what


def test_an_ip_range_lets_subnets_overlap_unless_the_very_pair_exists() -> None:
    accept(_two("subnet: 10.0.0.0/24", "subnet: 10.0.0.0/24, ip_range: 10.0.0.128/25"))
    same = "10.0.0.0/24, ip_range: 10.0.0.128/25"
    refuse_one(_two(f"subnet: {same}", f"subnet: §{same}"), SubnetOverlap)


def test_two_hosts_may_use_one_subnet() -> None:
    accept("""
        name: x
        hosts:
          h1: {networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}}
          h2: {networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}}
        """)


NETWORK = "n: {ipam: {config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1, aux_addresses: {a: 10.0.0.9}}]}}"
ONLY_V6 = 'n: {ipam: {config: [{subnet: "2001:db8::/64"}]}}'


@pytest.mark.parametrize(
    ("network", "endpoint", "error"),
    [
        (NETWORK, "ipv4_address: §10.0.1.5", AddressOutside),
        (NETWORK, "ipv4_address: §10.0.0.1", AddressTaken),
        (NETWORK, "ipv4_address: §10.0.0.9", AddressTaken),
        (ONLY_V6, "ipv4_address: §10.0.0.5", AddressOutside),
        (ONLY_V6, 'ipv6_address: §"2001:db9::5"', AddressOutside),
    ],
)
def test_a_static_address_must_be_free_and_in_a_subnet(
    network: str, endpoint: str, error: type[SpecError]
) -> None:
    refuse_one(_host(network, containers=(f"c: {{networks: {{n: {{{endpoint}}}}}}}",)), error)


@pytest.mark.parametrize(
    ("network", "endpoint"),
    [
        (NETWORK, "ipv4_address: 10.0.0.5"),
        (NETWORK, 'ipv6_address: "2001:db8::5"'),
        ("n: {}", "ipv4_address: 172.18.0.9"),
        (ONLY_V6, 'ipv6_address: "2001:db8::5"'),
    ],
)
def test_a_static_address_that_may_fit_is_left_to_the_driver(network: str, endpoint: str) -> None:
    accept(_host(network, containers=(f"c: {{networks: {{n: {{{endpoint}}}}}}}",)))


def test_a_static_address_is_given_once_on_a_network() -> None:
    error = refuse_one(
        _host(
            NETWORK,
            containers=(
                "c: {networks: {n: {ipv4_address: 10.0.0.5}}}",
                "d: {networks: {n: {ipv4_address: §10.0.0.5}}}",
            ),
        ),
        AddressTaken,
    )
    assert "container c" in error.what


def test_the_same_address_on_two_hosts_is_accepted() -> None:
    accept("""
        name: x
        hosts:
          h1:
            networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
            containers: {a: {networks: {n: {ipv4_address: 10.0.0.5}}}}
          h2:
            networks: {n: {ipam: {config: [{subnet: 10.0.0.0/24}]}}}
            containers: {b: {networks: {n: {ipv4_address: 10.0.0.5}}}}
        """)


@pytest.mark.parametrize("networks", ["[§dbnet]", "{§dbnet: }", "[db_net, §bridge]"])
def test_a_container_joins_networks_of_its_host(networks: str) -> None:
    refuse_one(_host("db_net: {}", containers=(f"c: {{networks: {networks}}}",)), NetworkNotFound)


def test_an_unknown_network_names_the_nearest() -> None:
    error = refuse_one(_host("db_net: {}", containers=("c: {networks: [§dbnet]}",)), NetworkNotFound)
    assert error.hint == "Did you mean 'db_net'? Networks of h1: db_net."


def test_a_network_made_by_commands_comes_too_late_for_a_declared_container() -> None:
    error = refuse_one(
        """
        name: x
        hosts:
          h1:
            containers: {c: {networks: [§n]}}
            commands: docker network create -d ipvlan n
        """,
        NetworkNotFound,
    )
    assert "come after the containers" in error.hint
