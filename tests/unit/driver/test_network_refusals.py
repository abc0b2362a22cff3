"""Every invalid network, row by row: who refuses it, in which words, with which status, in each dialect.

The rows are those of the table of invalid inputs that the driver was written
from; the words are written out here a second time.
"""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Mapping

import pytest

from ipvlab.driver.flags import ClientRefusal
from ipvlab.driver.options import check_kernel
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.driver.session import parse_command
from ipvlab.errors import DriverRefusal
from ipvlab.spec.values import Dialect
from tests.unit.driver.dialects import D26, D28, D29, DOCS, EVERY, START, every_dialect, host_of, refuse
from tests.unit.driver.recording_port import Host

A = "192.168.1.0/24"
S1 = f"--subnet={A}"

UNPAIRED = "every ip-range or gateway must have a corresponding subnet"
#: What the client refuses by itself, in every release: options, text; its status is 1.
CLIENT = [
    (f"{S1} --gateway=192.168.1.1 --gateway=192.168.1.2", UNPAIRED),
    ("--ip-range=192.168.1.0/25", UNPAIRED),
    (f"{S1} --subnet=192.168.1.128/25", "multiple overlapping subnet configuration is not supported"),
    (f"{S1} --gateway=192.168.2.1", "no matching subnet for gateway 192.168.2.1"),
    (
        f"{S1} --subnet=192.168.9.0/24 --gateway=192.168.1.1 --gateway=192.168.1.4",
        "cannot configure multiple gateways (192.168.1.4, 192.168.1.1) for the same subnet (192.168.1.0/24)",
    ),
    (f"{S1} --ip-range=192.168.2.0/25", "no matching subnet for range 192.168.2.0/25"),
    (f"{S1} --aux-address=n=192.168.3.1", "no matching subnet for aux-address 192.168.3.1"),
]  # fmt: skip
#: What it refuses before 29, and in other words since, where options are typed.
BEFORE_29 = [
    (
        f"{S1} --ip-range=192.168.1.0",
        ("invalid CIDR address: 192.168.1.0", 1),
        (
            (
                'invalid argument "192.168.1.0" for "--ip-range" flag: '
                "invalid string being converted to CIDR: 192.168.1.0"
            ),
            125,
        ),
    ),
    ("--subnet=192.168.1.0", None, ("netip.ParsePrefix(\"192.168.1.0\"): no '/'", 1)),
    (
        f"{S1} --gateway=192.168.1.1/24",
        None,
        (
            (
                'invalid argument "192.168.1.1/24" for "--gateway" flag: '
                "invalid string being converted to IP address: 192.168.1.1/24"
            ),
            125,
        ),
    ),
]


def read(line: str, dialect: Dialect) -> object:
    """What the client of a dialect makes of ``docker network create``."""
    return parse_command(f"docker network create -d ipvlan {line} n", allows_programs=True, dialect=dialect)


@pytest.mark.docker("D-API-015")
@every_dialect
@pytest.mark.parametrize(("options", "text"), CLIENT)
def test_the_client_refuses_what_does_not_belong_together(options: str, text: str, dialect: Dialect) -> None:
    assert read(options, dialect) == ClientRefusal(text, 1)


@pytest.mark.docker("D-API-015")
@every_dialect
@pytest.mark.parametrize(("options", "before", "since"), BEFORE_29)
def test_since_29_the_clients_options_are_addresses(
    options: str, before: tuple[str, int] | None, since: tuple[str, int], dialect: Dialect
) -> None:
    refusal = read(options, dialect)
    wanted = since if dialect is D29 else before
    if wanted is None:
        assert not isinstance(refusal, ClientRefusal), "the engine is to read it"
        return
    assert isinstance(refusal, ClientRefusal)
    assert (refusal.text.partition("\n")[0], refusal.exit_code) == wanted


def ipvlan(*pools: PoolRequest, name: str = "n", **options: str) -> NetworkRequest:
    """A request as the API has it; it is not limited to what the client lets through."""
    return NetworkRequest(name, "ipvlan", options, pools)


def pool(subnet: str = A, gateway: str | None = None, ip_range: str | None = None, **aux: str) -> PoolRequest:
    return PoolRequest(subnet, gateway, ip_range, tuple(aux.items()))


def many(*names: str) -> list[NetworkRequest]:
    return [ipvlan(name=name) for name in names]


CONFIG = "invalid network config:\n"
OVERLAP = "invalid pool request: Pool overlaps with other one on this address space"
IN_USE = "Address already in use"


@dataclasses.dataclass(frozen=True)
class Row:
    """A request that the engine refuses, what was there before, and the answer: one for all or by dialect."""

    request: NetworkRequest
    text: str
    status: int
    before: tuple[NetworkRequest, ...] = ()
    other: Mapping[Dialect, tuple[str, int] | None] = dataclasses.field(default_factory=dict)

    def answer(self, dialect: Dialect) -> tuple[str, int] | None:
        """Text and status; None where that dialect accepts it."""
        return self.other.get(dialect, (self.text, self.status))


OVER = {D26: ("Pool overlaps with other one on this address space", 403)}
HELD = ipvlan(pool(), name="held", parent="eth0")
SHARED = ipvlan(pool(ip_range="192.168.1.0/26", gateway="192.168.1.1"), name="held")
ENGINE: dict[str, Row] = {
    "a subnet without a length": Row(
        ipvlan(pool("192.168.1.0")), f"{CONFIG}invalid subnet 192.168.1.0: invalid CIDR block notation", 400
    ),
    "host bits": Row(
        ipvlan(pool("192.168.1.5/24")),
        f"{CONFIG}invalid subnet 192.168.1.5/24: it should be 192.168.1.0/24",
        400,
    ),
    "a gateway of the other family": Row(
        ipvlan(pool(gateway="fd00::1")),
        f"{CONFIG}invalid gateway fd00::1: parent subnet is an IPv4 block",
        400,
    ),
    "a gateway outside": Row(
        ipvlan(pool(gateway="192.168.2.1")),
        f"{CONFIG}invalid gateway 192.168.2.1: parent subnet 192.168.1.0/24 doesn't contain this address",
        400,
    ),
    "a gateway with a length": Row(
        ipvlan(pool(gateway="192.168.1.1/24")),
        f"{CONFIG}invalid gateway 192.168.1.1/24: invalid address",
        400,
    ),
    "a range that is bigger": Row(
        ipvlan(pool(ip_range="192.168.0.0/16")),
        f"{CONFIG}invalid ip-range 192.168.0.0/16: CIDR block is bigger than its parent subnet {A}",
        400,
    ),
    "a range with host bits": Row(
        ipvlan(pool(ip_range="192.168.1.5/25")),
        f"{CONFIG}invalid ip-range 192.168.1.5/25: it should be 192.168.1.0/25",
        400,
    ),
    "a range outside": Row(
        ipvlan(pool(ip_range="192.168.2.0/25")),
        f"{CONFIG}invalid ip-range 192.168.2.0/25: parent subnet 192.168.1.0/24 doesn't contain ip-range",
        400,
    ),
    "an auxiliary address outside": Row(
        ipvlan(pool(nas="192.168.3.1")),
        f"{CONFIG}invalid auxiliary address nas: parent subnet 192.168.1.0/24 doesn't contain this address",
        400,
    ),
    "several of them": Row(
        ipvlan(pool("192.168.1.5/24"), pool("10.0.0.0/24", gateway="10.0.1.1")),
        f"{CONFIG}* invalid subnet 192.168.1.5/24: it should be 192.168.1.0/24\n"
        "* invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
        400,
    ),
    "a name that is taken": Row(ipvlan(name="held"), "network with name held already exists", 409, (HELD,)),
    "a blank name": Row(
        ipvlan(name=" "), "invalid name: name is empty", 400, other={D26: ("invalid name:  ", 400)}
    ),
    "another network's subnet": Row(ipvlan(pool()), OVERLAP, 403, (HELD,), OVER),
    "part of another network's subnet": Row(ipvlan(pool("192.168.1.64/26")), OVERLAP, 403, (HELD,), OVER),
    "subnet and range of another": Row(
        ipvlan(pool(ip_range="192.168.1.0/26")), OVERLAP, 403, (SHARED,), OVER
    ),
    "no automatic pool left": Row(
        ipvlan(),
        "all predefined address pools have been fully subnetted",
        400,
        tuple(many(*(f"n{number}" for number in range(30)))),
        {
            D26: (
                (
                    "could not find an available, non-overlapping IPv4 address pool among the defaults "
                    "to assign to the network"
                ),
                404,
            )
        },
    ),
    "a gateway that is reserved": Row(
        ipvlan(pool(ip_range="192.168.1.64/26", gateway="192.168.1.1")),
        f"failed to allocate gateway (192.168.1.1): {IN_USE}",
        500,
        (SHARED,),
    ),
    "the network address as gateway": Row(
        ipvlan(pool(gateway="192.168.1.0")), f"failed to allocate gateway (192.168.1.0): {IN_USE}", 500
    ),
    "the broadcast address as gateway": Row(
        ipvlan(pool(gateway="192.168.1.255")), f"failed to allocate gateway (192.168.1.255): {IN_USE}", 500
    ),
    "an auxiliary address that is the gateway": Row(
        ipvlan(pool(gateway="192.168.1.1", nas="192.168.1.1")),
        f"failed to allocate secondary ip address (nas:192.168.1.1): {IN_USE}",
        500,
    ),
    "a mode that is none": Row(
        ipvlan(ipvlan_mode="foo"),
        "requested ipvlan mode 'foo' is not valid, 'l2' mode is the ipvlan driver default",
        500,
    ),
    "a flag that is none": Row(
        ipvlan(ipvlan_flag="foo"),
        "requested ipvlan flag 'foo' is not valid, 'bridge' is the ipvlan driver default",
        500,
    ),
    "lo as parent": Row(ipvlan(parent="lo"), "loopback interface is not a valid ipvlan parent link", 500),
    "a parent that is missing": Row(
        ipvlan(parent="foo"), "invalid subinterface vlan name foo, example formatting is eth0.10", 500
    ),
    "a parent with two dots": Row(
        ipvlan(parent="eth0.10.20"),
        "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, "
        "instead received eth0.10.20",
        500,
    ),
    "a VLAN that is no number": Row(
        ipvlan(parent="eth0.abc"), "unable to parse a valid vlan id from: abc (ex. eth0.10 for vlan 10)", 500
    ),
    "a base that is missing": Row(
        ipvlan(parent="eth9.10"), "-o parent interface was not found on the host: eth9", 500
    ),
    "a base that is missing, and a VLAN out of range": Row(
        ipvlan(parent="eth9.9999"), "-o parent interface was not found on the host: eth9", 500
    ),
    "VLAN 4095": Row(ipvlan(parent="eth0.4095"), "vlan id must be between 1-4094, received: 4095", 500),
    "VLAN 0": Row(ipvlan(parent="eth0.0"), "vlan id must be between 1-4094, received: 0", 500),
    "a link that lo does not carry": Row(
        ipvlan(parent="lo.10"), "failed to create lo.10 vlan link: operation not supported", 500
    ),
    "a base that is down": Row(
        ipvlan(parent="down0.20"),
        "failed to enable down0.20 the ipvlan parent link network is down",
        500,
    ),
    "null addresses for IPv4": Row(
        NetworkRequest("n", "ipvlan", ipam_driver="null"),
        "ipv4 pool is empty",
        400,
        other={D26: ("ipv4 pool is empty", 500)},
    ),
    "null addresses for IPv6": Row(
        NetworkRequest("n", "ipvlan", enable_ipv4=False, enable_ipv6=True, ipam_driver="null"),
        "ipv6 pool is empty",
        400,
        other={D26: ("null ipam driver does not handle IPv6 address pool requests", 400)},
    ),
    "a switch that is no boolean": Row(
        NetworkRequest("n", "ipvlan", {"com.docker.network.enable_ipv6": "maybe"}),
        'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
        400,
        other={D26: None},
    ),
    "ingress": Row(
        NetworkRequest("n", "ipvlan", is_ingress=True),
        "Ingress network can only be global scope network",
        403,
    ),
    "a swarm's scope": Row(
        NetworkRequest("n", "ipvlan", scope="swarm"),
        "cannot create a swarm scoped network when swarm is not active",
        403,
    ),
    "a driver that is none": Row(NetworkRequest("n", "nosuch"), 'plugin "nosuch" not found', 404),
} | {
    f"the name {name}": Row(
        ipvlan(name=name), f"operation is not permitted on predefined {name} network ", 403
    )
    for name in ("bridge", "host", "none", "default")
}


@every_dialect
@pytest.mark.parametrize("row", ENGINE.values(), ids=list(ENGINE))
def test_the_engine_refuses_it_with_text_and_status_and_keeps_nothing(row: Row, dialect: Dialect) -> None:
    host = host_of(dialect)
    host.port.links["down0"] = False
    for request in row.before:
        host.engine.create_network(request)
    before = (host.port.snapshot(), host.state())
    answer = row.answer(dialect)
    if answer is None:
        host.engine.create_network(row.request)
        return
    assert refuse(host, row.request) == answer
    assert (host.port.snapshot(), host.state()) == before


@every_dialect
def test_a_parent_is_held_by_one_network_and_the_refusal_names_it_by_its_id(dialect: Dialect) -> None:
    host = host_of(dialect)
    held = host.engine.create_network(HELD).id[:12]
    again = ipvlan(pool("10.0.0.0/24"), parent="eth0")
    assert refuse(host, again) == (f"network di-{held} is already using parent interface eth0", 500)


@every_dialect
@pytest.mark.parametrize(
    ("number", "text"), [(errno.EEXIST, "file exists"), (errno.ENOMEM, "cannot allocate memory")]
)
def test_what_the_kernel_says_of_a_vlan_link_is_told(dialect: Dialect, number: int, text: str) -> None:
    host = host_of(dialect)
    host.port.refusing.add("add_vlan")
    host.port.refusal = number
    refused = (f"failed to create eth0.20 vlan link: {text}", 500)
    assert refuse(host, ipvlan(parent="eth0.20")) == refused


def test_a_kernel_before_4_2_is_refused() -> None:
    with pytest.raises(DriverRefusal) as caught:
        check_kernel("4.1.9-generic")
    text = "kernel version failed to meet the minimum ipvlan kernel requirement of 4.2, found 4.1.9"
    assert (caught.value.what, caught.value.status) == (text, 500)


def removal(host: Host, network: str) -> tuple[str, int]:
    """How ``network rm`` is refused."""
    with pytest.raises(DriverRefusal) as caught:
        host.docker_host.remove_network(network)
    return caught.value.what, caught.value.status


@every_dialect
def test_how_a_removal_is_refused(dialect: Dialect) -> None:
    host = host_of(dialect)
    network = host.engine.create_network(HELD)
    container = host.run("--net=held --name=ipv1")
    endpoint = container.endpoints[0].id[:12]
    named = f'network held has active endpoints (name:"ipv1" id:"{endpoint}")'
    in_use = {D26: f"network held id {network.id} has active endpoints"}.get(dialect, named)
    prefix = "error while removing network: "
    assert removal(host, "held") == (f"{prefix}{in_use}", 403)
    for name in ("bridge", "host", "none"):
        assert removal(host, name) == (f"{name} is a pre-defined network and cannot be removed", 403)
    assert removal(host, "nosuch") == ("network nosuch not found", 404)


@every_dialect
def test_a_beginning_of_two_ids_is_ambiguous(dialect: Dialect) -> None:
    host = host_of(dialect)
    for number in range(17):
        # By the seventeenth at the latest two ids begin alike.
        host.engine.create_network(ipvlan(pool(f"10.0.{number}.0/24"), name=f"net{number}"))
    firsts = [network.id[0] for network in host.engine.networks.values()]
    first, count = next((digit, firsts.count(digit)) for digit in firsts if firsts.count(digit) > 1)
    with pytest.raises(DriverRefusal) as caught:
        host.engine.inspect_network(first)
    text = f"network {first} is ambiguous ({count} matches found based on ID prefix)"
    assert (caught.value.what, caught.value.status) == (text, 400)


@every_dialect
def test_ports_are_no_fault_and_a_mac_address_is_one_at_start(dialect: Dialect) -> None:
    host = host_of(dialect)
    host.engine.create_network(HELD)
    host.ok("run -itd -p 80:80 --expose 81 --net=held alpine")
    created = host.engine.create_container(
        ContainerRequest((EndpointRequest("held", mac="02:00:00:00:00:01"),), name="c")
    )
    with pytest.raises(DriverRefusal) as caught:
        host.engine.start_container(created.id)
    text = (
        f"{START[dialect]}failed to create endpoint c on network held: "
        "ipvlan interfaces do not support custom mac address assignment"
    )
    assert (caught.value.what, caught.value.status) == (text, 500)


def test_the_rows_are_for_every_dialect() -> None:
    assert set(EVERY) == set(Dialect) == {DOCS, D26, D28, D29}
