"""The forms of names, numbers and addresses in a scenario file, and what is refused."""

from __future__ import annotations

import pytest

from ipvlab.errors import ValueInvalid
from ipvlab.spec.load import load_scenario_text
from tests.unit.spec.refusals import refuse_one

INTERFACE = "name: x\nwires: {{lan: {{}}}}\nhosts: {{h1: {{interfaces: {{{}}}}}}}\n"


@pytest.mark.parametrize("name", ["eth0", "ünï", "a.b-c_d", "abcdefghijklmno", "0", "日本", "eth0.20"])
def test_an_interface_name_that_the_kernel_takes_is_accepted(name: str) -> None:
    text = INTERFACE.format(f'"{name}": {{wire: lan}}')
    assert list(load_scenario_text(text, "x").scenario.hosts["h1"].interfaces) == [name]


@pytest.mark.parametrize(
    "name", ["eth0:1", "a/b", "a b", "", "abcdefghijklmnop", "üüüüüüüü", ".", "..", "a%d", "à"]
)
def test_an_interface_name_that_the_kernel_refuses_is_refused(name: str) -> None:
    refuse_one(INTERFACE.format(f'§"{name}": {{wire: lan}}'), ValueInvalid)


@pytest.mark.parametrize("vlan", ["0", "4095", "-1", "4096", '"20"', "20.0", "true"])
def test_a_vlan_id_outside_1_to_4094_is_refused(vlan: str) -> None:
    refuse_one(INTERFACE.format(f"eth0: {{wire: lan}}, v: {{parent: eth0, vlan: §{vlan}}}"), ValueInvalid)


@pytest.mark.parametrize("vlan", ["0", "4095"])
@pytest.mark.parametrize("key", ["access: §{}", "trunk: [§{}]", "trunk: [5], native: §{}"])
def test_a_port_with_a_reserved_vlan_is_refused(key: str, vlan: str) -> None:
    error = refuse_one(INTERFACE.format(f"eth0: {{wire: lan, port: {{{key.format(vlan)}}}}}"), ValueInvalid)
    assert "802.1Q reserves 0 and 4095" in error.hint


@pytest.mark.parametrize(
    "mac",
    [
        "01:00:00:00:0a:00",
        "00:00:00:00:00:00",
        "02:00:00:00:0a",
        "02-00-00-00-0a-00",
        "ff:ff:ff:ff:ff:ff",
        "1",
    ],
)
def test_a_mac_that_no_interface_can_have_is_refused(mac: str) -> None:
    refuse_one(INTERFACE.format(f'eth0: {{wire: lan, mac: §"{mac}"}}'), ValueInvalid)


def test_a_mac_is_kept_in_lower_case() -> None:
    text = INTERFACE.format("eth0: {wire: lan, mac: 02:00:00:00:0A:00}")
    assert load_scenario_text(text, "x").scenario.hosts["h1"].interfaces["eth0"].mac == "02:00:00:00:0a:00"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("192.168.1.250", "prefix length, as in 192.168.1.250/24"),
        ('"2001:db8::1"', "prefix length, as in 2001:db8::1/64"),
        ("192.168.1.250/33", "not the text '192.168.1.250/33'"),
        ("192.168.1.256/24", "must be an address"),
        ('"fe80::1%eth0/64"', "must be an address"),
        ("5", "not the number 5"),
    ],
)
def test_an_interface_address_needs_its_prefix_length(written: str, words: str) -> None:
    error = refuse_one(INTERFACE.format(f"eth0: {{wire: lan, addresses: [§{written}]}}"), ValueInvalid)
    assert words in error.what


POOL = "name: x\nhosts: {{h1: {{networks: {{n: {{ipam: {{config: [{{{}}}]}}}}}}}}}}\n"


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        ("subnet: §192.168.1.5/24", "has host bits set: 192.168.1.5/24 should be 192.168.1.0/24"),
        ("subnet: §192.168.1.0", "must have a prefix length"),
        ("subnet: §lan", "must be a subnet"),
        ("subnet: §24", "must be a subnet"),
        ("subnet: 192.168.1.0/24, ip_range: §192.168.1.5/25", "should be 192.168.1.0/25"),
        ("subnet: 192.168.1.0/24, gateway: §192.168.1.1/24", "without a prefix length"),
        ("subnet: 192.168.1.0/24, gateway: §router", "must be an IPv4 or IPv6 address"),
        ("subnet: 192.168.1.0/24, aux_addresses: {a: §b}", "must be an IPv4 or IPv6 address"),
    ],
)
def test_a_subnet_or_gateway_of_the_wrong_form_is_refused(pool: str, words: str) -> None:
    assert words in refuse_one(POOL.format(pool), ValueInvalid).what


@pytest.mark.parametrize(
    "endpoint",
    [
        "ipv4_address: §5",
        "ipv4_address: §192.168.1.5/24",
        'ipv4_address: §"2001:db8::5"',
        "ipv6_address: §192.168.1.5",
        'ipv6_address: §"fe80::1%eth0"',
    ],
)
def test_an_endpoint_address_of_the_wrong_form_is_refused(endpoint: str) -> None:
    refuse_one(
        f"""
        name: x
        hosts:
          h1:
            networks: {{n: }}
            containers: {{c: {{networks: {{n: {{{endpoint}}}}}}}}}
        """,
        ValueInvalid,
    )
