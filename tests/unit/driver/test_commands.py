"""What Docker's commands print, and how they end."""

from __future__ import annotations

import datetime
import json

import pytest

from ipvlab.driver.port import CommandResult
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host

CREATE = "network create -d ipvlan --subnet=10.0.0.0/24"
RUN_TAIL = "\n\nRun 'docker run --help' for more information\n"


def test_create_prints_the_id_of_64_hex_digits(host: Host) -> None:
    result = host.docker(f"{CREATE} n")
    assert result == CommandResult(0, f"{host.engine.networks['n'].id}\n")


def test_a_refused_create_ends_with_1(host: Host) -> None:
    result = host.docker(f"{CREATE} -o parent=lo n")
    text = "Error response from daemon: loopback interface is not a valid ipvlan parent link\n"
    assert result == CommandResult(1, "", text)


def test_what_the_client_refuses_is_no_response_of_the_daemon(host: Host) -> None:
    result = host.docker("network create -d ipvlan --gateway=10.0.0.1 n")
    assert result == CommandResult(1, "", "every ip-range or gateway must have a corresponding subnet\n")
    assert host.engine.networks == {}


@pytest.mark.parametrize("options", ["-itd", "-it", "-it --rm", "-i", "-t", "-id", "-td"])
def test_run_of_a_shell_prints_the_id_and_leaves_it_running(host: Host, options: str) -> None:
    host.ok(f"{CREATE} n")
    result = host.docker(f"run --net=n {options} alpine /bin/sh")
    assert result == CommandResult(0, f"{host.engine.containers['h1-1'].id}\n")
    assert host.engine.containers["h1-1"].is_running
    assert host.port.executed == []


@pytest.mark.parametrize("command", ["", "/bin/sh", "bash"])
@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_shell_that_nobody_can_type_to_ends_at_once(dialect: Dialect, command: str) -> None:
    host = Host(dialect=dialect)
    host.ok(f"{CREATE} n")
    known = host.engine.containers
    assert host.ok(f"run -d --net=n --name=c alpine {command}") == known["c"].id
    assert host.ok(f"run --net=n --name=d alpine {command}") == ""
    host.ok(f"create --net=n --name=e alpine {command}")
    host.ok("start e")
    for each in host.engine.containers.values():
        assert (each.state, each.exit_code, each.endpoints) == ("exited", 0, [])
    host.ok(f"run -d --rm --net=n --name=f alpine {command}")
    assert set(host.engine.containers) == {"c", "d", "e"}
    assert host.port.containers == {}


@pytest.mark.parametrize("command", ["sleep infinity", "tail -f /dev/null", "top"])
def test_a_program_that_waits_needs_nobody_to_type(host: Host, command: str) -> None:
    host.ok(f"{CREATE} n")
    host.ok(f"run -d --net=n --name=c alpine {command}")
    assert host.engine.containers["c"].is_running


def test_a_refused_run_ends_with_125_and_the_clients_tail(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --ip=10.0.0.9")
    result = host.docker("run --net=n --ip=10.0.0.9 -itd --name=late alpine")
    assert result == CommandResult(
        125,
        f"{host.engine.containers['late'].id}\n",
        "docker: Error response from daemon: failed to set up container networking: "
        f"Address already in use{RUN_TAIL}",
    )


@pytest.mark.parametrize("answer", [CommandResult(0, "pong\n"), CommandResult(1, "", "unreachable\n")])
def test_a_command_runs_in_the_new_container_and_its_result_is_runs(
    host: Host, answer: CommandResult
) -> None:
    host.port.answer = answer
    host.ok(f"{CREATE} n")
    assert host.docker("run --net=n -it --rm alpine ping -c 2 10.0.0.9") == answer
    assert host.port.executed == [("h1-1", ("ping", "-c", "2", "10.0.0.9"))]
    assert (host.port.containers, dict(host.engine.containers)) == ({}, {})


def test_a_command_that_ended_leaves_a_stopped_container_without_rm(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.docker("run --net=n --name=c alpine ip route")
    assert not host.engine.containers["c"].is_running
    assert host.port.containers == {}


def test_a_detached_command_prints_the_id(host: Host) -> None:
    host.ok(f"{CREATE} n")
    result = host.docker("run --net=n -d --name=c alpine ping -c 1 10.0.0.9")
    assert result == CommandResult(0, f"{host.engine.containers['c'].id}\n")
    assert host.port.executed == [("c", ("ping", "-c", "1", "10.0.0.9"))]
    assert not host.engine.containers["c"].is_running


def test_an_endless_detached_ping_keeps_its_container_up(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.docker("run --net=n -d --name=c alpine ping 10.0.0.9")
    assert host.engine.containers["c"].is_running
    assert host.port.executed == []


def test_exec_runs_in_a_container_and_gives_its_result(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=c")
    assert host.docker("exec -it c ip route") == host.port.answer
    assert host.port.executed == [("c", ("ip", "route"))]
    assert host.docker("exec -it c sh") == CommandResult(0)


def test_exec_needs_a_running_container(host: Host) -> None:
    host.ok(f"{CREATE} n")
    container = host.run("--net=n --name=c")
    host.ok("stop c")
    text = f"Error response from daemon: container {container.id} is not running\n"
    assert host.docker("exec c ip route") == CommandResult(1, "", text)
    text = "Error response from daemon: No such container: x\n"
    assert host.docker("exec x ip route") == CommandResult(1, "", text)


def test_rm_takes_each_name_and_errors_do_not_stop_it(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=a")
    host.run("--net=n --name=b")
    host.ok("stop b")
    result = host.docker("rm a x b")
    assert (result.exit_code, result.stdout) == (1, "b\n")
    assert result.stderr.splitlines() == [
        (
            'Error response from daemon: cannot remove container "a": container is running: '
            "stop the container before removing or force remove"
        ),
        "Error response from daemon: No such container: x",
    ]


def test_rm_by_force_tells_a_missing_container_and_succeeds(host: Host) -> None:
    text = "Error response from daemon: No such container: x\n"
    assert host.docker("rm -f x") == CommandResult(0, "", text)
    assert host.docker("rm x") == CommandResult(1, "", text)


def test_stop_prints_each_name(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=a")
    host.run("--net=n --name=b")
    assert host.ok("stop a b") == "a\nb"
    assert host.docker("stop x").exit_code == 1


def test_network_rm_removes_what_it_can_and_ends_with_1(host: Host) -> None:
    host.ok(f"{CREATE} a")
    host.ok("network create -d ipvlan b")
    result = host.docker("network rm a nosuch b")
    assert result == CommandResult(
        1, "a\nb\n", "Error response from daemon: network nosuch not found\nexit status 1\n"
    )
    assert host.docker("network rm -f nosuch") == CommandResult(0)


def test_network_rm_by_force_still_refuses_a_network_in_use(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n")
    assert "has active endpoints" in host.docker("network rm -f n").stderr


def test_inspect_prints_the_engines_json(host: Host) -> None:
    options = (
        "--gateway=10.0.0.254 --ip-range=10.0.0.64/26 --aux-address=nas=10.0.0.70 --subnet=fd01::/64 "
        "--label=tier=back -o parent=eth0 -o x=y"
    )
    host.ok(f"{CREATE} {options} n")
    container = host.run("--net=n --name=c")
    text = host.docker("network inspect n").stdout
    assert text.startswith('[\n    {\n        "Name": "n",\n')
    [view] = json.loads(text)
    assert list(view) == [
        "Name", "Id", "Created", "Scope", "Driver", "EnableIPv4", "EnableIPv6", "IPAM", "Internal",
        "Attachable", "Ingress", "ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels",
    ]  # fmt: skip
    assert view == {
        "Name": "n",
        "Id": host.engine.networks["n"].id,
        "Created": "2026-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": "ipvlan",
        "EnableIPv4": True,
        "EnableIPv6": True,
        "IPAM": {
            "Driver": "default",
            "Options": {},
            "Config": [
                {
                    "Subnet": "10.0.0.0/24",
                    "IPRange": "10.0.0.64/26",
                    "Gateway": "10.0.0.254",
                    "AuxiliaryAddresses": {"nas": "10.0.0.70"},
                },
                {"Subnet": "fd01::/64"},
            ],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            container.id: {
                "Name": "c",
                "EndpointID": container.endpoints[0].id,
                "MacAddress": "",
                "IPv4Address": "10.0.0.64/24",
                "IPv6Address": "fd01::2/64",
            }
        },
        "Options": {"parent": "eth0", "x": "y"},
        "Labels": {"tier": "back"},
    }


def test_inspect_shows_an_automatic_pool_and_no_default_option(host: Host) -> None:
    host.ok("network create -d ipvlan isolated3")
    host.ok("network create -d ipvlan -o parent=eth0 --internal=false --attachable routed")
    isolated, routed = json.loads(host.docker("network inspect isolated3 routed").stdout)
    assert isolated["IPAM"]["Config"] == [{"Subnet": "172.18.0.0/16"}]
    assert (isolated["Options"], isolated["Internal"]) == ({}, False)
    assert routed["IPAM"]["Config"] == [{"Subnet": "172.19.0.0/16", "Gateway": "172.19.0.1"}]
    assert routed["Attachable"] is True


def test_inspect_hides_a_gateway_that_was_not_written(host: Host) -> None:
    host.ok(f"{CREATE} -o parent=eth0 n")
    [view] = json.loads(host.docker("network inspect n").stdout)
    assert view["IPAM"]["Config"] == [{"Subnet": "10.0.0.0/24"}]


def test_inspect_of_a_missing_network_prints_an_empty_list_and_ends_with_1(host: Host) -> None:
    text = "Error response from daemon: network nosuch not found\n"
    assert host.docker("network inspect nosuch") == CommandResult(1, "[]\n", text)
    host.ok(f"{CREATE} n")
    both = host.docker("network inspect nosuch n")
    assert (both.exit_code, both.stderr, len(json.loads(both.stdout))) == (1, text, 1)


def test_network_ls_lists_by_name_in_the_clients_columns(host: Host) -> None:
    network_id = host.ok(f"{CREATE} db_net_with_a_long_name")
    lines = host.ok("network ls").splitlines()
    assert lines[0] == "NETWORK ID     NAME                      DRIVER    SCOPE"
    assert [line.split()[1:] for line in lines[1:]] == [
        ["bridge", "bridge", "local"],
        ["db_net_with_a_long_name", "ipvlan", "local"],
        ["host", "host", "local"],
        ["none", "null", "local"],
    ]
    assert lines[2] == f"{network_id[:12]}   db_net_with_a_long_name   ipvlan    local"
    assert network_id[:12] in host.ok("network ls -q").splitlines()


def test_ps_lists_the_newest_first_and_stopped_ones_only_with_a(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=a")
    host.now += datetime.timedelta(seconds=90)
    host.run("--net=n --name=b")
    host.ok("stop b")
    header, line = host.ok("ps").splitlines()
    columns = "CONTAINER ID   IMAGE     COMMAND     CREATED              STATUS"
    assert header == f"{columns}              PORTS     NAMES"
    identity = host.engine.containers["a"].id[:12]
    assert line == f'{identity}   alpine    "/bin/sh"   About a minute ago   Up About a minute             a'
    assert [row.split()[-1] for row in host.ok("ps -a").splitlines()] == ["NAMES", "b", "a"]
    assert "Exited (137) Less than a second ago" in host.ok("ps -a")
    assert host.ok("ps -q") == identity


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
     (150, "2 minutes"), (3600, "About an hour"), (7200, "2 hours")],
)  # fmt: skip
def test_ages_are_told_in_dockers_words(host: Host, seconds: int, words: str) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=a")
    host.now += datetime.timedelta(seconds=seconds)
    assert f"   {words} ago   Up {words} " in host.ok("ps")


def test_ports_are_published_in_vain(host: Host) -> None:
    host.ok(f"{CREATE} n")
    host.run("--net=n --name=a -p 80:80")
    assert "80" not in host.ok("ps").splitlines()[1][13:]
