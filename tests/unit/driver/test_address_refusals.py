"""Every static address that cannot be had, row by row: when it is refused, in which words, in each dialect.

The words are written out here a second time. *At create* the container is not
made; *at start* it stays as created.
"""

from __future__ import annotations

import pytest

from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.requests import ContainerRequest, EndpointRequest
from ipvlab.driver.session import parse_command
from ipvlab.driver.state import ContainerState
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import CREATE, D26, D28, D29, DOCS, IN_USE, START, every_dialect, host_of
from tests.unit.driver.recording_port import Host, addresses

Answer = tuple[str, int] | None
FAULT = "invalid config for network n: invalid endpoint settings:\n"


def outside(dialect: Dialect, address: str) -> str:
    """How an address in no subnet is refused."""
    if dialect in (D26, D28):
        return f"no configured subnet or ip-range contain the IP address {address}"
    return f"no configured subnet contains IP address {address}"


def network(dialect: Dialect, options: str) -> Host:
    """A host with a network ``n``."""
    host = host_of(dialect)
    host.ok(f"{CREATE} -o parent=eth0 {options} n")
    return host


def create(host: Host, ipv4: str | None = None, ipv6: str | None = None, on: str = "n") -> Answer:
    """Create the container ``c`` with addresses, as the API would; the refusal or None."""
    request = ContainerRequest((EndpointRequest(on, ipv4, ipv6),), name="c")
    try:
        host.engine.create_container(request)
    except DriverRefusal as refusal:
        assert "c" not in host.engine.containers
        return refusal.what, refusal.status
    return None


def start(host: Host) -> Answer:
    """Start the container ``c``; the refusal, which it then remembers, or None."""
    container = host.engine.containers["c"]
    try:
        host.engine.start_container("c")
    except DriverRefusal as refusal:
        answer = container.error, refusal.status
    else:
        return None
    assert (container.state, container.endpoints) == (ContainerState.CREATED, [])
    return answer


FOUR = "--subnet=10.0.0.0/24 --gateway=10.0.0.254 --ip-range=10.0.0.0/26 --aux-address=nas=10.0.0.7"


@every_dialect
def test_inside_the_subnet_and_outside_the_range_is_accepted(dialect: Dialect) -> None:
    host = network(dialect, FOUR)
    assert (create(host, "10.0.0.200"), start(host)) == (None, None)
    assert addresses(host.engine.containers["c"]) == ["10.0.0.200/24"]


@every_dialect
@pytest.mark.parametrize("address", ["10.0.0.254", "10.0.0.7", "10.0.0.0", "10.0.0.255", "10.0.0.9"])
def test_an_address_in_use_is_refused_at_start(dialect: Dialect, address: str) -> None:
    """Of the gateway, an auxiliary one, the network's, the broadcast one, another container's."""
    host = network(dialect, FOUR)
    host.run("--net=n --ip=10.0.0.9")
    assert create(host, address) is None
    assert start(host) == (f"{START[dialect]}{IN_USE}", 403)


@every_dialect
def test_an_address_in_no_subnet_is_refused_at_create(dialect: Dialect) -> None:
    host = network(dialect, FOUR)
    assert create(host, "10.0.1.1") == (f"{FAULT}{outside(dialect, '10.0.1.1')}", 400)


@every_dialect
def test_without_a_written_subnet_29_takes_an_address_of_the_automatic_pool(dialect: Dialect) -> None:
    host = network(dialect, "")
    wants = (
        "user specified IP address is supported only when connecting to networks with user configured subnets"
    )
    if dialect in (D26, D28):
        assert create(host, "172.18.0.9") == (f"{FAULT}{wants}", 400)
        return
    assert create(host, "172.30.0.9") == (f"{FAULT}{outside(dialect, '172.30.0.9')}", 400)
    assert (create(host, "172.18.0.9"), start(host)) == (None, None)


#: An address that is none of its family; up to 28 it is in no subnet either.
NONE_AT_ALL = ["foo", "0.0.0.0", "fd00::9", "10.0.0.9/24"]


@every_dialect
@pytest.mark.parametrize("address", NONE_AT_ALL)
def test_what_is_no_ipv4_address_is_refused_at_create(dialect: Dialect, address: str) -> None:
    host = network(dialect, FOUR)
    text = f"invalid IPv4 address: {address}"
    if dialect in (D26, D28):
        text = f"* {text}\n* {outside(dialect, address)}"
    assert create(host, address) == (f"{FAULT}{text}", 400)


@every_dialect
@pytest.mark.parametrize("address", ["foo", "::", "10.0.0.9", "fe80::1%eth0"])
def test_what_is_no_ipv6_address_is_refused_at_create(dialect: Dialect, address: str) -> None:
    host = network(dialect, "--ipv6 --subnet=10.0.0.0/24 --subnet=fd00::/64")
    text = f"invalid IPv6 address: {address}"
    if dialect in (D26, D28):
        text = f"* {text}\n* {outside(dialect, address)}"
    assert create(host, None, address) == (f"{FAULT}{text}", 400)


@pytest.mark.parametrize("option", ["--ip=foo", "--ip6=foo", "--link-local-ip=foo"])
@every_dialect
def test_since_29_the_client_refuses_what_is_no_address(dialect: Dialect, option: str) -> None:
    read = parse_command(f"docker run --net=n {option} alpine", allows_programs=True, dialect=dialect)
    if dialect is not D29:
        assert not isinstance(read, ClientRefusal)
        return
    assert isinstance(read, ClientRefusal)
    name = option.partition("=")[0]
    assert read.text.startswith(f'invalid argument "foo" for "{name}" flag: failed to parse IP: "foo"\n')
    assert read.exit_code == 125


@every_dialect
def test_ipv6_where_it_is_off_is_ignored_up_to_28_and_refused_since(dialect: Dialect) -> None:
    host = network(dialect, "--ipv6=false --subnet=10.0.0.0/24 --subnet=fd00::/64")
    assert create(host, None, "fd01::9") == (f"{FAULT}{outside(dialect, 'fd01::9')}", 400)
    if dialect in (DOCS, D29):
        assert create(host, None, "fd00::9") == (f"{FAULT}{outside(dialect, 'fd00::9')}", 400)
        return
    assert (create(host, None, "fd00::9"), start(host)) == (None, None)
    assert [text for text in addresses(host.engine.containers["c"]) if ":" in text] == []


@every_dialect
def test_an_unknown_network_is_accepted_at_create_and_missing_at_start(dialect: Dialect) -> None:
    host = host_of(dialect)
    assert create(host, "10.0.0.9", on="nosuch") is None
    assert start(host) == (f"{START[dialect]}network nosuch not found", 404)


@every_dialect
def test_the_default_bridge_is_no_network_of_a_labs_host(dialect: Dialect) -> None:
    host = host_of(dialect)
    refusal = create(host, "172.17.0.9", on="bridge")
    assert refusal is not None
    assert refusal[0].startswith("the hosts of a lab have no network 'bridge' to join")
    assert refusal[1] == 500


@every_dialect
@pytest.mark.parametrize(
    ("options", "family", "fill"),
    [
        ("--subnet=10.0.0.0/30 --gateway=10.0.0.2", "IPv4", 1),
        ("--subnet=10.0.0.0/31 --gateway=10.0.0.0", "IPv4", 1),
        ("--subnet=10.0.0.0/24 --ip-range=10.0.0.64/31 --gateway=10.0.0.64", "IPv4", 1),
        ("--ipv6 --subnet=10.0.0.0/24 --subnet=fd00::/127 --gateway=fd00::1", "IPv6", 0),
    ],
)
def test_full_pools_are_told_at_start_with_the_networks_whole_id(
    dialect: Dialect, options: str, family: str, fill: int
) -> None:
    host = network(dialect, options)
    for _ in range(fill):
        host.run("--net=n")
    assert create(host) is None
    whole = host.engine.networks["n"].id
    text = f"no available {family} addresses on this network's address pools: n ({whole})"
    assert start(host) == (f"{START[dialect]}{text}", 500)


@every_dialect
@pytest.mark.parametrize("is_running", [True, False])
def test_connect_refuses_the_same_without_naming_the_network(dialect: Dialect, is_running: bool) -> None:
    host = network(dialect, FOUR)
    host.ok(f"{CREATE} --subnet=10.9.0.0/24 other")
    host.ok("run -itd --net=other --name=c alpine")
    if not is_running:
        host.ok("stop c")
    text = f"invalid endpoint settings:\n{outside(dialect, '10.0.1.1')}"
    with pytest.raises(DriverRefusal) as caught:
        host.engine.connect("n", "c", EndpointRequest("n", "10.0.1.1"))
    assert (caught.value.what, caught.value.status) == (text, 400)
