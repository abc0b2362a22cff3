"""A person at a terminal with Docker's genuine client: what is typed, shown, sized, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.engine_place import CLIENT, EnginePlace, Terminal, engine_place, needs_client

pytestmark = needs_client
PROMPT = "$> "


@pytest.fixture
def place(tmp_path: Path) -> Iterator[EnginePlace]:
    """Two hosts, each behind its API, and the documents' first network on ``h1``."""
    with engine_place(tmp_path) as made:
        made.make_network()
        yield made


def docker(place: EnginePlace, *arguments: str, rows: int = 30, columns: int = 100) -> Terminal:
    assert CLIENT is not None
    return Terminal([CLIENT, *arguments], place.env(), rows, columns)


@pytest.mark.docker("D-API-010", "D-API-011")
def test_run_it_rm_is_a_shell_of_the_terminals_size_and_ends_with_its_exit_code(place: EnginePlace) -> None:
    terminal = docker(
        place, "run", "-it", "--rm", "-e", f"PS1={PROMPT}", "--net=db_net", "--name=c1", "alpine", "/bin/sh"
    )
    terminal.until(PROMPT)
    terminal.type("stty size; tty; echo $TERM; hostname\n")
    size, tty, term, hostname = terminal.until(PROMPT).replace("\r", "").splitlines()[1:5]
    assert (size, tty[:9], term) == ("30 100", "/dev/pts/", "xterm")
    [shown] = json.loads(place.must("inspect", "c1"))
    assert shown["Id"].startswith(hostname)
    terminal.type("ip route; exit 5\n")
    text, code = terminal.rest()
    assert "default via 192.168.1.1 dev eth0" in text
    assert code == 5
    assert place.must("ps", "-aq") == ""


def test_a_shell_that_was_started_detached_is_attached_to(place: EnginePlace) -> None:
    place.must("run", "-itd", "-e", f"PS1={PROMPT}", "--net=db_net", "--name=c1", "alpine", "/bin/sh")
    terminal = docker(place, "attach", "c1")
    terminal.until(PROMPT)
    terminal.type("echo $((6*7))\n")
    assert "42" in terminal.until(PROMPT)
    terminal.type("exit 3\n")
    assert terminal.rest()[1] == 3
    assert place.must("ps", "-a", "--format", "{{.Names}} {{.State}}") == "c1 exited"


def test_a_shell_goes_on_when_its_window_is_closed(place: EnginePlace) -> None:
    place.must("run", "-itd", "-e", f"PS1={PROMPT}", "--net=db_net", "--name=c1", "alpine", "/bin/sh")
    first = docker(place, "attach", "c1")
    first.until(PROMPT)
    first.type("A=kept\n")
    first.until(PROMPT)
    first.end()
    second = docker(place, "attach", "c1")
    second.type("echo $A\n")
    second.until("kept\r\n")
    second.type("exit\n")
    assert second.rest()[1] == 0


def test_exec_it_has_a_terminal_of_its_own(place: EnginePlace) -> None:
    place.must("run", "-itd", "--net=db_net", "--name=c1", "alpine", "/bin/sh")
    terminal = docker(place, "exec", "-it", "-e", f"PS1={PROMPT}", "c1", "/bin/sh", rows=24, columns=80)
    terminal.until(PROMPT)
    terminal.type("stty size\n")
    assert "24 80" in terminal.until(PROMPT)
    terminal.type("exit 6\n")
    assert terminal.rest()[1] == 6
    assert place.must("ps", "--format", "{{.State}}") == "running"


def test_ctrl_c_reaches_the_program_and_not_the_client(place: EnginePlace) -> None:
    terminal = docker(place, "run", "-it", "--rm", "-e", f"PS1={PROMPT}", "--net=db_net", "alpine", "/bin/sh")
    terminal.until(PROMPT)
    terminal.type("sh -c 'echo $((40+2)); exec cat'\n")
    terminal.until("42")
    terminal.type("\x03")
    terminal.until(PROMPT)
    terminal.type("echo code $?\n")
    terminal.until("code 130")
    terminal.type("exit 0\n")
    assert terminal.rest()[1] == 0


def test_a_signal_to_a_client_without_a_terminal_is_passed_on(place: EnginePlace) -> None:
    script = "trap 'echo got it; exit 8' TERM; echo ready; while :; do read line || exit 1; done"
    client = place.begin("run", "-i", "--rm", "--net=db_net", "alpine", "sh", "-c", script)
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGTERM)
    assert client.stdout.readline() == b"got it\n"
    client.communicate(timeout=60)
    assert client.returncode == 8


def test_without_a_terminal_the_client_refuses_t(place: EnginePlace) -> None:
    result = place.docker("run", "-it", "--net=db_net", "alpine", "/bin/sh")
    assert result.exit_code == 1
    assert "the input device is not a TTY" in result.stderr
    assert place.must("ps", "-aq") == ""
