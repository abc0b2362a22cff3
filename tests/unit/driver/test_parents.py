"""The parent: found, made, isolated, shared by nobody, and what is removed in the end."""

from __future__ import annotations

import pytest

from tests.unit.driver.recording_port import Host

CREATE = "network create -d ipvlan --subnet=10.0.0.0/24"
OTHER = "network create -d ipvlan --subnet=10.0.1.0/24"


def test_an_existing_link_of_any_name_is_used_and_stays() -> None:
    for name in ("eth0", "foo", "br-lan", "eth0.40", "eth0.100.20", "ünï"):
        host = Host(name)
        before = host.port.snapshot()
        host.ok(f"{CREATE} -o parent={name} n")
        assert host.port.snapshot() == before
        assert host.run("--net=n").endpoints[0].plan.parent == name
        host.ok(f"rm -f {host.engine.last_started}")
        host.ok("network rm n")
        assert host.port.snapshot() == before


def test_a_parent_that_is_down_is_accepted(host: Host) -> None:
    host.port.links["eth0"] = False
    host.ok(f"{CREATE} -o parent=eth0 n")
    assert host.port.links["eth0"] is False


@pytest.mark.parametrize(
    ("name", "vlan"),
    [("eth0.20", 20), ("eth0.1", 1), ("eth0.4094", 4094), ("eth0.020", 20), ("eth0.+5", 5)],
)
def test_a_missing_base_and_number_is_made_as_a_vlan_and_goes_with_the_network(
    host: Host, name: str, vlan: int
) -> None:
    before = host.port.snapshot()
    host.ok(f"{CREATE} -o parent={name} n")
    assert host.port.vlans == {name: ("eth0", vlan)}
    host.ok("network rm n")
    assert host.port.snapshot() == before


def test_no_parent_gives_an_isolated_one_that_goes_with_the_network(host: Host) -> None:
    before = host.port.snapshot()
    network_id = host.ok(f"{CREATE} n")
    assert set(host.port.links) - {"lo", "eth0", "eth1"} == {f"di-{network_id[:12]}"}
    host.ok("network rm n")
    assert host.port.snapshot() == before


@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_internal_leaves_the_named_parent_alone(host: Host, mode: str) -> None:
    network_id = host.ok(f"{CREATE} --internal -o parent=eth0 -o ipvlan_mode={mode} n")
    assert host.run("--net=n").endpoints[0].plan.parent == f"di-{network_id[:12]}"
    # eth0 is not held: another network may have it.
    host.ok(f"{OTHER} -o parent=eth0 m")


def test_internal_makes_no_vlan_of_its_named_parent(host: Host) -> None:
    host.ok(f"{CREATE} --internal -o parent=eth0.20 n")
    assert "eth0.20" not in host.port.links


def test_isolated_networks_never_share_a_parent(host: Host) -> None:
    host.ok(f"{CREATE} a")
    host.ok(f"{OTHER} b")
    host.ok("network create -d ipvlan --internal c")
    assert len({network.parent.link for network in host.engine.networks.values()}) == 3


def test_an_isolated_parent_that_exists_already_is_adopted_and_kept(host: Host) -> None:
    twin = Host()
    name = f"di-{twin.ok(f'{CREATE} n')[:12]}"
    host.port.links[name] = True
    host.ok(f"{CREATE} n")
    host.ok("network rm n")
    assert name in host.port.links


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ("foo", "invalid subinterface vlan name foo, example formatting is eth0.10"),
        (
            "eth0.10.20",
            (
                "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, "
                "instead received eth0.10.20"
            ),
        ),
        ("eth0.abc", "unable to parse a valid vlan id from: abc (ex. eth0.10 for vlan 10)"),
        ("eth0.", "unable to parse a valid vlan id from:  (ex. eth0.10 for vlan 10)"),
        ("eth0.0x14", "unable to parse a valid vlan id from: 0x14 (ex. eth0.10 for vlan 10)"),
        ("eth0.1_0", "unable to parse a valid vlan id from: 1_0 (ex. eth0.10 for vlan 10)"),
        ("nope0.10", "-o parent interface was not found on the host: nope0"),
        ("nope0.9999", "-o parent interface was not found on the host: nope0"),
        ("eth0.0", "vlan id must be between 1-4094, received: 0"),
        ("eth0.-1", "vlan id must be between 1-4094, received: -1"),
        ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
    ],
)
def test_a_parent_that_cannot_be_is_refused_in_dockers_words(host: Host, parent: str, text: str) -> None:
    assert host.refused(f"{CREATE} -o parent={parent} n") == text


def test_a_vlan_on_a_base_that_is_down_is_refused_and_leaves_no_link(host: Host) -> None:
    host.port.links["eth0"] = False
    assert host.refused(f"{CREATE} -o parent=eth0.20 n") == (
        "failed to enable eth0.20 the ipvlan parent link network is down"
    )


def test_a_vlan_whose_name_is_too_long_is_refused() -> None:
    host = Host("enp0s31f6-lan")
    assert host.refused(f"{CREATE} -o parent=enp0s31f6-lan.20 n") == (
        "failed to create enp0s31f6-lan.20 vlan link: numerical result out of range"
    )


def test_a_kernel_that_refuses_a_vlan_is_quoted(host: Host) -> None:
    host.port.refusing = {"add_vlan"}
    assert host.refused(f"{CREATE} -o parent=eth0.20 n") == (
        "failed to create eth0.20 vlan link: device or resource busy"
    )


def test_a_parent_is_held_by_one_network(host: Host) -> None:
    first = host.ok(f"{CREATE} -o parent=eth0 a")
    text = f"network di-{first[:12]} is already using parent interface eth0"
    assert host.refused(f"{OTHER} -o parent=eth0 b") == text
    assert host.refused(f"{OTHER} -o parent=eth0 -o ipvlan_mode=l3 -o ipvlan_flag=vepa b") == text
    host.ok("network rm a")
    host.ok(f"{OTHER} -o parent=eth0 b")


def test_a_held_vlan_is_refused_before_it_is_looked_for(host: Host) -> None:
    first = host.ok(f"{CREATE} -o parent=eth0.20 a")
    assert host.refused(f"{OTHER} -o parent=eth0.20 b") == (
        f"network di-{first[:12]} is already using parent interface eth0.20"
    )


def test_a_link_and_its_vlan_are_two_parents(host: Host) -> None:
    host.ok(f"{CREATE} -o parent=eth0 a")
    host.ok(f"{OTHER} -o parent=eth0.20 b")


def test_removing_a_network_whose_vlan_is_gone_succeeds(host: Host) -> None:
    host.ok(f"{CREATE} -o parent=eth0.20 n")
    host.port.remove_link("eth0.20")
    host.ok("network rm n")
    assert host.engine.networks == {}


def test_removing_a_network_succeeds_though_the_kernel_keeps_the_link(host: Host) -> None:
    host.ok(f"{CREATE} -o parent=eth0.20 n")
    host.port.refusing = {"remove_link"}
    host.ok("network rm n")
    assert host.engine.networks == {}


def test_a_parent_that_vanished_is_noticed_at_start(host: Host) -> None:
    host.ok(f"{CREATE} -o parent=eth0.20 n")
    host.port.remove_link("eth0.20")
    assert host.refused("run --net=n alpine") == (
        "failed to set up container networking: "
        "the requested parent interface eth0.20 was not found on the Docker host"
    )
