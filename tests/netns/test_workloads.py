"""Docker's containers with real programs in them, on a live lab: from start to end, many at once, kill -9."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ipvlab import Lab
from ipvlab.driver.docker_host import ContainerEvent, DockerHost
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.state import Container, ContainerState
from ipvlab.driver.workloads import ProgramRequest
from ipvlab.errors import DriverRefusal
from ipvlab.run.handles import LabHost
from ipvlab.run.workloads import LiveWorkloads
from tests.netns.program_ear import Ear
from tests.netns.traces import PROJECT, hold_networks, links, networks_in_use, networks_of_others

NETWORK = "network create -d ipvlan --subnet=10.0.0.0/16 --gateway=10.0.0.1 -o parent=eth0 n"


def build(lab: Lab) -> LabHost:
    """A host h1 with a network n."""
    lan = lab.wire("lan")
    h1 = lab.host("h1", eth0=lan.port("10.0.255.1/16"))
    made = h1.docker(NETWORK)
    assert made.exit_code == 0, made
    return h1


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(datapath="bpf") as made:
        yield made


@pytest.fixture
def host(lab: Lab) -> LabHost:
    return build(lab)


@pytest.fixture
def docker(lab: Lab, host: LabHost) -> DockerHost:
    return lab.docker_host("h1")


def request(name: str, *command: str, **options: object) -> ContainerRequest:
    # mypy cannot know which options are given here.
    return ContainerRequest((EndpointRequest("n"),), name=name, command=command, **options)  # type: ignore[arg-type]


def workloads_of(docker: DockerHost) -> LiveWorkloads:
    assert isinstance(docker.workloads, LiveWorkloads)
    return docker.workloads


def ear_of(docker: DockerHost, container: Container) -> Ear:
    program = workloads_of(docker).program(container)
    assert program is not None
    return Ear(program)


def test_a_container_runs_as_long_as_its_program_and_keeps_what_it_wrote(docker: DockerHost) -> None:
    container = docker.run(request("a", "sh", "-c", "echo out; echo err >&2; exit 5"))
    assert docker.wait("a") == 5
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 5)
    assert {(each.stream, each.content) for each in docker.workloads.logs(container)} == {
        (1, b"out\n"),
        (2, b"err\n"),
    }


def test_the_end_of_a_program_takes_its_children_and_its_addresses_along(
    lab: Lab, docker: DockerHost
) -> None:
    script = "sleep 1000 & echo $!; readlink /proc/self/ns/net; read x"
    container = docker.run(request("a", "sh", "-c", script, is_interactive=True))
    ear = ear_of(docker, container)
    ear.until(b"net:[")
    network = ear.said().split()[1].decode()
    assert network in networks_in_use()
    program = workloads_of(docker).program(container)
    assert program is not None
    program.write(b"\n")
    docker.wait("a")
    assert network not in networks_in_use()
    assert "a" not in lab.ground().nodes
    again = docker.run(request("b"))
    assert [str(address) for address in again.endpoints[0].addresses] == ["10.0.0.2"]


def test_what_a_program_does_to_addresses_is_noticed_while_it_runs_and_at_its_end(
    lab: Lab, host: LabHost, docker: DockerHost
) -> None:
    other = host.container("other", network="n")
    change = "ip addr {} 10.0.77.1/16 dev eth0; echo {}; read x; "
    script = change.format("add", "added") + change.format("del", "gone")
    container = docker.run(request("a", "sh", "-c", script, is_interactive=True))
    ear = ear_of(docker, container)
    ear.until(b"added")
    assert other.reaches(lab.node("a"), address="10.0.77.1")
    program = workloads_of(docker).program(container)
    assert program is not None
    program.write(b"\n")
    ear.until(b"gone")
    assert other.reaches(lab.node("a"))
    assert lab.node("a").addresses == ["10.0.0.2/16"]
    begun = docker.execute("a", ProgramRequest(("sh", "-c", "ip addr add 10.0.77.2/16 dev eth0")))
    assert (begun.exit_code, begun.stderr) == (0, "")
    # Real packets of a real program: no probe has made the lab look again.
    answered = docker.execute("other", ProgramRequest(("sh", "-c", "ping -c 1 -W 5 10.0.77.2")))
    assert answered.exit_code == 0, answered


def test_an_idle_container_has_no_process_until_somebody_attaches(docker: DockerHost) -> None:
    container = docker.run(request("a", "/bin/sh", has_tty=True, is_interactive=True))
    programs = workloads_of(docker)
    assert (container.is_running, programs.program(container)) == (True, None)
    program = programs.attach(container, (33, 99))
    assert programs.attach(container) is program
    ear = Ear(program)
    program.write(b"stty size\n")
    ear.until(b"33 99")
    program.write(b"exit 3\n")
    assert docker.wait("a") == 3
    docker.start("a")
    assert (container.is_running, programs.program(container)) == (True, None)


def test_exec_runs_beside_the_main_program_with_the_containers_environment(docker: DockerHost) -> None:
    container = docker.run(request("a", "cat", is_interactive=True, env={"A": "b"}, workdir="/usr"))
    script = "pwd; echo $A $B; cat; exit 4"
    ran = docker.execute("a", ProgramRequest(("sh", "-c", script), env={"B": "c"}), stdin=b"given")
    assert (ran.exit_code, ran.stdout) == (4, "/usr\nb c\ngiven")
    assert container.is_running
    begun = workloads_of(docker).begin(container, ProgramRequest(("cat",), has_stdin=True))
    docker.remove("a", force=True)
    assert Ear(begun).exit() == 128 + signal.SIGKILL


def test_a_program_that_cannot_be_started_leaves_a_created_container_or_with_rm_none(
    docker: DockerHost,
) -> None:
    words = r"runc create failed.*executable file not found"
    with pytest.raises(DriverRefusal, match=words):
        docker.run(request("a", "no-such-program"))
    container = docker.engine.find_container("a")
    assert (container.state, container.exit_code) == (ContainerState.CREATED, 127)
    with pytest.raises(DriverRefusal, match=words):
        docker.run(request("b", "no-such-program", is_auto_remove=True))
    assert list(docker.engine.containers) == ["a"]
    with pytest.raises(DriverRefusal, match=r"OCI runtime exec failed.*executable file not found"):
        docker.execute(docker.run(request("c")).name, ProgramRequest(("no-such-program",)))


def test_a_program_that_ignores_sigterm_is_killed_when_the_patience_is_over(docker: DockerHost) -> None:
    container = docker.run(request("a", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"))
    ear_of(docker, container).until(b"ready")
    docker.stop("a", patience=0.1)
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 128 + signal.SIGKILL)


def test_a_program_that_is_stopped_by_the_kernel_is_killed_all_the_same(docker: DockerHost) -> None:
    container = docker.run(request("a", "sh", "-c", "kill -STOP $$"))
    program = workloads_of(docker).program(container)
    assert program is not None
    os.waitid(os.P_PID, program.pid, os.WSTOPPED | os.WNOWAIT)
    docker.stop("a", patience=0.1)
    assert container.exit_code == 128 + signal.SIGKILL


def test_a_signal_of_docker_goes_to_the_main_program_alone(docker: DockerHost) -> None:
    container = docker.run(
        request(
            "a",
            "sh",
            "-c",
            "trap 'echo heard' USR1; echo ready; while :; do read x; done",
            is_interactive=True,
        )
    )
    beside = workloads_of(docker).begin(container, ProgramRequest(("cat",), has_stdin=True))
    ear = ear_of(docker, container)
    ear.until(b"ready")
    docker.kill("a", signal.SIGUSR1)
    ear.until(b"heard")
    assert (container.is_running, beside.exit_code) == (True, None)


def test_the_log_lives_as_long_as_the_container(docker: DockerHost) -> None:
    container = docker.run(request("a", "sh", "-c", "echo again"))
    docker.wait("a")
    docker.start("a")
    docker.wait("a")
    assert [entry.content for entry in docker.workloads.logs(container)] == [b"again\n"] * 2
    docker.remove("a")
    assert docker.workloads.logs(container) == []


def test_events_tell_the_end_of_a_program_once(docker: DockerHost) -> None:
    events: list[ContainerEvent] = []
    is_removed = threading.Event()

    def hear(event: ContainerEvent) -> None:
        events.append(event)
        if event.action == "destroy":
            is_removed.set()

    stop = docker.listen(hear)
    docker.run(request("a", "sh", "-c", "exit 6", is_auto_remove=True))
    is_removed.wait()
    stop()
    assert [event.action for event in events if event.kind == "container"] == [
        "create",
        "start",
        "die",
        "destroy",
    ]
    assert [event.exit_code for event in events if event.action == "die"] == [6]


def test_restart_docker_stops_containers_and_their_programs_start_again(
    lab: Lab, host: LabHost, docker: DockerHost
) -> None:
    container = docker.run(request("a", "sh", "-c", "echo up; exec cat", is_interactive=True))
    ear_of(docker, container).until(b"up")
    assert lab.type("h1", "restart docker").exit_code == 0
    assert "a" not in lab.ground().nodes
    assert host.docker("ps -q").stdout == ""
    assert host.docker("start a").exit_code == 0
    again = docker.engine.find_container("a")
    ear_of(docker, again).until(b"up")
    assert host.docker("rm -f a").exit_code == 0
    assert host.docker("network rm n").exit_code == 0


def test_ping_without_a_count_is_a_real_program_that_runs_on(host: LabHost, docker: DockerHost) -> None:
    assert host.docker("run -itd --net n --name other alpine").exit_code == 0
    assert host.docker("run -d --net n --name a alpine ping other").exit_code == 0
    container = docker.engine.find_container("a")
    ear = ear_of(docker, container)
    ear.until(b"bytes from")
    assert container.is_running


def test_any_program_runs_by_dockers_commands_in_python(host: LabHost) -> None:
    ran = host.docker("run --rm --net n alpine sh -c 'echo out; echo err >&2; exit 9'")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (9, "out\n", "err\n")
    host.docker("run -d --net n --name a alpine sh -c 'echo kept; exec sleep 1000'")
    inside = host.docker("exec a sh -c 'hostname; exit 2'")
    assert inside.exit_code == 2
    assert len(inside.stdout) == 13


def test_a_simulated_host_refuses_a_program_and_says_where_it_would_run() -> None:
    with Lab(datapath="sim") as lab:
        host = build(lab)
        refused = host.docker("run --net n --name a alpine httpd -f")
        assert refused.exit_code == 125
        assert "runs no program" in refused.stderr
        assert host.docker("run -itd --net n --name b alpine").exit_code == 0
        assert "runs no program" in host.docker("exec b httpd").stderr
        assert host.docker("exec b ping -c 1 10.0.255.1").exit_code == 1
        assert host.docker("run --rm --net n alpine ping -c 1 b").exit_code == 0


def test_two_hundred_containers_started_at_once_all_run_and_none_is_left(
    docker: DockerHost,
) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))

    def run(number: int) -> Container:
        return docker.run(
            request(f"c{number}", "sh", "-c", f"echo I am {number}; exec cat", is_interactive=True)
        )

    with ThreadPoolExecutor(200) as threads:
        containers = list(threads.map(run, range(200)))
    assert all(container.is_running for container in containers)
    addresses = {str(container.endpoints[0].addresses[0]) for container in containers}
    assert len(addresses) == 200
    programs = [workloads_of(docker).program(container) for container in containers]
    for program in programs:
        assert program is not None
        program.write(b"last words\n")
        program.close_stdin()
    with ThreadPoolExecutor(200) as threads:
        assert set(threads.map(docker.wait, [container.id for container in containers])) == {0}
    for number, container in enumerate(containers):
        said = b"".join(entry.content for entry in docker.workloads.logs(container))
        assert said == b"I am %d\nlast words\n" % number
    for container in containers:
        docker.remove(container.id)
    assert docker.engine.containers == {}
    # What the lab itself has opened since: threads' bells, and nothing for each container.
    assert len(os.listdir("/proc/self/fd")) < descriptors + 20


KILLED = """
import signal, sys
from concurrent.futures import ThreadPoolExecutor
from ipvlab import Lab
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
with Lab(datapath="bpf") as lab:
    lan = lab.wire("lan")
    h1 = lab.host("h1", eth0=lan.port("10.0.255.1/16"))
    h1.docker(sys.argv[1])
    docker = lab.docker_host("h1")
    command = ("sh", "-c", "sleep 1000 & sleep 1000 & trap '' TERM HUP INT; wait")
    def run(number):
        container = docker.run(ContainerRequest((EndpointRequest("n"),), name=f"c{number}", command=command,
                                                has_tty=number % 2 == 0))
        print(docker.workloads.program(container).pid, flush=True)
    with ThreadPoolExecutor(200) as threads:
        list(threads.map(run, range(200)))
    signal.pause()
"""


@pytest.mark.parametrize("started", [60, 200])
def test_kill_9_of_the_lab_while_its_containers_start_or_run_leaves_nothing(started: int) -> None:
    before = links()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, NETWORK], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        assert process.stdout is not None
        for _ in range(started):
            assert process.stdout.readline().strip().isdigit()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        # Its children are all first processes and main programs; a first process ends last.
        ends = [os.pidfd_open(pid) for pid in children_of(process.pid)]
        # While they are held here no other lab's can have their numbers.
        held = hold_networks(process.pid)
        assert len(held) >= started
        assert len(ends) >= 2 * started
        process.kill()
    for end in ends:
        select.select([end], [], [])
        os.close(end)
    left = set(held) & networks_of_others()
    for fd in held.values():
        os.close(fd)
    assert left == set()
    assert links() == before


def children_of(parent: int) -> list[int]:
    """The children of a process that is stopped."""
    tasks = Path(f"/proc/{parent}/task").iterdir()
    return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
