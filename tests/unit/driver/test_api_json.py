"""The engine's JSON: keys, their order and their values, by dialect."""

from __future__ import annotations

import datetime
import json

import pytest

from ipvlab.driver.ages import tell_age
from ipvlab.driver.api_json import (
    container_json,
    container_summary,
    image_id,
    info_json,
    inspect_network_json,
    network_json,
    networks_json,
    normal_image,
    version_json,
)
from ipvlab.driver.json_text import compact, indented, moment
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host

NETWORK_KEYS = (
    "Name Id Created Scope Driver EnableIPv4 EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom "
    "ConfigOnly Containers Options Labels"
).split()
ENDPOINT_KEYS = (
    "IPAMConfig Links Aliases MacAddress DriverOpts GwPriority NetworkID EndpointID Gateway IPAddress "
    "IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen DNSNames"
).split()
CONTAINER_KEYS = (
    "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver "
    "Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config "
    "NetworkSettings"
).split()
SUMMARY_KEYS = (
    "Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings Mounts"
).split()


def network_of(host: Host, name: str) -> dict[str, object]:
    return network_json(host.engine.networks[name], host.engine, with_containers=True)


def config_of(host: Host, name: str) -> object:
    ipam = network_of(host, name)["IPAM"]
    assert isinstance(ipam, dict)
    return ipam["Config"]


def endpoint_of(host: Host, container: str, network: str) -> dict[str, object]:
    view = container_summary(host.engine.containers[container], host.docker_host)
    settings = view["NetworkSettings"]
    assert isinstance(settings, dict)
    endpoint = settings["Networks"][network]
    assert isinstance(endpoint, dict)
    return endpoint


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_network_has_dockers_keys_in_dockers_order(dialect: Dialect) -> None:
    host = Host(dialect=dialect)
    host.ok("network create -d ipvlan --subnet 10.0.0.0/24 n")
    # EnableIPv4 came with 28.0.
    keys = [key for key in NETWORK_KEYS if key != "EnableIPv4" or dialect is not Dialect.DOCKER_26]
    assert list(network_of(host, "n")) == keys
    assert [list(view) for view in networks_json(host.engine)] == [keys] * 4


def test_maps_are_written_by_key_as_go_does(host: Host) -> None:
    host.ok("network create -d ipvlan -o z=1 -o a=2 --label z --label a n")
    view = network_of(host, "n")
    assert compact([view["Options"], view["Labels"]]) == '[{"a":"2","z":"1"},{"a":"","z":""}]'


@pytest.mark.parametrize(
    ("dialect", "config"),
    [
        (Dialect.DOCKER_26, [{"Subnet": "10.0.0.0/24"}, {"Subnet": "fd01::/64", "Gateway": "fd01::9"}]),
        (Dialect.DOCKER_28, [{"Subnet": "10.0.0.0/24"}, {"Subnet": "fd01::/64", "Gateway": "fd01::9"}]),
        (Dialect.DOCKER_29, [{"Subnet": "10.0.0.0/24"}]),
    ],
)
def test_28_shows_an_ipv6_subnet_without_ipv6_and_29_hides_it(dialect: Dialect, config: object) -> None:
    host = Host(dialect=dialect)
    host.ok(
        "network create -d ipvlan -o parent=eth0 --subnet 10.0.0.0/24 --subnet fd01::/64 --gateway fd01::9 n"
    )
    assert config_of(host, "n") == config


@pytest.mark.parametrize("dialect", [Dialect.DOCS, Dialect.DOCKER_26, Dialect.DOCKER_28])
def test_a_gateway_that_nobody_wrote_is_hidden_but_in_an_automatic_pool(dialect: Dialect) -> None:
    host = Host("eth1", dialect=dialect)
    host.ok("network create -d ipvlan -o parent=eth0 --subnet 10.0.0.0/24 n")
    host.ok("network create -d ipvlan -o parent=eth1 m")
    assert config_of(host, "n") == [{"Subnet": "10.0.0.0/24"}]
    assert config_of(host, "m") == [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_network_that_holds_settings_has_no_driver_and_keeps_its_subnets(dialect: Dialect) -> None:
    host = Host(dialect=dialect)
    host.ok("network create --config-only --subnet 10.0.0.0/24 --subnet fd01::/64 --ipam-opt a=b c")
    host.ok("network create -d ipvlan --config-from c n")
    held, user = network_of(host, "c"), network_of(host, "n")
    assert (held["Driver"], held["ConfigOnly"], held["ConfigFrom"]) == ("null", True, {"Network": ""})
    assert config_of(host, "c") == [{"Subnet": "10.0.0.0/24"}, {"Subnet": "fd01::/64"}]
    assert (user["Driver"], user["ConfigOnly"], user["ConfigFrom"]) == ("ipvlan", False, {"Network": "c"})


def test_predefined_networks_are_found_by_name_and_by_the_beginning_of_their_id(host: Host) -> None:
    bridge = inspect_network_json(host.engine, "bridge")
    assert bridge["IPAM"] == {
        "Driver": "default",
        "Options": None,
        "Config": [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}],
    }
    for name in ("bridge", "host", "none"):
        id_ = host.engine.predefined[name]
        assert inspect_network_json(host.engine, id_)["Name"] == name
        assert inspect_network_json(host.engine, id_[:12])["Name"] == name
    assert inspect_network_json(host.engine, "none")["Driver"] == "null"
    with pytest.raises(DriverRefusal, match="network nosuch not found"):
        inspect_network_json(host.engine, "nosuch")


def test_a_container_has_dockers_keys_in_dockers_order(host: Host) -> None:
    host.ok("network create -d ipvlan --subnet 10.0.0.0/24 -o parent=eth0 n")
    container = host.run("--net n --name c -e A=1 --sysctl net.ipv4.ip_forward=1 -w /srv -u 1000 -h box --rm")
    view = container_json(container, host.docker_host, pid=42)
    assert list(view) == CONTAINER_KEYS
    assert list(container_summary(container, host.docker_host)) == SUMMARY_KEYS
    assert list(endpoint_of(host, "c", "n")) == ENDPOINT_KEYS
    state, config, host_config = view["State"], view["Config"], view["HostConfig"]
    assert isinstance(state, dict)
    assert isinstance(config, dict)
    assert isinstance(host_config, dict)
    assert state == {
        "Status": "running", "Running": True, "Paused": False, "Restarting": False, "OOMKilled": False,
        "Dead": False, "Pid": 42, "ExitCode": 0, "Error": "", "StartedAt": "2026-01-01T00:00:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }  # fmt: skip
    assert (config["Hostname"], config["User"], config["WorkingDir"], config["Env"][0]) == (
        "box", "1000", "/srv", "A=1",
    )  # fmt: skip
    assert (config["Tty"], config["OpenStdin"], config["AttachStdout"]) == (True, True, False)
    assert (host_config["NetworkMode"], host_config["AutoRemove"]) == ("n", True)
    assert host_config["Sysctls"] == {"net.ipv4.ip_forward": "1"}
    keys = list(host_config)
    assert keys.index("Sysctls") == keys.index("ShmSize") + 1


def test_26_has_no_gateway_priority() -> None:
    host = Host(dialect=Dialect.DOCKER_26)
    host.ok("network create -d ipvlan --subnet 10.0.0.0/24 n")
    host.run("--net n --name c")
    assert list(endpoint_of(host, "c", "n")) == [key for key in ENDPOINT_KEYS if key != "GwPriority"]


@pytest.mark.parametrize(
    ("options", "gateway"),
    [
        ("-o parent=eth0", "10.0.0.254"),
        ("-o parent=eth0 -o ipvlan_mode=l3", ""),
        ("-o parent=eth0 -o ipvlan_mode=l3s", ""),
        ("-o parent=eth0 --internal", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("dialect", list(Dialect))
def test_only_an_l2_network_that_leads_somewhere_tells_a_gateway(
    dialect: Dialect, options: str, gateway: str
) -> None:
    host = Host(dialect=dialect)
    host.ok(f"network create -d ipvlan --subnet 10.0.0.0/24 --gateway 10.0.0.254 {options} n")
    host.run("--net n --name c")
    assert endpoint_of(host, "c", "n")["Gateway"] == gateway


def test_an_endpoint_tells_what_was_asked_for_and_what_it_has(host: Host) -> None:
    host.ok("network create -d ipvlan --subnet 10.0.0.0/24 --subnet fd01::/64 -o parent=eth0 n")
    container = host.run("--network name=n,ip=10.0.0.9,alias=web,gw-priority=3,driver-opt=k=v --name c")
    endpoint = endpoint_of(host, "c", "n")
    assert endpoint["IPAMConfig"] == {"IPv4Address": "10.0.0.9"}
    assert (endpoint["Aliases"], endpoint["GwPriority"], endpoint["DriverOpts"]) == (["web"], 3, {"k": "v"})
    assert endpoint["DNSNames"] == ["c", "web", container.id[:12]]
    assert (endpoint["IPAddress"], endpoint["IPPrefixLen"]) == ("10.0.0.9", 24)
    assert (endpoint["GlobalIPv6Address"], endpoint["GlobalIPv6PrefixLen"]) == ("fd01::2", 64)
    assert endpoint["NetworkID"] == host.engine.networks["n"].id
    host.ok("stop c")
    stopped = endpoint_of(host, "c", "n")
    assert (stopped["IPAddress"], stopped["EndpointID"], stopped["Gateway"]) == ("", "", "")
    assert stopped["IPAMConfig"] == {"IPv4Address": "10.0.0.9"}


def test_a_container_follows_the_networks_that_it_joins_and_leaves(host: Host) -> None:
    for name in ("n", "m"):
        host.ok(f"network create -d ipvlan {name}")
    host.run("--net n --name c")
    host.ok("network connect m c")
    host.ok("network disconnect n c")
    view = container_summary(host.engine.containers["c"], host.docker_host)
    assert view["HostConfig"] == {"NetworkMode": "n"}
    assert list(view["NetworkSettings"]["Networks"]) == ["m"]  # type: ignore[index]  # the builder's own


def test_a_container_on_no_network_is_on_none(host: Host) -> None:
    host.run("--net none --name c")
    assert endpoint_of(host, "c", "none")["NetworkID"] == host.engine.predefined["none"]


@pytest.mark.parametrize(
    ("dialect", "version", "api", "least"),
    [
        (Dialect.DOCS, "28.2.2", "1.50", "1.24"),
        (Dialect.DOCKER_26, "26.1.4", "1.45", "1.24"),
        (Dialect.DOCKER_28, "28.2.2", "1.50", "1.24"),
        (Dialect.DOCKER_29, "29.7.2", "1.50", "1.44"),
    ],
)
def test_each_dialect_answers_as_a_release(dialect: Dialect, version: str, api: str, least: str) -> None:
    host = Host(dialect=dialect)
    told = version_json(host.engine)
    assert (told["Version"], told["ApiVersion"], told["MinAPIVersion"]) == (version, api, least)
    assert info_json(host.docker_host)["ServerVersion"] == version
    assert host.ok("--version").startswith(f"Docker version {version}, build ")


def test_info_counts_containers_by_state(host: Host) -> None:
    host.ok("network create -d ipvlan n")
    for name in ("a", "b"):
        host.run(f"--net n --name {name}")
    host.ok("stop b")
    info = info_json(host.docker_host)
    assert (info["Containers"], info["ContainersRunning"], info["ContainersStopped"]) == (2, 1, 1)
    assert (info["Images"], info["Name"]) == (1, "h1")


@pytest.mark.parametrize(
    ("image", "normal"),
    [
        ("alpine", "alpine:latest"),
        ("alpine:3", "alpine:3"),
        ("r.example:5000/a", "r.example:5000/a:latest"),
        ("a@sha256:00", "a@sha256:00"),
    ],
)
def test_an_image_without_a_tag_is_the_latest(image: str, normal: str) -> None:
    assert normal_image(image) == normal
    assert image_id(image) == image_id(normal)
    assert image_id(image).startswith("sha256:")


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [(0, "2026-01-02T03:04:05Z"), (120000, "2026-01-02T03:04:05.12Z"), (1, "2026-01-02T03:04:05.000001Z")],
)
def test_times_are_written_as_go_writes_them(microsecond: int, text: str) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    when = datetime.datetime(2026, 1, 2, 5, 4, 5, microsecond, tzinfo=zone)
    assert moment(when) == text
    assert moment(None) == "0001-01-01T00:00:00Z"


def test_json_is_written_as_the_engine_writes_it() -> None:
    value = {"a": "<é>\u2028", "b": [], "c": {}, "d": [1, None, True]}
    assert compact(value) == '{"a":"<é>\\u2028","b":[],"c":{},"d":[1,null,true]}'
    assert compact("<&>", escapes_html=True) == '"\\u003c\\u0026\\u003e"'
    assert json.loads(indented([value])) == [value]
    assert indented([{"a": []}]) == '[\n    {\n        "a": []\n    }\n]'


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0.75, "45 minutes"), (1, "About an hour"), (1.49, "About an hour"), (1.5, "2 hours"),
        (47, "47 hours"), (48, "2 days"), (24 * 13.9, "13 days"), (24 * 14, "2 weeks"),
        (24 * 59, "8 weeks"), (24 * 60, "2 months"), (24 * 729, "24 months"), (24 * 730, "2 years"),
    ],
)  # fmt: skip
def test_long_ages_are_told_in_the_largest_unit_that_fits_twice(hours: float, words: str) -> None:
    assert tell_age(datetime.timedelta(hours=hours)) == words
