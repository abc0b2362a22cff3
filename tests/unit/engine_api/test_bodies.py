"""What clients send, read as the driver's requests."""

from __future__ import annotations

import pytest

from ipvlab.driver.requests import EndpointRequest, PoolRequest
from ipvlab.engine_api.bodies import check_image, container_request, network_request
from ipvlab.engine_api.fields import Fields, read_filters
from ipvlab.engine_api.versions import read_version
from ipvlab.errors import DriverRefusal

NOW = (1, 50)


def body(**members: object) -> Fields:
    return Fields({"Image": "alpine", **members}, "CreateRequest")


def networks(version: tuple[int, int] = NOW, **members: object) -> tuple[EndpointRequest, ...]:
    return container_request("c", body(**members), version)[0].networks


@pytest.mark.docker("D-API-012")
def test_the_network_mode_names_the_network_where_nothing_else_does() -> None:
    plain = {"NetworkMode": "n"}
    assert networks(HostConfig=plain, NetworkingConfig={"EndpointsConfig": {}}) == (EndpointRequest("n"),)
    assert networks(HostConfig=plain, NetworkingConfig=None) == (EndpointRequest("n"),)
    for mode in ("", "default"):
        assert networks(HostConfig={"NetworkMode": mode}) == (EndpointRequest("bridge"),)
    assert networks() == (EndpointRequest("bridge"),)


def test_several_networks_are_joined_the_one_of_the_mode_first() -> None:
    settings = {
        "a": {"Aliases": ["x"], "GwPriority": 5, "DriverOpts": {"com.docker.network.endpoint.ifname": "up0"}},
        "b": {"IPAMConfig": {"IPv4Address": "10.0.0.9", "IPv6Address": "", "LinkLocalIPs": ["169.254.1.1"]}},
        "c": None,
    }
    joined = networks(HostConfig={"NetworkMode": "b"}, NetworkingConfig={"EndpointsConfig": settings})
    assert [each.network for each in joined] == ["b", "a", "c"]
    first, second, third = joined
    assert (first.ipv4, first.ipv6, first.link_local) == ("10.0.0.9", None, ("169.254.1.1",))
    assert (second.aliases, second.gw_priority, second.interface) == (("x",), 5, "up0")
    assert third == EndpointRequest("c")


def test_before_1_44_several_networks_are_refused() -> None:
    config: dict[str, object] = {"EndpointsConfig": {"a": {}, "b": {}}}
    assert len(networks((1, 44), NetworkingConfig=config)) == 2
    with pytest.raises(DriverRefusal, match="multiple network endpoints: a, b") as refused:
        networks((1, 43), NetworkingConfig=config)
    assert refused.value.status == 400


def test_the_mac_address_of_before_1_44_is_that_of_the_first_network() -> None:
    [place] = networks(MacAddress="02:00:00:00:00:01", HostConfig={"NetworkMode": "n"})
    assert place.mac == "02:00:00:00:00:01"


def test_a_container_is_read_whole() -> None:
    request, warnings = container_request(
        "/c",
        body(
            Hostname="box",
            Entrypoint="entry",
            Cmd=["a", "b"],
            Env=["A=1=2", "B", "C="],
            Tty=True,
            OpenStdin=True,
            AttachStdout=True,
            WorkingDir="/tmp",
            User="nobody",
            Labels={"k": "v"},
            HostConfig={
                "AutoRemove": True,
                "Sysctls": {"net.ipv4.ip_forward": "1"},
                "Dns": ["10.0.0.1"],
                "DnsSearch": ["lab"],
                "DnsOptions": ["ndots:2"],
                "ExtraHosts": ["a:10.0.0.2", "b:fd00::1", "c=[fd00::2]"],
                "RestartPolicy": {"Name": "no"},
            },
        ),
        NOW,
    )
    assert warnings == []
    assert (request.name, request.hostname, request.command) == ("c", "box", ("entry", "a", "b"))
    assert request.env == {"A": "1=2", "C": ""}
    assert (request.has_tty, request.is_interactive, request.is_detached) == (True, True, False)
    assert (request.workdir, request.user, request.labels) == ("/tmp", "nobody", {"k": "v"})
    assert (request.is_auto_remove, request.sysctls) == (True, {"net.ipv4.ip_forward": "1"})
    assert (request.dns, request.dns_search, request.dns_options) == (("10.0.0.1",), ("lab",), ("ndots:2",))
    assert request.extra_hosts == (("a", "10.0.0.2"), ("b", "fd00::1"), ("c", "fd00::2"))


def test_what_a_lab_leaves_out_is_told() -> None:
    host = {
        "Binds": ["/a:/b"],
        "Memory": 1,
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "always"},
        "PidsLimit": None,
        "Mounts": [],
    }
    _, warnings = container_request("c", body(HostConfig=host), NOW)
    assert [warning.split()[0] for warning in warnings] == [
        "HostConfig.Binds",
        "HostConfig.Memory",
        "HostConfig.ReadonlyRootfs",
        "HostConfig.RestartPolicy",
    ]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"HostConfig": {"AutoRemove": True, "RestartPolicy": {"Name": "always"}}},
            "can't create 'AutoRemove'",
        ),
        ({"HostConfig": {"ExtraHosts": ["a"]}}, 'bad format for add-host: "a"'),
        (
            {"HostConfig": {"ExtraHosts": ["a:host-gateway"]}},
            'invalid IP address in add-host: "host-gateway"',
        ),
        ({"Image": ""}, "invalid reference format"),
        ({"Cmd": [1]}, "field CreateRequest.Cmd of type string"),
        ({"Tty": "yes"}, "field CreateRequest.Tty of type bool"),
        ({"HostConfig": []}, "field CreateRequest.HostConfig of type map"),
        ({"NetworkingConfig": {"EndpointsConfig": {"a": []}}}, "EndpointsConfig.a of type struct"),
        ({"NetworkingConfig": {"EndpointsConfig": {"a": {"GwPriority": 1.5}}}}, "GwPriority of type int"),
    ],
)
def test_a_container_that_cannot_be_read_is_400(members: dict[str, object], text: str) -> None:
    with pytest.raises(DriverRefusal) as refused:
        container_request("c", body(**members), NOW)
    assert text in refused.value.what
    assert refused.value.status == 400


def test_a_network_is_read_whole_and_in_the_order_sent() -> None:
    request = network_request(
        Fields(
            {
                "Name": "n",
                "Driver": "ipvlan",
                "EnableIPv4": False,
                "EnableIPv6": True,
                "Internal": True,
                "Attachable": True,
                "IPAM": {
                    "Driver": "default",
                    "Options": {"o": "1"},
                    "Config": [
                        {"Subnet": "10.2.0.0/24", "IPRange": "10.2.0.0/25", "Gateway": "10.2.0.254"},
                        {"Subnet": "10.1.0.0/24", "AuxiliaryAddresses": {"r": "10.1.0.9"}},
                    ],
                },
                "Options": {"parent": "eth0"},
                "Labels": {"a": "b"},
                "Scope": "local",
                "ConfigOnly": True,
                "ConfigFrom": {"Network": "other"},
                "Ingress": False,
            },
            "CreateRequest",
        ),
        NOW,
    )
    assert request.pools == (
        PoolRequest("10.2.0.0/24", "10.2.0.254", "10.2.0.0/25"),
        PoolRequest("10.1.0.0/24", aux_addresses=(("r", "10.1.0.9"),)),
    )
    assert (request.enable_ipv4, request.enable_ipv6, request.is_internal) == (False, True, True)
    assert (request.is_config_only, request.config_from, request.ipam_options) == (True, "other", {"o": "1"})


@pytest.mark.parametrize(
    "image",
    ["alpine", "alpine:3.20", "library/alpine", "reg.example:5000/a/b_c:x", "a@sha256:" + "0" * 64, "f" * 64],
)
def test_a_reference_is_an_image(image: str) -> None:
    assert check_image(image) == image


@pytest.mark.parametrize("image", ["", "Alpine", "a b", "a:", ":a", "a//b", "a/", "-a", "a\n", "a:b:c", "é"])
def test_what_is_no_reference_is_no_image(image: str) -> None:
    with pytest.raises(DriverRefusal, match="invalid reference format"):
        check_image(image)


def test_versions_compare_as_numbers() -> None:
    assert read_version("1.9") < read_version("1.24") < read_version("1.100")
    assert read_version("1") == (1, 0)
    assert read_version("1.x") == (1, 0)


def test_filters_are_read_or_refused() -> None:
    assert read_filters("") == {}
    assert read_filters('{"a":{"b":true,"c":false}}') == {"a": ("b",)}
    for text in ("{", "1", '{"a":"b"}', '{"a":[1]}', "[" * 100_000):
        with pytest.raises(DriverRefusal):
            read_filters(text)
