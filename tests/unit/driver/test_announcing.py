"""What the driver has a starting endpoint announce, by dialect, mode and option (D-JOIN-019, 020)."""

from __future__ import annotations

import pytest

from ipvlab.driver.port import Announcement
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import CREATE, D26, D28, D29, DOCS, TEN, every_dialect, host_of

COUNT = "com.docker.network.advertise_addr_nmsgs"
INTERVAL = "com.docker.network.advertise_addr_ms"


def planned(dialect: Dialect, create: str, run: str = "") -> Announcement | None:
    """What a container's only endpoint announces on the network ``n``."""
    host = host_of(dialect)
    host.ok(f"{create} n")
    [endpoint] = host.run(f"--net=n {run}").endpoints
    return endpoint.plan.announcement


@pytest.mark.docker("D-JOIN-019")
@pytest.mark.parametrize("dialect", [D26, D28])
def test_up_to_28_an_endpoint_starts_in_silence(dialect: Dialect) -> None:
    assert planned(dialect, f"{TEN} -o parent=eth0") is None


@pytest.mark.docker("D-JOIN-019")
def test_since_29_an_l2_endpoint_announces_its_address_three_times_a_second_apart() -> None:
    announcement = planned(D29, f"{TEN} -o parent=eth0")
    assert announcement is not None
    assert [str(address) for address in announcement.addresses] == ["10.0.0.1"]
    assert (announcement.count, announcement.interval, announcement.is_for_moved) == (3, 1.0, False)


def test_the_documents_dialect_announces_once_and_only_what_has_moved() -> None:
    announcement = planned(DOCS, f"{TEN} -o parent=eth0")
    assert announcement is not None
    assert (announcement.count, announcement.is_for_moved) == (1, True)


@pytest.mark.docker("D-JOIN-020")
@pytest.mark.parametrize("dialect", [DOCS, D29])
@pytest.mark.parametrize(
    ("options", "count", "interval"),
    [
        (f"-o {COUNT}=1", 1, 1.0),
        (f"-o {COUNT}=3", 3, 1.0),
        (f"-o {INTERVAL}=100", 3, 0.1),
        (f"-o {COUNT}=2 -o {INTERVAL}=2000", 2, 2.0),
    ],
)
def test_a_network_says_how_often_and_how_fast(
    dialect: Dialect, options: str, count: int, interval: float
) -> None:
    announcement = planned(dialect, f"{TEN} {options}")
    assert announcement is not None
    assert (announcement.count, announcement.interval) == (count, interval)
    assert not announcement.is_for_moved


@pytest.mark.docker("D-JOIN-020")
@every_dialect
def test_no_messages_are_wanted_and_none_are_sent(dialect: Dialect) -> None:
    assert planned(dialect, f"{TEN} -o parent=eth0 -o {COUNT}=0") is None


@every_dialect
@pytest.mark.parametrize("mode", ["l3", "l3s"])
def test_an_endpoint_without_arp_announces_nothing(dialect: Dialect, mode: str) -> None:
    assert planned(dialect, f"{TEN} -o parent=eth0 -o ipvlan_mode={mode} -o {COUNT}=3") is None


@pytest.mark.docker("D-JOIN-019")
def test_one_address_of_each_family_is_announced_and_no_link_local_one() -> None:
    create = f"{CREATE} --ipv6 --subnet=10.0.0.0/24 --subnet=2001:db8::/64 -o parent=eth0"
    announcement = planned(D29, create, "--link-local-ip=169.254.7.7")
    assert announcement is not None
    assert [str(address) for address in announcement.addresses] == ["10.0.0.1", "2001:db8::1"]
