"""What is checked when a network is created, and in which order: Docker's statements (D-OPT), by dialect."""

from __future__ import annotations

import pytest

from ipvlab.driver.configurations import check_advertising
from ipvlab.driver.requests import NetworkRequest, PoolRequest
from ipvlab.errors import DriverRefusal, KernelRefusal
from ipvlab.spec.values import Dialect, Mode
from tests.unit.driver.dialects import (
    CREATE,
    D26,
    D28,
    EVERY,
    START,
    every_dialect,
    host_of,
)
from tests.unit.driver.recording_port import Host

SUBNET = "--subnet=10.0.0.0/24"
#: How an overlap is refused; engines since 27 say more before it.
OVERLAPS = "Pool overlaps with other one on this address space"


@pytest.mark.docker("D-OPT-016")
@every_dialect
def test_a_configuration_network_makes_no_link_and_holds_no_pool(dialect: Dialect) -> None:
    host = host_of(dialect)
    before = (host.port.snapshot(), host.engine.held_addresses())
    host.ok(f"{CREATE} --config-only {SUBNET} -o parent=eth0.20 -o ipvlan_mode=nonsense --label a=b cfg")
    assert (host.port.snapshot(), host.engine.held_addresses()) == before
    request = host.engine.networks["cfg"].request
    assert (request.driver, request.is_config_only, dict(request.labels)) == ("null", True, {"a": "b"})
    assert host.refused("run --net=cfg alpine") == (
        f"{START[dialect]}cannot create endpoint on configuration-only network"
    )
    host.ok("network rm cfg")


@pytest.mark.docker("D-OPT-016")
@every_dialect
def test_a_network_takes_its_settings_from_a_configuration_network(dialect: Dialect) -> None:
    host = host_of(dialect)
    options = "-o parent=eth0.20 -o ipvlan_mode=l3"
    host.ok(f"{CREATE} --config-only {SUBNET} --gateway=10.0.0.9 {options} --label a=b cfg")
    host.ok(f"{CREATE} --config-from cfg --internal n")
    network = host.engine.networks["n"]
    assert (network.options.mode, dict(network.request.labels)) == (Mode.L3, {"a": "b"})
    assert network.request.is_internal
    assert [str(pool.gateway) for pool in network.pools] == ["10.0.0.9"]
    assert host.refused("network rm cfg").startswith(
        'error while removing network: configuration network "cfg" is in use'
    )
    host.ok("network rm n")
    host.ok("network rm cfg")


@every_dialect
def test_two_networks_of_one_configuration_have_one_parent_and_are_refused(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --config-only -o parent=eth0 cfg")
    first = host.ok(f"{CREATE} --config-from cfg n")
    assert host.refused(f"{CREATE} --config-from cfg m") == (
        f"network di-{first[:12]} is already using parent interface eth0"
    )


@pytest.mark.docker("D-OPT-017")
@pytest.mark.parametrize("options", [SUBNET, "--label a=b", "--ipv6", "--ipam-opt a=b", "--ipam-driver null"])
@every_dialect
def test_a_network_with_a_configuration_has_none_of_its_own(dialect: Dialect, options: str) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --config-only cfg")
    word = "user specified" if dialect in (D26, D28) else "user-specified"
    assert host.refused(f"{CREATE} --config-from cfg {options} n") == (
        f"{word} configurations are not supported if the network depends on a configuration network"
    )


@pytest.mark.docker("D-OPT-017")
@every_dialect
def test_a_network_with_a_configuration_has_no_options_of_its_own(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --config-only cfg")
    assert host.refused(f"{CREATE} --config-from cfg -o parent=eth0 n") == (
        "network driver options are not supported if the network depends on a configuration network"
    )


@every_dialect
@pytest.mark.parametrize("option", ["--internal", "--attachable", "--ingress", "--scope=local"])
def test_a_configuration_network_holds_settings_only(dialect: Dialect, option: str) -> None:
    assert host_of(dialect).refused(f"{CREATE} --config-only {option} n") == (
        "configuration network can only contain network specific fields. Network operator fields like "
        "[ ingress | internal | attachable | scope ] are not supported."
    )


@every_dialect
def test_a_configuration_network_depends_on_no_other_and_must_be_one(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} --config-only cfg")
    assert host.refused(f"{CREATE} --config-only --config-from cfg n") == (
        "a configuration network cannot depend on another configuration network"
    )
    host.ok(f"{CREATE} plain")
    for name in ("nosuch", "plain"):
        assert host.refused(f"{CREATE} --config-from {name} n") == (
            f'configuration network "{name}" does not exist'
        )


@every_dialect
def test_a_swarms_scope_and_ingress_are_refused(dialect: Dialect) -> None:
    host = host_of(dialect)
    assert host.refused(f"{CREATE} --scope=swarm n") == (
        "cannot create a swarm scoped network when swarm is not active"
    )
    assert host.refused(f"{CREATE} --ingress n") == "Ingress network can only be global scope network"


@every_dialect
def test_an_unknown_configuration_is_told_before_a_swarms_scope_since_28(dialect: Dialect) -> None:
    request = NetworkRequest("n", "ipvlan", scope="swarm", config_from="nosuch")
    with pytest.raises(DriverRefusal) as caught:
        host_of(dialect).engine.create_network(request)
    assert caught.value.status == (403 if dialect is D26 else 404)


@pytest.mark.docker("D-OPT-018")
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            "-o ipvlan_mode=foo",
            "requested ipvlan mode 'foo' is not valid, 'l2' mode is the ipvlan driver default",
        ),
        (
            "-o ipvlan_flag=foo",
            "requested ipvlan flag 'foo' is not valid, 'bridge' is the ipvlan driver default",
        ),
        ("-o parent=lo", "loopback interface is not a valid ipvlan parent link"),
    ],
)
@every_dialect
def test_which_of_two_faults_is_told_a_bad_option_or_an_overlap(
    dialect: Dialect, options: str, text: str
) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} a")
    told = host.refused(f"{CREATE} {SUBNET} {options} b")
    overlap = OVERLAPS if dialect is D26 else f"invalid pool request: {OVERLAPS}"
    assert told == (text if dialect is D28 else overlap)


@pytest.mark.docker("D-OPT-018")
@every_dialect
def test_a_parent_that_cannot_be_is_told_after_an_overlap(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} a")
    assert OVERLAPS in host.refused(f"{CREATE} {SUBNET} -o parent=nosuch b")


@pytest.mark.docker("D-OPT-018")
@every_dialect
def test_faults_are_told_in_the_order_of_the_checks(dialect: Dialect) -> None:
    """Each line takes away the fault that was told, down to a network that can be."""
    host = host_of(dialect)
    host.ok(f"{CREATE} {SUBNET} old")
    pools = (PoolRequest("10.0.0.1/24"),)
    options = {"ipvlan_mode": "foo", "parent": "nosuch"}
    requests = [
        NetworkRequest("none", "foo", options, pools, is_ingress=True, is_config_only=True),
        NetworkRequest("old", "foo", options, pools, is_ingress=True, is_config_only=True),
        NetworkRequest("old", "foo", options, is_ingress=True, is_config_only=True),
        NetworkRequest("new", "foo", options, is_ingress=True, is_config_only=True),
        NetworkRequest("new", "foo", options, is_ingress=True),
        NetworkRequest("new", "ipvlan", options, is_ingress=True),
        NetworkRequest("new", "ipvlan", options, scope="swarm"),
        NetworkRequest("new", "ipvlan", options),
        NetworkRequest("new", "ipvlan", {"parent": "nosuch"}),
    ]
    told = []
    for request in requests:
        with pytest.raises(DriverRefusal) as caught:
            host.engine.create_network(request)
        told.append((caught.value.status, caught.value.what.split(" ")[0]))
    assert told == [
        (403, "operation"),
        (400, "invalid"),
        (409, "network"),
        (403, "configuration"),
        (404, "plugin"),
        (403, "Ingress"),
        (403, "cannot"),
        (500, "requested"),
        (500, "invalid"),
    ]


@pytest.mark.docker("D-OPT-019")
@pytest.mark.parametrize(
    "options",
    [
        "-o ipvlan_mode=foo",
        "-o parent=nosuch",
        "-o parent=eth0.4095",
        "--ipv6 --ipam-driver null",
        "--gateway=10.0.0.255",
        "--gateway=10.0.0.1 --aux-address a=10.0.0.1",
    ],
)
@every_dialect
def test_a_network_that_was_refused_left_nothing(dialect: Dialect, options: str) -> None:
    host = host_of(dialect)
    host.refused(f"{CREATE} {SUBNET} {options} n")
    assert "ipvlan" not in host.ok("network ls")
    host.ok(f"{CREATE} {SUBNET} n")


@pytest.mark.docker("D-OPT-019")
@pytest.mark.parametrize(("step", "parent"), [("add_isolated", ""), ("add_vlan", "-o parent=eth0.20")])
@every_dialect
def test_a_network_that_the_machine_refused_left_nothing(dialect: Dialect, step: str, parent: str) -> None:
    host = host_of(dialect)
    before = (host.port.snapshot(), host.state())
    host.port.refusing = {step}
    with pytest.raises((DriverRefusal, KernelRefusal)):
        host.engine.create_network(NetworkRequest("n", "ipvlan", {"parent": parent[-7:]}))
    assert (host.port.snapshot(), host.state()) == before


@pytest.mark.docker("D-JOIN-020")
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nmsgs": "0"}, None),
        ({"nmsgs": "3", "ms": "100"}, None),
        ({"ms": "2000"}, None),
        ({"nmsgs": "4"}, "nmsgs must be in the range 0 to 3"),
        ({"nmsgs": "-1"}, "nmsgs must be in the range 0 to 3"),
        ({"ms": "99"}, "ms must be in the range 100 to 2000"),
        ({"ms": "2001"}, "ms must be in the range 100 to 2000"),
        ({"nmsgs": "x"}, 'value for option PREFIXnmsgs "x" must be an integer'),
        ({"ms": "1s"}, 'value for option PREFIXms "1s" must be integer milliseconds'),
        (
            {"nmsgs": "9", "ms": "9"},
            "nmsgs must be in the range 0 to 3\nPREFIXms must be in the range 100 to 2000",
        ),
    ],
)
@pytest.mark.parametrize("dialect", EVERY)
def test_how_addresses_are_announced_has_bounds_since_28(
    dialect: Dialect, options: dict[str, str], text: str | None
) -> None:
    prefix = "com.docker.network.advertise_addr_"
    request = NetworkRequest("n", "ipvlan", {prefix + key: value for key, value in options.items()})
    engine = host_of(dialect).engine
    if text is None or dialect is D26:
        engine.create_network(request)
        return
    with pytest.raises(DriverRefusal) as caught:
        engine.create_network(request)
    expected = text.replace("PREFIX", prefix)
    assert caught.value.what == (expected if expected.startswith("value") else prefix + expected)
    assert caught.value.status == 500


def test_options_of_announcing_that_are_absent_are_no_fault() -> None:
    check_advertising({"parent": "eth0"})


@every_dialect
@pytest.mark.parametrize("name", ["", "  "])
def test_a_blank_name_is_refused_after_the_subnets(dialect: Dialect, name: str) -> None:
    engine = host_of(dialect).engine
    with pytest.raises(DriverRefusal, match="it should be"):
        engine.create_network(NetworkRequest(name, "ipvlan", pools=(PoolRequest("10.0.0.1/24"),)))
    with pytest.raises(DriverRefusal) as caught:
        engine.create_network(NetworkRequest(name, "ipvlan"))
    told = f"invalid name: {name}" if dialect is D26 else "invalid name: name is empty"
    assert (caught.value.what, caught.value.status) == (told, 400)


@every_dialect
def test_a_network_in_use_is_not_removed_and_its_users_are_named_since_28(dialect: Dialect) -> None:
    host = host_of(dialect)
    network_id = host.ok(f"{CREATE} {SUBNET} n")
    endpoint = host.run("--net=n --name=c").endpoints[0]
    users = f'network n has active endpoints (name:"c" id:"{endpoint.id[:12]}")'
    if dialect is D26:
        users = f"network n id {network_id} has active endpoints"
    text = host.refused("network rm n").removesuffix("\nexit status 1")
    assert text == f"error while removing network: {users}"
    host.ok("rm -f c")
    host.ok("network rm n")


def test_absent_drivers_of_docker_are_told_apart_from_unknown_ones(host: Host) -> None:
    for driver in ("bridge", "macvlan", "overlay", "host", "null"):
        assert f"no network driver '{driver}'" in host.refused(f"network create -d {driver} n")
    assert host.refused("network create -d weave n") == 'plugin "weave" not found'
