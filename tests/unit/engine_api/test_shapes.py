"""What every answer holds: status, keys, and where it matters their order."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ipvlab.spec.values import Dialect
from tests.unit.engine_api.served_host import ServedHost
from tests.unit.engine_api.test_streams import main_of

ID = re.compile("[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
#: In the order in which the engine sends them; the client shows them so.
NETWORK = (
    "Name Id Created Scope Driver EnableIPv4 EnableIPv6 IPAM Internal Attachable Ingress ConfigFrom "
    "ConfigOnly Containers Options Labels"
).split()
CONTAINER = (
    "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver "
    "Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config "
    "NetworkSettings"
).split()
PLACE = (
    "IPAMConfig Links Aliases MacAddress DriverOpts GwPriority NetworkID EndpointID Gateway IPAddress "
    "IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen DNSNames"
).split()
#: What the client's table and the SDK read of each container of a list.
SUMMARY = (
    "Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings Mounts"
).split()
EXEC = (
    "ID Running ExitCode ProcessConfig OpenStdin OpenStderr OpenStdout CanRemove ContainerID DetachKeys Pid"
).split()
IMAGE = "Id RepoTags RepoDigests Created Size Architecture Os Config RootFS".split()
VERSION = (
    "Platform Components Version ApiVersion MinAPIVersion GitCommit GoVersion Os Arch KernelVersion BuildTime"
).split()
INFO = (
    "ID Containers ContainersRunning ContainersPaused ContainersStopped Images Driver DriverStatus Plugins "
    "LoggingDriver CgroupDriver CgroupVersion KernelVersion OperatingSystem OSType Architecture NCPU "
    "MemTotal DockerRootDir Name Labels ServerVersion Runtimes DefaultRuntime Swarm SecurityOptions Warnings"
).split()


def as_object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def get(host: ServedHost, path: str) -> dict[str, object]:
    return as_object(host.get(path))


def get_list(host: ServedHost, path: str) -> list[dict[str, object]]:
    value = host.get(path)
    assert isinstance(value, list)
    return value


@pytest.mark.docker("D-API-001")
def test_networks_are_answered_201_204_and_200_without_a_body(host: ServedHost) -> None:
    created = host.ask("POST", "/networks/create", {"Name": "n", "Driver": "ipvlan"})
    assert created.status == 201
    assert list(as_object(created.json)) == ["Id", "Warning"]
    assert ID.fullmatch(str(as_object(created.json)["Id"]))
    again = host.ask("POST", "/networks/create", {"Name": "n", "Driver": "ipvlan"})
    assert (again.status, again.message) == (409, "network with name n already exists")
    host.make_network(Name="m")
    host.make_container("c", "work")
    host.start()
    for verb, body in (
        ("connect", {"Container": "c", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}}}),
        ("disconnect", {"Container": "c", "Force": False}),
    ):
        reply = host.ask("POST", f"/networks/m/{verb}", body)
        assert (reply.status, reply.body) == (200, b"")
    pruned = host.ask("POST", "/networks/prune")
    assert (pruned.status, pruned.json) == (200, {"NetworksDeleted": ["m"]})
    main_of(host).finish()
    assert host.ask("POST", "/networks/prune").json == {"NetworksDeleted": ["n"]}
    assert host.ask("POST", "/networks/prune").json == {"NetworksDeleted": None}
    host.make_network()
    removed = host.ask("DELETE", "/networks/n")
    assert (removed.status, removed.body) == (204, b"")


@pytest.mark.docker("D-API-002")
def test_a_network_in_use_is_403_and_goes_after_its_container(host: ServedHost) -> None:
    host.make_network()
    host.make_container("c", "work")
    host.start()
    endpoint = host.host.engine.find_container("c").endpoints[0].id[:12]
    reply = host.ask("DELETE", "/networks/n")
    assert (reply.status, reply.message) == (
        403,
        f'error while removing network: network n has active endpoints (name:"c" id:"{endpoint}")',
    )
    assert host.ask("DELETE", "/containers/c?force=1").status == 204
    assert host.ask("DELETE", "/networks/n").status == 204


@pytest.mark.docker("D-API-003")
def test_a_network_is_found_by_id_name_and_prefix(host: ServedHost) -> None:
    ids = [host.make_network(Name=f"n{at}", IPAM={}, Options={}) for at in range(25)]
    for reference in (ids[0], "n0", ids[0][:12]):
        assert get(host, f"/networks/{reference}")["Name"] == "n0"
    shared = next(id_[0] for at, id_ in enumerate(ids) if any(id_[0] == other[0] for other in ids[:at]))
    count = sum(id_.startswith(shared) for id_ in ids)
    reply = host.ask("GET", f"/networks/{shared}")
    assert (reply.status, reply.message) == (
        400,
        f"network {shared} is ambiguous ({count} matches found based on ID prefix)",
    )
    reply = host.ask("GET", "/networks/nosuch")
    assert (reply.status, reply.message) == (404, "network nosuch not found")


@pytest.mark.docker("D-API-004")
def test_a_network_has_the_engines_keys_in_its_order(host: ServedHost) -> None:
    host.make_network(Labels={"b": "2", "a": "1"})
    host.make_container("c", "work")
    host.start()
    network = get(host, "/networks/n")
    assert list(network) == NETWORK
    assert TIME.fullmatch(str(network["Created"]))
    assert network["Labels"] == {"a": "1", "b": "2"}
    [place] = as_object(network["Containers"]).values()
    assert place == {
        "Name": "c",
        "EndpointID": host.host.engine.find_container("c").endpoints[0].id,
        "MacAddress": "",
        "IPv4Address": "10.1.0.2/24",
        "IPv6Address": "",
    }
    for listed in get_list(host, "/networks"):
        assert list(listed) == NETWORK
    assert get(host, "/networks/n?verbose=true")["Services"] == {}
    assert host.ask("GET", "/networks/n?scope=swarm").status == 404


def test_only_newer_clients_may_turn_ipv4_off(host: ServedHost) -> None:
    subnets = [{"Subnet": "10.5.0.0/24"}, {"Subnet": "fd00:1::/64"}]
    body = {"Driver": "ipvlan", "EnableIPv4": False, "EnableIPv6": True, "IPAM": {"Config": subnets}}
    assert host.ask("POST", "/v1.47/networks/create", {**body, "Name": "old"}).status == 201
    assert get(host, "/networks/old")["EnableIPv4"] is True
    assert host.ask("DELETE", "/networks/old").status == 204
    assert host.ask("POST", "/v1.48/networks/create", {**body, "Name": "new"}).status == 201
    assert get(host, "/networks/new")["EnableIPv4"] is False


@pytest.mark.docker("D-API-008")
def test_a_container_is_created_whatever_its_image_and_network_and_the_start_tells(host: ServedHost) -> None:
    body = {"Image": "never/heard:of", "HostConfig": {"NetworkMode": "nosuch"}}
    created = host.ask("POST", "/containers/create?name=c", body)
    assert created.status == 201
    assert list(as_object(created.json)) == ["Id", "Warnings"]
    assert as_object(created.json)["Warnings"] == []
    started = host.ask("POST", "/containers/c/start")
    assert started.status == 404
    assert started.message.endswith("network nosuch not found")
    reply = host.ask("POST", "/containers/create", {"Image": "No Such Image"})
    assert (reply.status, reply.message) == (400, "invalid reference format")


def test_a_container_has_the_engines_keys(host: ServedHost) -> None:
    host.make_network()
    container = host.make_container("c", "work", Tty=True, OpenStdin=True, Env=["A=1"], Labels={"k": "v"})
    created = get(host, "/containers/c/json")
    assert list(created) == CONTAINER
    state = as_object(created["State"])
    assert (state["Status"], state["Running"], state["Pid"]) == ("created", False, 0)
    host.start()
    running = get(host, f"/containers/{container[:8]}/json")
    assert list(running) == CONTAINER
    assert running["Name"] == "/c"
    state, config = as_object(running["State"]), as_object(running["Config"])
    assert (state["Status"], state["Running"], state["Pid"]) == ("running", True, 4711)
    assert (config["Tty"], config["OpenStdin"], config["Cmd"]) == (True, True, ["work"])
    networks = as_object(as_object(running["NetworkSettings"])["Networks"])
    assert list(as_object(networks["n"])) == PLACE
    assert as_object(networks["n"])["IPAddress"] == "10.1.0.2"
    [listed] = get_list(host, "/containers/json")
    assert list(listed) == SUMMARY
    assert (listed["Names"], listed["State"]) == (["/c"], "running")


def test_a_container_is_started_stopped_and_removed_with_the_engines_statuses(host: ServedHost) -> None:
    host.make_network()
    host.make_container("c", "work")
    statuses = []
    for method, path in (
        ("POST", "/containers/c/stop"),
        ("POST", "/containers/c/start"),
        ("POST", "/containers/c/start"),
        ("DELETE", "/containers/c"),
        ("POST", "/containers/c/kill?signal=SIGUSR1"),
        ("POST", "/containers/c/restart?t=0"),
        ("POST", "/containers/c/stop?t=0&signal=INT"),
        ("POST", "/containers/c/kill"),
        ("POST", "/containers/c/rename?name=d"),
        ("POST", "/containers/d/rename"),
        ("GET", "/containers/d/top"),
        ("DELETE", "/containers/d?v=1"),
        ("DELETE", "/containers/d"),
    ):
        reply = host.ask(method, path)
        assert reply.body == b"" or reply.message
        statuses.append(reply.status)
    assert statuses == [304, 204, 304, 409, 204, 204, 204, 409, 204, 400, 409, 204, 404]
    assert host.workloads.signals == [10]


@pytest.mark.parametrize("text", ["SIGNOSUCH", "0", "65", "-9", "KILL9", "_IGN", "SIG_IGN"])
def test_a_signal_that_is_none_is_400(host: ServedHost, text: str) -> None:
    host.make_network()
    host.make_container("c", "work")
    host.start()
    reply = host.ask("POST", f"/containers/c/kill?signal={text}")
    assert (reply.status, reply.message) == (400, f"invalid signal: {text}")


def test_pruned_containers_are_told_and_kept_by_label_and_age(host: ServedHost) -> None:
    host.make_network()
    kept = host.make_container("kept", "work", Labels={"keep": "yes"})
    gone = host.make_container("gone", "work")
    labelled = '?filters={"label!":{"keep":true}}'
    assert host.ask("POST", f"/containers/prune{labelled}").json == {
        "ContainersDeleted": [gone],
        "SpaceReclaimed": 0,
    }
    assert host.ask("POST", '/containers/prune?filters={"until":["2001-01-01"]}').json == {
        "ContainersDeleted": None,
        "SpaceReclaimed": 0,
    }
    assert host.ask("POST", '/containers/prune?filters={"colour":["red"]}').status == 400
    assert as_object(host.ask("POST", "/containers/prune").json)["ContainersDeleted"] == [kept]


@pytest.mark.docker("D-API-018")
def test_filters_are_maps_of_maps_or_lists(host: ServedHost) -> None:
    host.make_network()
    for filters in ('{"driver":{"ipvlan":true}}', '{"driver":["ipvlan"]}'):
        [listed] = get_list(host, f"/networks?filters={filters}")
        assert listed["Name"] == "n"
    assert len(get_list(host, '/networks?filters={"driver":{"ipvlan":false}}')) == 4
    for path in ("/networks", "/containers/json", "/events"):
        for filters in ("{", "[]", '{"driver":1}', '{"nosuch":{"a":true}}'):
            assert host.ask("GET", f"{path}?filters={filters}").status == 400


def test_the_rest_has_the_keys_that_clients_read(host: ServedHost) -> None:
    assert set(VERSION) <= set(get(host, "/version"))
    assert set(INFO) <= set(get(host, "/info"))
    assert set(get(host, "/system/df")) >= {"LayersSize", "Images", "Containers", "Volumes", "BuildCache"}
    assert host.get("/volumes") == {"Volumes": [], "Warnings": None}
    for path in ("/volumes/x", "/plugins/x/json", "/images/x/json"):
        assert host.ask("GET", path).status == 404
    host.make_network()
    host.make_container("c", "work")
    host.start()
    assert set(IMAGE) <= set(get(host, "/images/alpine/json"))
    made = as_object(host.ask("POST", "/containers/c/exec", {"Cmd": ["a"]}).json)
    assert list(get(host, f"/exec/{made['Id']}/json")) == EXEC


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_a_dialect_does_not_know_is_not_shown(
    serve: Callable[[Dialect], ServedHost], dialect: Dialect
) -> None:
    host = serve(dialect)
    host.make_network()
    host.make_container("c", "work")
    host.start()
    is_old = dialect is Dialect.DOCKER_26
    assert list(get(host, "/networks/n")) == [key for key in NETWORK if not (is_old and key == "EnableIPv4")]
    settings = as_object(get(host, "/containers/c/json")["NetworkSettings"])
    shown = list(as_object(as_object(settings["Networks"])["n"]))
    assert shown == [key for key in PLACE if not (is_old and key == "GwPriority")]


def test_events_are_told_with_their_fields(host: ServedHost) -> None:
    host.make_network()
    host.make_container("c", "work")
    host.start()
    main_of(host).finish(3)
    reply = host.ask("GET", "/events?since=1&until=2026-01-01T00:00:00Z")
    assert (reply.status, reply.body) == (200, b"")
    last = host.host.engine.clock().timestamp()
    lines = host.ask("GET", f"/events?since=1&until={last:.6f}").body.splitlines()
    assert len(lines) == 4
    for line, action in zip(lines[1:], ("create", "start", "die"), strict=True):
        assert f'"status":"{action}"'.encode() in line
        assert f'"Type":"container","Action":"{action}"'.encode() in line
    assert b'"exitCode":"3"' in lines[-1]
    for filters, count in (
        ('{"type":["network"]}', 1),
        ('{"event":["die","start"]}', 2),
        ('{"container":["c"]}', 3),
        ('{"image":["alpine"]}', 3),
        ('{"label":["nosuch"]}', 0),
        ('{"network":["n"],"type":["network"]}', 1),
    ):
        told = host.ask("GET", f"/events?since=1&until={last:.6f}&filters={filters}").body.splitlines()
        assert len(told) == count, filters
