"""Blocks of lines, and where each of them runs."""

from __future__ import annotations

import pytest

from ipvlab.driver.commands import execute
from ipvlab.driver.grammar import DockerCommand
from ipvlab.driver.ip_grammar import Exit, Ping, RouteShow
from ipvlab.driver.session import Session, parse_command, parse_lines
from ipvlab.errors import CommandUnknown
from tests.unit.driver.recording_port import Host

NETWORK = "docker network create -d ipvlan --subnet=10.0.0.0/24 n"


def texts(block: str) -> list[tuple[int, str]]:
    return [(parsed.line, parsed.text) for parsed in parse_lines(block.split("\n"))]


def test_lines_that_end_in_a_backslash_are_joined_and_counted_from_their_first() -> None:
    block = "# first\n\nping \\\n  -c 2 \\\n  a\n   ip route  # of the host\n\n"
    assert texts(block) == [(3, "ping -c 2 a"), (6, "ip route")]
    assert [parsed.command for parsed in parse_lines(block.split("\n"))] == [Ping("a", count=2), RouteShow()]


def test_a_backslash_joins_without_a_space_as_in_a_shell() -> None:
    assert texts("ip ro\\\nute") == [(1, "ip route")]


def test_a_comments_backslash_continues_nothing() -> None:
    assert texts("# a comment \\\nip route # another \\\nip a") == [(2, "ip route"), (3, "ip a")]


def test_an_escaped_backslash_at_the_end_continues_nothing() -> None:
    assert texts("ping a\\\\\nexit") == [(1, "ping a\\\\"), (2, "exit")]


def test_a_hash_within_a_word_or_quotes_is_no_comment() -> None:
    assert texts("ping a#b\nping '#x'\nping \\#y") == [(1, "ping a#b"), (2, "ping '#x'"), (3, "ping \\#y")]
    commands = [parsed.command for parsed in parse_lines(["ping a#b", "ping '#x'", "ping \\#y"])]
    assert commands == [Ping("a#b"), Ping("#x"), Ping("#y")]


def test_quoted_white_space_is_kept() -> None:
    [parsed] = parse_lines(["ping 'a  b'"])
    assert parsed.command == Ping("a  b")


def test_carriage_returns_do_not_matter() -> None:
    assert texts("ping \\\r\n a\r\nexit\r") == [(1, "ping a"), (3, "exit")]


@pytest.mark.parametrize("block", ["", "\n\n", "# only\n   # comments", "  \t "])
def test_a_block_may_be_empty(block: str) -> None:
    assert texts(block) == []


@pytest.mark.parametrize(
    ("block", "line", "why"),
    [
        ("ip a\n\nfrobnicate", 3, "`frobnicate` is not a known command"),
        ("ip a\ndocker network create \\\n  --nosuch \\\n  n", 2, "has no option --nosuch"),
        ("ip a\nping 'a", 2, "no closing quotation"),
        ("ip a\nping a \\", 2, "ends in a backslash, and nothing follows"),
        ("ip a\nping a \\\n", 2, ""),
    ],
)
def test_an_error_knows_the_first_line_of_its_command(block: str, line: int, why: str) -> None:
    if not why:
        assert texts(block)[-1] == (line, "ping a")
        return
    with pytest.raises(CommandUnknown) as caught:
        parse_lines(block.split("\n"))
    assert caught.value.line == line
    assert why in caught.value.what


def test_one_command_may_be_written_over_lines() -> None:
    assert parse_command("ping \\\n -c 2 a") == Ping("a", count=2)
    with pytest.raises(CommandUnknown, match="a command is empty"):
        parse_command("  # nothing")


def follow(host: Host, block: str) -> list[str]:
    """Follow a block as a runner does; where each line ran, ``-`` for the host."""
    session = Session(host.engine)
    places = []
    for parsed in parse_lines(block.split("\n")):
        places.append(session.place(parsed.command) or "-")
        if isinstance(parsed.command, DockerCommand):
            result = execute(host.docker_host, parsed.command)
        elif isinstance(parsed.command, Exit):
            result = session.leave()
        else:
            result = host.port.answer
        session.settle(parsed.command, result)
    return places


def test_lines_after_run_it_are_typed_in_that_container_until_the_next_docker_line(host: Host) -> None:
    block = f"""
        ip route
        {NETWORK}
        docker run --net=n --name=a -it alpine /bin/sh
        ping -c 1 b
        ip link set eth0 up
        ip addr show eth0
        docker ps
        ip route
    """
    assert follow(host, block) == ["-", "-", "-", "a", "-", "a", "-", "-"]
    assert host.engine.containers["a"].is_running


def test_a_detached_container_is_not_entered(host: Host) -> None:
    assert follow(host, f"{NETWORK}\ndocker run --net=n --name=a -itd alpine sh\nip route")[-1] == "-"


def test_the_last_of_several_is_the_one_entered(host: Host) -> None:
    block = (
        f"{NETWORK}\ndocker run --net=n --name=a -it alpine\ndocker run --net=n -it --rm alpine sh\nip route"
    )
    assert follow(host, block)[-1] == "h1-1"


def test_a_container_that_failed_to_start_is_not_entered(host: Host) -> None:
    block = f"{NETWORK}\ndocker run --net=n --name=a -it alpine\ndocker run --net=x -it alpine\nip route"
    assert follow(host, block)[-1] == "-"


def test_a_command_that_runs_to_its_end_is_not_entered(host: Host) -> None:
    block = f"{NETWORK}\ndocker run --net=n -it alpine ping -c 1 a\nip route"
    assert follow(host, block)[-1] == "-"


def test_exit_stops_the_container_and_returns_to_the_host(host: Host) -> None:
    block = f"{NETWORK}\ndocker run --net=n --name=a -it alpine\nip route\nexit\nip route"
    assert follow(host, block) == ["-", "-", "a", "a", "-"]
    assert not host.engine.containers["a"].is_running


def test_exit_removes_a_container_with_rm(host: Host) -> None:
    follow(host, f"{NETWORK}\ndocker run --net=n --name=a -it --rm alpine\nexit")
    assert host.engine.containers == {}
    assert host.port.containers == {}


def test_a_container_with_rm_stays_up_when_a_docker_line_follows(host: Host) -> None:
    follow(host, f"{NETWORK}\ndocker run --net=n --name=a -it --rm alpine\ndocker ps")
    assert host.engine.containers["a"].is_running


def test_exec_of_a_shell_enters_and_exit_leaves_the_container_running(host: Host) -> None:
    block = f"{NETWORK}\ndocker run --net=n --name=a -itd alpine\ndocker exec -it a sh\nip route\nexit"
    assert follow(host, block) == ["-", "-", "-", "a", "a"]
    assert host.engine.containers["a"].is_running


def test_exit_on_the_host_has_nothing_to_leave(host: Host) -> None:
    result = Session(host.engine).leave()
    assert (result.exit_code, "no container's shell is open on h1" in result.stderr) == (1, True)


def test_setting_the_ipvlan_mode_is_done_in_the_container(host: Host) -> None:
    block = f"{NETWORK}\ndocker run --net=n --name=a -it alpine\nip link set eth0 type ipvlan mode l3"
    assert follow(host, block)[-1] == "a"


def test_restarting_docker_is_done_on_the_host(host: Host) -> None:
    assert follow(host, f"{NETWORK}\ndocker run --net=n --name=a -it alpine\nrestart docker")[-1] == "-"


@pytest.mark.parametrize("entering", ["docker attach a", "docker start -ai a", "docker start -i a"])
def test_a_shell_is_entered_by_attaching_too_and_its_exit_stops_the_container(
    host: Host, entering: str
) -> None:
    host.ok("network create -d ipvlan n")
    host.run("--net=n --name=a")
    session = Session(host.engine)
    command = parse_command(entering)
    session.settle(command, execute(host.docker_host, command))  # type: ignore[arg-type]  # docker lines
    assert session.container == "a"
    assert session.leave().exit_code == 0
    assert not host.engine.containers["a"].is_running


def test_a_program_that_ran_to_its_end_is_not_entered(host: Host) -> None:
    host.ok("network create -d ipvlan n")
    session = Session(host.engine)
    command = parse_command("docker run -it --net=n --name a alpine hostname -f", allows_programs=True)
    session.settle(command, execute(host.docker_host, command))  # type: ignore[arg-type]  # docker lines
    assert (session.container, host.engine.containers["a"].is_running) == (None, False)
