"""What the resolver answers, and the files of a container."""

from __future__ import annotations

import pytest

from ipvlab.driver.names import NameAnswer, hosts_file, lookup, resolv_conf
from tests.unit.driver.recording_port import Host

CREATE = "network create -d ipvlan"


@pytest.fixture
def named(host: Host) -> Host:
    """Two dual-stack containers ``web`` and ``db`` on a network with a parent, and ``far`` on another."""
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --subnet=fd01::/64 -o parent=eth0 Front")
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 back")
    host.run("--net=Front --name=web --hostname=Box")
    host.run("--net=name=Front,alias=Store,alias=sql --name=db")
    host.run("--net=back --name=far")
    return host


def ask(host: Host, qname: str, rrtype: str = "A", container: str = "web") -> tuple[str, list[str]]:
    answer = lookup(host.engine, container, qname, rrtype)
    return answer.rcode, [str(address) for address in answer.addresses] + list(answer.pointers)


@pytest.mark.parametrize(
    "qname",
    ["db", "DB", "db.", "store", "STORE", "sql", "db.front", "db.Front.", "sql.FRONT"],
)
def test_a_name_an_alias_and_either_with_the_network_resolve_in_any_case(named: Host, qname: str) -> None:
    assert ask(named, qname) == ("NOERROR", ["10.0.0.3"])
    assert ask(named, qname, "AAAA") == ("NOERROR", ["fd01::3"])


def test_short_id_and_hostname_resolve_and_the_whole_id_does_not(named: Host) -> None:
    web = named.engine.containers["web"]
    for qname in (web.id[:12], "box", "Box.front"):
        assert ask(named, qname, container="db") == ("NOERROR", ["10.0.0.2"])
    assert ask(named, web.id, container="db") == ("NXDOMAIN", [])


def test_a_container_resolves_its_own_name(named: Host) -> None:
    assert ask(named, "web") == ("NOERROR", ["10.0.0.2"])


def test_answers_may_be_kept_for_600_seconds(named: Host) -> None:
    assert lookup(named.engine, "web", "db", "A").ttl == 600


def test_an_alias_of_two_containers_has_both_addresses(named: Host) -> None:
    named.run("--net=name=Front,alias=sql --name=db2")
    assert ask(named, "sql") == ("NOERROR", ["10.0.0.3", "10.0.0.4"])
    named.ok("rm -f db")
    assert ask(named, "sql") == ("NOERROR", ["10.0.0.4"])


def test_a_name_of_another_network_does_not_resolve(named: Host) -> None:
    assert ask(named, "far") == ("NXDOMAIN", [])
    assert ask(named, "far.back") == ("NXDOMAIN", [])
    assert ask(named, "web", container="far") == ("SERVFAIL", [])


def test_a_name_of_another_host_does_not_resolve(named: Host) -> None:
    other = Host(name="h2")
    other.ok(f"{CREATE} --subnet=10.0.0.0/24 -o parent=eth0 Front")
    other.run("--net=Front --name=away")
    assert ask(named, "away") == ("NXDOMAIN", [])


@pytest.mark.parametrize(
    ("options", "rcode"),
    [
        ("-o parent=eth1", "NXDOMAIN"),
        ("-o parent=eth1 -o ipvlan_mode=l3", "NXDOMAIN"),
        ("", "SERVFAIL"),
        ("-o ipvlan_mode=l3", "SERVFAIL"),
        ("--internal", "SERVFAIL"),
        ("--internal -o parent=eth1", "SERVFAIL"),
    ],
)
def test_an_unknown_name_is_servfail_where_nothing_leaves_the_host(
    host: Host, options: str, rcode: str
) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 {options} n")
    host.run("--net=n --name=c")
    for qname, rrtype in (("example.org", "A"), ("x", "AAAA"), ("x", "MX")):
        assert ask(host, qname, rrtype, "c") == (rcode, [])
    assert ask(host, "9.0.0.10.in-addr.arpa", "PTR", "c") == (rcode, [])
    own = [str(address) for address in host.engine.containers["c"].endpoints[0].addresses]
    assert ask(host, "c", container="c") == ("NOERROR", own)


def test_one_network_that_leaves_the_host_is_enough_for_nxdomain(named: Host) -> None:
    named.run("--net=back --net=Front --name=both")
    assert ask(named, "nosuch", container="both") == ("NXDOMAIN", [])
    assert ask(named, "far", container="both") == ("NOERROR", ["10.0.1.1"])


def test_a_family_that_the_first_network_lacks_is_looked_for_on_the_next(named: Host) -> None:
    named.run("--net=back --net=Front --name=one")
    named.run("--net=back --net=Front --name=two")
    assert ask(named, "two", "A", "one") == ("NOERROR", ["10.0.1.3"])
    assert ask(named, "two", "AAAA", "one") == ("NOERROR", ["fd01::5"])


@pytest.mark.parametrize("rrtype", ["AAAA", "MX", "TXT", "SRV"])
def test_a_known_name_without_that_record_is_noerror_and_empty(named: Host, rrtype: str) -> None:
    assert ask(named, "far", rrtype, "far") == ("NOERROR", [])


def test_a_reverse_name_resolves_to_name_and_network(named: Host) -> None:
    reverse6 = named.engine.containers["db"].endpoints[0].addresses[1].reverse_pointer
    assert ask(named, "3.0.0.10.in-addr.arpa", "PTR") == ("NOERROR", ["db.Front."])
    assert ask(named, "3.0.0.10.IN-ADDR.ARPA.", "PTR") == ("NOERROR", ["db.Front."])
    assert ask(named, reverse6, "PTR") == ("NOERROR", ["db.Front."])
    assert ask(named, "1.1.0.10.in-addr.arpa", "PTR") == ("NXDOMAIN", [])


@pytest.mark.parametrize(
    "qname",
    [
        "x.in-addr.arpa",
        "1.in-addr.arpa",
        "1.2.3.4.5.in-addr.arpa",
        "g.ip6.arpa",
        f"{'0x.' * 32}ip6.arpa",
        "db",
    ],
)
def test_a_reverse_name_that_is_none_is_unknown(named: Host, qname: str) -> None:
    assert ask(named, qname, "PTR") == ("NXDOMAIN", [])


def test_names_go_when_their_container_stops(named: Host) -> None:
    named.ok("stop db")
    for qname in ("db", "sql", "db.front"):
        assert ask(named, qname) == ("NXDOMAIN", [])
    assert ask(named, "3.0.0.10.in-addr.arpa", "PTR") == ("NXDOMAIN", [])


def test_a_container_that_is_gone_gets_no_answer(named: Host) -> None:
    assert lookup(named.engine, "nosuch", "db", "A") == NameAnswer("SERVFAIL")


def test_etc_hosts_has_the_hostname_for_each_address_and_not_the_name(named: Host) -> None:
    lines = hosts_file(named.engine.containers["web"]).splitlines()
    assert lines[0] == "127.0.0.1\tlocalhost"
    assert lines[1].startswith("::1\tlocalhost")
    assert lines[-2:] == ["10.0.0.2\tBox", "fd01::2\tBox"]
    assert "web" not in hosts_file(named.engine.containers["web"])


def test_the_hostname_is_the_short_id_unless_given(named: Host) -> None:
    db = named.engine.containers["db"]
    assert db.hostname == db.id[:12]
    assert hosts_file(db).splitlines()[-1] == f"fd01::3\t{db.id[:12]}"


def test_resolv_conf_names_the_resolver_and_ndots_0() -> None:
    assert resolv_conf().splitlines() == ["nameserver 127.0.0.11", "options ndots:0"]
