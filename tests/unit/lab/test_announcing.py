"""When an endpoint's announcements are due, and which addresses need one."""

from __future__ import annotations

import ipaddress

import pytest

from ipvlab.driver.port import Announcement
from ipvlab.lab.announcing import Course, Holders

ADDRESS = ipaddress.ip_address("192.0.2.7")
OTHER = ipaddress.ip_address("2001:db8::7")
MAC, ANOTHER_MAC = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"


def times(count: int, interval: float, *, late: float = 0.0) -> list[float]:
    """When messages are sent by somebody who looks ``late`` after each is due; the first at 100."""
    sent = [100.0]
    course = Course.begin(Announcement((ADDRESS,), count, interval), 100.0)
    while course is not None:
        assert not course.is_due(course.due - 0.001)
        now = course.due + late
        assert course.is_due(now)
        sent.append(now)
        course = course.advance(now)
    return sent


@pytest.mark.docker("D-JOIN-019")
def test_three_messages_are_one_second_apart() -> None:
    assert times(3, 1.0) == [100.0, 101.0, 102.0]


@pytest.mark.docker("D-JOIN-020")
@pytest.mark.parametrize(
    ("count", "interval", "sent"),
    [(1, 1.0, [100.0]), (2, 2.0, [100.0, 102.0]), (3, 0.1, [100.0, 100.1, 100.2])],
)
def test_count_and_interval_are_the_networks(count: int, interval: float, sent: list[float]) -> None:
    assert times(count, interval) == pytest.approx(sent)


def test_a_late_message_makes_those_behind_it_late_and_none_is_left_out() -> None:
    assert times(3, 1.0, late=0.5) == [100.0, 101.5, 103.0]


def test_an_address_has_moved_where_another_mac_had_it_last() -> None:
    holders = Holders()
    assert holders.note((ADDRESS, OTHER), MAC) == ()
    assert holders.note((ADDRESS,), MAC) == ()
    assert holders.note((ADDRESS, OTHER), ANOTHER_MAC) == (ADDRESS, OTHER)
    assert holders.note((ADDRESS,), ANOTHER_MAC) == ()
    assert holders.note((ADDRESS,), MAC) == (ADDRESS,)


def test_what_is_for_moved_addresses_leaves_the_others_out() -> None:
    holders = Holders()
    quiet = Announcement((ADDRESS, OTHER), 1, 1.0, is_for_moved=True)
    assert holders.choose(quiet, MAC) == ()
    assert holders.choose(Announcement((OTHER,), 3, 1.0), MAC) == (OTHER,)
    assert holders.choose(Announcement((OTHER,), 3, 1.0), ANOTHER_MAC) == (OTHER,)
    assert holders.choose(quiet, ANOTHER_MAC) == (ADDRESS,)
