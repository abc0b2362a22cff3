"""What the resolver answers, and the files of a container, in every dialect."""

from __future__ import annotations

import dataclasses
import ipaddress

import pytest

from ipvlab.driver.names import NameAnswer, hosts_file, hosts_lines, lookup, rejoin_hosts, resolv_conf
from ipvlab.driver.resolv_conf import EMPTY, ResolvConf
from ipvlab.driver.state import Container
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host

CREATE = "network create -d ipvlan"
SERVERS = ResolvConf.parse("nameserver 10.9.9.1\nnameserver 10.9.9.2\n")
#: The outcome of a question that is for the host's nameservers, and of one that is for nobody.
FORWARDED = ("forwarded", ["10.9.9.1", "10.9.9.2"])
NOBODY: tuple[str, list[str]] = ("SERVFAIL", [])


@pytest.fixture(params=list(Dialect))
def host(request: pytest.FixtureRequest) -> Host:
    """A host of each dialect in turn."""
    return Host("eth1", dialect=request.param)


@pytest.fixture
def named(host: Host) -> Host:
    """Two dual-stack containers ``web`` and ``db`` on a network with a parent, and ``far`` on another."""
    front = "--ipv6 --subnet=10.0.0.0/24 --gateway=10.0.0.1 --subnet=fd01::/64 --gateway=fd01::1"
    host.ok(f"{CREATE} {front} -o parent=eth0 Front")
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 back")
    host.run("--net=Front --name=web --hostname=Box")
    host.run("--net=Front --network-alias=Store --network-alias=sql --name=db")
    host.run("--net=back --name=far")
    return host


def ask(
    host: Host, qname: str, rrtype: str = "A", container: str = "web", conf: ResolvConf = SERVERS
) -> tuple[str, list[str]]:
    answer = lookup(host.engine, container, qname, rrtype, lambda: conf)
    if answer.nameservers:
        assert (answer.rcode, answer.addresses, answer.pointers) == ("SERVFAIL", (), ())
        return "forwarded", [str(server.address) for server in answer.nameservers]
    return answer.rcode, [str(address) for address in answer.addresses] + list(answer.pointers)


def without_way_out(host: Host) -> tuple[str, list[str]]:
    """The outcome for an unknown name where no network leaves the host.

    Engines up to 27.5 ask from inside the container, where the question finds no way.
    """
    return FORWARDED if host.engine.row.asks_nameservers_in_container else NOBODY


def addresses(host: Host, container: str, version: int = 4) -> tuple[str, list[str]]:
    """The answer with all of a container's addresses of one family."""
    held = host.engine.containers[container]
    return "NOERROR", [str(a) for e in held.endpoints for a in e.addresses if a.version == version]


@pytest.mark.docker("D-DNS-002")
@pytest.mark.parametrize("qname", ["db", "DB", "db.", "store", "STORE", "sql", "db.front", "DB.Front."])
def test_a_name_an_alias_and_either_with_the_network_resolve_in_any_case(named: Host, qname: str) -> None:
    assert ask(named, qname) == ("NOERROR", ["10.0.0.3"])
    assert ask(named, qname, "AAAA") == ("NOERROR", ["fd01::3"])


@pytest.mark.docker("D-DNS-002")
def test_short_id_and_hostname_resolve_and_the_whole_id_does_not(named: Host) -> None:
    web = named.engine.containers["web"]
    for qname in (web.id[:12], "box", "Box.front", f"{web.id[:12]}.Front"):
        assert ask(named, qname, container="db") == ("NOERROR", ["10.0.0.2"])
    assert ask(named, web.id, container="db") == FORWARDED


@pytest.mark.docker("D-DNS-002")
def test_answers_may_be_kept_for_600_seconds(named: Host) -> None:
    assert lookup(named.engine, "web", "db", "A").ttl == 600


def test_a_container_resolves_its_own_name(named: Host) -> None:
    assert ask(named, "web") == ("NOERROR", ["10.0.0.2"])


def test_names_and_networks_may_both_have_dots(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 -o parent=eth0 net.lab")
    host.run("--net=net.lab --name=a")
    host.run("--net=net.lab --name=a.b")
    for qname, container in (("a.net.lab", "a"), ("a.b", "a.b"), ("a.b.net.lab", "a.b")):
        assert ask(host, qname, container="a") == addresses(host, container)
    for qname in ("a.lab", "a.b.lab", "a.net", ".a", "a..net.lab"):
        assert ask(host, qname, container="a") == FORWARDED


def test_an_alias_of_two_containers_has_both_addresses(named: Host) -> None:
    named.run("--net=Front --network-alias=sql --name=db2")
    assert ask(named, "sql") == ("NOERROR", ["10.0.0.3", "10.0.0.4"])
    named.ok("rm -f db")
    assert ask(named, "sql") == ("NOERROR", ["10.0.0.4"])


@pytest.mark.docker("D-DNS-003")
def test_a_name_of_another_network_does_not_resolve(named: Host) -> None:
    assert ask(named, "far") == FORWARDED
    assert ask(named, "far.back") == FORWARDED
    assert ask(named, "web", container="far") == without_way_out(named)
    assert ask(named, "web.Front", container="far") == without_way_out(named)


@pytest.mark.docker("D-DNS-003")
def test_a_name_of_another_host_does_not_resolve(named: Host) -> None:
    other = Host(name="h2")
    other.ok(f"{CREATE} --subnet=10.0.0.0/24 -o parent=eth0 Front")
    other.run("--net=Front --name=away")
    assert ask(named, "away") == FORWARDED


@pytest.mark.docker("D-DNS-003")
def test_one_name_on_two_networks_is_that_of_the_network_asked_from(named: Host) -> None:
    named.run("--net=Front --network-alias=shared --name=here")
    named.run("--net=back --network-alias=shared --name=there")
    assert ask(named, "shared", container="web") == addresses(named, "here")
    assert ask(named, "shared", container="far") == addresses(named, "there")


EXTERNAL = [
    "-o parent=eth1 --gateway=10.0.0.1",
    "-o parent=eth1",
    "-o parent=eth1 -o ipvlan_mode=l3",
    "-o parent=eth1 -o ipvlan_mode=l3s",
]
UNREACHING = ["", "-o ipvlan_mode=l3", "--internal", "--internal -o parent=eth1"]


@pytest.mark.docker("D-DNS-006", "D-DNS-009")
@pytest.mark.parametrize("options", EXTERNAL)
def test_an_unknown_name_is_for_the_nameservers_of_the_host_where_the_network_leaves_it(
    host: Host, options: str
) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 {options} n")
    host.run("--net=n --name=c")
    for qname, rrtype in (("example.org", "A"), ("x", "AAAA"), ("x", "MX"), ("x", "TXT"), ("x", "TYPE65")):
        assert ask(host, qname, rrtype, "c") == FORWARDED
        assert ask(host, qname, rrtype, "c", EMPTY) == NOBODY
    assert ask(host, "9.0.0.10.in-addr.arpa", "PTR", "c") == FORWARDED


@pytest.mark.docker("D-DNS-007")
@pytest.mark.parametrize("options", UNREACHING)
def test_an_unknown_name_is_servfail_where_nothing_leaves_the_host_and_known_ones_resolve(
    host: Host, options: str
) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 {options} n")
    host.run("--net=n --name=c")
    host.run("--net=n --name=d")
    for qname, rrtype in (("example.org", "A"), ("x", "AAAA"), ("x", "MX"), ("9.0.0.10.in-addr.arpa", "PTR")):
        assert ask(host, qname, rrtype, "c") == without_way_out(host)
    assert ask(host, "d", container="c") == addresses(host, "d")


def test_one_network_that_leaves_the_host_is_enough_for_forwarding(named: Host) -> None:
    named.run("--net=back --net=Front --name=both")
    assert ask(named, "nosuch", container="both") == FORWARDED
    assert ask(named, "far", container="both") == addresses(named, "far")


def test_only_three_nameservers_are_asked(named: Host) -> None:
    conf = ResolvConf.parse("".join(f"nameserver 10.9.9.{n}\n" for n in (1, 2, 3, 4)))
    assert ask(named, "nosuch", conf=conf) == ("forwarded", ["10.9.9.1", "10.9.9.2", "10.9.9.3"])


def test_where_ndots_is_written_a_name_without_a_dot_is_not_forwarded(named: Host) -> None:
    conf = ResolvConf.parse("nameserver 10.9.9.1\noptions ndots:1\n")
    assert ask(named, "nosuch", "A", conf=conf) == ("NOERROR", [])
    assert ask(named, "nosuch", "AAAA", conf=conf) == ("NOERROR", [])
    assert ask(named, "nosuch", "MX", conf=conf) == ("forwarded", ["10.9.9.1"])
    assert ask(named, "no.such", "A", conf=conf) == ("forwarded", ["10.9.9.1"])


def test_a_name_known_on_two_networks_is_answered_by_the_one_of_the_default_route(named: Host) -> None:
    """Without an address of the family there, engines up to 27.5 look on the other; later ones do not."""
    named.ok(f"{CREATE} --subnet=10.0.2.0/24 --gateway=10.0.2.1 -o parent=eth1 Abc")
    named.run("--net=Abc --net=Front --name=one")
    two = named.run("--net=Abc --net=Front --name=two")
    by_network = {endpoint.network.name: endpoint.addresses for endpoint in two.endpoints}
    # Front has a default route in each family, Abc in one.
    assert ask(named, "two", "A", "one") == ("NOERROR", [str(by_network["Front"][0])])
    assert ask(named, "two", "AAAA", "one") == ("NOERROR", [str(by_network["Front"][1])])
    assert ask(named, "two.abc", "A", "one") == ("NOERROR", [str(by_network["Abc"][0])])
    assert ask(named, "two.abc", "AAAA", "one") == ("NOERROR", [])


def test_a_family_missing_on_the_first_network_is_looked_for_on_the_next_by_engine_26_only(
    host: Host,
) -> None:
    host.ok(f"{CREATE} --subnet=10.0.1.0/24 back")
    host.ok(f"{CREATE} --internal --ipv6 --subnet=10.0.3.0/24 --subnet=fd03::/64 dual")
    host.run("--net=back --net=dual --name=one")
    two = host.run("--net=back --net=dual --name=two")
    [six] = [str(a) for e in two.endpoints for a in e.addresses if a.version == 6]
    found = [six] if host.engine.row.dialect is Dialect.DOCKER_26 else []
    assert ask(host, "two", "AAAA", "one") == ("NOERROR", found)


@pytest.mark.docker("D-DNS-004")
@pytest.mark.parametrize("rrtype", ["AAAA", "MX"])
def test_a_known_name_without_that_family_and_asked_for_mail_is_noerror_and_empty(
    named: Host, rrtype: str
) -> None:
    assert ask(named, "far", rrtype, "far") == ("NOERROR", [])


@pytest.mark.docker("D-DNS-004")
def test_a_known_name_without_ipv4_is_noerror_and_empty() -> None:
    host = Host()
    host.ok(f"{CREATE} --subnet=fd01::/64 -o parent=eth0 six")
    host.run("--net=six --name=c")
    assert ask(host, "c", "A", "c") == ("NOERROR", [])


@pytest.mark.parametrize("rrtype", ["TXT", "SRV", "TYPE65"])
def test_other_types_of_a_known_name_are_for_the_nameservers(named: Host, rrtype: str) -> None:
    assert ask(named, "db", rrtype) == FORWARDED


@pytest.mark.docker("D-DNS-005")
def test_a_reverse_name_resolves_to_name_and_network(named: Host) -> None:
    reverse6 = ipaddress.ip_address("fd01::3").reverse_pointer
    assert ask(named, "3.0.0.10.in-addr.arpa", "PTR") == ("NOERROR", ["db.Front."])
    assert ask(named, "3.0.0.10.IN-ADDR.ARPA.", "PTR") == ("NOERROR", ["db.Front."])
    assert ask(named, reverse6, "PTR") == ("NOERROR", ["db.Front."])
    far = named.engine.containers["far"].endpoints[0].addresses[0]
    assert ask(named, far.reverse_pointer, "PTR") == FORWARDED


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
    assert ask(named, qname, "PTR") == FORWARDED


@pytest.mark.docker("D-DNS-010")
def test_names_go_when_their_container_stops_and_come_back_when_it_starts(named: Host) -> None:
    named.ok("stop db")
    for qname in ("db", "sql", "db.front"):
        assert ask(named, qname) == FORWARDED
    assert ask(named, "3.0.0.10.in-addr.arpa", "PTR") == FORWARDED
    named.ok("start db")
    assert ask(named, "sql") == ("NOERROR", ["10.0.0.3"])


@pytest.mark.docker("D-DNS-010")
def test_a_renamed_container_resolves_by_its_new_name_only(named: Host) -> None:
    named.ok("rename db Other")
    assert ask(named, "db") == ask(named, "db.front") == FORWARDED
    for qname in ("other", "other.front", "sql", named.engine.containers["Other"].id[:12]):
        assert ask(named, qname) == ("NOERROR", ["10.0.0.3"])
    assert ask(named, "3.0.0.10.in-addr.arpa", "PTR") == ("NOERROR", ["Other.Front."])
    assert ask(named, "web", container="Other") == ("NOERROR", ["10.0.0.2"])


def test_names_follow_connect_and_disconnect(named: Host) -> None:
    named.ok("network connect --alias=depot back db")
    back = next(e for e in named.engine.containers["db"].endpoints if e.network.name == "back")
    for qname in ("db", "depot", "db.back"):
        assert ask(named, qname, container="far") == ("NOERROR", [str(back.addresses[0])])
    # The alias of the other network is not one of this.
    assert ask(named, "sql", container="far") == without_way_out(named)
    assert ask(named, "depot") == FORWARDED
    assert ask(named, "far", container="db") == addresses(named, "far")
    named.ok("network disconnect Front db")
    assert ask(named, "db") == ask(named, "sql") == FORWARDED
    assert ask(named, "nosuch", container="db") == without_way_out(named)


def test_a_container_that_is_gone_gets_no_answer(named: Host) -> None:
    assert lookup(named.engine, "nosuch", "db", "A") == NameAnswer("SERVFAIL")


@pytest.mark.docker("D-DNS-008")
def test_servers_given_with_dns_are_asked_by_the_container_on_internal_networks_too(host: Host) -> None:
    host.ok(f"{CREATE} --subnet=10.0.0.0/24 --internal -o parent=eth1 n")
    give_dns(host.run("--net=n --name=c"), "10.0.0.9", "127.0.0.11", "nonsense")
    [server] = lookup(host.engine, "c", "example.org", "A", lambda: SERVERS).nameservers
    assert (str(server.address), server.is_asked_by_host) == ("10.0.0.9", False)


def give_dns(container: Container, *servers: str) -> None:
    container.request = dataclasses.replace(container.request, dns=servers)


@pytest.mark.docker("D-JOIN-021")
def test_etc_hosts_has_the_hostname_for_each_address_and_not_the_name(named: Host) -> None:
    row = named.engine.row
    lines = hosts_file(named.engine.containers["web"], row).splitlines()
    zeros = "::0" if row.dialect is Dialect.DOCKER_26 else "::"
    assert lines == [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        f"fe00{zeros}\tip6-localnet",
        f"ff00{zeros}\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
        "10.0.0.2\tBox",
        "fd01::2\tBox",
    ]


@pytest.mark.docker("D-JOIN-021")
def test_the_hostname_is_the_short_id_unless_given(named: Host) -> None:
    db = named.engine.containers["db"]
    assert db.hostname == db.id[:12]
    assert hosts_file(db, named.engine.row).splitlines()[-1] == f"fd01::3\t{db.id[:12]}"


def test_a_hostname_with_a_domain_is_in_etc_hosts_without_it_too() -> None:
    address = ipaddress.ip_address("10.0.0.2")
    assert hosts_lines("box.example.org", [address]) == ["10.0.0.2\tbox.example.org box"]


def test_further_hosts_come_before_the_container_itself(named: Host) -> None:
    far = named.engine.containers["far"]
    far.request = dataclasses.replace(far.request, extra_hosts=(("paper", "192.0.2.7"),))
    assert hosts_file(far, named.engine.row).splitlines()[-2:] == [
        "192.0.2.7\tpaper",
        f"{far.endpoints[0].addresses[0]}\t{far.hostname}",
    ]


def test_what_a_user_wrote_into_etc_hosts_stays_when_endpoints_come_and_go() -> None:
    text = "127.0.0.1\tlocalhost\n10.0.0.2\tBox\n# mine\n192.0.2.7\tpaper\n10.0.0.2\tBox other\n"
    assert rejoin_hosts(text, ["10.0.0.2\tBox"], ["10.0.1.2\tBox"]) == (
        "127.0.0.1\tlocalhost\n# mine\n192.0.2.7\tpaper\n10.0.0.2\tBox other\n10.0.1.2\tBox\n"
    )


@pytest.mark.docker("D-DNS-001")
def test_resolv_conf_names_the_resolver_and_ndots_0(named: Host) -> None:
    web, row = named.engine.containers["web"], named.engine.row
    written = [line for line in resolv_conf(web, EMPTY, row).splitlines() if line and line[0] != "#"]
    assert written == ["nameserver 127.0.0.11", "options ndots:0"]
    assert [line for line in resolv_conf().splitlines() if line and line[0] != "#"] == written
