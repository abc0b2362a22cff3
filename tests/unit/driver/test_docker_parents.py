"""Docker's statements on parents (D-PAR), for each dialect; what is a link on a kernel is in tests/netns."""

from __future__ import annotations

import pytest

from ipvlab.driver.options import check_kernel
from ipvlab.driver.parents import Parent, restore_parent
from ipvlab.errors import DriverRefusal, KernelRefusal
from ipvlab.spec.values import Dialect, Flag, Mode
from tests.unit.driver.dialects import CREATE, D26, START, every_dialect, host_of
from tests.unit.driver.recording_port import Host

ONE = f"{CREATE} --subnet=10.0.0.0/24"
TWO = f"{CREATE} --subnet=10.0.1.0/24"


@pytest.mark.docker("D-PAR-001", "D-PAR-002")
@every_dialect
def test_an_isolated_parent_is_called_after_its_network_and_goes_with_it(dialect: Dialect) -> None:
    host = host_of(dialect)
    before = host.port.snapshot()
    network_id = host.ok(f"{ONE} n")
    name = f"di-{network_id[:12]}"
    assert len(name) == 15
    assert host.port.links.pop(name) is True
    assert host.port.snapshot() == before
    host.port.links[name] = True
    host.ok("network rm n")
    assert host.port.snapshot() == before


@pytest.mark.docker("D-PAR-003", "D-PAR-004")
@every_dialect
def test_a_vlan_link_is_made_on_its_base_and_goes_with_the_network(dialect: Dialect) -> None:
    host = host_of(dialect)
    before = host.port.snapshot()
    host.ok(f"{ONE} -o parent=eth0.20 n")
    assert host.port.vlans == {"eth0.20": ("eth0", 20)}
    host.ok("network rm n")
    assert host.port.snapshot() == before


@pytest.mark.docker("D-PAR-005", "D-PAR-006", "D-PAR-008")
@pytest.mark.parametrize("name", ["eth0.40", "foo", "eth0.10.20", "eth0.4095"])
@every_dialect
def test_a_link_made_by_hand_survives_its_network_whatever_its_name(dialect: Dialect, name: str) -> None:
    host = host_of(dialect, name)
    before = host.port.snapshot()
    host.ok(f"{ONE} -o parent={name} n")
    assert host.run("--net=n --name=c").endpoints[0].plan.parent == name
    host.ok("rm -f c")
    host.ok("network rm n")
    assert host.port.snapshot() == before


@pytest.mark.docker("D-PAR-007", "D-PAR-008", "D-PAR-009", "D-PAR-010", "D-PAR-011", "D-PAR-012")
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
        (
            "eth0.9223372036854775808",
            "unable to parse a valid vlan id from: 9223372036854775808 (ex. eth0.10 for vlan 10)",
        ),
        (
            "eth0.9223372036854775807",
            "vlan id must be between 1-4094, received: 9223372036854775807",
        ),
        ("nope0.10", "-o parent interface was not found on the host: nope0"),
        ("nope0.9999", "-o parent interface was not found on the host: nope0"),
        (".10", "-o parent interface was not found on the host: "),
        ("eth0.0", "vlan id must be between 1-4094, received: 0"),
        ("eth0.-1", "vlan id must be between 1-4094, received: -1"),
        ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
        ("lo.10", "failed to create lo.10 vlan link: operation not supported"),
        ("lo.4095", "vlan id must be between 1-4094, received: 4095"),
    ],
)
@every_dialect
def test_a_missing_parent_that_cannot_be_made_is_refused(dialect: Dialect, parent: str, text: str) -> None:
    host = host_of(dialect)
    assert host.refused(f"{ONE} -o parent={parent} n") == text
    host.ok(f"{ONE} -o parent=eth0 n")


@pytest.mark.docker("D-PAR-011", "D-PAR-013")
@pytest.mark.parametrize(
    ("name", "vlan"),
    [("eth0.1", 1), ("eth0.4094", 4094), ("eth0.020", 20), ("eth0.+5", 5), ("eth0.0004094", 4094)],
)
@every_dialect
def test_the_link_has_the_name_as_written_and_the_number_as_go_reads_it(
    dialect: Dialect, name: str, vlan: int
) -> None:
    host = host_of(dialect)
    host.ok(f"{ONE} -o parent={name} n")
    assert host.port.vlans == {name: ("eth0", vlan)}
    host.ok("network rm n")
    assert host.port.vlans == {}


@pytest.mark.docker("D-PAR-014", "D-PAR-015", "D-PAR-017")
@pytest.mark.parametrize("parent", ["eth0", "eth0.20"])
@pytest.mark.parametrize("options", ["", "-o ipvlan_mode=l3", "-o ipvlan_flag=vepa"])
@every_dialect
def test_a_parent_is_held_by_one_network_until_it_is_removed(
    dialect: Dialect, parent: str, options: str
) -> None:
    host = host_of(dialect)
    first = host.ok(f"{ONE} -o parent={parent} a")
    assert host.refused(f"{TWO} -o parent={parent} {options} b") == (
        f"network di-{first[:12]} is already using parent interface {parent}"
    )
    host.ok("network rm a")
    host.ok(f"{TWO} -o parent={parent} {options} b")


@pytest.mark.docker("D-PAR-014")
@every_dialect
def test_parents_are_compared_by_the_texts_of_their_names(dialect: Dialect) -> None:
    """VLAN 20 twice is not noticed by the driver, but by the kernel."""
    host = host_of(dialect)
    host.ok(f"{ONE} -o parent=eth0.20 a")
    host.port.refusing = {"add_vlan"}
    assert host.refused(f"{TWO} -o parent=eth0.020 b") == (
        "failed to create eth0.020 vlan link: device or resource busy"
    )


@pytest.mark.docker("D-PAR-014")
@every_dialect
def test_the_isolated_parent_of_another_network_is_held_too(dialect: Dialect) -> None:
    host = host_of(dialect)
    first = host.ok(f"{ONE} a")
    name = f"di-{first[:12]}"
    assert host.refused(f"{TWO} -o parent={name} b") == (
        f"network {name} is already using parent interface {name}"
    )


@pytest.mark.docker("D-PAR-016", "D-PAR-018")
@every_dialect
def test_a_link_its_vlans_and_isolated_parents_are_different_parents(dialect: Dialect) -> None:
    host = host_of(dialect)
    for number, parent in enumerate(["-o parent=eth0", "-o parent=eth0.20", "-o parent=eth0.30", "", ""]):
        host.ok(f"{CREATE} --subnet=10.0.{number}.0/24 {parent} n{number}")
    assert len({network.parent.link for network in host.engine.networks.values()}) == 5


@pytest.mark.docker("D-PAR-020")
@pytest.mark.parametrize("parent", ["eth0.20", "eth1"])
@every_dialect
def test_a_parent_that_vanished_is_noticed_at_the_next_start(dialect: Dialect, parent: str) -> None:
    host = host_of(dialect)
    host.ok(f"{ONE} -o parent={parent} n")
    host.port.remove_link(parent)
    result = host.docker("run -d --net=n --name=c alpine")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        125,
        (
            f"docker: Error response from daemon: {START[dialect]}"
            f"the requested parent interface {parent} was not found on the Docker host"
        ),
    )


@pytest.mark.docker("D-PAR-021")
@every_dialect
def test_a_network_is_removed_though_its_link_is_gone_or_stays(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{ONE} -o parent=eth0.20 gone")
    host.ok(f"{TWO} -o parent=eth0.30 stuck")
    host.port.remove_link("eth0.20")
    host.port.refusing = {"remove_link"}
    host.ok("network rm gone stuck")
    assert host.engine.networks == {}


@pytest.mark.docker("D-PAR-022")
@every_dialect
def test_a_parent_that_is_down_stays_down(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.port.links["eth0"] = False
    host.ok(f"{ONE} -o parent=eth0 n")
    host.run("--net=n")
    assert host.port.links["eth0"] is False


@pytest.mark.docker("D-PAR-023")
@pytest.mark.parametrize(
    ("release", "found"), [("4.1.99-generic", "4.1.99"), ("3.10.0-1160.el7", "3.10.0"), ("2.6", "2.6.0")]
)
def test_a_kernel_before_4_2_is_refused(release: str, found: str) -> None:
    with pytest.raises(DriverRefusal) as caught:
        check_kernel(release)
    assert caught.value.what == (
        f"kernel version failed to meet the minimum ipvlan kernel requirement of 4.2, found {found}"
    )
    assert caught.value.status == 500


@pytest.mark.docker("D-PAR-024")
@every_dialect
def test_a_vlan_link_whose_base_is_down_is_not_left_behind_and_not_adopted(dialect: Dialect) -> None:
    """The engines leave it, adopt it at the next attempt and never remove it: no lab does."""
    host = host_of(dialect)
    host.port.links["eth0"] = False
    for _ in range(2):
        assert host.refused(f"{ONE} -o parent=eth0.20 n") == (
            "failed to enable eth0.20 the ipvlan parent link network is down"
        )
    host.port.links["eth0"] = True
    host.ok(f"{ONE} -o parent=eth0.20 n")
    host.ok("network rm n")
    assert "eth0.20" not in host.port.links


@pytest.mark.parametrize("parent", ["", "-o parent=eth0.20"])
@every_dialect
def test_a_link_that_the_driver_made_is_made_again_after_a_restart_and_removed(
    dialect: Dialect, parent: str
) -> None:
    host = host_of(dialect)
    before = host.port.snapshot()
    host.ok(f"{ONE} {parent} n")
    network = host.engine.networks["n"]
    for _ in range(2):
        restore_parent(host.port, network)
        host.port.remove_link(network.parent.link)
        restore_parent(host.port, network)
        assert network.parent.link in host.port.links
    assert network.parent.is_made
    host.ok("network rm n")
    assert host.port.snapshot() == before


@every_dialect
def test_a_link_that_is_still_there_is_nobody_elses_after_a_restart(dialect: Dialect) -> None:
    host = host_of(dialect, "foo", "eth0.40")
    host.ok(f"{ONE} -o parent=foo n")
    host.ok(f"{TWO} -o parent=eth0.40 m")
    for network in host.engine.networks.values():
        held = network.parent
        restore_parent(host.port, network)
        assert network.parent == held
        assert not network.parent.is_made


@every_dialect
def test_a_link_made_by_hand_is_made_again_after_a_restart_only_by_a_name_that_says_how(
    dialect: Dialect,
) -> None:
    host = host_of(dialect, "foo", "eth0.40")
    host.ok(f"{ONE} -o parent=foo n")
    host.ok(f"{TWO} -o parent=eth0.40 m")
    networks = host.engine.networks
    for name in ("foo", "eth0.40"):
        host.port.remove_link(name)
    with pytest.raises(DriverRefusal, match="invalid subinterface vlan name foo"):
        restore_parent(host.port, networks["n"])
    assert networks["n"].parent == Parent("foo", is_made=False, is_isolated=False)
    restore_parent(host.port, networks["m"])
    assert networks["m"].parent == Parent("eth0.40", is_made=True, is_isolated=False)
    host.ok("network rm n m")


def test_a_machine_that_refuses_the_link_again_leaves_the_network_as_it_was(host: Host) -> None:
    host.ok(f"{ONE} n")
    network = host.engine.networks["n"]
    held = network.parent
    host.port.remove_link(held.link)
    host.port.refusing = {"add_isolated"}
    with pytest.raises(KernelRefusal):
        restore_parent(host.port, network)
    assert network.parent == held


def test_settings_without_a_network_have_no_parent_to_restore() -> None:
    host = host_of(D26)
    host.ok(f"{CREATE} --config-only -o parent=eth0.20 cfg")
    before = host.port.snapshot()
    network = host.engine.networks["cfg"]
    restore_parent(host.port, network)
    assert host.port.snapshot() == before
    assert (network.options.mode, network.options.flag) == (Mode.L2, Flag.BRIDGE)
