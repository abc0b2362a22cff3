"""Docker's genuine client against a host's Engine API: what a person types, and what comes back."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.engine_place import EnginePlace, engine_place, needs_client

pytestmark = needs_client
TAIL = "\n\nRun 'docker run --help' for more information\n"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[EnginePlace]:
    """Two hosts, each behind its API."""
    with engine_place(tmp_path) as made:
        yield made


def inspect(place: EnginePlace, *arguments: str) -> dict[str, object]:
    [value] = json.loads(place.must(*arguments))
    assert isinstance(value, dict)
    return value


def test_the_first_example_of_the_documents_works_as_typed(place: EnginePlace) -> None:
    network = place.make_network()
    assert len(network) == 64
    place.must("run", "--net=db_net", "--ip=192.168.1.10", "-itd", "--name=ipv1", "alpine", "/bin/sh")
    place.must("run", "--net=db_net", "-itd", "--name=ipv2", "alpine", "/bin/sh")
    shown = inspect(place, "network", "inspect", "db_net")
    assert shown["IPAM"] == {
        "Driver": "default",
        "Options": {},
        "Config": [{"Subnet": "192.168.1.0/24", "Gateway": "192.168.1.1"}],
    }
    assert shown["Options"] == {"ipvlan_mode": "l2", "parent": "eth0"}
    routes = place.must("exec", "ipv1", "ip", "route").splitlines()
    assert routes[0].startswith("default via 192.168.1.1 dev eth0")
    assert routes[1].startswith("192.168.1.0/24 dev eth0")
    ping = place.must("exec", "ipv2", "ping", "-c", "1", "ipv1")
    assert "1 packets transmitted, 1" in ping
    # The host's own address is not reached over its ipvlan.
    assert place.docker("exec", "ipv1", "ping", "-c", "1", "-W", "1", "192.168.1.250").exit_code == 1


def test_two_hosts_with_the_same_vlan_reach_each_other_and_another_vlan_does_not(place: EnginePlace) -> None:
    for host, address in (("h1", "192.168.20.10"), ("h2", "192.168.20.20")):
        place.must(
            "network", "create", "-d", "ipvlan", "--subnet=192.168.20.0/24", "--gateway=192.168.20.1",
            "-o", "parent=eth0.20", "ipvlan20", host=host,
        )  # fmt: skip
        place.must("run", "--net=ipvlan20", f"--ip={address}", "--name=v20", "-itd", "alpine", host=host)
    place.must(
        "network",
        "create",
        "-d",
        "ipvlan",
        "--subnet=192.168.30.0/24",
        "-o",
        "parent=eth0.30",
        "v30",
        host="h2",
    )
    place.must("run", "--net=v30", "--ip=192.168.30.30", "--name=v30", "-itd", "alpine", host="h2")
    place.must("exec", "v20", "ping", "-c", "1", "192.168.20.20")
    assert place.docker("exec", "v20", "ping", "-c", "1", "-W", "1", "192.168.30.30").exit_code == 1
    assert place.lab.node("h1").execute(["ip", "link", "show", "eth0.20"]).exit_code == 0
    place.must("rm", "-f", "v20")
    place.must("network", "rm", "ipvlan20")
    assert place.lab.node("h1").execute(["ip", "link", "show", "eth0.20"]).exit_code != 0


@pytest.mark.docker("D-API-004", "D-API-014", "D-API-018")
@pytest.mark.parametrize("dialect", ["docs", "docker-26", "docker-28"])
def test_what_the_client_shows_is_what_the_text_commands_show(tmp_path: Path, dialect: str) -> None:
    with engine_place(tmp_path, dialect) as place:
        compare_client_and_text(place)


def compare_client_and_text(place: EnginePlace) -> None:
    place.make_network()
    place.must("network", "create", "-d", "ipvlan", "--subnet=10.9.0.0/24", "--label=a=b", "iso")
    place.must("run", "--net=db_net", "-itd", "--name=c1", "--label", "k=v", "alpine", "/bin/sh")
    place.must("create", "--net=iso", "--name=c2", "alpine", "ping", "c1")
    for line in (
        "network ls",
        "network ls -q --filter driver=ipvlan",
        "network ls --filter label=a=b --format {{.Name}}/{{.Driver}}/{{.Scope}}",
        "network inspect db_net",
        "network inspect db_net iso",
        "network inspect bridge",
        "network inspect --format {{json&.Containers}} db_net",
        "ps -a --format {{.Names}}/{{.Image}}/{{.Command}}/{{.State}}",
        "ps -aq --no-trunc",
        "ps --filter name=c1 --format {{.Names}}",
        "inspect c1",
        "inspect c2",
        "inspect --format {{.NetworkSettings.Networks.db_net.IPAddress}} c1",
        "network rm nosuch",
        "network inspect nosuch",
        "inspect nosuch",
        "rm c1",
        "network rm db_net",
        "exec c2 true",
        "stop nosuch",
    ):
        typed = [word.replace("&", " ") for word in line.split()]
        genuine = place.docker(*typed)
        ours = place.h1.docker(" ".join(f"'{word}'" for word in typed))
        assert ours == genuine, line


@pytest.mark.docker("D-API-001", "D-API-002", "D-API-003")
def test_a_network_is_created_used_refused_and_removed(place: EnginePlace) -> None:
    network = place.make_network()
    again = place.docker("network", "create", "-d", "ipvlan", "db_net")
    assert (again.exit_code, again.stderr) == (
        1,
        "Error response from daemon: network with name db_net already exists\n",
    )
    container = place.must("run", "--net=db_net", "-d", "--name=c1", "alpine", "sleep", "1000")
    used = place.docker("network", "rm", "db_net")
    assert used.exit_code == 1
    endpoint = inspect(place, "inspect", container)["NetworkSettings"]
    assert isinstance(endpoint, dict)
    short = endpoint["Networks"]["db_net"]["EndpointID"][:12]
    assert used.stderr == (
        "Error response from daemon: error while removing network: network db_net has active endpoints "
        f'(name:"c1" id:"{short}")\nexit status 1\n'
    )
    place.must("network", "disconnect", "db_net", "c1")
    place.must("network", "connect", "--ip", "192.168.1.77", "db_net", "c1")
    assert "inet 192.168.1.77/24" in place.must("exec", "c1", "ip", "addr")
    assert place.must("rm", "-f", "c1") == "c1"
    assert place.must("network", "rm", network[:5]) == network[:5]
    unknown = place.docker("network", "inspect", "db_net")
    assert (unknown.exit_code, unknown.stdout) == (1, "[]\n")


def test_prune_removes_what_nobody_uses_and_says_so(place: EnginePlace) -> None:
    assert place.must("network", "prune", "-f") == ""
    place.make_network()
    place.must("network", "create", "-d", "ipvlan", "spare")
    place.must("run", "--net=db_net", "-itd", "--name=c1", "alpine")
    assert place.must("network", "prune", "-f").split() == ["Deleted", "Networks:", "spare"]
    place.must("stop", "-t", "0", "c1")
    pruned = place.must("container", "prune", "-f")
    assert pruned.startswith("Deleted Containers:\n")
    assert pruned.endswith("Total reclaimed space: 0B")
    assert place.must("ps", "-aq") == ""


@pytest.mark.docker("D-API-013")
def test_several_names_are_tried_each(place: EnginePlace) -> None:
    place.make_network("a")
    result = place.docker("network", "rm", "a", "nosuch")
    assert (result.exit_code, result.stdout) == (1, "a\n")
    assert result.stderr == "Error response from daemon: network nosuch not found\nexit status 1\n"
    assert place.must("network", "rm", "-f", "nosuch") == ""


@pytest.mark.docker("D-API-008", "D-API-016")
def test_a_run_that_fails_is_125_with_two_lines_more_and_leaves_what_docker_leaves(
    place: EnginePlace,
) -> None:
    result = place.docker("run", "--net=nosuch", "--name=c1", "alpine", "true")
    assert result.exit_code == 125
    assert result.stderr.startswith("docker: Error response from daemon: ")
    assert result.stderr.endswith(f"network nosuch not found{TAIL}")
    # Created, not started: the network was missed at the start only.
    assert place.must("ps", "-a", "--format", "{{.Names}} {{.State}}") == "c1 created"
    place.must("rm", "c1")
    place.make_network()
    for flags in (("--rm",), ()):
        missing = place.docker("run", *flags, "--net=db_net", "--name=c1", "alpine", "nosuch")
        assert missing.exit_code == 127
        assert 'exec: "nosuch": executable file not found in $PATH' in missing.stderr
        assert missing.stderr.endswith(TAIL)
        assert place.must("ps", "-aq") == "" or not flags
    taken = place.docker("run", "--net=db_net", "--name=c1", "alpine", "true")
    assert taken.exit_code == 125
    assert 'Conflict. The container name "/c1" is already in use by container' in taken.stderr
    refused = place.docker("run", "--rm", "--net=db_net", "alpine", "/etc")
    assert refused.exit_code == 126


@pytest.mark.docker("D-API-012")
def test_a_plain_net_joins_that_network_and_several_join_all(place: EnginePlace) -> None:
    place.make_network()
    place.must("network", "create", "-d", "ipvlan", "--subnet=10.9.0.0/24", "iso")
    place.must("run", "--net=db_net", "-itd", "--name=c1", "alpine")
    place.must(
        "run",
        "--network=name=db_net,ip=192.168.1.50,alias=web",
        "--network=iso",
        "-itd",
        "--name=c2",
        "alpine",
    )
    links = place.must("exec", "c2", "ip", "-o", "-4", "addr")
    assert "eth0    inet 192.168.1.50/24" in links
    assert "eth1    inet 10.9.0." in links
    assert place.must("exec", "c1", "getent", "hosts", "web").split() == ["192.168.1.50", "web"]


def test_what_a_program_writes_reads_and_ends_with_goes_through(place: EnginePlace) -> None:
    place.make_network()
    result = place.docker(
        "run", "--rm", "--net=db_net", "alpine", "sh", "-c", "echo out; echo error >&2; exit 7"
    )
    assert (result.exit_code, result.stdout, result.stderr) == (7, "out\n", "error\n")
    assert place.must("run", "-i", "--rm", "--net=db_net", "alpine", "cat", stdin=b"typed") == "typed"
    large = b"0123456789abcde\n" * 1_000_000
    assert (
        place.must("run", "-i", "--rm", "--net=db_net", "alpine", "cat", stdin=large) == large[:-1].decode()
    )
    env = place.must(
        "run", "--rm", "--net=db_net", "-e", "COLOUR=blue", "-w", "/tmp", "--hostname=box", "alpine",
        "sh", "-c", "echo $COLOUR $PWD $(hostname)",
    )  # fmt: skip
    assert env == "blue /tmp box"


def test_exec_has_the_exit_code_streams_and_input_of_its_program(place: EnginePlace) -> None:
    place.make_network()
    place.must("run", "--net=db_net", "-itd", "--name=c1", "alpine", "/bin/sh")
    result = place.docker("exec", "c1", "sh", "-c", "echo out; echo error >&2; exit 9")
    assert (result.exit_code, result.stdout, result.stderr) == (9, "out\n", "error\n")
    assert place.must("exec", "-i", "c1", "cat", stdin=b"typed") == "typed"
    assert place.must("exec", "-e", "A=1", "-w", "/etc", "c1", "sh", "-c", "echo $A $PWD") == "1 /etc"
    missing = place.docker("exec", "c1", "nosuch")
    assert missing.exit_code == 127
    assert 'exec: "nosuch": executable file not found in $PATH' in missing.stdout + missing.stderr
    assert place.must("exec", "-d", "c1", "true") == ""
    place.must("stop", "-t", "0", "c1")
    stopped = place.docker("exec", "c1", "true")
    assert stopped.exit_code == 1
    assert "is not running" in stopped.stderr


def test_logs_are_there_afterwards_and_followed_while_it_runs(place: EnginePlace) -> None:
    place.make_network()
    script = "echo one; echo two >&2; read go; echo three; exit 4"
    place.must("run", "-di", "--net=db_net", "--name=c1", "alpine", "sh", "-c", script)
    follower = place.begin("logs", "-f", "c1")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"one\n"
    attached = place.begin("attach", "c1")
    attached.communicate(b"go\n", 60)
    assert attached.returncode == 4
    stdout, stderr = follower.communicate(timeout=60)
    assert (stdout, stderr, follower.returncode) == (b"three\n", b"two\n", 0)
    assert place.docker("logs", "c1").stdout == "one\nthree\n"
    assert place.must("logs", "--tail=1", "c1") == "three"
    stamp, _, text = place.must("logs", "-t", "--tail=1", "c1").partition(" ")
    assert (stamp[-1], text) == ("Z", "three")
    assert place.must("wait", "c1") == "4"
    assert "Exited (4)" in place.must("ps", "-a")


def test_a_container_is_stopped_started_killed_renamed_and_restarted(place: EnginePlace) -> None:
    place.make_network()
    place.must("run", "-d", "--net=db_net", "--name=c1", "alpine", "sh", "-c", "echo up; exec sleep 1000")
    assert place.must("stop", "c1") == "c1"
    assert place.must("stop", "c1") == "c1"
    assert place.must("start", "c1") == "c1"
    assert place.must("restart", "-t", "1", "c1") == "c1"
    place.must("rename", "c1", "c2")
    place.must("kill", "-s", "TERM", "c2")
    assert place.must("wait", "c2") == "143"
    killed = place.docker("kill", "c2")
    assert killed.exit_code == 1
    assert "is not running" in killed.stderr
    assert "invalid signal: SOMETHING" in place.docker("kill", "-s", "SOMETHING", "c2").stderr
    attached = place.begin("start", "-a", "c2")
    assert attached.stdout is not None
    assert attached.stdout.readline() == b"up\n"
    # The log lives as long as the container: four runs so far.
    assert place.must("logs", "c2").split() == ["up"] * 4
    follower = place.begin("logs", "-f", "c2")
    assert follower.stdout is not None
    assert [follower.stdout.readline() for _ in range(4)] == [b"up\n"] * 4
    place.must("kill", "c2")
    assert (*follower.communicate(timeout=60), follower.returncode) == (b"", b"", 0)
    assert (*attached.communicate(timeout=60), attached.returncode) == (b"", b"", 137)


@pytest.mark.docker("D-API-017")
def test_a_pull_says_two_lines_and_the_image_is_there(place: EnginePlace) -> None:
    pulled = place.must("pull", "registry.example:5000/team/tool:1.2")
    assert "Pulling from registry.example:5000/team/tool" in pulled
    assert "Status: Image is up to date" in pulled
    assert "registry.example:5000/team/tool" in place.must("images")
    place.make_network()
    ran = place.docker("run", "--pull=always", "--rm", "--net=db_net", "nosuch:9", "echo", "hi")
    assert (ran.exit_code, ran.stdout) == (0, "hi\n")
    assert "Pulling from library/nosuch" in ran.stderr
    assert place.must("run", "--pull=never", "--rm", "--net=db_net", "never/seen", "echo", "hi") == "hi"
    assert place.docker("inspect", "unheard").stderr.strip() == "Error: No such object: unheard"


def test_version_and_info_say_whose_engine_it_is(place: EnginePlace) -> None:
    assert place.must("version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}") == "28.2.2 1.50"
    assert "ipvlab" in place.must("version")
    info = json.loads(place.must("info", "--format", "json"))
    assert info["Name"] == "h1"
    assert info["Labels"] == ["ipvlab.lab=lab", "ipvlab.datapath=bpf"]
    assert not info.get("ServerErrors")
    place.must("system", "df")
    place.make_network()
    assert "Deleted Networks:\ndb_net" in place.must("system", "prune", "-f")
    searched = place.docker("search", "x")
    assert "a lab's engine has no /images/search" in searched.stderr


def test_events_tell_what_happened(place: EnginePlace) -> None:
    place.make_network()
    place.must("run", "--rm", "--net=db_net", "--name=c1", "alpine", "true")
    now = f"--until={datetime.datetime.now(datetime.UTC).isoformat().replace('+00:00', 'Z')}"
    told = place.must("events", "--since=1", now, "--format", "{{.Type}} {{.Action}}").splitlines()
    assert told[0] == "network create"
    container = [line for line in told if line.startswith("container")]
    assert container[-4:] == ["container create", "container start", "container die", "container destroy"]
    only = place.must("events", "--since=1", now, "--filter=event=die", "--format", "{{.Action}}")
    assert only == "die"
