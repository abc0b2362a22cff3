"""What Docker's client of 26.1 does not know, in its own words (docker/cli v26.1.5 ``cli/cobra.go``)."""

from __future__ import annotations

import pytest

from ipvlab.driver.docker_commands import ContainerRestart, ContainerStop, NetworkConnect, NetworkCreate
from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.session import parse_command
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import D26, D28, D29, DOCS

LATER = [
    ("network create --ipv4=false n", "--ipv4", "docker network create"),
    ("network create -d ipvlan --ipv4 n", "--ipv4", "docker network create"),
    ("network connect --gw-priority 1 n c", "--gw-priority", "docker network connect"),
    ("stop --timeout 3 c", "--timeout", "docker stop"),
    ("restart --timeout=3 c", "--timeout", "docker restart"),
    ("container run --use-api-socket alpine", "--use-api-socket", "docker container run"),
    ("create --use-api-socket alpine", "--use-api-socket", "docker create"),
]


@pytest.mark.parametrize("allows_programs", [True, False])
@pytest.mark.parametrize(("line", "option", "path"), LATER)
def test_an_option_of_later_clients_is_refused_in_files_and_by_hand(
    line: str, option: str, path: str, allows_programs: bool
) -> None:
    refused = parse_command(f"docker {line}", allows_programs=allows_programs, dialect=D26)
    assert refused == ClientRefusal(f"unknown flag: {option}\nSee '{path} --help'.", 125)


@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
@pytest.mark.parametrize(("line", "_option", "_path"), LATER)
def test_later_clients_know_it(line: str, _option: str, _path: str, dialect: Dialect) -> None:
    read = parse_command(f"docker {line}", allows_programs=True, dialect=dialect)
    assert not isinstance(read, ClientRefusal)


def test_a_network_has_no_priority_among_its_fields() -> None:
    line = "docker run --network name=n,gw-priority=3 alpine"
    assert parse_command(line, dialect=D26) == ClientRefusal(
        'invalid argument "name=n,gw-priority=3" for "--network" flag: '
        "invalid field key gw-priority\nSee 'docker run --help'.",
        125,
    )


@pytest.mark.parametrize("option", ["-t 3", "--time 3"])
def test_patience_is_called_time_and_that_is_not_deprecated(option: str) -> None:
    assert parse_command(f"docker stop {option} c", dialect=D26) == ContainerStop(("c",), 3)
    assert parse_command(f"docker restart {option} c", dialect=D26) == ContainerRestart(("c",), 3)


def test_what_it_has_is_read_as_ever() -> None:
    assert isinstance(parse_command("docker network create --ipv6 n", dialect=D26), NetworkCreate)
    connect = parse_command("docker network connect --ip 10.0.0.9 n c", dialect=D26)
    assert isinstance(connect, NetworkConnect)


def test_what_run_finds_late_ends_in_a_stop_and_a_hint() -> None:
    refused = parse_command("docker run --rm --restart=always alpine", allows_programs=True, dialect=D26)
    assert refused == ClientRefusal(
        "docker: conflicting options: cannot specify both --restart and --rm.\nSee 'docker run --help'.", 125
    )
