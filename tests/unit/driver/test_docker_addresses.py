"""Docker's statements on gateways and containers' addresses (D-IPAM), by dialect."""

from __future__ import annotations

import pytest

from ipvlab.driver.requests import NetworkRequest, PoolRequest
from ipvlab.driver.state import ContainerState
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import (
    CREATE,
    D26,
    D28,
    D29,
    DOCS,
    EVERY,
    IN_USE,
    START,
    TEN,
    every_dialect,
    every_engine,
    first_address,
    host_of,
    pool_of,
    refuse,
    refuse_run,
)
from tests.unit.driver.recording_port import addresses, net, routes


@pytest.mark.docker("D-IPAM-009")
@every_dialect
def test_the_lowest_free_address_is_given(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.254 n")
    for number in (1, 2, 3):
        assert first_address(host) == f"10.0.0.{number}"
    host.ok(f"rm -f {list(host.engine.containers)[1]}")
    assert [first_address(host), first_address(host)] == ["10.0.0.2", "10.0.0.4"]


@pytest.mark.docker("D-IPAM-010")
@pytest.mark.parametrize(("gateway", "first"), [("10.0.0.1", "10.0.0.2"), ("10.0.0.254", "10.0.0.1")])
@every_dialect
def test_a_written_gateway_is_left_out(dialect: Dialect, gateway: str, first: str) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway={gateway} -o parent=eth0 n")
    assert first_address(host) == first


@pytest.mark.docker("D-IPAM-011", "D-IPAM-013")
@pytest.mark.parametrize(
    "options",
    ["-o ipvlan_mode=l3 -o parent=eth0", "-o ipvlan_mode=l3s -o parent=eth0", "-o ipvlan_mode=l3", "",
     "--internal", "--internal -o parent=eth0", "--internal -o parent=eth0 -o ipvlan_mode=l3"],
)  # fmt: skip
@every_dialect
def test_where_nobody_routes_by_a_gateway_only_26_reserves_one(dialect: Dialect, options: str) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} {options} n")
    assert first_address(host) == ("10.0.0.2" if dialect is D26 else "10.0.0.1")
    assert "via" not in str(routes(next(iter(host.engine.containers.values()))))


@pytest.mark.docker("D-IPAM-012")
@every_dialect
def test_l2_with_a_parent_reserves_a_gateway_up_to_28(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} -o parent=eth0 n")
    container = host.run("--net=n")
    if dialect is D29:
        assert (addresses(container), routes(container)) == (["10.0.0.1/24"], [])
    else:
        assert (addresses(container), routes(container)) == (
            ["10.0.0.2/24"],
            ["default via 10.0.0.1 dev eth0"],
        )


@pytest.mark.docker("D-IPAM-014")
@every_dialect
def test_a_written_gateway_of_l3_is_reserved_and_not_routed_through(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.254 -o ipvlan_mode=l3 -o parent=eth0 n")
    assert refuse_run(host, dialect, "--net=n --ip=10.0.0.254") == IN_USE
    container = host.run("--net=n")
    assert (addresses(container), routes(container)) == (["10.0.0.1/24"], ["default dev eth0"])


@pytest.mark.docker("D-IPAM-015")
@every_dialect
def test_a_range_begins_at_its_base_with_the_subnets_prefix(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.1 --ip-range=10.0.0.64/26 -o parent=eth0 n")
    assert addresses(host.run("--net=n")) == ["10.0.0.64/24"]


@pytest.mark.docker("D-IPAM-016")
@pytest.mark.parametrize("dialect", [D26, D28])
def test_the_unwritten_gateway_of_a_range_is_in_the_range(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --ip-range=10.0.0.64/26 -o parent=eth0 n")
    container = host.run("--net=n")
    assert (addresses(container), routes(container)) == (
        ["10.0.0.65/24"],
        ["default via 10.0.0.64 dev eth0"],
    )


def test_in_the_documents_the_unwritten_gateway_of_a_range_is_the_first_of_the_subnet() -> None:
    host = host_of(DOCS)
    host.ok(f"{TEN} --ip-range=10.0.0.64/26 -o parent=eth0 n")
    container = host.run("--net=n")
    assert (addresses(container), routes(container)) == (["10.0.0.64/24"], ["default via 10.0.0.1 dev eth0"])


@pytest.mark.parametrize("dialect", [D26, D28])
def test_a_range_without_room_for_the_unwritten_gateway_is_refused(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --ip-range=10.0.0.128/25 -o ipvlan_mode=l3 a")
    host.run("--net=a --ip=10.0.0.77")
    assert host.refused(f"{TEN} --ip-range=10.0.0.77/32 -o parent=eth0 b") == (
        "failed to allocate gateway (): no available addresses on this pool"
    )


@pytest.mark.docker("D-IPAM-017")
@every_dialect
def test_a_static_address_outside_the_range_is_accepted(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --ip-range=10.0.0.64/26 -o ipvlan_mode=l3 n")
    assert addresses(host.run("--net=n --ip=10.0.0.9")) == ["10.0.0.9/24"]


@pytest.mark.docker("D-IPAM-018", "D-IPAM-020")
@pytest.mark.parametrize("address", ["10.0.0.0", "10.0.0.255", "10.0.0.7", "10.0.0.254"])
@every_dialect
def test_reserved_addresses_are_taken(dialect: Dialect, address: str) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.254 --aux-address nas=10.0.0.7 n")
    assert refuse_run(host, dialect, f"--net=n --ip={address}") == IN_USE
    given = {first_address(host) for _ in range(8)}
    assert given == {f"10.0.0.{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9)}


@pytest.mark.docker("D-IPAM-019")
@every_dialect
def test_an_auxiliary_address_is_not_the_gateway(dialect: Dialect) -> None:
    pool = PoolRequest("10.0.0.0/24", gateway="10.0.0.1", aux_addresses=(("r", "10.0.0.1"),))
    assert refuse(host_of(dialect), NetworkRequest("n", "ipvlan", pools=(pool,))) == (
        f"failed to allocate secondary ip address (r:10.0.0.1): {IN_USE}",
        500,
    )


@pytest.mark.docker("D-IPAM-021")
@every_dialect
def test_a_static_address_in_use_fails_the_start_and_leaves_the_container_created(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} n")
    host.run("--net=n --ip=10.0.0.9 --name=first")
    result = host.docker("run -d --net=n --ip=10.0.0.9 --name=second alpine")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        125,
        f"docker: Error response from daemon: {START[dialect]}{IN_USE}",
    )
    assert host.engine.find_container("second").state is ContainerState.CREATED
    host.docker("run -d --rm --net=n --ip=10.0.0.9 --name=third alpine")
    assert set(host.engine.containers) == {"first", "second"}


@pytest.mark.docker("D-IPAM-022")
@pytest.mark.parametrize("option", ["--ip=10.0.1.1", "--ip6=fd02::1"])
@every_dialect
def test_a_static_address_in_no_subnet_is_refused_at_create(dialect: Dialect, option: str) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --ipv6 --subnet=10.0.0.0/24 --subnet=fd01::/64 n")
    text = "no configured subnet contains IP address"
    if dialect in (D26, D28):
        text = "no configured subnet or ip-range contain the IP address"
    assert host.refused(f"run --net=n --name=c {option} alpine") == (
        f"invalid config for network n: invalid endpoint settings:\n{text} {option.partition('=')[2]}"
    )
    assert host.engine.containers == {}


@pytest.mark.parametrize(
    ("dialect", "more"),
    [
        (D26, "\n* no configured subnet or ip-range contain the IP address 0.0.0.0"),
        (D28, "\n* no configured subnet or ip-range contain the IP address 0.0.0.0"),
        (D29, ""),
    ],
)
def test_an_address_that_is_none_is_also_in_no_subnet_up_to_28(dialect: Dialect, more: str) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} n")
    assert host.refused("run --net=n --ip=0.0.0.0 alpine") == (
        "invalid config for network n: invalid endpoint settings:\n"
        f"{'* ' if more else ''}invalid IPv4 address: 0.0.0.0{more}"
    )


@every_dialect
def test_an_address_in_no_subnet_of_a_network_that_came_later_fails_the_start(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok("create --net=n --ip=10.9.9.9 --name=c alpine")
    host.ok(f"{TEN} n")
    assert host.docker("start c").exit_code == 1
    assert host.engine.held_addresses()[net("10.0.0.0/24")] == (3 if dialect is D26 else 2)


@pytest.mark.docker("D-IPAM-023")
@every_dialect
def test_a_static_address_is_not_kept_for_a_stopped_container(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} n")
    host.run("--net=n --ip=10.0.0.9 --name=first")
    host.ok("stop first")
    host.run("--net=n --ip=10.0.0.9 --name=second")
    result = host.docker("start first")
    assert result.exit_code == 1
    assert f"{START[dialect]}{IN_USE}" in result.stderr
    host.ok("rm -f second")
    host.ok("start first")
    assert addresses(host.engine.find_container("first")) == ["10.0.0.9/24"]


@pytest.mark.docker("D-IPAM-024")
@every_dialect
def test_an_allocated_address_may_be_another_after_a_restart(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --gateway=10.0.0.254 n")
    host.run("--net=n --name=first")
    host.run("--net=n --name=second")
    host.ok("stop first")
    host.run("--net=n --name=third")
    host.ok("start first")
    assert addresses(host.engine.find_container("third")) == ["10.0.0.1/24"]
    assert addresses(host.engine.find_container("first")) == ["10.0.0.3/24"]


@pytest.mark.docker("D-IPAM-025", "D-IPAM-027")
@every_dialect
def test_pools_are_used_in_their_order_and_then_are_full(dialect: Dialect) -> None:
    host = host_of(dialect)
    gateways = "--gateway=10.0.1.1 --gateway=10.0.0.1"
    network_id = host.ok(f"{CREATE} --subnet=10.0.1.0/30 --subnet=10.0.0.0/30 {gateways} n")
    assert [first_address(host) for _ in range(2)] == ["10.0.1.2", "10.0.0.2"]
    assert refuse_run(host, dialect, "--net=n") == (
        f"no available IPv4 addresses on this network's address pools: n ({network_id})"
    )


@pytest.mark.docker("D-IPAM-028")
@every_engine
def test_both_addresses_of_a_31_and_the_one_of_a_32_are_usable(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=10.0.0.0/31 --internal pair")
    host.ok(f"{CREATE} --subnet=10.0.0.7/32 -o ipvlan_mode=l3 one")
    host.ok(f"{CREATE} --subnet=10.0.0.9/32 -o parent=eth0 single")
    # Where a gateway is reserved it takes its place.
    if dialect is D26:
        assert first_address(host, "pair") == "10.0.0.1"
        assert "no available IPv4 addresses" in refuse_run(host, dialect, "--net=one")
    else:
        assert [first_address(host, "pair") for _ in range(2)] == ["10.0.0.0", "10.0.0.1"]
        assert first_address(host, "one") == "10.0.0.7"
    assert "no available IPv4 addresses" in refuse_run(host, dialect, "--net=pair")
    if dialect is D29:
        assert first_address(host, "single") == "10.0.0.9"
    else:
        assert "no available IPv4 addresses" in refuse_run(host, dialect, "--net=single")


@pytest.mark.docker("D-IPAM-029")
@every_dialect
def test_the_base_of_an_ipv6_subnet_is_never_given_and_its_last_address_may_be(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --ipv6 --subnet=10.0.0.0/24 --subnet=fd01::/64 -o ipvlan_mode=l3 -o parent=eth0 n")
    assert addresses(host.run("--net=n"))[1] == ("fd01::2/64" if dialect is D26 else "fd01::1/64")
    last = "fd01::ffff:ffff:ffff:ffff"
    assert addresses(host.run(f"--net=n --ip6={last}"))[1] == f"{last}/64"
    assert refuse_run(host, dialect, "--net=n --ip6=fd01::") == IN_USE


@pytest.mark.docker("D-IPAM-031")
@every_engine
def test_an_ipv6_subnet_without_the_switch_is_not_used(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --subnet=fd01::/64 --gateway=fd01::22 -o parent=eth0 n")
    network = host.engine.networks["n"]
    assert (network.has_ipv4, network.has_ipv6) == (True, False)
    container = host.run("--net=n")
    assert [address for address in addresses(container) if ":" in address] == []
    assert net("fd01::/64") not in host.engine.held_addresses()


@pytest.mark.docker("D-IPAM-031")
@every_engine
def test_what_belongs_to_an_unused_ipv6_subnet_is_not_read(dialect: Dialect) -> None:
    pool = PoolRequest("fd01::5/64", gateway="10.0.0.1", aux_addresses=(("a", "foo"),))
    host_of(dialect).engine.create_network(NetworkRequest("n", "ipvlan", pools=(pool,)))
    with pytest.raises(DriverRefusal, match="invalid subnet fd01::5/64: it should be fd01::/64"):
        host_of(dialect).engine.create_network(NetworkRequest("n", "ipvlan", pools=(pool,), enable_ipv6=True))


@pytest.mark.docker("D-IPAM-032")
@pytest.mark.parametrize("dialect", [D26, D28])
def test_a_static_ipv6_address_without_ipv6_is_ignored_up_to_28(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{TEN} --subnet=fd01::/64 -o ipvlan_mode=l3 n")
    [address] = addresses(host.run("--net=n --ip6=fd01::9"))
    assert address.startswith("10.0.0.")
    assert "no configured subnet or ip-range contain the IP address fd02::9" in host.refused(
        "run --net=n --ip6=fd02::9 alpine"
    )


@pytest.mark.docker("D-IPAM-032")
def test_a_static_ipv6_address_without_ipv6_is_refused_since_29() -> None:
    host = host_of(D29)
    host.ok(f"{TEN} --subnet=fd01::/64 n")
    assert "no configured subnet contains IP address fd01::9" in host.refused(
        "run --net=n --ip6=fd01::9 alpine"
    )


@pytest.mark.docker("D-IPAM-033")
@every_engine
def test_a_network_of_ipv6_subnets_has_an_ipv4_pool_too(dialect: Dialect) -> None:
    """S7: what the documents call IPv6 only. Its default route is the difference again."""
    host = host_of(dialect)
    host.ok(f"{CREATE} --ipv6 --subnet=fd01::/64 --gateway=fd01::22 -o parent=eth0 n")
    container = host.run("--net=n")
    gateway = "default via 172.18.0.1 dev eth0"
    assert pool_of(host, "n") == "172.18.0.0/16"
    assert routes(container) == ([] if dialect is D29 else [gateway]) + ["default via fd01::22 dev eth0"]


@pytest.mark.docker("D-IPAM-034")
@pytest.mark.parametrize("dialect", EVERY)
def test_a_static_address_in_an_automatic_pool_is_accepted_since_29(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} n")
    if dialect in (D26, D28):
        assert host.refused("run --net=n --ip=172.18.3.4 alpine") == (
            "invalid config for network n: invalid endpoint settings:\nuser specified IP address is "
            "supported only when connecting to networks with user configured subnets"
        )
    else:
        assert addresses(host.run("--net=n --ip=172.18.3.4")) == ["172.18.3.4/16"]
