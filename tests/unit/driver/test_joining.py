"""What the datapath is told: interfaces, routes, extra addresses, several networks."""

from __future__ import annotations

import pytest

from ipvlab.driver.port import Announcement, EndpointPlan, RoutePlan
from ipvlab.spec.values import Flag, Mode
from tests.unit.driver.recording_port import Host, addresses, routes

CREATE = "network create -d ipvlan"
DUAL = "--subnet=10.0.0.0/24 --subnet=fd01::/64"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            f"{DUAL} -o parent=eth0",
            ["default via 10.0.0.1 dev eth0", "default via fd01::1 dev eth0"],
        ),
        (
            f"{DUAL} --gateway=fd01::22 --gateway=10.0.0.254 -o parent=eth0.20",
            ["default via 10.0.0.254 dev eth0", "default via fd01::22 dev eth0"],
        ),
        (f"{DUAL} -o parent=eth0 -o ipvlan_mode=l3", ["default dev eth0", "default dev eth0"]),
        (f"{DUAL} -o parent=eth0 -o ipvlan_mode=l3s", ["default dev eth0", "default dev eth0"]),
        (f"{DUAL} --gateway=10.0.0.1 -o parent=eth0 -o ipvlan_mode=l3", ["default dev eth0"] * 2),
        (f"{DUAL} -o ipvlan_mode=l3", ["default dev eth0", "default dev eth0"]),
        (f"{DUAL} -o ipvlan_mode=l3s", ["default dev eth0", "default dev eth0"]),
        ("--subnet=fd01::/64 -o ipvlan_mode=l3", ["default dev eth0"]),
        (DUAL, []),
        (f"{DUAL} --gateway=10.0.0.1", []),
        (f"{DUAL} --internal", []),
        (f"{DUAL} --internal -o parent=eth0", []),
        (f"{DUAL} --internal -o ipvlan_mode=l3", []),
        (f"{DUAL} --internal -o parent=eth0 -o ipvlan_mode=l3", []),
        (f"{DUAL} --internal -o parent=eth0 -o ipvlan_mode=l3s", []),
        ("-o parent=eth0", ["default via 172.18.0.1 dev eth0"]),
    ],
)
def test_the_default_route_follows_mode_parent_and_internal(
    host: Host, options: str, expected: list[str]
) -> None:
    host.ok(f"{CREATE} {options} n")
    assert routes(host.run("--net=n")) == expected


def test_with_two_l2_subnets_the_gateway_is_that_of_the_containers_own(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --subnet=10.0.1.0/24 --gateway=10.0.1.254 -o parent=eth0 n")
    assert routes(host.run("--net=n")) == ["default via 10.0.0.1 dev eth0"]
    assert routes(host.run("--net=n --ip=10.0.1.9")) == ["default via 10.0.1.254 dev eth0"]


def test_the_datapath_is_told_everything(host: Host) -> None:
    host.ok(f"{CREATE} {DUAL} -o parent=eth0.30 -o ipvlan_flag=vepa n")
    container = host.run("--net=n --name=c --hostname=box")
    plan = host.port.containers["c"]["eth0"]
    assert host.port.hostnames == {"c": "box"}
    assert plan is container.endpoints[0].plan
    lease4, lease6 = (lease.interface for lease in container.endpoints[0].leases)
    assert plan == EndpointPlan(
        network="n",
        interface="eth0",
        parent="eth0.30",
        mode=Mode.L2,
        flag=Flag.VEPA,
        addresses=(lease4, lease6),
        routes=(
            RoutePlan("default", container.endpoints[0].leases[0].pool.gateway, "eth0", 4),
            RoutePlan("default", container.endpoints[0].leases[1].pool.gateway, "eth0", 6),
        ),
        announcement=Announcement((lease4.ip, lease6.ip), 1, 1.0, is_for_moved=True),
    )
    assert [str(a) for a in plan.addresses] == ["10.0.0.2/24", "fd01::2/64"]


def _three_networks(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --internal quiet")
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth0 four")
    host.ok(f"{CREATE} --subnet=10.0.2.0/24 --subnet=fd02::/64 -o parent=eth1 both")


def test_networks_are_joined_in_order_as_eth0_eth1(host: Host) -> None:
    _three_networks(host)
    container = host.run("--net=quiet --net=both --net=four")
    assert [(e.network.name, e.interface) for e in container.endpoints] == [
        ("quiet", "eth0"),
        ("both", "eth1"),
        ("four", "eth2"),
    ]
    assert list(host.port.containers[container.name]) == ["eth0", "eth1", "eth2"]


def test_an_interface_may_be_named_and_the_others_fill_the_gaps(host: Host) -> None:
    _three_networks(host)
    option = "driver-opt=com.docker.network.endpoint.ifname"
    container = host.run(f"--net=name=quiet,{option}=wan --net=four --net=name=both,{option}=eth1")
    assert [e.interface for e in container.endpoints] == ["wan", "eth0", "eth1"]
    assert routes(container) == ["default via 10.0.2.1 dev eth1", "default via fd02::1 dev eth1"]


def test_an_interface_name_given_twice_is_refused(host: Host) -> None:
    _three_networks(host)
    option = "driver-opt=com.docker.network.endpoint.ifname=wan"
    assert "error renaming interface to wan" in host.refused(
        f"run --net=name=four,{option} --net=name=both,{option} alpine"
    )


def test_link_local_addresses_are_added_to_the_allocated_ones(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --subnet=fd01::/64 n")
    container = host.run("--net=name=n,link-local-ip=169.254.7.8,link-local-ip=fe80::77")
    assert addresses(container) == ["10.0.0.1/24", "fd01::1/64", "169.254.7.8/16", "fe80::77/64"]
    assert [str(a) for a in container.endpoints[0].addresses] == ["10.0.0.1", "fd01::1"]


def test_an_ipv6_link_local_address_needs_ipv6_on_the_interface(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    result = host.docker("run --rm --net=name=n,link-local-ip=fe80::77 alpine")
    # The client takes these words for a program that may not be run.
    assert result.exit_code == 126
    assert 'setting interface "eth0" link local IPs to [fe80::77/64]: permission denied\n' in result.stderr


@pytest.mark.parametrize("address", ["0.0.0.0", "foo"])
def test_a_link_local_address_that_is_none_is_refused(host: Host, address: str) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    assert f"invalid link-local IP address: {address}" in host.refused(
        f"run --net=name=n,link-local-ip={address} alpine"
    )


def test_a_mac_address_is_refused(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    assert host.refused("run --net=n --name=c --mac-address=02:00:00:00:00:01 alpine") == (
        "failed to set up container networking: failed to create endpoint c on network n: "
        "ipvlan interfaces do not support custom mac address assignment"
    )


def test_one_network_cannot_be_joined_twice(host: Host) -> None:
    network_id = host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    assert "endpoint with name c already exists in network n" in host.refused(
        f"run --name=c --net=n --net={network_id} alpine"
    )


def test_without_ipv4_and_ipv6_there_is_an_interface_and_nothing_else(host: Host) -> None:
    host.ok(f"{CREATE} --ipv4=false -o parent=eth0 -o ipvlan_mode=l3 n")
    container = host.run("--net=n")
    assert (addresses(container), routes(container)) == ([], [])
    assert host.port.containers[container.name]["eth0"].addresses == ()


def test_the_none_network_gives_no_interface(host: Host) -> None:
    container = host.run("--net=none")
    assert host.port.containers[container.name] == {}


@pytest.mark.parametrize("network", ["bridge", "host", "default"])
def test_the_other_predefined_networks_cannot_be_joined(host: Host, network: str) -> None:
    assert f"the hosts of a lab have no network '{network}'" in host.refused(f"run --net={network} alpine")


def test_a_container_without_a_network_is_refused(host: Host) -> None:
    assert "the hosts of a lab have no network 'bridge'" in host.refused("run alpine")


def test_none_among_others_is_refused_by_the_client(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 n")
    result = host.docker("run --net=n --net=none alpine")
    assert result.exit_code == 125
    assert "cannot attach both user-defined and non-user-defined network-modes" in result.stderr
