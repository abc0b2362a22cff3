"""What the adapters say to other engines: bodies, configurations and command lines."""

from __future__ import annotations

import pytest

from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.errors import DriverRefusal, FeatureMissing
from ipvlab.implementations.cni import configure
from ipvlab.implementations.docker_engine import container_body, network_body
from ipvlab.implementations.foreign import check_options, name_of, single_endpoint
from ipvlab.implementations.podman import create_words, group_pools

V4, V6 = PoolRequest("10.1.0.0/24", gateway="10.1.0.254"), PoolRequest("fd01::/64")
SECOND = PoolRequest("10.2.0.0/24")


def network(*pools: PoolRequest, internal: bool = False, **options: str) -> NetworkRequest:
    return NetworkRequest("net", "ipvlan", {"parent": "eth0", **options}, pools, is_internal=internal)


def test_docker_is_asked_for_a_network_with_the_options_as_they_were_given() -> None:
    body = network_body(network(V4, ipvlan_mode="l3", ipvlan_flag="vepa"))
    assert body["Options"] == {"parent": "eth0", "ipvlan_mode": "l3", "ipvlan_flag": "vepa"}
    assert body["IPAM"] == {
        "Driver": "default",
        "Options": {},
        "Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.254"}],
    }
    assert "EnableIPv6" not in body


def test_docker_is_asked_for_a_container_with_its_addresses_aliases_and_mac() -> None:
    endpoint = EndpointRequest("net", "10.1.0.2", "fd01::2", aliases=("db",), mac="02:00:00:00:00:01")
    body = container_body(ContainerRequest((endpoint,), name="a1"))
    assert body["HostConfig"] == {"NetworkMode": "net", "AutoRemove": False, "Sysctls": {}}
    assert body["NetworkingConfig"] == {
        "EndpointsConfig": {
            "net": {
                "IPAMConfig": {"IPv4Address": "10.1.0.2", "IPv6Address": "fd01::2"},
                "Aliases": ["db"],
                "MacAddress": "02:00:00:00:00:01",
                "DriverOpts": {},
            }
        }
    }


@pytest.mark.parametrize("flag", ["private", "vepa"])
def test_an_engine_without_flags_is_not_asked_for_one(flag: str) -> None:
    with pytest.raises(FeatureMissing, match=flag):
        check_options(network(V4, ipvlan_flag=flag), has_flags=False, name="podman")


def test_an_option_that_an_engine_does_not_have_is_not_left_out_in_silence() -> None:
    with pytest.raises(FeatureMissing, match="colour"):
        check_options(network(V4, colour="red"), has_flags=False, name="podman")


def test_the_parent_and_the_mode_of_a_network_are_read_with_dockers_default() -> None:
    assert check_options(network(V4), has_flags=False, name="cni") == ("eth0", "l2")
    assert check_options(network(V4, ipvlan_mode="l3s"), has_flags=False, name="cni") == ("eth0", "l3s")


def test_containers_of_several_networks_and_without_a_name_are_unsupported() -> None:
    with pytest.raises(FeatureMissing, match="one network"):
        single_endpoint(ContainerRequest((EndpointRequest("a"), EndpointRequest("b"))), "cni")
    with pytest.raises(FeatureMissing, match="name"):
        name_of(ContainerRequest((EndpointRequest("a"),)))


def test_cni_gives_a_requested_address_by_static_with_its_subnets_length_and_gateway() -> None:
    told = configure(network(V4, V6), EndpointRequest("net", "10.1.0.11", "fd01::11"), "/state")
    assert (told["type"], told["master"], told["mode"]) == ("ipvlan", "eth0", "l2")
    assert told["ipam"] == {
        "type": "static",
        "addresses": [{"address": "10.1.0.11/24", "gateway": "10.1.0.254"}, {"address": "fd01::11/64"}],
        "routes": [{"dst": "0.0.0.0/0"}],
    }


def test_cni_asks_for_a_default_route_of_each_family_in_a_routed_mode() -> None:
    told = configure(
        network(SECOND, V6, ipvlan_mode="l3"), EndpointRequest("net", "10.2.0.1", "fd01::1"), "/s"
    )
    ipam = told["ipam"]
    assert isinstance(ipam, dict)
    assert ipam["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]


def test_cni_leaves_the_choice_of_an_address_to_host_local() -> None:
    told = configure(network(V4, SECOND), EndpointRequest("net"), "/state")
    ipam = told["ipam"]
    assert isinstance(ipam, dict)
    assert (ipam["type"], ipam["dataDir"]) == ("host-local", "/state")
    assert ipam["ranges"] == [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}]]


def test_cni_refuses_an_address_outside_the_subnets_itself() -> None:
    with pytest.raises(DriverRefusal, match=r"10\.9\.0\.1"):
        configure(network(V4), EndpointRequest("net", "10.9.0.1"), "/state")


def test_podman_has_one_network_for_each_subnet_of_a_family() -> None:
    third = PoolRequest("fd02::/64")
    assert group_pools([V4, SECOND, V6, third]) == [(V4, V6), (SECOND, third)]
    assert group_pools([]) == [()]


def test_podman_gives_no_default_route_in_l2_without_a_gateway_and_none_when_internal() -> None:
    assert "--opt=no_default_route=true" in create_words("n", "eth0", "l2", [SECOND], network(SECOND))
    assert "--opt=no_default_route=true" not in create_words("n", "eth0", "l3", [SECOND], network(SECOND))
    internal = create_words("n", "eth0", "l2", [SECOND], network(SECOND, internal=True))
    assert "--internal" in internal


def test_podman_calls_dockers_options_by_its_own_names() -> None:
    words = create_words("n", "eth0", "l3s", [V4, V6], network(V4, V6))
    assert words == [
        "network",
        "create",
        "--driver=ipvlan",
        "--opt=parent=eth0",
        "--opt=mode=l3s",
        "--subnet=10.1.0.0/24",
        "--gateway=10.1.0.254",
        "--subnet=fd01::/64",
        "--ipv6",
        "n",
    ]
