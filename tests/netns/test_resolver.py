"""The DNS server inside containers: real programs and raw queries get the lookup's answers."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import pytest

from ipvlab.driver.names import NameAnswer
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import NodeFiles, run_command, set_files
from ipvlab.lab.resolver import SERVER, Resolver
from ipvlab.linux import messages

NodeMaker = Callable[..., Node]

MANY = tuple(ipaddress.ip_address(f"198.51.100.{n}") for n in range(1, 101))
KNOWN = {
    "ipv1": ("192.0.2.2", "2001:db8::2"),
    "only4": ("192.0.2.4",),
}


def lookup(container: str, name: str, kind: str) -> NameAnswer:
    """Names of one network; ``me`` is the asking container, to tell containers apart."""
    version = {"A": 4, "AAAA": 6}.get(kind)
    if name == "breaks":
        raise RuntimeError("dictionary changed size during iteration")
    if name == "unreachable":
        return NameAnswer("SERVFAIL")
    if name == "many":
        return NameAnswer("NOERROR", MANY)
    if name == "me" and kind == "A":
        return NameAnswer("NOERROR", (ipaddress.ip_address(f"192.0.2.{container[1:]}"),))
    if name == "2.2.0.192.in-addr.arpa" and kind == "PTR":
        return NameAnswer("NOERROR", pointers=("ipv1.net.",))
    if name.lower() in KNOWN:
        addresses = [ipaddress.ip_address(text) for text in KNOWN[name.lower()]]
        return NameAnswer("NOERROR", tuple(a for a in addresses if a.version == version))
    return NameAnswer("NXDOMAIN")


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    with_thread = Resolver()
    yield with_thread
    with_thread.close()


@pytest.fixture
def container(make_node: NodeMaker, resolver: Resolver) -> Node:
    node = make_node("c7", "container")
    set_files(node, NodeFiles("127.0.0.1\tlocalhost\n", "nameserver 127.0.0.11\noptions ndots:0\n", "c7"))
    resolver.add("c7", node.namespace, lookup)
    return node


def ask_udp(node: Node, query: bytes) -> bytes:
    with node.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(SERVER)
        sock.send(query)
        return sock.recv(65535)


def ask(
    node: Node, name: str, kind: str = "A", *, edns: int = -1, payload: int | None = None
) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=edns, payload=payload)
    answer = dns.message.from_wire(ask_udp(node, query.to_wire()))
    assert query.is_response(answer)
    return answer


def texts(answer: dns.message.Message) -> list[str]:
    return [str(record) for rrset in answer.answer for record in rrset]


def test_getaddrinfo_of_a_real_program_resolves_by_the_lookup(container: Node) -> None:
    program = "import socket; print(*sorted({a[4][0] for a in socket.getaddrinfo('ipv1', 0)}))"
    result = run_command(container, [sys.executable, "-c", program])
    assert result.stdout.split() == ["192.0.2.2", "2001:db8::2"], result


def test_getaddrinfo_of_an_unknown_name_fails(container: Node) -> None:
    program = "import socket; socket.getaddrinfo('nobody', 0)"
    result = run_command(container, [sys.executable, "-c", program])
    assert result.exit_code == 1
    assert "not known" in result.stderr


def test_an_address_resolves_back_to_a_name(container: Node) -> None:
    assert texts(ask(container, "2.2.0.192.in-addr.arpa", "PTR")) == ["ipv1.net."]
    program = "import socket; print(socket.gethostbyaddr('192.0.2.2')[0])"
    assert run_command(container, [sys.executable, "-c", program]).stdout.strip() == "ipv1.net"


def test_an_answer_holds_the_addresses_of_the_asked_family_with_their_ttl(container: Node) -> None:
    answer = ask(container, "ipv1")
    assert texts(answer) == ["192.0.2.2"]
    assert answer.answer[0].ttl == 600
    assert texts(ask(container, "ipv1", "AAAA")) == ["2001:db8::2"]


@pytest.mark.parametrize(
    ("name", "kind"), [("only4", "AAAA"), ("ipv1", "MX"), ("ipv1", "TXT"), ("ipv1", "SRV")]
)
def test_a_known_name_without_that_record_is_noerror_and_empty(container: Node, name: str, kind: str) -> None:
    answer = ask(container, name, kind)
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize(
    ("name", "rcode"),
    [("nobody", dns.rcode.NXDOMAIN), ("unreachable", dns.rcode.SERVFAIL), ("breaks", dns.rcode.SERVFAIL)],
)
def test_an_unknown_name_ends_as_the_lookup_says(container: Node, name: str, rcode: int) -> None:
    answer = ask(container, name)
    assert (answer.rcode(), answer.answer) == (rcode, [])


@pytest.mark.docker("D-DNS-011")
def test_a_name_resolves_over_udp_and_over_tcp(container: Node) -> None:
    assert texts(ask(container, "ipv1")) == ["192.0.2.2"]
    with container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect(SERVER)
        dns.query.send_tcp(sock, dns.message.make_query("ipv1", "A"))
        assert texts(dns.query.receive_tcp(sock)[0]) == ["192.0.2.2"]


def test_answers_come_in_another_order_each_time(container: Node) -> None:
    """That 20 answers of 100 addresses are all in one order happens once in 100!^19 runs."""
    orders = {tuple(texts(ask(container, "many", edns=0, payload=4096))) for _ in range(20)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(map(str, MANY))}


def test_the_case_of_the_question_is_kept(container: Node) -> None:
    answer = ask(container, "IpV1")
    assert str(answer.question[0].name) == "IpV1."
    assert str(answer.answer[0].name) == "IpV1."


def test_edns_is_answered_with_edns_and_a_later_version_with_badvers(container: Node) -> None:
    assert ask(container, "ipv1", edns=0, payload=1400).edns == 0
    assert ask(container, "ipv1").edns == -1
    assert ask(container, "ipv1", edns=1).rcode() == dns.rcode.BADVERS


@pytest.mark.docker("D-DNS-011")
def test_an_answer_too_long_for_udp_is_truncated_and_whole_over_tcp(container: Node) -> None:
    answer = ask(container, "many")
    assert answer.flags & dns.flags.TC
    # 12 octets of header, 10 of question, and 16 of each record.
    assert len(texts(answer)) == (512 - 12 - 10) // 16
    assert len(texts(ask(container, "many", edns=0, payload=4096))) == 100
    with container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect(SERVER)
        dns.query.send_tcp(sock, dns.message.make_query("many", "A"))
        whole, _ = dns.query.receive_tcp(sock)
    assert not whole.flags & dns.flags.TC
    assert len(texts(whole)) == 100


def test_getaddrinfo_turns_to_tcp_when_udp_is_truncated(container: Node) -> None:
    program = "import socket; print(len({a[4][0] for a in socket.getaddrinfo('many', 0, socket.AF_INET)}))"
    assert run_command(container, [sys.executable, "-c", program]).stdout.strip() == "100"


def test_tcp_takes_messages_in_pieces_and_several_in_one(container: Node) -> None:
    queries = [dns.message.make_query(name, "A") for name in ("ipv1", "only4", "nobody")]
    framed = b"".join(struct.pack("!H", len(query.to_wire())) + query.to_wire() for query in queries)
    with container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(SERVER)
        for at in range(0, len(framed), 7):
            sock.send(framed[at : at + 7])
        answers = [dns.query.receive_tcp(sock)[0] for _ in queries]
    assert all(query.is_response(answer) for query, answer in zip(queries, answers, strict=True))


def test_more_answers_than_a_socket_holds_all_arrive_over_tcp(container: Node) -> None:
    query = dns.message.make_query("many", "A").to_wire()
    count = 200
    with container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(SERVER)
        sock.sendall((struct.pack("!H", len(query)) + query) * count)
        lengths = set()
        with sock.makefile("rb") as stream:
            for _ in range(count):
                (length,) = struct.unpack("!H", stream.read(2))
                lengths.add(len(stream.read(length)))
    assert len(lengths) == 1


@pytest.mark.parametrize("broken", [b"\x12\x34\x01\x00" + b"\xff" * 20, b"\x12\x34\x01\0\0\1" + b"\0" * 6])
def test_a_malformed_query_is_formerr(container: Node, broken: bytes) -> None:
    answer = ask_udp(container, broken)
    assert answer[:2] == b"\x12\x34"
    assert answer[3] & 0xF == dns.rcode.FORMERR


def test_what_is_no_query_is_passed_over_and_the_next_query_answered(container: Node) -> None:
    response = dns.message.make_response(dns.message.make_query("ipv1", "A")).to_wire()
    query = dns.message.make_query("ipv1", "A")
    with container.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(SERVER)
        for junk in (b"", b"short", response):
            sock.send(junk)
        sock.send(query.to_wire())
        assert query.is_response(dns.message.from_wire(sock.recv(65535)))


def test_another_opcode_is_notimp_and_another_class_refused(container: Node) -> None:
    notify = dns.message.make_query("ipv1", "A")
    notify.set_opcode(dns.opcode.NOTIFY)
    assert dns.message.from_wire(ask_udp(container, notify.to_wire())).rcode() == dns.rcode.NOTIMP
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    assert dns.message.from_wire(ask_udp(container, chaos.to_wire())).rcode() == dns.rcode.REFUSED


def test_each_container_is_answered_as_itself(make_node: NodeMaker, resolver: Resolver) -> None:
    nodes = [make_node(f"c{number}", "container") for number in (1, 2, 3)]
    for node in nodes:
        resolver.add(node.name, node.namespace, lookup)
    assert [texts(ask(node, "me")) for node in nodes] == [["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"]]


def test_hundreds_of_queries_at_once_are_all_answered(container: Node) -> None:
    names = ["ipv1", "only4", "nobody"]

    def one(number: int) -> int:
        return ask(container, names[number % 3]).rcode()

    with ThreadPoolExecutor(16) as threads:
        rcodes = list(threads.map(one, range(300)))
    assert rcodes == [dns.rcode.NOERROR, dns.rcode.NOERROR, dns.rcode.NXDOMAIN] * 100


def test_a_removed_container_has_no_server_and_can_have_one_again(
    container: Node, resolver: Resolver
) -> None:
    resolver.remove("c7")
    with container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        assert sock.connect_ex(SERVER) != 0
    resolver.add("c7", container.namespace, lookup)
    assert texts(ask(container, "ipv1")) == ["192.0.2.2"]


def test_a_removed_container_takes_its_open_connections_along(container: Node, resolver: Resolver) -> None:
    with container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.connect(SERVER)
        dns.query.send_tcp(sock, dns.message.make_query("ipv1", "A"))
        dns.query.receive_tcp(sock)
        resolver.remove("c7")
        assert sock.recv(1) == b""


def test_an_address_that_is_taken_is_an_error_and_the_first_server_goes_on(
    container: Node, resolver: Resolver
) -> None:
    with pytest.raises(OSError, match="in use"):
        resolver.add("again", container.namespace, lookup)
    assert texts(ask(container, "ipv1")) == ["192.0.2.2"]


def test_a_server_listens_before_lo_is_up(make_node: NodeMaker, resolver: Resolver) -> None:
    node = make_node("c8", "container")
    node.namespace.netlink.request(messages.set_flags(1, 0, messages.IFF_UP), "lo down")
    resolver.add("c8", node.namespace, lookup)
    node.namespace.netlink.request(messages.set_flags(1, messages.IFF_UP, messages.IFF_UP), "lo up")
    assert texts(ask(node, "ipv1")) == ["192.0.2.2"]


def test_closing_ends_the_thread_and_leaves_no_descriptor(make_node: NodeMaker) -> None:
    node = make_node("c9", "container")
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    resolver = Resolver()
    resolver.add("c9", node.namespace, lookup)
    ask(node, "ipv1")
    resolver.close()
    resolver.close()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors
