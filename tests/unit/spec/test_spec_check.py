"""What a well-formed scenario cannot say: nodes, interfaces, wires, routes, names."""

from __future__ import annotations

import pytest

from ipvlab.errors import (
    AddressOutside,
    AddressTaken,
    KeyMissing,
    NameTaken,
    NodeNotFound,
    ParentNotFound,
    SpecError,
    ValueInvalid,
    WireNotFound,
)
from tests.unit.spec.refusals import accept, refuse, refuse_one

NODE = """
name: x
wires: {lan: {}, wan: {}}
KIND:
  n1:
    interfaces:
      eth0: {wire: lan, addresses: [10.0.0.1/24, "2001:db8::1/64"]}
      INTERFACES
    routes: [ROUTES]
"""


def _node(interfaces: str = "", routes: str = "", kind: str = "hosts") -> str:
    return NODE.replace("KIND", kind).replace("INTERFACES", interfaces).replace("ROUTES", routes)


@pytest.mark.parametrize("kind", ["hosts", "routers"])
@pytest.mark.parametrize(
    ("interface", "error"),
    [
        ("eth1: {wire: §lam}", WireNotFound),
        ("eth1: §{addresses: [10.1.0.1/24]}", KeyMissing),
        ("eth1: {wire: lan, §parent: eth0}", ValueInvalid),
        ("eth1: {wire: lan, §vlan: 20}", ValueInvalid),
        ("eth0.20: §{parent: eth0}", KeyMissing),
        ("eth0.20: §{vlan: 20}", KeyMissing),
        ("eth1.20: {parent: §eth1, vlan: 20}", ParentNotFound),
        ("eth0.20: {parent: §eth0.20, vlan: 20}", ParentNotFound),
        ("§lo: {wire: lan}", ValueInvalid),
        ('eth1: {wire: lan, addresses: [10.1.0.1/24, §"10.1.0.1/24"]}', AddressTaken),
        ("eth1: {wire: lan, port: {access: 20, §trunk: [30]}}", ValueInvalid),
        ("eth1: {wire: lan, port: {§native: 20}}", ValueInvalid),
        ("eth0.20: {parent: eth0, vlan: 20, §port: {access: 20}}", ValueInvalid),
    ],
)
def test_an_interface_that_cannot_be_is_refused(kind: str, interface: str, error: type[SpecError]) -> None:
    refuse_one(_node(interface, kind=kind), error)


def test_an_interface_with_wire_parent_and_vlan_has_two_keys_too_many() -> None:
    errors = refuse(_node("eth1: {wire: lan, §parent: eth0, §vlan: 20}"))
    assert [error.code for error in errors] == ["IPV104", "IPV104"]


def test_an_unknown_wire_names_the_nearest() -> None:
    error = refuse_one(_node("eth1: {wire: §lam}"), WireNotFound)
    assert error.hint == "Did you mean 'lan'? Declared wires: lan, wan."


def test_a_parent_declared_later_is_refused_with_that_reason() -> None:
    error = refuse_one(_node("eth1.20: {parent: §eth1, vlan: 20}\n      eth1: {wire: lan}"), ParentNotFound)
    assert "declared after it" in error.what


def test_one_vlan_of_one_parent_exists_once() -> None:
    error = refuse_one(
        _node("eth0.20: {parent: eth0, vlan: 20}\n      foo: {parent: eth0, vlan: §20}"), ValueInvalid
    )
    assert "it is eth0.20" in error.what


@pytest.mark.parametrize(
    "interface",
    [
        "foo: {parent: eth0, vlan: 20}",
        "eth0.20: {parent: eth0, vlan: 30, addresses: []}",
        "eth1: {wire: lan, port: {trunk: [20, 30], native: 1, hairpin: true}}",
        "eth1: {wire: lan, port: {access: 4094}}",
        "eth1: {wire: wan, addresses: [10.0.0.1/24]}",
    ],
)
def test_an_interface_that_can_be_is_accepted(interface: str) -> None:
    accept(_node(interface))


@pytest.mark.parametrize(
    ("route", "error"),
    [
        ("§{to: default}", KeyMissing),
        ("{to: default, via: 10.0.0.2, dev: §eth1}", ParentNotFound),
        ("{to: default, via: §10.9.0.2}", AddressOutside),
        ('{to: 10.1.0.0/16, via: §"2001:db8::2"}', ValueInvalid),
        ('{to: default, via: §"2001:db9::2"}', AddressOutside),
        ('§{to: default, via: "fe80::1"}', KeyMissing),
    ],
)
def test_a_route_that_the_kernel_refuses_is_refused(route: str, error: type[SpecError]) -> None:
    refuse_one(_node(routes=route), error)


@pytest.mark.parametrize(
    "routes",
    [
        "{to: default, via: 10.0.0.2}",
        "{to: default, via: 10.0.0.2, dev: eth0}",
        '{to: default, via: "2001:db8::2"}',
        '{to: default, via: "fe80::1", dev: eth0}',
        "{to: 10.9.0.0/24, dev: eth0}, {to: default, via: 10.9.0.2}",
        "{to: 10.9.0.7, via: 10.0.0.2}",
    ],
)
def test_a_route_that_the_kernel_takes_is_accepted(routes: str) -> None:
    accept(_node(routes=routes))


def test_a_router_with_the_name_of_a_host_is_refused() -> None:
    refuse_one("name: x\nhosts: {a: {}}\nrouters: {§a: {}}\n", NameTaken)


@pytest.mark.parametrize(("name", "kind"), [("h1", "host"), ("gw", "router")])
def test_a_container_with_the_name_of_a_node_is_refused(name: str, kind: str) -> None:
    text = f"name: x\nhosts: {{h1: {{containers: {{§{name}: {{}}}}}}}}\nrouters: {{gw: {{}}}}\n"
    assert kind in refuse_one(text, NameTaken).what


def test_a_container_name_on_two_hosts_is_accepted_until_it_is_used_bare() -> None:
    text = """
        name: x
        hosts:
          h1: {containers: {c: {}}}
          h2: {containers: {c: {}}}
        expect:
          - reach: {from: h1/c, to: h2/c}
        """
    accept(text)
    error = refuse_one(text.replace("from: h1/c", "from: §c"), NameTaken)
    assert error.hint == "Write h1/c or h2/c."


@pytest.mark.parametrize(
    ("node", "error"),
    [("§h2", NodeNotFound), ("§h1/d", NodeNotFound), ('§"h1/c/d/e"', ValueInvalid), ("§c", NameTaken)],
)
def test_a_step_names_nodes_that_there_are(node: str, error: type[SpecError]) -> None:
    refuse_one(
        f"""
        name: x
        hosts:
          h1: {{containers: {{c: {{}}}}}}
          h3: {{containers: {{c: {{}}}}}}
        steps: [{{do: {{{node}: "ip link"}}}}]
        """,
        error,
    )


def test_contradictions_are_sorted_by_their_place() -> None:
    errors = refuse("""
        name: x
        hosts:
          h1: {interfaces: {eth0: {wire: §lan}}}
        routers:
          §h1: {interfaces: {eth0: {wire: §lan}}}
        expect:
          - reach: {from: §a, to: h1}
        """)
    assert errors[0].code == "IPV202"
