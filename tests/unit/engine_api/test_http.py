"""The HTTP of the Engine API: what is read, what is refused, and how connections end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from ipvlab.engine_api.connection import BODY_LIMIT, HEADER_LIMIT
from ipvlab.spec.values import Dialect
from tests.unit.engine_api.served_host import ServedHost, UnixConnection, read_all, read_until

HOST = b"Host: api.moby.localhost\r\n"


def test_a_ping_tells_the_api_version_by_headers(host: ServedHost) -> None:
    for method in ("HEAD", "GET"):
        reply = host.ask(method, "/_ping")
        assert reply.status == 200
        assert reply.body == (b"OK" if method == "GET" else b"")
        assert reply.headers["Api-Version"] == "1.50"
        assert reply.headers["Ostype"] == "linux"
        assert reply.headers["Docker-Experimental"] == "false"
        assert reply.headers["Builder-Version"] == "2"
        assert reply.headers["Swarm"] == "inactive"
        assert reply.headers["Server"] == "Docker/28.2.2 (linux)"


def test_every_answer_names_the_api_version(host: ServedHost) -> None:
    for path in ("/networks", "/networks/nosuch", "/nosuch", "/v9.9/info"):
        headers = host.ask("GET", path).headers
        assert {name: headers[name] for name in ("Api-Version", "Ostype")} == {
            "Api-Version": "1.50",
            "Ostype": "linux",
        }


@pytest.mark.docker("D-API-005")
@pytest.mark.parametrize(
    ("dialect", "minimum", "maximum"),
    [
        (Dialect.DOCS, "1.24", "1.50"),
        (Dialect.DOCKER_26, "1.24", "1.45"),
        (Dialect.DOCKER_28, "1.24", "1.50"),
        (Dialect.DOCKER_29, "1.44", "1.50"),
    ],
)
def test_a_version_outside_of_what_the_dialect_speaks_is_refused(
    serve: Callable[[Dialect], ServedHost], dialect: Dialect, minimum: str, maximum: str
) -> None:
    host = serve(dialect)
    for version in (minimum, maximum):
        assert host.ask("GET", f"/v{version}/networks").status == 200
    major, minor = (int(part) for part in minimum.split("."))
    old = host.ask("GET", f"/v{major}.{minor - 1}/networks")
    assert old.status == 400
    assert old.message == (
        f"client version {major}.{minor - 1} is too old. Minimum supported API version is {minimum}, "
        "please upgrade your client to a newer version"
    )
    new = host.ask("GET", "/v1.60/networks")
    assert (new.status, new.message) == (
        400,
        f"client version 1.60 is too new. Maximum supported API version is {maximum}",
    )
    assert host.ask("HEAD", "/_ping").headers["Api-Version"] == maximum


def test_paths_work_without_a_version_too(host: ServedHost) -> None:
    assert host.get("/networks") == host.get("/v1.50/networks")


def test_an_unknown_page_and_a_method_that_a_page_has_not_are_404(host: ServedHost) -> None:
    for method, path in (("GET", "/nosuch"), ("PUT", "/networks"), ("GET", "/"), ("POST", "/info")):
        reply = host.ask(method, path)
        assert (reply.status, reply.message) == (404, "page not found")


def test_what_a_lab_does_not_have_is_said_so(host: ServedHost) -> None:
    for method, path in (
        ("POST", "/build"),
        ("GET", "/swarm"),
        ("POST", "/volumes/create"),
        ("PUT", "/containers/c/archive"),
        ("POST", "/containers/c/pause"),
    ):
        reply = host.ask(method, path)
        assert reply.status == 501
        assert "a lab's engine" in reply.message


def test_errors_are_json_with_a_message(host: ServedHost) -> None:
    reply = host.ask("GET", "/networks/nosuch")
    assert reply.status == 404
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.body == b'{"message":"network nosuch not found"}\n'


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"  ", "invalid JSON: got EOF while reading request body"),
        (b"{", "invalid JSON: "),
        (b'{"Name": "a"} {}', "invalid JSON: "),
        (b"[]", "invalid JSON: json: cannot unmarshal array into Go value of type CreateRequest"),
        (b'{"Name": 1}', "field CreateRequest.Name of type string"),
        (b'{"Name": NaN}', "invalid JSON: "),
        (b"[" * 100_000, "invalid JSON: "),
        (b'{"IPAM": {"Config": [1]}}', "field CreateRequest.IPAM.Config of type struct"),
        (b'{"Options": {"parent": 1}}', "field CreateRequest.Options.parent of type string"),
        (b'{"EnableIPv6": "yes"}', "field CreateRequest.EnableIPv6 of type bool"),
        (b"\xff\xfe\x00", "invalid JSON: "),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_400_and_leaves_nothing(
    host: ServedHost, body: bytes, text: str
) -> None:
    before = host.get("/networks")
    reply = host.ask("POST", "/networks/create", body, {"Content-Type": "application/json"})
    assert reply.status == 400
    assert text in reply.message
    assert host.get("/networks") == before


def test_a_body_of_another_type_is_400(host: ServedHost) -> None:
    reply = host.ask("POST", "/networks/create", b"Name=a", {"Content-Type": "text/plain"})
    assert (reply.status, reply.message) == (
        400,
        "unsupported Content-Type header (text/plain): must be 'application/json'",
    )


def test_names_of_members_match_in_any_case(host: ServedHost) -> None:
    body = {"name": "n", "driver": "ipvlan", "ipam": {"config": [{"subnet": "10.1.0.0/24"}]}}
    assert host.ask("POST", "/networks/create", body).status == 201


def test_a_body_beyond_the_limit_is_413_and_the_client_reads_the_answer(host: ServedHost) -> None:
    declared = host.ask("POST", "/networks/create", b" " * (BODY_LIMIT + 1))
    assert declared.status == 413
    with host.open() as sock:
        head = b"POST /networks/create HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        # Two chunks of a mebibyte: the second goes beyond, and is sent to its end all the same.
        sock.sendall(head + chunk + chunk + b"0\r\n\r\n")
        assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 413 ")


def test_headers_beyond_the_limit_are_431(host: ServedHost) -> None:
    with host.open() as sock:
        sock.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + b"X-Long: " + b"a" * (2 * HEADER_LIMIT))
        assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"hello\r\n\r\n", b"GET /_ping\r\n\r\n", b"\0" * 99],
)
def test_garbage_is_400_and_harms_nobody(host: ServedHost, garbage: bytes) -> None:
    with host.open() as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert host.ask("GET", "/_ping").status == 200


def test_half_a_request_and_its_end_is_no_request(host: ServedHost) -> None:
    with host.open() as sock:
        sock.sendall(b"POST /networks/create HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\n{")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")
    assert not host.host.engine.networks


def test_one_connection_serves_many_requests_also_when_they_come_at_once(host: ServedHost) -> None:
    connection = UnixConnection(host.path)
    for _ in range(3):
        connection.request("GET", "/networks/nosuch")
        assert connection.getresponse().read()
    connection.close()
    with host.open() as sock:
        request = b"GET /_ping HTTP/1.1\r\n" + HOST
        sock.sendall((request + b"\r\n") * 2 + request + b"Connection: close\r\n\r\n")
        assert read_all(sock).count(b"HTTP/1.1 200 OK\r\n") == 3


def test_a_client_that_waits_for_100_is_told_to_go_on(host: ServedHost) -> None:
    body = json.dumps({"Name": "n", "Driver": "ipvlan"}).encode()
    with host.open() as sock:
        sock.sendall(
            b"POST /networks/create HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n"
        )
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 201 ")


def test_http_1_0_is_answered_and_the_connection_ended(host: ServedHost) -> None:
    with host.open() as sock:
        sock.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"\r\n\r\nOK")


def test_escapes_in_paths_are_resolved_and_bad_ones_refused(host: ServedHost) -> None:
    host.make_network(Name="a net/work")
    network = host.get("/networks/a%20net%2Fwork")
    assert isinstance(network, dict)
    assert network["Name"] == "a net/work"
    for target in (b"/networks/%ff", b"/networks/a%00b", b"networks"):
        with host.open() as sock:
            sock.sendall(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 400 ")


def test_closing_ends_connections_that_wait(host: ServedHost) -> None:
    host.make_network()
    host.make_container()
    with host.open() as idle, host.open() as waiting:
        waiting.sendall(b"POST /containers/c/wait?condition=next-exit HTTP/1.1\r\n" + HOST + b"\r\n")
        read_until(waiting, b"\r\n\r\n")
        host.api.close()
        assert idle.recv(1) == b""
        assert waiting.recv(1) == b""
    with pytest.raises(OSError, match=r"refused|No such file"):
        host.open()
