"""Which address a container gets: families, order, gateways, ranges, small and huge subnets."""

from __future__ import annotations

import pytest

from ipvlab.driver.addresses import AddressSet
from tests.unit.driver.recording_port import Host, addresses, net

CREATE = "network create -d ipvlan"


def test_l2_without_a_gateway_takes_the_first_usable_address_as_gateway(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 -o parent=eth0 n")
    assert addresses(host.run("--net=n")) == ["10.0.0.2/24"]
    assert str(host.engine.networks["n"].pools[0].gateway) == "10.0.0.1"


def test_the_gateway_of_an_l2_range_is_the_first_address_of_the_subnet(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 -o parent=eth0 n")
    assert str(host.engine.networks["n"].pools[0].gateway) == "10.0.0.1"
    assert addresses(host.run("--net=n")) == ["10.0.0.64/24"]


@pytest.mark.parametrize(
    "options",
    ["-o ipvlan_mode=l3 -o parent=eth0", "-o ipvlan_mode=l3s -o parent=eth0", "", "--internal",
     "--internal -o parent=eth0", "-o ipvlan_mode=l3"],
)  # fmt: skip
def test_l3_l3s_and_isolated_networks_reserve_no_gateway(host: Host, options: str) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --subnet=fd01::/64 {options} n")
    assert addresses(host.run("--net=n")) == ["10.0.0.1/24", "fd01::1/64"]


@pytest.mark.parametrize("options", ["-o parent=eth0", "-o parent=eth0 -o ipvlan_mode=l3", "--internal"])
def test_a_written_gateway_is_reserved_in_every_mode(host: Host, options: str) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --gateway=10.0.0.1 {options} n")
    assert addresses(host.run("--net=n")) == ["10.0.0.2/24"]
    assert "Address already in use" in host.refused("run --net=n --ip=10.0.0.1 alpine")


def test_a_gateway_at_the_end_leaves_the_first_address_to_the_first_container(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --gateway=10.0.0.254 -o parent=eth0 n")
    assert addresses(host.run("--net=n")) == ["10.0.0.1/24"]


def test_automatic_addresses_are_the_lowest_free_ones(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    for number in (1, 2, 3):
        host.run(f"--net=n --name=c{number}")
    assert addresses(host.run("--net=n --ip=10.0.0.5")) == ["10.0.0.5/24"]
    host.ok("rm -f c2")
    got = [addresses(host.run("--net=n"))[0] for _ in range(3)]
    assert got == ["10.0.0.2/24", "10.0.0.4/24", "10.0.0.6/24"]


def test_a_range_is_used_from_its_first_address_with_the_subnets_prefix(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/31 n")
    assert [addresses(host.run("--net=n"))[0] for _ in range(2)] == ["10.0.0.64/24", "10.0.0.65/24"]
    assert "no available IPv4 addresses" in host.refused("run --net=n alpine")
    assert addresses(host.run("--net=n --ip=10.0.0.9")) == ["10.0.0.9/24"]


def test_several_subnets_are_used_in_the_order_written_each_until_it_is_full(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/30 --subnet=10.0.0.0/30 -o ipvlan_mode=l3 n")
    got = [addresses(host.run("--net=n"))[0] for _ in range(4)]
    assert got == ["10.0.1.1/30", "10.0.1.2/30", "10.0.0.1/30", "10.0.0.2/30"]


def test_a_container_has_one_address_of_each_family_not_of_each_subnet(host: Host) -> None:
    subnets = "--subnet=10.0.0.0/24 --subnet=10.0.1.0/24 --subnet=fd01::/64 --subnet=fd02::/64"
    host.ok(f"{CREATE} {subnets} n")
    assert addresses(host.run("--net=n --ip=10.0.1.9")) == ["10.0.1.9/24", "fd01::1/64"]
    assert addresses(host.run("--net=n --ip6=fd02::9")) == ["10.0.0.1/24", "fd02::9/64"]


def test_full_pools_are_told_with_name_and_id_of_the_network(host: Host) -> None:
    network_id = host.ok(f"{CREATE} --subnet=10.0.0.0/30 n")
    host.run("--net=n")
    host.run("--net=n")
    assert host.refused("run --net=n alpine") == (
        "failed to set up container networking: "
        f"no available IPv4 addresses on this network's address pools: n ({network_id})"
    )


def test_a_full_ipv6_pool_gives_the_ipv4_address_back(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --subnet=fd01::/127 n")
    host.run("--net=n")
    assert "no available IPv6 addresses" in host.refused("run --net=n alpine")


def test_both_addresses_of_a_31_are_usable(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/31 --internal n")
    assert [addresses(host.run("--net=n"))[0] for _ in range(2)] == ["10.0.0.0/31", "10.0.0.1/31"]
    assert "no available" in host.refused("run --net=n alpine")


def test_the_one_address_of_a_32_is_usable(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.7/32 -o ipvlan_mode=l3 n")
    assert addresses(host.run("--net=n")) == ["10.0.0.7/32"]
    assert "no available" in host.refused("run --net=n alpine")


@pytest.mark.parametrize("prefix", [1, 8, 48, 63, 64, 65, 126])
def test_ipv6_begins_at_one_and_ends_at_the_very_last_address(host: Host, prefix: int) -> None:
    subnet = net(f"8000::/{prefix}")
    host.ok(f"{CREATE} --subnet={subnet} n")
    assert addresses(host.run("--net=n")) == [f"8000::1/{prefix}"]
    last = subnet.broadcast_address
    assert addresses(host.run(f"--net=n --ip6={last}")) == [f"{last}/{prefix}"]
    assert "Address already in use" in host.refused("run --net=n --ip6=8000:: alpine")


@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.255", "10.0.0.1", "10.0.0.2"])
def test_a_static_address_that_is_taken_is_refused_at_start(host: Host, address: str) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 -o parent=eth0 n")
    host.run("--net=n")
    assert host.refused(f"run --net=n --ip={address} alpine") == (
        "failed to set up container networking: Address already in use"
    )


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ("--ip=10.0.1.1", "no configured subnet contains IP address 10.0.1.1"),
        ("--ip6=fd02::1", "no configured subnet contains IP address fd02::1"),
        ("--ip=foo", "invalid IPv4 address: foo"),
        ("--ip=0.0.0.0", "invalid IPv4 address: 0.0.0.0"),
        ("--ip6=::", "invalid IPv6 address: ::"),
        ("--ip6=10.0.0.9", "invalid IPv6 address: 10.0.0.9"),
        ("--ip=fd01::9", "invalid IPv4 address: fd01::9"),
        ("--ip6=fd01::9%eth0", "invalid IPv6 address: fd01::9%eth0"),
        (
            "--ip=10.9.9.9 --ip6=fd09::9",
            (
                "* no configured subnet contains IP address 10.9.9.9\n"
                "* no configured subnet contains IP address fd09::9"
            ),
        ),
    ],
)
def test_an_address_that_cannot_be_is_refused_at_create(host: Host, options: str, fault: str) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --subnet=fd01::/64 n")
    assert host.refused(f"run --net=n {options} alpine") == (
        f"invalid config for network n: invalid endpoint settings:\n{fault}"
    )


def test_an_ipv6_address_on_a_network_without_ipv6_is_refused(host: Host) -> None:
    host.ok(f"{CREATE} --ipv6=false --subnet=10.0.0.0/24 --subnet=fd01::/64 n")
    assert "no configured subnet contains IP address fd01::9" in host.refused(
        "run --net=n --ip6=fd01::9 alpine"
    )


def test_a_static_address_inside_an_automatic_pool_is_accepted(host: Host) -> None:
    host.ok(f"{CREATE} n")
    assert addresses(host.run("--net=n --ip=172.18.3.4")) == ["172.18.3.4/16"]


@pytest.mark.parametrize(
    ("options", "has_ipv4", "has_ipv6"),
    [
        ("", True, False),
        ("--subnet=10.0.0.0/24", True, False),
        ("--subnet=fd01::/64", False, True),
        ("--ipv6 --subnet=fd01::/64", False, True),
        ("--subnet=10.0.0.0/24 --subnet=fd01::/64", True, True),
        ("--ipv6", True, True),
        ("--ipv6=false --subnet=10.0.0.0/24 --subnet=fd01::/64", True, False),
        ("--ipv6=false --subnet=fd01::/64", True, False),
        ("--ipv4 --subnet=fd01::/64", True, True),
        ("--ipv4=false --subnet=10.0.0.0/24 --subnet=fd01::/64", False, True),
        ("--ipv4=false --ipv6", False, True),
        ("--ipv4=false", False, False),
    ],
)
def test_subnets_choose_the_families_unless_an_option_does(
    host: Host, options: str, has_ipv4: bool, has_ipv6: bool
) -> None:
    host.ok(f"{CREATE} {options} n")
    network = host.engine.networks["n"]
    assert (network.has_ipv4, network.has_ipv6) == (has_ipv4, has_ipv6)
    assert [a.count(":") > 0 for a in addresses(host.run("--net=n"))] == [False] * has_ipv4 + [
        True
    ] * has_ipv6


def test_a_subnet_of_a_disabled_family_is_not_held(host: Host) -> None:
    host.ok(f"{CREATE} --ipv6=false --subnet=10.0.0.0/24 --subnet=fd01::/64 a")
    host.ok(f"{CREATE} --subnet=fd01::/64 b")


def test_a_thousand_containers_get_a_thousand_addresses(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/16 --subnet=fd01::/64 n")
    got = [tuple(addresses(host.run("--net=n"))) for _ in range(1000)]
    assert len(set(got)) == 1000
    assert got[-1] == ("10.0.3.232/16", "fd01::3e8/64")


def test_giving_back_from_the_middle_of_a_run_frees_that_address_alone() -> None:
    taken = AddressSet(net("10.0.0.0/28"))
    every = [taken.take_lowest(taken.subnet) for _ in range(10)]
    middle = every[4]
    assert middle is not None
    taken.release(middle)
    assert [address for address in every if address is not None and address not in taken] == [middle]
    assert taken.take_lowest(taken.subnet) == middle


def test_an_address_set_is_short_however_many_addresses_it_holds() -> None:
    taken = AddressSet(net("fd00::/16"))
    for _ in range(5000):
        taken.take_lowest(taken.subnet)
    assert len(taken) == 5001
    assert len(taken._starts) == 1
