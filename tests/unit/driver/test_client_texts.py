"""What Docker's client refuses by itself: word for word as the genuine one, which is asked too."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ipvlab.driver.commands import execute
from ipvlab.driver.docker_commands import Help
from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.grammar import parse_docker
from ipvlab.driver.port import CommandResult
from ipvlab.spec.values import Dialect
from tests.unit.driver.client_lines import lines_of
from tests.unit.driver.genuine_client import needs_client, type_line
from tests.unit.driver.recording_port import Host

#: Refused before any request; each line is typed in the genuine client as well.
REFUSED = r"""
network create
network create a b
network create --foo n
network create --foo=1 n
network create -x n
network create -x=3 n
network create -dx
network create --=a n
network create ---a n
network create n --subnet
network create n -o
network create --internal=maybe n
network create --ipv4=no n
network create --label =x n
network create --label "" n
network create --subnet '"' n
network create --subnet 'a"b' n
network create --gateway 10.0.0.1 n
network create --ip-range 10.0.0.0/25 n
network create --aux-address foo n
network create --aux-address a=b n
network create --subnet 192.168.1.0/24 --gateway 192.168.2.1 n
network create --subnet 192.168.1.0/24 --gateway foo n
network create --subnet 192.168.1.0/24 --gateway 192.168.1.1/33 n
network create --subnet 192.168.1.0/24 --ip-range 192.168.1.0 n
network create --subnet 192.168.1.0/24 --ip-range foo n
network create --subnet 192.168.1.0/24 --ip-range 192.168.2.0/25 n
network create --subnet 10.0.0.0/24 --ip-range 010.0.0.0/25 n
network create --subnet 192.168.1.0/24 --aux-address a=192.168.3.1 n
network create --subnet 192.168.1.0 --gateway 192.168.1.1 n
network create --subnet 192.168.1.0 --subnet 10.0.0.0/8 n
network create --subnet 10.0.0.0/16 --subnet 10.0.1.0/24 n
network create --subnet 10.0.0.0/24,10.0.0.0/24 n
network create --subnet 10.0.0.0/24,10.1.0.0/24 --gateway=10.0.0.1,10.0.0.2 n
network create --subnet 10.0.0.0/24 --subnet 10.1.0.0/24 --ip-range 10.0.0.0/26 --ip-range 10.0.0.64/26 n
network create --subnet fd00::/64 --gateway fd00::1%eth0 n
network rm
network rm --foo
network remove
network ls x
network list x
network ls --filter x
network ls -f x
network ls --format
network inspect
network connect a
network connect a b c
network connect --gw-priority x a b
network connect --driver-opt x a b
network disconnect a
network prune x
network prune --filter x
network frob
run
run -itd
run --foo alpine
run --ip alpine
run -x alpine
run -itx alpine
run --rm=x alpine
run --network name=a,foo=b alpine
run --network name=a,foo alpine
run --net name=a,foo alpine
run --network alias=x alpine
run --network name=,ip=3 alpine
run --network 'name=a, ip=3,foo=1' alpine
run --network name=a,gw-priority=hi alpine
run --network name=a,driver-opt=x alpine
run --network name=a,driver-opt=a=b,driver-opt=,ip alpine
run --network name=a,mac-address=foo alpine
run --network a --network a alpine
run --network '' alpine
run --network host --network a alpine
run --network name=a,ip=1.2.3.4 --ip 1.2.3.5 alpine
run --network name=a,ip6=::4 --ip6 ::5 alpine
run --network name=a,mac-address=02:00:00:00:00:01 --mac-address 02:00:00:00:00:02 alpine
run --network name=a,alias=x --network-alias y alpine
run --network name=a,link-local-ip=169.254.1.1 --link-local-ip 169.254.1.2 alpine
run --network-alias a alpine
run --network none --network-alias x alpine
run --network name=host,alias=x alpine
run --network container:y --network-alias x alpine
run --mac-address foo --network a alpine
run -e '' alpine
run -e =x alpine
run -l =x alpine
run --rm --restart always alpine
run --restart on-failure:x alpine
run -d -a stdin alpine
run -a foo alpine
run --sysctl foo alpine
run --sysctl a=b alpine
run --dns foo alpine
run --pull foo alpine
run --stop-timeout x alpine
run --oom-score-adj 99999999999999999999 alpine
run --blkio-weight x alpine
run --memory x alpine
run --health-interval x alpine
run --cpus x alpine
run --ulimit x alpine
run --init=3 alpine
run --add-host x alpine
run --memory-swappiness 200 alpine
run --pid x alpine
run --uts x alpine
run --userns x alpine
run --cgroupns x alpine
run --no-healthcheck --health-cmd x alpine
run ""
run ALPINE
run -h
create
container run
create --foo alpine
exec
exec a
exec --foo a b
exec -e = a b
container exec a
ps x
ps --foo
ps -n
ps -n x
ps --filter x
container ls x
container list x
container ps x
rm
rm --foo
container rm
container remove
container remove --foo
stop
stop -t x a
stop --time x a
restart
kill
start
start -a a b
start -ai a b
rename
rename a
rename a ''
rename a b c
wait
container wait
inspect
inspect --type foo a
container inspect
logs
logs a b
attach
attach a b
version x
info x
system info x
container frob
frob
--foo ps
"""
#: Not refused: the client goes on to the engine (of which there is none).
PASSED_ON = r"""
network create --subnet 192.168.1.0 n
network create --subnet 192.168.1.5/24 n
network create --subnet 192.168.1.0/24 --gateway 192.168.1.1/24 n
network create --subnet 192.168.1.0/24 --gateway '' n
network create --subnet '' n
network create --subnet 192.168.1.0/24 --ip-range 192.168.1.5/25 n
network create -dipvlan -oparent=eth0 -o ipvlan_mode=l3 --opt x n
network create n --attachable --ingress --scope swarm --config-only --config-from c --ipam-opt a=b
network ls -q --no-trunc -f driver=ipvlan --filter name=x --format json
network inspect -v -f json a b
network connect --alias x --alias y --ip foo --ip6 bar --gw-priority -5 --driver-opt a=b a b
network disconnect -f a b
network rm -f a b
network prune -f --filter label=x
run --ip foo --network a alpine
run --network =a,b alpine
run --network host --ip 1.2.3.4 alpine
run --network name=a --network-alias b --network c --ip6 ::1 alpine
run --hostname 'a b' -w rel --name '' -u 1:2 alpine
run -d --rm --init --cap-add NET_ADMIN --privileged --shm-size 1g -m 4m --cpus 1.5 alpine sh -c 'a b'
run -d -e A -e B=c --entrypoint x --dns 1.1.1.1 --dns-search a --dns-opt b --dns-option c alpine -x
run --add-host a:1.2.3.4 --add-host b=::1 --add-host c:host-gateway --sysctl net.ipv4.ip_forward=1 alpine
run --health-interval 1m30s --cpus 1e3 --ulimit nofile=5 --restart always:3 alpine
run registry.example:5000/a/b:tag@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
create --name x alpine
exec -di -e A=b -w / -u root a sh
ps -a -n 3 -q -s --no-trunc -f status=exited --filter network=n
ps -l
rm -fvl a b
stop -t 3 -s INT a
stop --time 3 a
restart -t -1 a
kill -s KILL a
start a b
rename a b
wait a b
inspect -s -f json a
inspect --type network a
container inspect a b
logs -f --tail 3 -t --since 3m --until 2026-01-01 a
logs -n x a
attach --no-stdin --sig-proxy=false a
"""


def ours(line: str, host: Host) -> CommandResult:
    command = parse_docker(["docker", *shlex.split(line)], allows_programs=True)
    assert isinstance(command, ClientRefusal), command
    return execute(host.docker_host, command)


@needs_client
@pytest.mark.docker("D-API-015")
@pytest.mark.parametrize("line", lines_of(REFUSED))
def test_a_refusal_is_word_for_word_the_genuine_clients(line: str, host: Host, tmp_path: Path) -> None:
    genuine = type_line(shlex.split(line), "/nonexistent", tmp_path)
    assert "Cannot connect to the Docker daemon" not in genuine.stderr
    assert ours(line, host) == genuine


@needs_client
@pytest.mark.docker("D-API-015")
@pytest.mark.parametrize("line", lines_of(PASSED_ON))
def test_what_the_genuine_client_passes_on_is_passed_on(line: str, tmp_path: Path) -> None:
    genuine = type_line(shlex.split(line), "/nonexistent", tmp_path)
    assert "Cannot connect to the Docker daemon" in genuine.stderr
    command = parse_docker(["docker", *shlex.split(line)], allows_programs=True)
    assert not isinstance(command, ClientRefusal | Help), command


@pytest.mark.docker("D-API-015")
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--gateway 10.0.0.1", "every ip-range or gateway must have a corresponding subnet"),
        (
            "--subnet 10.0.0.0/16 --subnet 10.0.1.0/24",
            "multiple overlapping subnet configuration is not supported",
        ),
        ("--subnet 192.168.1.0/24 --gateway 192.168.2.1", "no matching subnet for gateway 192.168.2.1"),
        ("--subnet 192.168.1.0/24 --ip-range 192.168.2.0/25", "no matching subnet for range 192.168.2.0/25"),
        (
            "--subnet 192.168.1.0/24 --aux-address a=192.168.3.1",
            "no matching subnet for aux-address 192.168.3.1",
        ),
        (
            "--subnet 192.168.1.0/24 --subnet 10.0.0.0/8 --gateway 192.168.1.1 --gateway 192.168.1.4",
            (
                "cannot configure multiple gateways (192.168.1.4, 192.168.1.1) "
                "for the same subnet (192.168.1.0/24)"
            ),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dialect", list(Dialect))
def test_pools_that_do_not_match_are_refused_in_every_dialect(
    options: str, text: str, dialect: Dialect
) -> None:
    line = ["docker", *shlex.split(f"network create -d ipvlan {options} n")]
    assert parse_docker(line, dialect=dialect) == ClientRefusal(text, 1)


@pytest.mark.docker("D-API-015")
@pytest.mark.parametrize(
    ("line", "text", "exit_code"),
    [
        ("network create --subnet 192.168.1.0 n", "netip.ParsePrefix(\"192.168.1.0\"): no '/'", 1),
        (
            "network create --subnet 10.0.0.0/24 --ip-range 10.0.0.0 n",
            (
                'invalid argument "10.0.0.0" for "--ip-range" flag: '
                "invalid string being converted to CIDR: 10.0.0.0"
            ),
            125,
        ),
        (
            "network create --subnet 10.0.0.0/24 --gateway 10.0.0.1/24 n",
            (
                'invalid argument "10.0.0.1/24" for "--gateway" flag: '
                "invalid string being converted to IP address: 10.0.0.1/24"
            ),
            125,
        ),
        (
            "network create --subnet 10.0.0.0/24 --aux-address a=b n",
            'ParseAddr("b"): unable to parse IP',
            1,
        ),
        (
            "run --ip foo --net n alpine",
            'invalid argument "foo" for "--ip" flag: failed to parse IP: "foo"',
            125,
        ),
        (
            "run --net name=n,ip=foo alpine",
            'invalid argument "name=n,ip=foo" for "--network" flag: ParseAddr("foo"): unable to parse IP',
            125,
        ),
    ],
)  # fmt: skip
def test_29_reads_addresses_in_the_client_and_28_in_the_engine(line: str, text: str, exit_code: int) -> None:
    refusal = parse_docker(["docker", *shlex.split(line)], dialect=Dialect.DOCKER_29)
    assert isinstance(refusal, ClientRefusal)
    assert (refusal.text.split("\n")[0], refusal.exit_code) == (text, exit_code)
    older = parse_docker(["docker", *shlex.split(line)], dialect=Dialect.DOCKER_28)
    if isinstance(older, ClientRefusal):
        # Two of them 28 refuses too, in other words.
        assert older.text in (
            "invalid CIDR address: 10.0.0.0",
            "no matching subnet for aux-address b",
        )
        assert older.exit_code == 1


@pytest.mark.docker("D-IPAM-026")
def test_several_subnets_keep_the_order_in_which_they_are_written() -> None:
    """The genuine client sends them in the chance order of a Go map; a lab must come out alike each time."""
    subnets = [f"10.{number}.0.0/24" for number in range(12)]
    line = ["docker", "network", "create", *(f"--subnet={subnet}" for subnet in subnets), "n"]
    for dialect in Dialect:
        command = parse_docker(line, dialect=dialect)
        assert [pool.subnet for pool in command.request.pools] == subnets  # type: ignore[union-attr]  # a create
