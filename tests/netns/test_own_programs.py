"""The programs that ipvlab brings for machines that lack them, with a PATH on which there are no others."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator

import pytest

from ipvlab import Lab
from ipvlab.driver.port import CommandResult
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import run_command, spawn
from ipvlab.lab.rootfs import OWN_PROGRAMS
from ipvlab.run.handles import LabContainer

NodeMaker = Callable[..., Node]
#: Python, which the programs are run by, is named by its full path in them.
ONLY_OURS = {"PATH": OWN_PROGRAMS}


@pytest.fixture(scope="module")
def town() -> Iterator[dict[str, LabContainer]]:
    """Two containers with both families, and one whose network has no way out."""
    with Lab(datapath="bpf") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        made = h1.docker(
            "network create -d ipvlan --subnet=192.168.1.0/24 --gateway=192.168.1.250 "
            "--ipv6 --subnet=fd01::/64 -o parent=eth0 n"
        )
        assert made.exit_code == 0, made
        assert h1.docker("network create -d ipvlan --subnet=192.168.2.0/24 alone").exit_code == 0
        a, b = h1.container("a", network="n"), h1.container("b", network="n")
        yield {"a": a, "b": b, "alone": h1.container("c", network="alone")}


def ours(node: LabContainer, *argv: str) -> CommandResult:
    return node.execute(argv, env=ONLY_OURS)


def test_they_are_last_on_the_path_so_that_the_machines_own_win(town: dict[str, LabContainer]) -> None:
    path = town["a"].host.docker("exec a sh -c 'echo $PATH'").stdout.strip()
    assert path.endswith(f":{OWN_PROGRAMS}")


@pytest.mark.parametrize("target", ["b", "b.n", "192.168.1.2", "fd01::2"])
def test_ping_reaches_by_name_and_by_address(town: dict[str, LabContainer], target: str) -> None:
    addresses = {a.partition("/")[0] for a in town["b"].addresses}
    if target not in ("b", "b.n") and target not in addresses:
        target = next(a for a in addresses if (":" in a) == (":" in target))
    result = ours(town["a"], "ping", "-c", "2", "-i", "0.01", target)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"PING {target} (")
    assert ["seq=0 ttl=64 time=" in lines[1], "seq=1 ttl=64 time=" in lines[2]] == [True, True]
    assert "2 packets transmitted, 2 packets received, 0% packet loss" in lines


def test_ping6_takes_the_ipv6_address_of_a_name(town: dict[str, LabContainer]) -> None:
    result = ours(town["a"], "ping6", "-c", "1", "b")
    assert result.exit_code == 0
    assert "(fd01::" in result.stdout


def test_ping_tells_what_does_not_answer_what_has_no_route_and_what_is_no_name(
    town: dict[str, LabContainer],
) -> None:
    silent = ours(town["a"], "ping", "-c", "1", "-W", "0.05", "192.168.1.99")
    assert silent.exit_code == 1
    assert "1 packets transmitted, 0 packets received, 100% packet loss" in silent.stdout
    unrouted = ours(town["alone"], "ping", "-c", "1", "10.9.9.9")
    assert (unrouted.exit_code, unrouted.stderr) == (1, "ping: sendto: Network is unreachable\n")
    unnamed = ours(town["a"], "ping", "-c", "1", "no-such-name")
    assert (unnamed.exit_code, unnamed.stderr) == (1, "ping: bad address 'no-such-name'\n")
    assert ours(town["a"], "ping").exit_code == 2


def test_ping_ends_at_a_key_with_its_sum(make_node: NodeMaker) -> None:
    node = make_node("c1", "container")
    # As every node of a lab has it (lab/sysctls.py).
    node.namespace.write_sysctls({"ipv4/ping_group_range": "0 2147483647"})
    with spawn(node, ["ping", "127.0.0.1"], env=ONLY_OURS) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"PING 127.0.0.1")
        assert b"seq=0" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate()
    assert process.returncode == 0
    assert b"packets received" in rest


def test_nslookup_asks_the_containers_own_resolver(town: dict[str, LabContainer]) -> None:
    address = next(a.partition("/")[0] for a in town["b"].addresses)
    result = ours(town["a"], "nslookup", "b")
    assert result.exit_code == 0
    assert result.stdout.startswith("Server:\t\t127.0.0.11\nAddress:\t127.0.0.11:53\n")
    assert f"Name:\tb\nAddress: {address}\n" in result.stdout
    assert "Name:\tb\nAddress: fd01::" in result.stdout
    by_address = ours(town["a"], "nslookup", address)
    assert by_address.exit_code == 0
    assert "\tname = b.n\n" in by_address.stdout
    named = ours(town["a"], "nslookup", "-type=A", "b", "127.0.0.11")
    assert (named.exit_code, named.stdout.count("Address: ")) == (0, 1)


def test_nslookup_of_an_unknown_name_fails_as_the_resolver_says(town: dict[str, LabContainer]) -> None:
    unknown = ours(town["a"], "nslookup", "no-such-name")
    assert unknown.exit_code == 1
    # Which of the two it is belongs to the resolver, and is held by its own tests.
    assert re.search(r"\*\* server can't find no-such-name: (NXDOMAIN|SERVFAIL)\n", unknown.stdout)
    isolated = ours(town["alone"], "nslookup", "no-such-name")
    assert isolated.exit_code == 1
    assert "** server can't find no-such-name: SERVFAIL" in isolated.stdout
    assert ours(town["a"], "nslookup", "-type=A", "b", "no-such-server").exit_code == 1


def test_ip_shows_links_addresses_and_routes(town: dict[str, LabContainer]) -> None:
    held = {a for a in town["a"].addresses if ":" not in a}
    shown = ours(town["a"], "ip", "addr").stdout
    assert "1: lo: <LOOPBACK,UP,LOWER_UP>" in shown
    assert all(f"    inet {address} " in shown for address in held)
    assert ours(town["a"], "ip", "-4", "addr", "show", "dev", "eth0").stdout.count("inet ") == 1
    assert "inet" not in ours(town["a"], "ip", "link").stdout
    assert ours(town["a"], "ip", "link", "show", "eth0").stdout.count("link/") == 1
    assert "default via 192.168.1.250 dev eth0 \n" in ours(town["a"], "ip", "route").stdout
    assert "fd01::/64 dev eth0" in ours(town["a"], "ip", "-6", "route").stdout
    missing = ours(town["a"], "ip", "link", "show", "eth9")
    assert (missing.exit_code, missing.stderr) == (1, 'Cannot find device "eth9"\n')
    unknown = ours(town["a"], "ip", "tunnel")
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("ip: ")


def test_ip_changes_links_addresses_routes_and_neighbours(make_node: NodeMaker, make_wire: object) -> None:
    left, right = make_node("n1"), make_node("n2")
    assert callable(make_wire)
    make_wire(left, right)

    def ip(*words: str) -> str:
        result = run_command(left, ["ip", *words], env=ONLY_OURS)
        assert (result.exit_code, result.stderr) == (0, ""), words
        return result.stdout

    ip("link", "set", "eth0", "down")
    assert "state DOWN" in ip("link", "show", "eth0")
    ip("link", "set", "dev", "eth0", "mtu", "1400", "up")
    ip("link", "set", "eth0", "address", "02:00:00:00:99:01")
    link = ip("link", "show", "eth0")
    assert "mtu 1400" in link
    assert "02:00:00:00:99:01" in link
    ip("addr", "add", "10.1.0.1/24", "dev", "eth0")
    ip("-6", "addr", "add", "fd09::1/64", "dev", "eth0")
    ip("route", "add", "10.2.0.0/16", "via", "10.1.0.9")
    ip("route", "add", "default", "dev", "eth0")
    routes = ip("route")
    assert "10.2.0.0/16 via 10.1.0.9 dev eth0 \n" in routes
    assert "default dev eth0 scope link \n" in routes
    ip("route", "del", "10.2.0.0/16")
    ip("route", "del", "default")
    assert ip("route").count("\n") == 1
    ip("neigh", "flush", "all")
    twice = run_command(left, ["ip", "addr", "add", "10.1.0.1/24", "dev", "eth0"], env=ONLY_OURS)
    assert twice.exit_code == 2
    assert "exist" in twice.stderr or "assigned" in twice.stderr
    ip("addr", "del", "10.1.0.1/24", "dev", "eth0")
    assert "10.1.0.1" not in ip("addr")


def test_they_need_nothing_but_the_interpreter(make_node: NodeMaker) -> None:
    node = make_node("c1", "container")
    scripts = run_command(node, ["sh", "-c", f"cat {OWN_PROGRAMS}/*"]).stdout
    assert scripts.count("#!/bin/sh\n") == len(run_command(node, ["ls", OWN_PROGRAMS]).stdout.split()) == 4
    assert scripts.count(" -BISc ") == 4
    assert not os.path.exists(OWN_PROGRAMS)
