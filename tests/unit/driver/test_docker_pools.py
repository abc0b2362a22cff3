"""Docker's statements on the pools of networks (D-IPAM), for each dialect that they hold for."""

from __future__ import annotations

import dataclasses

import pytest

from ipvlab.driver.requests import NetworkRequest, PoolRequest
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import (
    CREATE,
    D26,
    D28,
    D29,
    DOCS,
    IN_USE,
    TEN,
    every_dialect,
    exhausted,
    host_of,
    overlap,
    pool_of,
    refuse,
    refuse_run,
)
from tests.unit.driver.recording_port import addresses, net


@pytest.mark.docker("D-IPAM-001", "D-IPAM-004")
@every_dialect
def test_there_are_thirty_automatic_pools_beside_that_of_bridge(dialect: Dialect) -> None:
    host = host_of(dialect)
    for number in range(30):
        host.ok(f"{CREATE} n{number}")
    wanted = [f"172.{number}.0.0/16" for number in range(18, 32)]
    wanted += [f"192.168.{number}.0/20" for number in range(0, 256, 16)]
    assert [pool_of(host, f"n{number}") for number in range(30)] == wanted
    assert refuse(host, NetworkRequest("more", "ipvlan")) == exhausted(dialect)


@pytest.mark.docker("D-IPAM-001")
@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_an_automatic_pool_that_was_given_back_is_the_next_one(dialect: Dialect) -> None:
    host = host_of(dialect)
    for name in "abc":
        host.ok(f"{CREATE} {name}")
    host.ok("network rm b")
    host.ok(f"{CREATE} d")
    assert pool_of(host, "d") == "172.19.0.0/16"


@pytest.mark.docker("D-IPAM-001")
def test_in_26_the_search_for_a_pool_goes_on_where_it_ended() -> None:
    host = host_of(D26)
    for name in "abc":
        host.ok(f"{CREATE} {name}")
    host.ok("network rm a b")
    host.ok(f"{CREATE} d")
    assert pool_of(host, "d") == "172.21.0.0/16"
    # A network that is refused later has had its turn as well.
    host.refused(f"{CREATE} -o parent=nosuch e")
    host.ok(f"{CREATE} e")
    assert pool_of(host, "e") == "172.23.0.0/16"
    for number in range(8, 32):
        host.ok(f"{CREATE} m{number}")
    assert pool_of(host, "m31") == "192.168.240.0/20"
    # Beyond the last one it begins anew: 172.17 is bridge's, and a and b are free again.
    host.ok(f"{CREATE} f")
    assert pool_of(host, "f") == "172.18.0.0/16"


@pytest.mark.docker("D-IPAM-002")
@every_dialect
def test_automatic_pools_keep_clear_of_what_the_host_has_on_link(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.port.on_link = (net("172.18.4.0/24"), net("172.20.0.0/14"))
    host.ok(f"{CREATE} --subnet=172.24.9.0/24 written")
    host.ok(f"{CREATE} a")
    host.ok(f"{CREATE} b")
    assert (pool_of(host, "a"), pool_of(host, "b")) == ("172.19.0.0/16", "172.25.0.0/16")


@pytest.mark.docker("D-IPAM-002", "D-IPAM-004")
@every_dialect
def test_a_host_whose_own_subnets_cover_every_pool_has_none_to_give(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.port.on_link = (net("172.16.0.0/12"), net("192.168.0.0/16"))
    assert refuse(host, NetworkRequest("n", "ipvlan")) == exhausted(dialect)


@pytest.mark.docker("D-IPAM-003")
@every_dialect
def test_a_written_subnet_may_be_the_hosts_own(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.port.on_link = (net("10.0.0.0/24"),)
    host.ok(f"{TEN} -o parent=eth0 n")


@pytest.mark.docker("D-IPAM-005")
@pytest.mark.parametrize("second", ["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "172.17.5.0/24", "0.0.0.0/1"])
@every_dialect
def test_a_subnet_that_overlaps_any_network_is_refused(dialect: Dialect, second: str) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=10.1.0.0/16 a")
    if second == "0.0.0.0/1" and dialect in (DOCS, D29):
        # There it is a size, and no predefined block is that large.
        assert host.refused(f"{CREATE} --subnet={second} b") == "invalid address pool"
        return
    request = NetworkRequest("b", "ipvlan", pools=(PoolRequest(second),))
    assert refuse(host, request) == (overlap(dialect), 403)


@pytest.mark.docker("D-IPAM-006")
@every_dialect
def test_one_subnet_by_two_ranges_is_shared(dialect: Dialect) -> None:
    """After TestIpvlanIPAMOverlap: what one network gives, the other does not."""
    host = host_of(dialect)
    host.ok(f"{TEN} --ip-range=10.0.0.64/26 -o ipvlan_mode=l3 a")
    host.ok(f"{TEN} --ip-range=10.0.0.128/26 -o ipvlan_mode=l3 b")
    host.run("--net=a --ip=10.0.0.130")
    assert refuse_run(host, dialect, "--net=b --ip=10.0.0.130") == IN_USE
    host.ok("network rm b")
    # The subnet is held by a, and free only when a goes.
    assert host.refused(f"{TEN} c") == overlap(dialect)


@pytest.mark.docker("D-IPAM-006")
@every_dialect
def test_different_subnets_that_overlap_by_ranges_know_nothing_of_each_other(dialect: Dialect) -> None:
    """moby#46756: with a range, only the very same subnet is looked for."""
    host = host_of(dialect)
    host.ok(f"{TEN} -o ipvlan_mode=l3 a")
    host.ok(f"{CREATE} --subnet=10.0.0.0/16 --ip-range=10.0.0.0/28 -o ipvlan_mode=l3 b")
    ip = "--ip=10.0.0.9"
    assert addresses(host.run(f"--net=a {ip}")) == ["10.0.0.9/24"]
    assert addresses(host.run(f"--net=b {ip}")) == ["10.0.0.9/16"]


@pytest.mark.docker("D-IPAM-007")
@every_dialect
def test_one_subnet_by_one_range_twice_is_refused(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --ip-range=10.0.0.64/26 a")
    assert host.refused(f"{TEN} --ip-range=10.0.0.64/26 b") == overlap(dialect)


@pytest.mark.docker("D-IPAM-008")
@every_dialect
def test_a_shared_subnet_has_each_gateway_once(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.1 --ip-range=10.0.0.64/26 a")
    pool = PoolRequest("10.0.0.0/24", gateway="10.0.0.1", ip_range="10.0.0.128/26")
    assert refuse(host, NetworkRequest("b", "ipvlan", pools=(pool,))) == (
        f"failed to allocate gateway (10.0.0.1): {IN_USE}",
        500,
    )


@pytest.mark.docker("D-IPAM-030")
@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_ipv6_without_a_subnet_takes_unique_local_64s(dialect: Dialect) -> None:
    host = host_of(dialect)
    for name, options in (("a", "--ipv6"), ("b", "--ipv6"), ("c", "")):
        host.ok(f"{CREATE} {options} {name}")
    first, second = (net(pool_of(host, name, 6)) for name in "ab")
    assert (first.prefixlen, f"{first}"[:2]) == (64, "fd")
    assert int(second.network_address) - int(first.network_address) == 1 << 64
    assert host.engine.networks["c"].pools_of(6) == ()


@pytest.mark.docker("D-IPAM-030")
def test_26_has_no_ipv6_pool_of_its_own() -> None:
    host = host_of(D26)
    held = host.engine.held_addresses()
    assert refuse(host, NetworkRequest("n", "ipvlan", enable_ipv6=True)) == exhausted(D26, "IPv6")
    assert host.engine.held_addresses() == held


@pytest.mark.docker("D-IPAM-035")
@every_dialect
def test_a_subnet_with_host_bits_is_refused_with_the_one_that_is_meant(dialect: Dialect) -> None:
    request = NetworkRequest("n", "ipvlan", pools=(PoolRequest("192.168.1.5/24"),))
    assert refuse(host_of(dialect), request) == (
        "invalid network config:\ninvalid subnet 192.168.1.5/24: it should be 192.168.1.0/24",
        400,
    )


@pytest.mark.docker("D-IPAM-036")
@every_dialect
def test_several_faults_are_listed(dialect: Dialect) -> None:
    pools = (
        PoolRequest("10.0.0.0", gateway="foo"),
        PoolRequest("10.0.1.0/24", gateway="10.0.2.1", ip_range="10.9.9.9/8", aux_addresses=(("a", "x"),)),
    )
    assert refuse(host_of(dialect), NetworkRequest("n", "ipvlan", pools=pools)) == (
        (
            "invalid network config:\n"
            "* invalid subnet 10.0.0.0: invalid CIDR block notation\n"
            "* invalid ip-range 10.9.9.9/8: CIDR block is bigger than its parent subnet 10.0.1.0/24\n"
            "* invalid ip-range 10.9.9.9/8: it should be 10.0.0.0/8\n"
            "* invalid gateway 10.0.2.1: parent subnet 10.0.1.0/24 doesn't contain this address\n"
            "* invalid auxiliary address a: invalid address"
        ),
        400,
    )


@pytest.mark.docker("D-IPAM-037")
def test_addresses_in_use_and_available_are_counted() -> None:
    """The figures of TestIpvlanIPAM and TestIpvlanIPAMOverlap; the API that tells them is 1.52."""
    host = host_of(D29)
    host.ok(
        f"{CREATE} --ipv6 --subnet=10.66.0.0/24 --subnet=fd01::/64 --ip-range=fd01::1:0/120 -o parent=eth0 n"
    )
    host.run("--net=n")
    four, six = host.engine.networks["n"].pools
    assert (four.taken_count, four.available_count) == (3, 253)
    assert (six.taken_count, six.available_count) == (2, 255)


@pytest.mark.docker("D-IPAM-037")
def test_what_another_network_of_the_subnet_holds_is_in_use_and_still_available_here() -> None:
    host = host_of(D29)
    shared = f"{CREATE} --subnet=192.168.0.0/24 -o ipvlan_mode=l3"
    for name, part in (("a", "0/25"), ("b", "128/25"), ("c", "0/28")):
        host.ok(f"{shared} --ip-range=192.168.0.{part} {name}")

    def counts() -> list[tuple[int, int]]:
        pools = [host.engine.networks[name].pools[0] for name in "abc"]
        return [(pool.taken_count, pool.available_count) for pool in pools]

    # Network and broadcast address, each in the range that it lies in.
    assert counts() == [(2, 127), (2, 127), (2, 15)]
    host.run("--net=b")
    assert counts() == [(3, 127), (3, 126), (3, 15)]
    host.run("--net=c")
    assert counts() == [(4, 126), (4, 126), (4, 14)]


@pytest.mark.docker("D-IPAM-038")
@every_dialect
def test_a_removed_network_gives_everything_back(dialect: Dialect) -> None:
    host = host_of(dialect)
    held = host.engine.held_addresses()
    line = f"{TEN} --gateway=10.0.0.1 --ip-range=10.0.0.0/28 --aux-address a=10.0.0.2 -o parent=eth0 n"
    for _ in range(3):
        host.ok(line)
        assert addresses(host.run("--net=n --name=c")) == ["10.0.0.3/24"]
        host.ok("rm -f c")
        host.ok("network rm n")
        assert host.engine.held_addresses() == held


@pytest.mark.parametrize("dialect", [DOCS, D29])
def test_a_subnet_without_a_place_is_a_size(dialect: Dialect) -> None:
    host = host_of(dialect)
    for name, subnet in (("a", "0.0.0.0/24"), ("b", "0.0.0.0/24"), ("c", "0.0.0.0/15"), ("d", "0.0.0.0/0")):
        host.ok(f"{CREATE} --subnet={subnet} {name}")
    assert [pool_of(host, name) for name in "abcd"] == [
        "172.18.0.0/24",
        "172.18.1.0/24",
        "172.20.0.0/15",
        "172.19.0.0/16",
    ]
    host.ok(f"{CREATE} --ipv6 --subnet=::/56 --subnet=10.0.0.0/24 e")
    assert net(pool_of(host, "e", 6)).prefixlen == 56
    # Whoever asks for a size has a written subnet, and may choose an address in it.
    assert addresses(host.run("--net=a --ip=172.18.0.77")) == ["172.18.0.77/24"]
    assert str(host.engine.networks["a"].configs[0].subnet) == "172.18.0.0/24"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--subnet=0.0.0.0/7", "invalid address pool"),
        (
            "--subnet=0.0.0.0/24 --gateway=0.0.0.1",
            "failed to allocate gateway (0.0.0.1): requested address is out of range",
        ),
        (
            "--subnet=0.0.0.0/24 --ip-range=0.0.0.0/25",
            (
                'failed to parse pool request for address space "LocalDefault" pool "" '
                'subpool "0.0.0.0/25": invalid address subpool'
            ),
        ),
        (
            "--subnet=0.0.0.0/24 --aux-address a=0.0.0.9",
            "auxiliary address: (a:0.0.0.9) must belong to the master pool: 172.18.0.0/24",
        ),
    ],
)
@pytest.mark.parametrize("dialect", [DOCS, D29])
def test_what_a_size_cannot_have_is_refused(dialect: Dialect, options: str, text: str) -> None:
    assert host_of(dialect).refused(f"{CREATE} {options} n") == text


@pytest.mark.parametrize("dialect", [D26, D28])
def test_before_29_a_subnet_without_a_place_is_at_zero(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=0.0.0.0/24 n")
    assert pool_of(host, "n") == "0.0.0.0/24"


@pytest.mark.parametrize(
    ("request_", "text", "old"),
    [
        (NetworkRequest("n", "ipvlan"), "ipv4 pool is empty", None),
        (
            NetworkRequest("n", "ipvlan", enable_ipv6=True),
            "ipv4 pool is empty",
            "null ipam driver does not handle IPv6 address pool requests",
        ),
        (NetworkRequest("n", "ipvlan", enable_ipv4=False, enable_ipv6=True), "ipv6 pool is empty", None),
        (
            NetworkRequest("n", "ipvlan", pools=(PoolRequest("10.0.0.0/24"),)),
            "null ipam driver does not handle specific address pool requests",
            None,
        ),
        (NetworkRequest("n", "ipvlan", {"ipvlan_mode": "foo"}), "ipv4 pool is empty", None),
    ],
)
@every_dialect
def test_the_null_address_driver_has_no_addresses_for_ipvlan(
    dialect: Dialect, request_: NetworkRequest, text: str, old: str | None
) -> None:
    host = host_of(dialect)
    told, status = refuse(host, dataclasses.replace(request_, ipam_driver="null"))
    if dialect is D26 and request_.enable_ipv6:
        assert (told, status) == ("null ipam driver does not handle IPv6 address pool requests", 400)
    elif dialect is D28 and request_.options:
        assert told.startswith("requested ipvlan mode 'foo'")
    else:
        assert told == text
        assert status == (500 if dialect is D26 and "empty" in text else 400)


@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_the_null_address_driver_suits_a_network_without_addresses(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --ipv4=false --ipam-driver=null -o parent=eth0 n")
    assert addresses(host.run("--net=n")) == []
