"""Docker's command lines as values, and what its client refuses by itself."""

from __future__ import annotations

import pytest

from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.grammar import (
    ContainerExec,
    ContainerList,
    ContainerRemove,
    ContainerRun,
    ContainerStop,
    NetworkCreate,
    NetworkInspect,
    NetworkList,
    NetworkRemove,
)
from ipvlab.driver.ip_grammar import AddressShow, Ping
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.session import parse_command
from ipvlab.errors import CommandUnknown


def created(line: str) -> NetworkRequest:
    command = parse_command(f"docker network create {line}")
    assert isinstance(command, NetworkCreate), command
    return command.request


def started(line: str) -> ContainerRequest:
    command = parse_command(f"docker run {line}")
    assert isinstance(command, ContainerRun), command
    return command.request


def client_refusal(line: str) -> ClientRefusal:
    command = parse_command(f"docker {line}")
    assert isinstance(command, ClientRefusal), command
    return command


@pytest.mark.parametrize(
    "line",
    [
        "-d ipvlan -o parent=eth0 n",
        "--driver ipvlan --opt parent=eth0 n",
        "--driver=ipvlan --opt=parent=eth0 n",
        "-dipvlan -oparent=eth0 n",
        "-d=ipvlan -o=parent=eth0 n",
        "n -d ipvlan -o parent=eth0",
        "-d macvlan -d ipvlan -o parent=eth1 -o parent=eth0 -- n",
    ],
)
def test_options_may_be_spelled_and_placed_as_docker_allows(line: str) -> None:
    assert created(line) == NetworkRequest("n", "ipvlan", {"parent": "eth0"})


def test_every_option_of_network_create_is_read() -> None:
    line = (
        "-d ipvlan --subnet=10.0.0.0/24 --ip-range=10.0.0.64/26 --gateway=10.0.0.254 "
        "--aux-address=nas=10.0.0.70 --internal --attachable --ipv6 --ipv4=false --label a=b --label c "
        "-o ipvlan_mode=l3 -o x=a=b n"
    )
    assert created(line) == NetworkRequest(
        name="n",
        driver="ipvlan",
        options={"ipvlan_mode": "l3", "x": "a=b"},
        pools=(PoolRequest("10.0.0.0/24", "10.0.0.254", "10.0.0.64/26", (("nas", "10.0.0.70"),)),),
        enable_ipv4=False,
        enable_ipv6=True,
        is_internal=True,
        is_attachable=True,
        labels={"a": "b", "c": ""},
    )


def test_what_is_not_written_is_left_open() -> None:
    request = created("n")
    assert (request.driver, request.enable_ipv4, request.enable_ipv6) == ("bridge", None, None)
    assert (request.is_internal, request.pools) == (False, ())


def test_gateways_find_their_subnets_and_subnets_keep_their_order() -> None:
    pools = created(
        "--gateway=fd01::22 --subnet=10.2.0.0/24,10.1.0.0/24 --gateway=10.1.0.254 --subnet=fd01::/64 n"
    ).pools
    assert pools == (
        PoolRequest("10.2.0.0/24"),
        PoolRequest("10.1.0.0/24", "10.1.0.254"),
        PoolRequest("fd01::/64", "fd01::22"),
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--gateway=10.0.0.1 n", "every ip-range or gateway must have a corresponding subnet"),
        ("--ip-range=10.0.0.0/25 n", "every ip-range or gateway must have a corresponding subnet"),
        (
            "--subnet=10.0.0.0/24 --gateway=10.0.0.1 --gateway=10.0.0.2 n",
            "every ip-range or gateway must have a corresponding subnet",
        ),
        (
            "--subnet=10.0.0.0/16 --subnet=10.0.1.0/24 n",
            "multiple overlapping subnet configuration is not supported",
        ),
        (
            "--subnet=10.0.1.0/24 --subnet=10.0.0.0/16 n",
            "multiple overlapping subnet configuration is not supported",
        ),
        (
            "--subnet=192.168.1.0/24 --gateway=192.168.2.1 n",
            "no matching subnet for gateway 192.168.2.1",
        ),
        ("--subnet=192.168.1.0/24 --gateway=foo n", "no matching subnet for gateway foo"),
        (
            "--subnet=192.168.1.0/24 --subnet=10.0.0.0/8 --gateway=192.168.1.1 --gateway=192.168.1.4 n",
            (
                "cannot configure multiple gateways (192.168.1.4, 192.168.1.1) "
                "for the same subnet (192.168.1.0/24)"
            ),
        ),
        (
            "--subnet=192.168.1.0/24 --ip-range=192.168.2.0/25 n",
            "no matching subnet for range 192.168.2.0/25",
        ),
        ("--subnet=192.168.1.0/24 --ip-range=192.168.1.0 n", "invalid CIDR address: 192.168.1.0"),
        (
            "--subnet=10.0.0.0/24 --subnet=10.1.0.0/24 --ip-range=10.0.0.0/26 --ip-range=10.0.0.64/26 n",
            "cannot configure multiple ranges (10.0.0.64/26, 10.0.0.0/26) on the same subnet (10.0.0.0/24)",
        ),
        (
            "--subnet=192.168.1.0/24 --aux-address=a=192.168.3.1 n",
            "no matching subnet for aux-address 192.168.3.1",
        ),
        (
            "--subnet=10.0.0.0 --gateway=10.0.0.1 n",
            "invalid subnet: invalid CIDR address: 10.0.0.0",
        ),
        ("--subnet=10.0.0.0/24 --gateway=10.0.0.1/240 n", "invalid CIDR address: 10.0.0.1/240"),
    ],
)  # fmt: skip
def test_the_client_refuses_pools_that_do_not_match(line: str, text: str) -> None:
    assert client_refusal(f"network create -d ipvlan {line}") == ClientRefusal(text, 1)


@pytest.mark.parametrize("subnet", ["192.168.1.0", "192.168.1.5/24"])
def test_the_client_passes_a_faulty_subnet_on_to_the_engine(subnet: str) -> None:
    assert created(f"--subnet={subnet} n").pools == (PoolRequest(subnet),)


@pytest.mark.parametrize(
    ("line", "first", "exit_code"),
    [
        ("network create", "docker: 'docker network create' requires 1 argument", 1),
        ("network create a b", "docker: 'docker network create' requires 1 argument", 1),
        ("network rm", "docker: 'docker network rm' requires at least 1 argument", 1),
        ("network inspect", "docker: 'docker network inspect' requires at least 1 argument", 1),
        ("network ls a", "docker: 'docker network ls' accepts no arguments", 1),
        ("run --net=n", "docker: 'docker run' requires at least 1 argument", 1),
        ("exec a", "docker: 'docker exec' requires at least 2 arguments", 1),
        ("rm", "docker: 'docker rm' requires at least 1 argument", 1),
        ("network create n --subnet", "flag needs an argument: --subnet", 125),
        ("network create n -o", "flag needs an argument: 'o' in -o", 125),
        (
            "network create --internal=maybe n",
            (
                'invalid argument "maybe" for "--internal" flag: '
                'strconv.ParseBool: parsing "maybe": invalid syntax'
            ),
            125,
        ),
    ],
)  # fmt: skip
def test_the_client_refuses_bad_usage_with_its_usage_text(line: str, first: str, exit_code: int) -> None:
    refusal = client_refusal(line)
    assert refusal.exit_code == exit_code
    lines = refusal.text.split("\n")
    assert lines[0] == first
    assert lines[2].startswith("Usage:  docker ")
    assert lines[4].startswith(("Run 'docker ", "See 'docker "))


@pytest.mark.parametrize(
    ("line", "interactive", "detached", "removed"),
    [
        ("-itd --net=n alpine", True, True, False),
        ("-it --rm --net=n alpine /bin/sh", True, False, True),
        ("--net n -i -t -d alpine sh", True, True, False),
        ("--net=n alpine sleep 1000", False, False, False),
        ("-dit --rm=false --net=n alpine", True, True, False),
        ("--interactive --tty --detach=false --net=n alpine", True, False, False),
    ],
)
def test_switches_of_run_combine(line: str, interactive: bool, detached: bool, removed: bool) -> None:
    request = started(line)
    assert (request.is_interactive, request.is_detached, request.is_auto_remove) == (
        interactive, detached, removed,
    )  # fmt: skip
    assert request.networks == (EndpointRequest("n"),)


def test_options_after_the_image_belong_to_the_containers_command() -> None:
    command = parse_command("docker run --net=n --rm alpine ping -c 2 10.0.0.1")
    assert isinstance(command, ContainerRun)
    assert command.inner == Ping("10.0.0.1", count=2)
    assert command.request.command == ("ping", "-c", "2", "10.0.0.1")
    assert command.request.image == "alpine"


def test_addresses_and_aliases_belong_to_the_first_network() -> None:
    line = (
        "--network-alias a --net-alias=b --ip=10.0.0.9 --ip6 fd01::9 --mac-address 02:00:00:00:00:01 "
        "--network one --net two --name=c --hostname box -e A=1 -l x=y -p 80:80 alpine"
    )
    assert started(line) == ContainerRequest(
        networks=(
            EndpointRequest("one", "10.0.0.9", "fd01::9", ("a", "b"), mac="02:00:00:00:00:01"),
            EndpointRequest("two"),
        ),
        name="c",
        hostname="box",
        is_stdin_closed=True,
        is_detached=False,
        labels={"x": "y"},
        env={"A": "1"},
    )


def test_a_network_may_be_written_with_fields() -> None:
    text = (
        "name=n,alias=a,alias=b,ip=10.0.0.9,ip6=fd01::9,link-local-ip=169.254.1.1,"
        "gw-priority=-5,mac-address=02:00:00:00:00:01,driver-opt=k=v"
    )
    assert started(f"--network {text} alpine").networks == (
        EndpointRequest(
            "n", "10.0.0.9", "fd01::9", ("a", "b"), ("169.254.1.1",), "02:00:00:00:00:01", -5, {"k": "v"}
        ),
    )


def test_without_a_network_a_container_asks_for_the_bridge() -> None:
    assert started("alpine").networks == (EndpointRequest("bridge"),)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--net=a --net=a", 'network "a" is specified multiple times'),
        (
            "--net=name=a,ip=10.0.0.1 --ip=10.0.0.2",
            "conflicting options: cannot specify both --ip and per-network IPv4 address",
        ),
        (
            "--net=name=a,alias=x --network-alias=y",
            "conflicting options: cannot specify both --network-alias and per-network alias",
        ),
        ("--net=", "no name set for network"),
        (
            "--net=host --net=a",
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ),
        ("--network-alias=a", "network-scoped aliases are only supported for user-defined networks"),
        ("--net=a --mac-address=foo", "foo is not a valid mac address"),
    ],
)
def test_the_client_refuses_networks_that_contradict_themselves(line: str, text: str) -> None:
    assert client_refusal(f"run {line} alpine") == ClientRefusal(
        f"docker: {text}\n\nRun 'docker run --help' for more information", 125
    )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("alias=x", "network name/id is not specified"),
        ("name=a,foo=x", "invalid field key foo"),
        ("name=a,x", "invalid field x"),
        ("name=a,gw-priority=hi", "invalid gw-priority (hi): invalid syntax"),
        ("name=a,driver-opt=x", "invalid key value pair format in driver options"),
    ],
)
@pytest.mark.parametrize("option", ["--network", "--net"])
def test_the_client_refuses_networks_that_it_cannot_read(option: str, value: str, why: str) -> None:
    assert client_refusal(f"run {option}={value} alpine") == ClientRefusal(
        f'invalid argument "{value}" for "{option}" flag: {why}\n\n'
        "Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\n"
        "Run 'docker run --help' for more information",
        125,
    )


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("network rm a b", NetworkRemove(("a", "b"))),
        ("network remove -f a", NetworkRemove(("a",), is_forced=True)),
        ("network inspect a", NetworkInspect(("a",))),
        ("network ls", NetworkList()),
        ("network list -q", NetworkList(is_quiet=True)),
        ("rm a", ContainerRemove(("a",))),
        ("rm -f a b", ContainerRemove(("a", "b"), is_forced=True)),
        ("rm a --force", ContainerRemove(("a",), is_forced=True)),
        ("container rm -f a", ContainerRemove(("a",), is_forced=True)),
        ("stop -t 0 a", ContainerStop(("a",), timeout=0)),
        ("ps", ContainerList()),
        ("container ls -aq", ContainerList(shows_all=True, is_quiet=True)),
        (
            "exec a ping -c 2 b",
            ContainerExec("a", ("ping", "-c", "2", "b"), Ping("b", count=2)),
        ),
        (
            "exec -it a ip -4 addr show eth0",
            ContainerExec("a", ("ip", "-4", "addr", "show", "eth0"), AddressShow("eth0", 4), True, True),
        ),
        ("exec -it a /bin/sh", ContainerExec("a", ("/bin/sh",), None, True, True)),
    ],
)
def test_the_other_commands_are_read(line: str, command: object) -> None:
    assert parse_command(f"docker {line}") == command


@pytest.mark.parametrize(
    ("line", "why", "hint"),
    [
        ("network frobnicate", "`docker network frobnicate` is not a known command", "what is known"),
        ("build .", "`docker build` is not a known command", "what is known"),
        ("network", "a command of docker network is missing", "what is known"),
        ("", "a command of docker is missing", "what is known"),
        ("network create --subnett=10.0.0.0/24 n", "has no option --subnett", "did you mean --subnet?"),
        ("network create -x n", "has no option -x", "known are:"),
        ("run --netwrk=n alpine", "has no option --netwrk", "did you mean --network?"),
        ("run -itx --net=n alpine", "has no option -x", "known are:"),
        ("run --net=n alpine nslookup a", "`nslookup` is not a known command", "what is known"),
        ("run --net=n alpine sh -c 'ping a'", "`sh` is not a known command", "what is known"),
        ("run --net=n alpine exit", "no command to start a container with", ""),
        ("exec a curl http://b", "`curl` is not a known command", "what is known"),
        ("exec a restart docker", "no command to start a container with", ""),
    ],
)
def test_what_is_outside_the_grammar_is_said_with_a_next_step(line: str, why: str, hint: str) -> None:
    with pytest.raises(CommandUnknown) as caught:
        parse_command(f"docker {line}")
    assert why in caught.value.what
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "line",
    ["", "sh", "/bin/sh", "bash", "ash", "sleep 1000", "sleep infinity", "tail -f /dev/null", "top"],
)
def test_a_shell_or_a_sleep_keeps_a_container_up(line: str) -> None:
    command = parse_command(f"docker run --net=n alpine {line}")
    assert isinstance(command, ContainerRun)
    assert command.inner is None
