"""What is found out about a file before anything is built."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ipvlab.errors import (
    CommandUnknown,
    DriverRefusal,
    FamilyMissing,
    IpvlabError,
    NodeNotFound,
)
from ipvlab.run.prepare import Prepared, prepare

HEAD = """\
    name: t
    wires: {lan: {}}
    hosts:
      h1:
        interfaces: {eth0: {wire: lan, addresses: [192.168.1.250/24]}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "t.ipvlab.yaml"
    path.write_text(textwrap.dedent(HEAD + text))
    return path


def refuse(folder: Path, text: str) -> tuple[IpvlabError, int, int]:
    """The error of a file, with its line and column."""
    with pytest.raises(IpvlabError) as refusal:
        prepare(write(folder, text))
    where = refusal.value.where
    assert where is not None
    assert where.path.endswith("t.ipvlab.yaml")
    return refusal.value, where.line, where.column


def accept(folder: Path, text: str) -> Prepared:
    return prepare(write(folder, text))


NETWORK = """\
        commands: |
          docker network create -d ipvlan --subnet=192.168.20.0/24 -o parent=eth0.20 v20

          # two of them
          docker run --net=v20 --name=a1 -itd alpine /bin/sh
          docker run --net=v20 --name=a2 \\
            -itd alpine /bin/sh
"""


def test_a_line_outside_the_grammar_is_an_error_at_that_line(tmp_path: Path) -> None:
    error, line, column = refuse(tmp_path, NETWORK + "          tcpdump -i eth0\n")
    assert (type(error), line, column) == (CommandUnknown, 13, 7)


def test_a_line_outside_the_grammar_in_a_step_is_an_error_there(tmp_path: Path) -> None:
    error, line, _ = refuse(tmp_path, "    steps:\n      - do: {h1: [ip link, docker ps]}\n")
    assert (type(error), line) == (CommandUnknown, 7)


def test_a_docker_line_on_a_router_is_an_error_at_load(tmp_path: Path) -> None:
    text = "    routers:\n      gw: {commands: [docker ps]}\n"
    error, line, _ = refuse(tmp_path, text)
    assert (type(error), line) == (CommandUnknown, 7)
    assert "gw is not a host" in error.what


def test_a_line_that_docker_refuses_is_no_error_of_the_file(tmp_path: Path) -> None:
    accept(tmp_path, "        commands: docker network create -d ipvlan -o parent=lo bad\n")


def test_a_network_that_the_driver_refuses_is_an_error_at_its_name(tmp_path: Path) -> None:
    option = "com.docker.network.enable_ipv6"
    error, line, column = refuse(tmp_path, f"        networks: {{v: {{driver_opts: {{{option}: maybe}}}}}}\n")
    assert (type(error), line, column) == (DriverRefusal, 6, 16)
    assert error.what == f'driver-opt "{option}" is not a valid bool'


def test_a_pool_that_runs_out_is_an_error_at_the_container(tmp_path: Path) -> None:
    error, line, _ = refuse(
        tmp_path,
        """\
        networks: {v: {driver_opts: {parent: eth0.20}, ipam: {config: [{subnet: 10.0.0.0/30}]}}}
        containers:
          a1: {networks: [v]}
          a2: {networks: [v]}
""",
    )
    assert (type(error), line) == (DriverRefusal, 9)
    assert "no available IPv4 addresses" in error.what


def test_no_common_family_is_an_error_at_the_expectation(tmp_path: Path) -> None:
    text = "    routers:\n      r: {interfaces: {eth0: {wire: lan, addresses: ['2001:db8::1/64']}}}\n"
    error, line, _ = refuse(tmp_path, text + "    expect:\n      - blocked: {from: h1, to: r}\n")
    assert (type(error), line) == (FamilyMissing, 9)


def test_a_container_that_a_step_removed_is_unknown_to_its_expectations(tmp_path: Path) -> None:
    step = "    steps:\n      - do: {h1: docker rm -f a1}\n"
    step += "        expect: [{links: {in: a1, present: [eth0]}}]\n"
    assert type(refuse(tmp_path, NETWORK + step)[0]) is NodeNotFound


def test_addresses_added_by_command_lines_count_before_anything_is_built(tmp_path: Path) -> None:
    accept(
        tmp_path,
        """\
        commands: ip addr add 2001:db8::1/64 dev eth0
    routers:
      r: {interfaces: {eth0: {wire: lan, addresses: ['2001:db8::2/64']}}}
    expect:
      - reach: {from: h1, to: r}
""",
    )


def test_ids_of_command_lines_count_the_lines_of_their_block(tmp_path: Path) -> None:
    prepared = accept(tmp_path, NETWORK)
    assert [line.id for line in prepared.beginning.lines] == [
        "commands[h1:1]",
        "commands[h1:4]",
        "commands[h1:5]",
    ]


def test_a_container_name_that_two_hosts_use_is_shown_with_its_host(tmp_path: Path) -> None:
    run = "docker run --net=none --name={} -itd alpine sh"
    prepared = accept(
        tmp_path,
        f"        commands: ['{run.format('web')}', '{run.format('db')}']\n"
        f"      h2: {{commands: ['{run.format('web')}']}}\n",
    )
    display = prepared.naming.display
    assert (display("h1", "web"), display("h2", "web"), display("h1", "db")) == ("h1/web", "h2/web", "db")


def test_a_name_used_again_after_removal_is_still_bare(tmp_path: Path) -> None:
    again = "    steps:\n      - do: {h1: [docker rm -f a1, docker run --net=v20 --name=a1 -itd alpine sh]}\n"
    assert accept(tmp_path, NETWORK + again).naming.display("h1", "a1") == "a1"


@pytest.mark.parametrize(("mode", "count"), [("l2", 0), ("l3", 1), ("l3s", 1)])
def test_a_routed_network_on_its_parents_own_subnet_is_warned_about(
    tmp_path: Path, mode: str, count: int
) -> None:
    prepared = accept(
        tmp_path,
        "        commands: docker network create -d ipvlan --subnet=192.168.1.0/24"
        f" -o parent=eth0 -o ipvlan_mode={mode} n\n",
    )
    assert len(prepared.warnings) == count


def test_nothing_after_a_failing_line_makes_the_file_invalid(tmp_path: Path) -> None:
    bad = "        commands: docker run --net=nosuch --name=a1 -itd alpine sh\n"
    accept(tmp_path, bad + "    expect: [{links: {in: a1, present: [eth0]}}]\n")


def test_a_line_that_an_expectation_says_must_fail_hides_nothing(tmp_path: Path) -> None:
    bad = "        commands: docker run --net=nosuch --name=a1 -itd alpine sh\n"
    text = (
        bad
        + "    expect:\n      - fails: {on: h1, command: 'docker  run --net=nosuch --name=a1 -itd alpine sh',"
        + " error: not found}\n      - links: {in: a1, present: [eth0]}\n"
    )
    assert type(refuse(tmp_path, text)[0]) is NodeNotFound
