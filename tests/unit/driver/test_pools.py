"""Pools: which subnets a network may have, and what of them is reserved."""

from __future__ import annotations

import pytest

from ipvlab.driver.pools import PoolConfig, read_pools
from ipvlab.driver.requests import NetworkRequest, PoolRequest
from ipvlab.errors import DriverRefusal
from tests.unit.driver.recording_port import Host, addresses, net

CREATE = "network create -d ipvlan"
OVERLAPS = "invalid pool request: Pool overlaps with other one on this address space"


@pytest.mark.parametrize(
    ("pool", "fault"),
    [
        (PoolRequest("192.168.1.0"), "invalid subnet 192.168.1.0: invalid CIDR block notation"),
        (
            PoolRequest("192.168.1.0/255.255.255.0"),
            "invalid subnet 192.168.1.0/255.255.255.0: invalid CIDR block notation",
        ),
        (PoolRequest("10.0.0.0/33"), "invalid subnet 10.0.0.0/33: invalid CIDR block notation"),
        (PoolRequest("192.168.1.5/24"), "invalid subnet 192.168.1.5/24: it should be 192.168.1.0/24"),
        (
            PoolRequest("192.168.1.0/24", gateway="fd00::1"),
            "invalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        (
            PoolRequest("fd00::/64", gateway="10.0.0.1"),
            "invalid gateway 10.0.0.1: parent subnet is an IPv6 block",
        ),
        (
            PoolRequest("192.168.1.0/24", gateway="192.168.2.1"),
            "invalid gateway 192.168.2.1: parent subnet 192.168.1.0/24 doesn't contain this address",
        ),
        (
            PoolRequest("192.168.1.0/24", gateway="192.168.1.1/24"),
            "invalid gateway 192.168.1.1/24: invalid address",
        ),
        (PoolRequest("fe80::/64", gateway="fe80::1%eth0"), "invalid gateway fe80::1%eth0: invalid address"),
        (
            PoolRequest("192.168.1.0/24", ip_range="192.168.0.0/16"),
            "invalid ip-range 192.168.0.0/16: CIDR block is bigger than its parent subnet 192.168.1.0/24",
        ),
        (
            PoolRequest("192.168.1.0/24", ip_range="192.168.1.9/25"),
            "invalid ip-range 192.168.1.9/25: it should be 192.168.1.0/25",
        ),
        (
            PoolRequest("192.168.1.0/24", ip_range="192.168.2.0/25"),
            "invalid ip-range 192.168.2.0/25: parent subnet 192.168.1.0/24 doesn't contain ip-range",
        ),
        (
            PoolRequest("192.168.1.0/24", ip_range="192.168.1.0"),
            "invalid ip-range 192.168.1.0: invalid CIDR block notation",
        ),
        (
            PoolRequest("192.168.1.0/24", ip_range="fd00::/64"),
            "invalid ip-range fd00::/64: parent subnet is an IPv4 block",
        ),
        (
            PoolRequest("192.168.1.0/24", aux_addresses=(("nas", "10.0.0.1"),)),
            "invalid auxiliary address nas: parent subnet 192.168.1.0/24 doesn't contain this address",
        ),
    ],
)
def test_a_faulty_pool_is_refused_in_dockers_words(pool: PoolRequest, fault: str) -> None:
    with pytest.raises(DriverRefusal) as caught:
        read_pools([pool])
    assert (caught.value.what, caught.value.status) == (f"invalid network config:\n{fault}", 400)


def test_several_faults_are_listed_with_bullets() -> None:
    with pytest.raises(DriverRefusal) as caught:
        read_pools([PoolRequest("10.0.0.1/24"), PoolRequest("10.1.0.0/24", gateway="10.2.0.1")])
    assert caught.value.what == (
        "invalid network config:\n"
        "* invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24\n"
        "* invalid gateway 10.2.0.1: parent subnet 10.1.0.0/24 doesn't contain this address"
    )


def test_a_sound_pool_is_read_whole() -> None:
    pool = PoolRequest("10.0.0.0/24", "10.0.0.254", "10.0.0.64/26", (("nas", "10.0.0.70"),))
    [config] = read_pools([pool])
    assert config.subnet == net("10.0.0.0/24")
    assert config.ip_range == net("10.0.0.64/26")
    assert (str(config.gateway), [(n, str(a)) for n, a in config.aux_addresses]) == (
        "10.0.0.254",
        [("nas", "10.0.0.70")],
    )
    assert read_pools([PoolRequest("0.0.0.0/0")]) == (PoolConfig(net("0.0.0.0/0")),)


@pytest.mark.parametrize("second", ["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "10.1.0.0/16 -o parent=eth0"])
def test_a_subnet_that_overlaps_any_other_is_refused(host: Host, second: str) -> None:
    host.ok(f"{CREATE} --subnet=10.1.0.0/16 a")
    assert host.refused(f"{CREATE} --subnet={second} b") == OVERLAPS


def test_the_predefined_bridge_network_holds_172_17(host: Host) -> None:
    assert host.refused(f"{CREATE} --subnet=172.17.5.0/24 a") == OVERLAPS


def test_overlapping_subnets_of_one_request_are_refused(host: Host) -> None:
    pools = (PoolRequest("10.0.0.0/24"), PoolRequest("10.0.0.128/25"))
    before = host.engine.held_addresses()
    with pytest.raises(DriverRefusal, match="Pool overlaps"):
        host.engine.create_network(NetworkRequest("n", "ipvlan", pools=pools))
    assert host.engine.held_addresses() == before


def test_an_explicit_subnet_may_be_the_hosts_own(host: Host) -> None:
    host.port.on_link = (net("192.168.1.0/24"),)
    host.ok(f"{CREATE} --subnet=192.168.1.0/24 -o parent=eth0 n")


def test_one_subnet_with_two_ranges_is_shared_and_its_addresses_are_exclusive(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 a")
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.128/26 b")
    assert addresses(host.run("--net=a --ip=10.0.0.5")) == ["10.0.0.5/24"]
    assert "Address already in use" in host.refused("run --net=b --ip=10.0.0.5 alpine")
    assert addresses(host.run("--net=b")) == ["10.0.0.128/24"]


def test_one_subnet_with_one_range_twice_is_refused(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 a")
    assert host.refused(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 b") == OVERLAPS
    assert host.refused(f"{CREATE} --subnet=10.0.0.0/24 b") == OVERLAPS


def test_a_shared_subnet_is_free_only_when_all_that_share_it_are_gone(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 a")
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.128/26 b")
    host.ok("network rm a")
    assert host.refused(f"{CREATE} --subnet=10.0.0.0/24 c") == OVERLAPS
    host.ok("network rm b")
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 c")


def test_a_network_that_shares_a_subnet_takes_its_gateway_and_auxiliary_addresses_with_it(host: Host) -> None:
    reserved = "--gateway=10.0.0.1 --aux-address=nas=10.0.0.2"
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 {reserved} a")
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --ip-range=10.0.0.128/26 b")
    for address in ("10.0.0.1", "10.0.0.2"):
        assert "Address already in use" in host.refused(f"run --net=b --ip={address} alpine")
    host.ok("network rm a")
    for address in ("10.0.0.1", "10.0.0.2"):
        assert addresses(host.run(f"--net=b --ip={address}")) == [f"{address}/24"]


def test_the_same_gateway_twice_on_a_shared_subnet_is_refused(host: Host) -> None:
    shared = f"{CREATE} --subnet=10.0.0.0/24 --gateway=10.0.0.1"
    host.ok(f"{shared} --ip-range=10.0.0.64/26 a")
    assert host.refused(f"{shared} --ip-range=10.0.0.128/26 b") == (
        "failed to allocate gateway (10.0.0.1): Address already in use"
    )


@pytest.mark.parametrize("gateway", ["10.0.0.0", "10.0.0.255"])
def test_network_and_broadcast_address_are_no_gateway(host: Host, gateway: str) -> None:
    assert host.refused(f"{CREATE} --subnet=10.0.0.0/24 --gateway={gateway} n") == (
        f"failed to allocate gateway ({gateway}): Address already in use"
    )


def test_an_auxiliary_address_that_is_the_gateway_is_refused(host: Host) -> None:
    options = "--subnet=10.0.0.0/24 --gateway=10.0.0.1 --aux-address=r1=10.0.0.1"
    assert host.refused(f"{CREATE} {options} n") == (
        "failed to allocate secondary ip address (r1:10.0.0.1): Address already in use"
    )


def test_auxiliary_addresses_are_never_given_out(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --aux-address a=10.0.0.1 --aux-address b=10.0.0.2 n")
    assert addresses(host.run("--net=n")) == ["10.0.0.3/24"]
    assert "Address already in use" in host.refused("run --net=n --ip=10.0.0.2 alpine")


def test_removing_a_network_gives_back_pool_gateway_and_auxiliary_addresses(host: Host) -> None:
    line = f"{CREATE} --subnet=10.0.0.0/24 --gateway=10.0.0.1 --aux-address a=10.0.0.2 -o parent=eth0 n"
    for _ in range(3):
        host.ok(line)
        assert addresses(host.run("--net=n --name=c")) == ["10.0.0.3/24"]
        host.ok("rm -f c")
        host.ok("network rm n")


def test_automatic_pools_begin_after_the_predefined_bridge(host: Host) -> None:
    for number in range(30):
        host.ok(f"{CREATE} n{number}")
    subnets = [str(network.pools[0].subnet) for network in host.engine.networks.values()]
    assert subnets[:2] == ["172.18.0.0/16", "172.19.0.0/16"]
    assert subnets[13:16] == ["172.31.0.0/16", "192.168.0.0/20", "192.168.16.0/20"]
    assert subnets[-1] == "192.168.240.0/20"
    assert host.refused(f"{CREATE} n30") == "all predefined address pools have been fully subnetted"
    host.ok("network rm n3")
    host.ok(f"{CREATE} n30")
    assert str(host.engine.networks["n30"].pools[0].subnet) == "172.21.0.0/16"


def test_automatic_pools_keep_clear_of_the_hosts_subnets_and_of_other_networks(host: Host) -> None:
    host.port.on_link = (net("172.18.4.0/24"), net("fd00::/64"), net("172.20.0.0/14"))
    host.ok(f"{CREATE} --subnet=172.24.9.0/24 a")
    host.ok(f"{CREATE} b")
    host.ok(f"{CREATE} c")
    assert str(host.engine.networks["b"].pools[0].subnet) == "172.19.0.0/16"
    assert str(host.engine.networks["c"].pools[0].subnet) == "172.25.0.0/16"


def test_ipv6_without_a_subnet_takes_unique_local_64s_of_the_host() -> None:
    host = Host()
    host.ok(f"{CREATE} --ipv6 --subnet=10.0.0.0/24 a")
    host.ok(f"{CREATE} --ipv6 --subnet=10.0.1.0/24 b")
    first, second = (host.engine.networks[name].pools_of(6)[0].subnet for name in "ab")
    assert first.subnet_of(net("fd00::/8"))  # type: ignore[arg-type]  # both are IPv6
    assert int(second.network_address) - int(first.network_address) == 1 << 64
    assert (first.prefixlen, second.prefixlen) == (64, 64)
    twin, other = Host(), Host(name="h2")
    for one in (twin, other):
        one.ok(f"{CREATE} --ipv6 --subnet=10.0.0.0/24 a")
    assert twin.engine.networks["a"].pools_of(6)[0].subnet == first
    assert other.engine.networks["a"].pools_of(6)[0].subnet != first


def test_an_unknown_ipam_driver_is_refused(host: Host) -> None:
    assert host.refused(f"{CREATE} --ipam-driver=dhcp n") == 'plugin "dhcp" not found'
