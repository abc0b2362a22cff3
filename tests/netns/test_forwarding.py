"""Unknown names: forwarded to real nameservers, and nobody waits for those who wait."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from ipvlab.driver.names import NameAnswer
from ipvlab.driver.resolv_conf import Nameserver as Upstream
from ipvlab.lab import forwarding
from ipvlab.lab.nodes import Node
from ipvlab.lab.resolver import SERVER, Resolver
from tests.netns.nameserver import Answer, Nameserver, answering, failing, silent

NodeMaker = Callable[..., Node]
ServerMaker = Callable[[str, Answer], Nameserver]


class Place:
    """A container whose resolver forwards to ``upstream``, and its host."""

    def __init__(self, container: Node, host: Node, resolver: Resolver) -> None:
        self.container, self.host, self.resolver = container, host, resolver
        self.upstream: tuple[Upstream, ...] = ()
        resolver.add("c", container.namespace, self._lookup, host.namespace)

    def _lookup(self, _container: str, name: str, _kind: str) -> NameAnswer:
        if name == "known":
            return NameAnswer("NOERROR", (ipaddress.ip_address("192.0.2.2"),))
        return NameAnswer("SERVFAIL", nameservers=self.upstream)

    def forward_to(self, *addresses: str, is_asked_by_host: bool = True) -> None:
        self.upstream = tuple(
            Upstream(ipaddress.ip_address(address), is_asked_by_host) for address in addresses
        )

    @contextlib.contextmanager
    def asking(self, query: dns.message.Message) -> Iterator[Callable[[], dns.message.Message]]:
        """A datagram with a query on its way; what is given waits for the answer."""

        def receive() -> dns.message.Message:
            answer = dns.message.from_wire(sock.recv(65535))
            assert query.is_response(answer)
            return answer

        with self.container.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(SERVER)
            sock.send(query.to_wire())
            yield receive

    def ask(self, name: str) -> dns.message.Message:
        with self.asking(dns.message.make_query(name, "A")) as receive:
            return receive()

    @contextlib.contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with self.container.namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.connect(SERVER)
            yield sock

    def ask_tcp(self, name: str) -> dns.message.Message:
        with self.connected() as sock:
            query = dns.message.make_query(name, "A")
            dns.query.send_tcp(sock, query)
            answer = dns.query.receive_tcp(sock)[0]
        assert query.is_response(answer)
        return answer


@pytest.fixture
def place(make_node: NodeMaker) -> Iterator[Place]:
    resolver = Resolver()
    yield Place(make_node("c", "container"), make_node("h"), resolver)
    resolver.close()


@pytest.fixture
def serve(place: Place) -> Iterator[ServerMaker]:
    """A function that starts a nameserver on an address of the host."""
    with contextlib.ExitStack() as servers:

        def start(address: str, answer: Answer) -> Nameserver:
            server = Nameserver(place.host.namespace, address, answer)
            servers.callback(server.close)
            return server

        yield start


def texts(answer: dns.message.Message) -> list[str]:
    return [str(record) for rrset in answer.answer for record in rrset]


@pytest.mark.parametrize("address", ["127.0.0.53", "127.0.0.11", "::1"])
def test_an_unknown_name_is_answered_by_the_server_in_the_hosts_namespace(
    place: Place, serve: ServerMaker, address: str
) -> None:
    serve(address, answering("192.0.2.9"))
    place.forward_to(address)
    answer = place.ask("example.org")
    assert texts(answer) == ["192.0.2.9"]
    assert answer.answer[0].ttl == 30


def test_a_query_over_tcp_is_forwarded_over_tcp(place: Place, serve: ServerMaker) -> None:
    server = serve("127.0.0.53", answering("192.0.2.9"))
    place.forward_to("127.0.0.53")
    assert texts(place.ask_tcp("example.org")) == ["192.0.2.9"]
    assert texts(place.ask("example.com")) == ["192.0.2.9"]
    assert server.heard == ["tcp example.org.", "udp example.com."]


def test_the_query_and_the_answer_pass_as_they_are(place: Place, serve: ServerMaker) -> None:
    seen: list[dns.message.Message] = []

    def truncate(query: dns.message.Message) -> list[bytes]:
        seen.append(query)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC | dns.flags.AA
        response.set_rcode(dns.rcode.NXDOMAIN)
        return [response.to_wire()]

    serve("127.0.0.53", truncate)
    place.forward_to("127.0.0.53")
    with place.asking(dns.message.make_query("ExAmple.org", "A", use_edns=0, payload=1400)) as receive:
        answer = receive()
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert answer.flags & dns.flags.TC
    assert answer.flags & dns.flags.AA
    assert str(seen[0].question[0].name) == "ExAmple.org."
    assert seen[0].payload == 1400


@pytest.mark.parametrize("ask", [Place.ask, Place.ask_tcp])
def test_where_nobody_listens_and_where_no_server_is_it_is_servfail(
    place: Place, ask: Callable[[Place, str], dns.message.Message]
) -> None:
    # Refused; refused; no route from a namespace that has loopback only.
    place.forward_to("127.0.0.53", "::1", "192.0.2.53")
    assert ask(place, "example.org").rcode() == dns.rcode.SERVFAIL
    place.forward_to()
    assert ask(place, "example.org").rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("ask", [Place.ask, Place.ask_tcp])
@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_after_a_failure_the_next_server_is_asked(
    place: Place,
    serve: ServerMaker,
    rcode: dns.rcode.Rcode,
    ask: Callable[[Place, str], dns.message.Message],
) -> None:
    first = serve("127.0.0.53", failing(rcode))
    serve("127.0.0.54", answering("192.0.2.9"))
    place.forward_to("127.0.0.53", "127.0.0.54")
    assert texts(ask(place, "example.org")) == ["192.0.2.9"]
    assert len(first.heard) == 1
    place.forward_to("127.0.0.53")
    assert ask(place, "example.org").rcode() == dns.rcode.SERVFAIL


def test_no_such_name_is_an_answer_and_the_next_server_is_not_asked(place: Place, serve: ServerMaker) -> None:
    serve("127.0.0.53", failing(dns.rcode.NXDOMAIN))
    second = serve("127.0.0.54", answering("192.0.2.9"))
    place.forward_to("127.0.0.53", "127.0.0.54")
    assert place.ask("example.org").rcode() == dns.rcode.NXDOMAIN
    assert second.heard == []


@pytest.mark.parametrize("is_udp", [True, False])
def test_a_server_that_is_silent_for_4_seconds_gives_way_to_the_next(
    place: Place, serve: ServerMaker, monkeypatch: pytest.MonkeyPatch, is_udp: bool
) -> None:
    now = 100.0
    monkeypatch.setattr(place.resolver._forwarder, "_clock", lambda: now)
    servers = [serve("127.0.0.53", silent), serve("127.0.0.54", silent)]
    place.forward_to("127.0.0.53", "127.0.0.54")
    query = dns.message.make_query("example.org", "A")
    with contextlib.ExitStack() as stack:
        if is_udp:
            receive = stack.enter_context(place.asking(query))
        else:
            sock = stack.enter_context(place.connected())
            dns.query.send_tcp(sock, query)
        assert servers[0].hears(1)
        now += 3.9
        place.ask("known")  # each answer is followed by a look at the clock
        assert servers[1].heard == []
        now += 0.2
        place.ask("known")
        assert servers[1].hears(1)
        now += 4.1
        place.ask("known")
        answer = receive() if is_udp else dns.query.receive_tcp(sock)[0]
    assert query.is_response(answer)
    assert answer.rcode() == dns.rcode.SERVFAIL


def test_names_are_answered_while_a_question_waits_for_a_silent_server(
    place: Place, serve: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With patience without end: who waited for that server would wait for ever."""
    monkeypatch.setattr(forwarding, "PATIENCE", 1e6)
    server = serve("127.0.0.53", silent)
    place.forward_to("127.0.0.53")
    with place.asking(dns.message.make_query("example.org", "A")), place.connected() as sock:
        dns.query.send_tcp(sock, dns.message.make_query("example.com", "A"))
        assert server.hears(1)
        dns.query.send_tcp(sock, dns.message.make_query("known", "A"))
        assert texts(dns.query.receive_tcp(sock)[0]) == ["192.0.2.2"]
        assert texts(place.ask("known")) == ["192.0.2.2"]


def test_too_many_waiting_questions_are_refused_and_names_are_still_answered(
    place: Place, serve: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE", 1e6)
    monkeypatch.setattr(forwarding, "QUESTIONS_MOST", 2)
    serve("127.0.0.53", silent)
    place.forward_to("127.0.0.53")
    queries = [dns.message.make_query(f"n{n}.example", "A") for n in range(2)]
    with place.asking(queries[0]), place.asking(queries[1]):
        assert place.ask("n3.example").rcode() == dns.rcode.REFUSED
        assert texts(place.ask("known")) == ["192.0.2.2"]


def test_a_removed_container_takes_its_waiting_questions_along(
    place: Place, serve: ServerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "PATIENCE", 1e6)
    monkeypatch.setattr(forwarding, "QUESTIONS_MOST", 2)
    server = serve("127.0.0.53", silent)
    place.forward_to("127.0.0.53")
    with place.asking(dns.message.make_query("a.example", "A")), place.connected() as sock:
        dns.query.send_tcp(sock, dns.message.make_query("b.example", "A"))
        assert server.hears(2)
        place.resolver.remove("c")
        assert sock.recv(1) == b""
    again = Place(place.container, place.host, place.resolver)
    again.forward_to("127.0.0.54")
    # Were the old questions still there, these would be refused.
    assert again.ask("c.example").rcode() == dns.rcode.SERVFAIL
    assert again.ask("d.example").rcode() == dns.rcode.SERVFAIL


def test_who_says_that_nothing_more_is_asked_gets_the_answer_that_is_on_its_way(
    place: Place, serve: ServerMaker
) -> None:
    serve("127.0.0.53", answering("192.0.2.9"))
    place.forward_to("127.0.0.53")
    with place.connected() as sock:
        dns.query.send_tcp(sock, dns.message.make_query("example.org", "A"))
        sock.shutdown(socket.SHUT_WR)
        assert texts(dns.query.receive_tcp(sock)[0]) == ["192.0.2.9"]
        assert sock.recv(1) == b""


def test_answers_to_other_questions_are_passed_over(place: Place, serve: ServerMaker) -> None:
    def forge(query: dns.message.Message) -> list[bytes]:
        [right] = answering("192.0.2.9")(query)
        other_number = bytes([right[0] ^ 0xFF]) + right[1:]
        other_name = dns.message.make_query("example.com", "A", id=query.id)
        return [other_number, *answering("192.0.2.66")(other_name), b"", b"short", query.to_wire(), right]

    serve("127.0.0.53", forge)
    place.forward_to("127.0.0.53")
    assert texts(place.ask("example.org")) == ["192.0.2.9"]


def test_garbage_from_a_server_over_tcp_counts_as_failure(place: Place, serve: ServerMaker) -> None:
    serve("127.0.0.53", lambda _query: [b"\0" * 20])
    serve("127.0.0.54", answering("192.0.2.9"))
    place.forward_to("127.0.0.53", "127.0.0.54")
    assert texts(place.ask_tcp("example.org")) == ["192.0.2.9"]


@pytest.mark.docker("D-DNS-008")
def test_a_server_given_with_dns_is_asked_from_the_containers_namespace(place: Place) -> None:
    server = Nameserver(place.container.namespace, "127.0.0.99", answering("192.0.2.9"))
    try:
        place.forward_to("127.0.0.99", is_asked_by_host=False)
        assert texts(place.ask("example.org")) == ["192.0.2.9"]
        place.forward_to("127.0.0.99")
        assert place.ask("example.org").rcode() == dns.rcode.SERVFAIL
    finally:
        server.close()
