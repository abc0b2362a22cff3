"""Routes in the words of ip route, and when a written one matches a held one."""

from __future__ import annotations

import ipaddress

import pytest

from ipvlab.spec.routes import RouteText, parse_route


@pytest.mark.parametrize(
    ("text", "route"),
    [
        (
            "default via 192.168.20.1 dev eth0",
            RouteText("default", via=ipaddress.ip_address("192.168.20.1"), dev="eth0", version=4),
        ),
        ("default dev eth0", RouteText("default", dev="eth0")),
        ("::/0 dev eth0", RouteText("default", dev="eth0", version=6)),
        (
            "192.168.214.0/24 dev eth0  src 192.168.214.10",
            RouteText(
                ipaddress.ip_network("192.168.214.0/24"),
                dev="eth0",
                src=ipaddress.ip_address("192.168.214.10"),
                version=4,
            ),
        ),
        (
            "2001:db8:abc2::/64 dev eth0 proto kernel metric 256 pref medium",
            RouteText(
                ipaddress.ip_network("2001:db8:abc2::/64"),
                dev="eth0",
                proto="kernel",
                metric=256,
                pref="medium",
                version=6,
            ),
        ),
        (
            "10.1.2.3 dev eth0 scope 253",
            RouteText(ipaddress.ip_network("10.1.2.3/32"), dev="eth0", scope="link", version=4),
        ),
        ("default dev eth0 protocol 4", RouteText("default", dev="eth0", proto="static")),
    ],
)
def test_a_route_is_read_as_ip_route_writes_it(text: str, route: RouteText) -> None:
    assert parse_route(text) == route


@pytest.mark.parametrize(
    "text",
    [
        "default via 192.168.20.1 dev eth0",
        "192.168.214.0/24 dev eth0 src 192.168.214.10 metric 5 proto kernel scope link",
        "2001:db8::/64 dev eth0 pref medium",
    ],
)
def test_a_route_is_shown_as_it_was_read(text: str) -> None:
    assert str(parse_route(text)) == text


def test_the_family_of_a_bare_default_is_the_one_asked_for() -> None:
    assert parse_route("default dev eth0", 4).version == 4
    assert parse_route("default dev eth0", 6).version == 6


@pytest.mark.parametrize(
    ("text", "version", "words"),
    [
        ("", None, "is empty"),
        ("lan dev eth0", None, "neither default nor a subnet"),
        ("192.168.20.5/24 dev eth0", None, "should be 192.168.20.0/24"),
        ("default via", None, "needs a value"),
        ("default via gw", None, "is not an address"),
        ("default over eth0", None, "has the word 'over'"),
        ("default dev eth0 dev eth1", None, "names dev twice"),
        ("default dev eth0 metric x", None, "is not a number"),
        ("default dev eth0 metric -1", None, "is not a number"),
        ("default dev eth0 pref best", None, "low, medium, high"),
        ("10.0.0.0/8 via 2001:db8::1", None, "mixes IPv4 and IPv6"),
        ("0.0.0.0/0 via 2001:db8::1", None, "mixes IPv4 and IPv6"),
        ("10.0.0.0/8 dev eth0", 6, "is a route of IPv4, not of IPv6"),
        ("default via 2001:db8::1", 4, "is a route of IPv6, not of IPv4"),
    ],
)
def test_a_route_of_another_form_is_refused(text: str, version: int | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_route(text, version)


HELD = parse_route("192.168.20.0/24 dev eth0 proto kernel scope link src 192.168.20.11 metric 7")


@pytest.mark.parametrize(
    "written",
    [
        "192.168.20.0/24",
        "192.168.20.0/24 dev eth0",
        "192.168.20.0/24 src 192.168.20.11 dev eth0",
        "192.168.20.0/24 dev eth0 proto kernel scope link metric 7",
    ],
)
def test_a_written_route_matches_when_all_that_it_names_agrees(written: str) -> None:
    assert parse_route(written).matches(HELD)


@pytest.mark.parametrize(
    "written",
    [
        "default dev eth0",
        "192.168.20.0/25 dev eth0",
        "192.168.20.0/24 dev eth1",
        "192.168.20.0/24 via 192.168.20.1 dev eth0",
        "192.168.20.0/24 src 192.168.20.12",
        "192.168.20.0/24 metric 8",
        "192.168.20.0/24 proto static",
        "192.168.20.0/24 scope host",
        "192.168.20.0/24 pref medium",
    ],
)
def test_a_written_route_does_not_match_when_one_attribute_differs(written: str) -> None:
    assert not parse_route(written).matches(HELD)


def test_a_default_of_one_family_does_not_match_that_of_the_other() -> None:
    four, six = parse_route("default dev eth0", 4), parse_route("default dev eth0", 6)
    assert not four.matches(six)
    assert parse_route("default dev eth0").matches(six)


def test_a_default_by_device_matches_a_default_that_has_a_gateway_besides() -> None:
    assert parse_route("default dev eth0", 4).matches(parse_route("default via 10.0.0.1 dev eth0", 4))
