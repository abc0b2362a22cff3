"""Commands that run, follow and end containers: what they print, and how they exit."""

from __future__ import annotations

import datetime

import pytest

from ipvlab.driver.commands import execute
from ipvlab.driver.docker_host import DockerHost
from ipvlab.driver.port import CommandResult
from ipvlab.driver.session import parse_command
from tests.unit.driver.recording_port import Host
from tests.unit.driver.scripted_workloads import Script, ScriptedWorkloads

RUN_TAIL = "\nRun 'docker run --help' for more information\n"
NOT_FOUND = 'exec: "nosuch": executable file not found in $PATH'


class ProgramHost(Host):
    """A host whose containers run scripts; any command may be typed."""

    def __init__(self) -> None:
        super().__init__("eth1")
        self.programs = ScriptedWorkloads(lambda: self.now)
        self.docker_host = DockerHost(self.engine, self.programs)
        self.ok("network create -d ipvlan --subnet=10.0.0.0/24 n")

    def docker(self, line: str) -> CommandResult:
        command = parse_command(f"docker {line}", allows_programs=True)
        return execute(self.docker_host, command)  # type: ignore[arg-type]  # the line begins with docker


@pytest.fixture
def host() -> ProgramHost:
    return ProgramHost()


def id_of(host: Host, name: str) -> str:
    return host.engine.containers[name].id


@pytest.mark.parametrize("code", [0, 3, 137])
def test_run_gives_what_the_program_wrote_and_its_exit_code(host: ProgramHost, code: int) -> None:
    host.programs.scripts["make"] = Script(((1, "out\n"), (2, "err\n"), (1, "more")), code)
    assert host.docker("run --net=n --rm alpine make all") == CommandResult(code, "out\nmore", "err\n")
    assert dict(host.engine.containers) == {}


def test_the_entry_point_comes_before_the_command(host: ProgramHost) -> None:
    host.programs.scripts["make"] = Script()
    host.ok("run --net=n --name c --entrypoint make alpine all")
    assert host.engine.containers["c"].request.command == ("make", "all")


@pytest.mark.docker("D-API-016")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (NOT_FOUND, 127),
        ('exec: "./x": stat ./x: no such file or directory', 127),
        ('exec: "/etc": is a directory', 126),
        ('exec: "./x": permission denied', 126),
        ("something else", 125),
    ],
)
def test_a_program_that_cannot_be_started_gives_125_to_127(host: ProgramHost, text: str, code: int) -> None:
    host.programs.scripts["nosuch"] = Script(refusal=text)
    result = host.docker("run --net=n --name c alpine nosuch")
    assert result == CommandResult(code, "", f"docker: Error response from daemon: {text}\n{RUN_TAIL}")
    assert host.engine.containers["c"].state == "created"


@pytest.mark.docker("D-API-016")
def test_a_detached_run_prints_the_id_before_it_fails(host: ProgramHost) -> None:
    result = host.docker("run -d --net=nosuch --name c alpine")
    assert (result.exit_code, result.stdout) == (125, f"{id_of(host, 'c')}\n")
    assert result.stderr.endswith(f"network nosuch not found\n{RUN_TAIL}")


@pytest.mark.docker("D-API-016")
def test_a_container_that_cannot_be_created_has_no_id(host: ProgramHost) -> None:
    result = host.docker("run -d --net=n --ip=10.9.9.9 alpine")
    assert (result.exit_code, result.stdout) == (125, "")
    text = "docker: Error response from daemon: invalid config for network n: invalid endpoint settings:\n"
    assert result.stderr.startswith(text)
    assert result.stderr.endswith(RUN_TAIL)


def test_create_fails_with_its_own_tail(host: ProgramHost) -> None:
    assert host.ok("create --net=n --name c alpine") == id_of(host, "c")
    assert host.engine.containers["c"].state == "created"
    result = host.docker("create --net=n --name c alpine")
    assert (result.exit_code, result.stdout) == (125, "")
    assert "is already in use by container" in result.stderr
    assert result.stderr.endswith("\n\nRun 'docker create --help' for more information\n")


@pytest.mark.docker("D-API-017")
@pytest.mark.parametrize("pull", ["", "--pull=never", "--pull=always", "--pull=missing", "-q"])
def test_every_image_is_there_and_nothing_is_pulled(host: ProgramHost, pull: str) -> None:
    result = host.docker(f"run -d {pull} --net=n --name c registry.example:5000/any/image:tag")
    assert result == CommandResult(0, f"{id_of(host, 'c')}\n")


def test_exec_gives_the_programs_result_and_hands_its_settings_on(host: ProgramHost) -> None:
    host.run("--net=n --name=c")
    host.programs.scripts["make"] = Script(((1, "out\n"), (2, "err\n")), 2)
    result = host.docker("exec -i -e A=1 -e B -e C= -w /srv -u root c make -j all")
    assert result == CommandResult(2, "out\n", "err\n")
    [program] = host.programs.executed
    assert (program.argv, program.env) == (("make", "-j", "all"), {"A": "1", "C": ""})
    assert (program.workdir, program.user, program.has_stdin, program.has_tty) == (
        "/srv",
        "root",
        True,
        False,
    )


@pytest.mark.parametrize(("text", "code"), [(NOT_FOUND, 127), ("permission denied", 126)])
def test_exec_of_what_cannot_be_started_gives_127_or_126(host: ProgramHost, text: str, code: int) -> None:
    host.run("--net=n --name=c")
    host.programs.scripts["nosuch"] = Script(refusal=text)
    assert host.docker("exec c nosuch") == CommandResult(code, "", f"{text}\n")


def test_exec_in_the_background_prints_nothing(host: ProgramHost) -> None:
    host.run("--net=n --name=c")
    assert host.docker("exec -d c make") == CommandResult(0)
    assert [program.argv for program in host.programs.begun] == [("make",)]
    assert host.programs.executed == []


def test_start_prints_names_and_sums_up_what_failed(host: ProgramHost) -> None:
    host.ok("create -it --net=n --name a alpine")
    host.ok("create -i --net=n --name b alpine")
    result = host.docker("start a x b y")
    assert result == CommandResult(
        1,
        "a\nb\n",
        "Error response from daemon: No such container: x\n"
        "Error response from daemon: No such container: y\n"
        "Error: failed to start containers: x, y\n",
    )


def test_start_attached_shows_this_start_only(host: ProgramHost) -> None:
    host.programs.scripts["make"] = Script(((1, "once\n"),), 4)
    host.docker("run --net=n --name c alpine make")
    host.programs.scripts["make"] = Script(((1, "twice\n"), (2, "err\n")), 5)
    assert host.docker("start -a c") == CommandResult(5, "twice\n", "err\n")
    assert host.docker("start -a x") == CommandResult(
        1, "", "Error response from daemon: No such container: x\n"
    )


def test_stop_and_restart_hand_on_signal_and_patience(host: ProgramHost) -> None:
    host.programs.scripts["serve"] = Script(code=None)
    for name in ("a", "b"):
        host.ok(f"run -d --net=n --name {name} alpine serve")
    assert host.ok("stop -t 3 -s INT a") == "a"
    assert host.ok("stop b") == "b"
    assert host.ok("restart -t 0 a b") == "a\nb"
    assert host.ok("restart a") == "a"
    assert host.ok("restart -s HUP -t 1 b") == "b"
    assert host.programs.ended == [("a", 2, 3.0), ("b", 15, 10.0), ("a", 15, 10.0), ("b", 1, 1.0)]
    assert host.engine.containers["b"].is_running
    assert host.docker("stop -s FOO a") == CommandResult(
        1, "", "Error response from daemon: invalid signal: FOO\n"
    )
    assert host.docker("restart -s FOO a").stderr == "Error response from daemon: invalid signal: FOO\n"


def test_an_old_spelling_is_told_before_the_answer(host: ProgramHost) -> None:
    host.run("--net=n --name=a")
    notice = "Flag --time has been deprecated, use --timeout instead\n"
    assert host.docker("stop --time 0 a") == CommandResult(0, f"{notice}a\n")


@pytest.mark.parametrize(
    ("option", "number"),
    [("-s HUP", 1), ("-s sigusr1", 10), ("--signal=SIGTERM", 15), ("-s 2", 2), ("-s RTMIN+3", 37)],
)
def test_kill_reads_signals_as_the_engine_does(host: ProgramHost, option: str, number: int) -> None:
    host.programs.scripts["serve"] = Script(code=None)
    host.ok("run -d --net=n --name a alpine serve")
    assert host.ok(f"kill {option} a") == "a"
    assert host.programs.killed == [("a", number)]


def test_kill_ends_by_itself_and_only_what_runs(host: ProgramHost) -> None:
    container = host.run("--net=n --name=a")
    assert host.ok("kill a") == "a"
    assert host.docker("kill a x") == CommandResult(
        1,
        "",
        f"Error response from daemon: cannot kill container: a: container {container.id} is not running\n"
        "Error response from daemon: No such container: x\n",
    )


def test_wait_prints_the_code_of_each(host: ProgramHost) -> None:
    host.programs.scripts["make"] = Script(code=3)
    host.ok("create --net=n --name b alpine")
    host.docker("run --net=n --name a alpine make")
    assert host.docker("wait a x b") == CommandResult(
        1, "3\n0\n", "Error response from daemon: No such container: x\n"
    )


def test_rename_prints_nothing_and_says_what_failed(host: ProgramHost) -> None:
    host.run("--net=n --name=a")
    assert host.docker("rename a b") == CommandResult(0)
    assert host.docker("rename a c") == CommandResult(
        1,
        "",
        "Error response from daemon: No such container: a\nError: failed to rename container named a\n",
    )


def logged(host: ProgramHost) -> None:
    """A container whose log has six lines on two streams, a second apart, the last one unfinished."""
    start = host.now
    host.programs.scripts["serve"] = Script(((1, "one\ntwo\n"),), None)
    host.ok("run -d --net=n --name c alpine serve")
    container = host.engine.containers["c"]
    log = host.programs._logs[container.id]
    for second, (stream, text) in enumerate([(2, "three\n"), (1, "fo"), (1, "ur\nfive\nsi")], start=1):
        host.now = start + datetime.timedelta(seconds=second)
        host.programs.scripts["more"] = Script()
        log.append(type(log[0])(host.now, 2 if stream == 2 else 1, text.encode()))


@pytest.mark.parametrize(
    ("options", "stdout", "stderr"),
    [
        ("", "one\ntwo\nfour\nfive\nsi", "three\n"),
        ("--tail all", "one\ntwo\nfour\nfive\nsi", "three\n"),
        ("--tail x", "one\ntwo\nfour\nfive\nsi", "three\n"),
        ("-n 2", "five\nsi", ""),
        ("--tail 4", "four\nfive\nsi", "three\n"),
        ("--tail 0", "", ""),
        ("--since 2026-01-01T00:00:01Z", "four\nfive\nsi", "three\n"),
        ("--since 2s", "four\nfive\nsi", "three\n"),
        ("--until 2026-01-01T00:00:00Z", "one\ntwo\n", ""),
        ("--since 1767225602", "four\nfive\nsi", ""),
        (
            "-t -n 3",
            "2026-01-01T00:00:02Z four\n2026-01-01T00:00:03Z five\n2026-01-01T00:00:03Z si",
            "",
        ),
    ],
)
def test_logs_are_shown_by_line_and_by_time(
    host: ProgramHost, options: str, stdout: str, stderr: str
) -> None:
    logged(host)
    assert host.docker(f"logs {options} c") == CommandResult(0, stdout, stderr)


def test_logs_say_what_is_no_time_and_no_container(host: ProgramHost) -> None:
    logged(host)
    assert host.docker("logs --since yesterday c").exit_code == 1
    assert host.docker("logs x") == CommandResult(1, "", "Error response from daemon: No such container: x\n")


def test_logs_of_a_program_that_ended_are_kept(host: ProgramHost) -> None:
    host.programs.scripts["make"] = Script(((1, "out\n"),), 1)
    host.docker("run --net=n --name c alpine make")
    assert host.docker("logs -f c") == CommandResult(0, "out\n")


def test_attach_wants_a_running_container(host: ProgramHost) -> None:
    host.run("--net=n --name=c")
    assert host.docker("attach c") == CommandResult(0)
    host.ok("stop c")
    assert host.docker("attach c") == CommandResult(
        1, "", "cannot attach to a stopped container, start it first\n"
    )


def test_connect_and_disconnect_print_nothing(host: ProgramHost) -> None:
    host.ok("network create -d ipvlan --subnet=10.1.0.0/24 m")
    host.run("--net=n --name=c")
    assert host.docker("network connect --ip 10.1.0.9 --alias x m c") == CommandResult(0)
    assert sorted(host.port.containers["c"]) == ["eth0", "eth1"]
    assert host.docker("network disconnect n c") == CommandResult(0)
    assert sorted(host.port.containers["c"]) == ["eth1"]
    assert host.docker("network connect nosuch c") == CommandResult(
        1, "", "Error response from daemon: network nosuch not found\n"
    )


@pytest.mark.docker("D-API-013")
def test_network_rm_removes_what_it_can_names_the_rest_and_ends_with_1(host: ProgramHost) -> None:
    host.ok("network create -d ipvlan a")
    assert host.docker("network rm a nosuch") == CommandResult(
        1, "a\n", "Error response from daemon: network nosuch not found\nexit status 1\n"
    )
    assert "a" not in host.engine.networks


@pytest.mark.docker("D-API-014")
def test_network_inspect_of_a_miss_prints_an_empty_list(host: ProgramHost) -> None:
    assert host.docker("network inspect nosuch") == CommandResult(
        1, "[]\n", "Error response from daemon: network nosuch not found\n"
    )


def test_prunes_list_what_they_removed_and_ask_without_f(host: ProgramHost) -> None:
    host.ok("network create -d ipvlan --label keep a")
    host.ok("network create -d ipvlan b")
    host.run("--net=n --name=c")
    host.run("--net=n --name=d")
    host.ok("stop d")
    asked = host.docker("network prune")
    assert (asked.exit_code, asked.stdout.splitlines()[-1]) == (
        0,
        "Are you sure you want to continue? [y/N] ",
    )
    assert host.docker("network prune -f --filter label!=keep") == CommandResult(
        0, "Deleted Networks:\nb\n\n"
    )
    assert host.docker("network prune -f") == CommandResult(0, "Deleted Networks:\na\n\n")
    assert host.docker("network prune -f") == CommandResult(0)
    stopped = id_of(host, "d")
    assert host.docker("container prune").stdout.endswith("[y/N] ")
    assert host.docker("container prune -f") == CommandResult(
        0, f"Deleted Containers:\n{stopped}\n\nTotal reclaimed space: 0B\n"
    )
    assert host.docker("container prune -f") == CommandResult(0, "Total reclaimed space: 0B\n")
    assert list(host.engine.containers) == ["c"]


def test_help_and_version_need_no_engine(host: ProgramHost) -> None:
    usage = host.docker("network create --help")
    assert usage.exit_code == 0
    assert usage.stdout.startswith("Usage:  docker network create [OPTIONS] NETWORK\n")
    assert "-d, --driver string" in usage.stdout
    assert host.docker("network").stdout.startswith("Usage:  docker network COMMAND\n")
    assert host.docker("--version").stdout == "Docker version 28.2.2, build 45873be\n"


def test_what_a_lab_has_not_is_refused_with_a_reason(host: ProgramHost) -> None:
    result = host.docker("build .")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "docker build: a lab's hosts have networks and containers, and no more\n"
