"""Docker's statements on the options of ipvlan networks (D-OPT), for each dialect that they hold for."""

from __future__ import annotations

import itertools

import pytest

from ipvlab.driver.requests import NetworkRequest
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect, Flag, Mode
from tests.unit.driver.dialects import (
    CREATE,
    D26,
    D28,
    D29,
    DOCS,
    START,
    every_dialect,
    every_engine,
    host_of,
    inspect,
)
from tests.unit.driver.recording_port import Host, addresses, routes

SUBNET = "--subnet=10.0.0.0/24"


@pytest.mark.docker("D-OPT-001", "D-OPT-004")
@pytest.mark.parametrize("options", ["", "-o ipvlan_mode= -o ipvlan_flag="])
@every_dialect
def test_the_default_is_l2_and_bridge(dialect: Dialect, options: str) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} {options} n")
    [endpoint] = host.run("--net=n").endpoints
    assert (endpoint.plan.mode, endpoint.plan.flag) == (Mode.L2, Flag.BRIDGE)


@pytest.mark.docker("D-OPT-007", "D-OPT-009")
@pytest.mark.parametrize(
    "options", [{}, {"foo": "bar", "ipvlan_mod": "l3", "com.docker.network.driver.mtu": "9"}]
)
@every_dialect
def test_inspect_shows_the_options_written_and_no_default(dialect: Dialect, options: dict[str, str]) -> None:
    host = host_of(dialect)
    host.ok(" ".join([CREATE, SUBNET, *(f"-o {key}={value}" for key, value in options.items()), "n"]))
    assert inspect(host, "n")["Options"] == options
    [endpoint] = host.run("--net=n").endpoints
    assert (endpoint.plan.mode, endpoint.plan.flag) == (Mode.L2, Flag.BRIDGE)


@pytest.mark.docker("D-OPT-002", "D-OPT-004", "D-OPT-006")
@pytest.mark.parametrize(("mode", "flag"), list(itertools.product(Mode, Flag)))
@every_dialect
def test_every_pair_of_mode_and_flag_reaches_the_endpoint(dialect: Dialect, mode: Mode, flag: Flag) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} -o parent=eth0 -o ipvlan_mode={mode} -o ipvlan_flag={flag} n")
    [endpoint] = host.run("--net=n").endpoints
    assert (endpoint.plan.mode, endpoint.plan.flag) == (mode, flag)


@pytest.mark.docker("D-OPT-003")
@pytest.mark.parametrize("mode", ["L2", "l2 ", "l4", "vepa"])
@every_dialect
def test_another_mode_is_refused_as_it_was_written(dialect: Dialect, mode: str) -> None:
    assert host_of(dialect).refused(f"{CREATE} {SUBNET} -o 'ipvlan_mode={mode}' n") == (
        f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default"
    )


@pytest.mark.docker("D-OPT-005")
@pytest.mark.parametrize("flag", ["Bridge", "l2", "passthru"])
@every_dialect
def test_another_flag_is_refused_as_it_was_written(dialect: Dialect, flag: str) -> None:
    assert host_of(dialect).refused(f"{CREATE} {SUBNET} -o ipvlan_flag={flag} n") == (
        f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
    )


@pytest.mark.docker("D-OPT-010")
@every_dialect
def test_lo_is_no_parent_and_holds_no_pool_afterwards(dialect: Dialect) -> None:
    host = host_of(dialect)
    text = "loopback interface is not a valid ipvlan parent link"
    assert host.refused(f"{CREATE} {SUBNET} -o parent=lo n") == text
    host.ok(f"{CREATE} {SUBNET} -o parent=eth0 m")


@pytest.mark.docker("D-OPT-011")
@every_engine
def test_internal_keeps_the_named_parent(dialect: Dialect) -> None:
    host = host_of(dialect)
    before = set(host.port.links)
    host.ok(f"{CREATE} {SUBNET} --internal -o parent=eth0 n")
    assert set(host.port.links) == before
    container = host.run("--net=n")
    assert (container.endpoints[0].plan.parent, routes(container)) == ("eth0", [])
    assert "already using parent interface eth0" in host.refused(
        f"{CREATE} --subnet=10.0.1.0/24 -o parent=eth0 m"
    )


def test_in_the_documents_internal_has_an_isolated_parent() -> None:
    host = host_of(DOCS)
    network_id = host.ok(f"{CREATE} {SUBNET} --internal -o parent=eth0 n")
    assert host.run("--net=n").endpoints[0].plan.parent == f"di-{network_id[:12]}"


@pytest.mark.docker("D-OPT-012")
@pytest.mark.parametrize("mode", list(Mode))
@every_engine
def test_without_a_parent_nothing_leads_out_and_inspect_does_not_say_so(dialect: Dialect, mode: Mode) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} -o ipvlan_mode={mode} n")
    assert routes(host.run("--net=n")) == []
    assert inspect(host, "n")["Internal"] is False


@pytest.mark.docker("D-OPT-013")
@pytest.mark.parametrize(
    ("text", "is_on"),
    [("true", True), ("1", True), ("t", True), ("TRUE", True), ("false", False), ("0", False), ("F", False)],
)
@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_the_options_that_switch_families_are_gos_booleans(dialect: Dialect, text: str, is_on: bool) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} -o com.docker.network.enable_ipv6={text} n")
    host.ok(f"{CREATE} -o com.docker.network.enable_ipv4={text} m")
    assert (host.engine.networks["n"].has_ipv6, host.engine.networks["m"].has_ipv4) == (is_on, is_on)


@pytest.mark.docker("D-OPT-013")
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_the_options_that_switch_families_are_nothing_else(dialect: Dialect, family: str) -> None:
    key = f"com.docker.network.enable_{family}"
    host = host_of(dialect)
    assert host.refused(f"{CREATE} -o {key}=maybe n") == f'driver-opt "{key}" is not a valid bool'
    with pytest.raises(DriverRefusal) as caught:
        host.engine.create_network(NetworkRequest("n", "ipvlan", {key: "yes"}))
    assert caught.value.status == 400


@pytest.mark.docker("D-OPT-013", "D-OPT-014")
def test_26_reads_neither_the_options_nor_the_field_that_switch_families() -> None:
    host = host_of(D26)
    option = "com.docker.network.enable_ipv"
    host.engine.create_network(
        NetworkRequest("n", "ipvlan", {f"{option}4": "maybe", f"{option}6": "true"}, enable_ipv4=False)
    )
    network = host.engine.networks["n"]
    assert (network.has_ipv4, network.has_ipv6) == (True, False)
    assert set(network.request.options) == {f"{option}4", f"{option}6"}


@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_a_switch_wins_over_its_option_which_inspect_then_hides(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --ipv6 -o com.docker.network.enable_ipv6=false -o a=b n")
    assert host.engine.networks["n"].has_ipv6
    assert inspect(host, "n")["Options"] == {"a": "b"}


@pytest.mark.docker("D-OPT-015")
@pytest.mark.parametrize("dialect", [DOCS, D28, D29])
def test_without_both_families_an_endpoint_has_no_address(dialect: Dialect) -> None:
    host = host_of(dialect)
    held = host.engine.held_addresses()
    host.ok(f"{CREATE} --ipv4=false {SUBNET} -o parent=eth0 n")
    container = host.run("--net=n")
    assert (container.endpoints[0].interface, addresses(container), routes(container)) == ("eth0", [], [])
    assert host.engine.held_addresses() == held


@pytest.mark.docker("D-OPT-020")
@every_dialect
def test_published_ports_are_accepted_and_published_nowhere(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} n")
    host.run("--net=n --name=c -p 80:80 --expose 90")
    assert host.ok("ps").splitlines()[1].split()[-1] == "c"
    assert "80" not in host.ok("ps --format '{{.Ports}}'")


@pytest.mark.docker("D-OPT-021")
@every_dialect
def test_a_mac_address_is_refused_at_start(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} n")
    assert host.docker("run -d --net=n --name=c --mac-address=02:00:00:00:00:01 alpine").stderr.startswith(
        f"docker: Error response from daemon: {START[dialect]}failed to create endpoint c on network n: "
        "ipvlan interfaces do not support custom mac address assignment"
    )


def subnets_shown(host: Host, network: str) -> list[object]:
    """What inspect shows of a network's addresses."""
    view = inspect(host, network)["IPAM"]
    assert isinstance(view, dict)
    config = view["Config"]
    assert isinstance(config, list)
    return config


@pytest.mark.parametrize("dialect", [DOCS, D26, D28])
def test_inspect_hides_a_gateway_of_a_written_subnet_that_was_not_written(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} -o parent=eth0 n")
    assert subnets_shown(host, "n") == [{"Subnet": "10.0.0.0/24"}]
    assert routes(host.run("--net=n")) == ["default via 10.0.0.1 dev eth0"]
    host.ok(f"{CREATE} -o parent=eth1 m")
    assert subnets_shown(host, "m") == [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]


def test_inspect_in_29_has_no_such_gateway_to_show() -> None:
    host = host_of(D29)
    host.ok(f"{CREATE} {SUBNET} -o parent=eth0 n")
    host.ok(f"{CREATE} -o parent=eth1 m")
    assert [subnets_shown(host, name) for name in "nm"] == [
        [{"Subnet": "10.0.0.0/24"}],
        [{"Subnet": "172.18.0.0/16"}],
    ]


@pytest.mark.docker("D-IPAM-031")
@every_dialect
def test_inspect_shows_a_subnet_of_a_family_that_is_off_up_to_28(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --ipv6=false {SUBNET} --subnet=fd01::/64 -o ipvlan_mode=l3 n")
    unused = [] if dialect is D29 else [{"Subnet": "fd01::/64"}]
    assert subnets_shown(host, "n") == [{"Subnet": "10.0.0.0/24"}, *unused]


@pytest.mark.parametrize("dialect", [DOCS, D29])
def test_inspect_shows_the_pool_that_was_chosen_for_a_size(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --subnet=0.0.0.0/24 n")
    assert subnets_shown(host, "n") == [{"Subnet": "172.18.0.0/24"}]
