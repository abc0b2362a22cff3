"""The commands that are not Docker's."""

from __future__ import annotations

import ipaddress

import pytest

from ipvlab.driver.ip_grammar import (
    AddressAdd,
    AddressDelete,
    AddressShow,
    Exit,
    IpCommand,
    IpvlanSet,
    LinkDelete,
    LinkSet,
    NeighbourFlush,
    Ping,
    RestartDocker,
    RouteAdd,
    RouteDelete,
    RouteShow,
    VlanAdd,
)
from ipvlab.driver.session import parse_command
from ipvlab.errors import CommandUnknown
from ipvlab.spec.values import Family, Flag, Mode

IF = ipaddress.ip_interface
NET = ipaddress.ip_network
IP = ipaddress.ip_address


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("ip link add link eth0 name eth0.40 type vlan id 40", VlanAdd("eth0", "eth0.40", 40)),
        ("ip link add link eth0 eth0.40 type vlan id 40", VlanAdd("eth0", "eth0.40", 40)),
        ("ip link add name foo link eth0 type vlan id 4094", VlanAdd("eth0", "foo", 4094)),
        ("ip link add foo link eth0 type vlan id 1", VlanAdd("eth0", "foo", 1)),
        ("ip link set eth0 up", LinkSet("eth0", is_up=True)),
        ("ip link set dev eth0 down", LinkSet("eth0", is_up=False)),
        ("ip link set eth0 mtu 1400", LinkSet("eth0", mtu=1400)),
        ("ip link set eth0 address 02:00:00:0A:00:01", LinkSet("eth0", mac="02:00:00:0a:00:01")),
        ("ip link set eth0 mtu 9000 up", LinkSet("eth0", is_up=True, mtu=9000)),
        ("ip link set eth0 type ipvlan mode l3", IpvlanSet("eth0", Mode.L3)),
        ("ip link set dev eth0 type ipvlan mode l2 vepa", IpvlanSet("eth0", Mode.L2, Flag.VEPA)),
        ("ip link del foo", LinkDelete("foo")),
        ("ip l delete dev foo", LinkDelete("foo")),
        ("ip addr add 10.0.0.1/24 dev eth0", AddressAdd(IF("10.0.0.1/24"), "eth0")),
        ("ip address add fd00::1/64 dev eth0", AddressAdd(IF("fd00::1/64"), "eth0")),
        ("ip a add 10.0.0.1 dev eth0", AddressAdd(IF("10.0.0.1/32"), "eth0")),
        ("ip addr del 10.0.0.1/24 dev eth0", AddressDelete(IF("10.0.0.1/24"), "eth0")),
        ("ip addr show eth0", AddressShow("eth0")),
        ("ip a show eth0", AddressShow("eth0")),
        ("ip a", AddressShow()),
        ("ip addr", AddressShow()),
        ("ip addr show dev eth0", AddressShow("eth0")),
        ("ip -6 addr show", AddressShow(None, 6)),
        ("ip -4 a show eth0", AddressShow("eth0", 4)),
        ("ip route", RouteShow(4)),
        ("ip route show", RouteShow(4)),
        ("ip -6 route", RouteShow(6)),
        ("ip -4 r", RouteShow(4)),
        (
            "ip route add 10.1.0.0/16 via 10.0.0.1 dev eth0",
            RouteAdd(NET("10.1.0.0/16"), 4, IP("10.0.0.1"), "eth0"),
        ),
        ("ip route add 10.1.0.7 dev eth0", RouteAdd(NET("10.1.0.7/32"), 4, None, "eth0")),
        ("ip route add default via fd00::1", RouteAdd("default", 6, IP("fd00::1"))),
        ("ip -6 route add default dev eth0", RouteAdd("default", 6, None, "eth0")),
        ("ip route add default dev eth0", RouteAdd("default", 4, None, "eth0")),
        ("ip -6 route add fd01::/64 via fd00::1", RouteAdd(NET("fd01::/64"), 6, IP("fd00::1"))),
        ("ip route del 10.1.0.0/16", RouteDelete(NET("10.1.0.0/16"), 4)),
        ("ip -6 route del default", RouteDelete("default", 6)),
        ("ip neigh flush dev eth0", NeighbourFlush("eth0")),
        ("ip neigh flush all", NeighbourFlush()),
        ("ip -6 neighbour flush", NeighbourFlush(None, 6)),
        ("ping -c 4 ipv1", Ping("ipv1", count=4)),
        ("ping 10.0.0.1 -c2", Ping("10.0.0.1", count=2)),
        ("ping -6 -t 5 -W 1 -w 2 -i 0.2 a", Ping("a", family=Family.IPV6, ttl=5)),
        ("ping -4 a", Ping("a", family=Family.IPV4)),
        ("ping6 2001:db8:abc2::1", Ping("2001:db8:abc2::1", family=Family.IPV6)),
        ("exit", Exit()),
        ("restart docker", RestartDocker()),
    ],
)
def test_a_line_is_read_as_a_value(line: str, command: IpCommand) -> None:
    assert parse_command(line) == command


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ip", "what `ip` is about is missing"),
        ("ip rule add from all", "`rule` is not known here"),
        ("ip link", "`ip link` goes on with add, set or del"),
        ("ip link show", "`ip link` goes on with add, set or del"),
        ("ip link add x link eth0 type macvlan", "vlan and dummy are the types"),
        ("ip link add link eth0 name x type dummy", "no link below it"),
        ("ip link add x y type dummy", "`y` is not known here"),
        ("ip link add link eth0 name x type vlan", "`id N` is missing"),
        ("ip link add link eth0 name x type vlan id x", "the VLAN id cannot be `x`"),
        ("ip link add link eth0 name x type vlan id 1_0", "the VLAN id cannot be `1_0`"),
        ("ip link add link eth0 name x type vlan id 0", "vlan id must be between 1-4094, received: 0"),
        ("ip link add link eth0 name x type vlan id 4095", "vlan id must be between 1-4094, received: 4095"),
        ("ip link add name x type vlan id 4", "`link BASE` is missing"),
        ("ip link add link eth0 type vlan id 4", "`name NAME` is missing"),
        ("ip link add link eth0 name sixteen-letters- type vlan id 4", "is not the name of a link"),
        ("ip link add link eth0 name a/b type vlan id 4", "`a/b` is not the name of a link"),
        ("ip link add link eth0 name eth0:1 type vlan id 4", "`eth0:1` is not the name of a link"),
        ("ip link set eth0", "up, down, mtu N or address MAC is missing"),
        ("ip link set eth0 promisc on", "`promisc` is not known here"),
        ("ip link set eth0 mtu 67", "an MTU is a number from 68 to 65535"),
        ("ip link set eth0 address 02:00", "`02:00` is not a MAC address"),
        ("ip link set eth0 type ipvlan mode l4", "the mode cannot be `l4`"),
        ("ip link set eth0 type ipvlan mode l2 loud", "`loud` is not known here"),
        ("ip link set eth0 type macvlan mode vepa", "ipvlan is the only type"),
        ("ip addr add 10.0.0.1/33 dev eth0", "the address cannot be `10.0.0.1/33`"),
        ("ip addr add 10.0.0.1/24", "`dev DEV` is missing"),
        ("ip route add 10.1.0.5/16 dev eth0", "the destination cannot be `10.1.0.5/16`"),
        ("ip route add 10.1.0.0/16", "`via ADDRESS` or `dev DEV` is missing"),
        ("ip route add 10.1.0.0/16 via fd00::1", "it mixes IPv4 and IPv6"),
        ("ip -6 route add 10.1.0.0/16 dev eth0", "it mixes IPv4 and IPv6"),
        ("ip neigh show", "`ip neigh` goes on with flush"),
        ("ip addr show eth0 | grep inet", "`|` is not known here"),
        ("ping", "the target is missing"),
        ("ping a b", "`b` is a second target"),
        ("ping -f a", "ping has no option `-f` here"),
        ("ping -c 0 a", "a count is a number from 1 to 1000"),
        ("ping -c -1 a", "the count cannot be `-1`"),
        ("ping -t 256 a", "a TTL is a number from 1 to 255"),
        ("ping -c", "the count is missing"),
        ("restart", "`restart` is not a known command"),
        ("restart network", "`restart` is not a known command"),
        ("exit 1", "`1` is not known here"),
        ("$ ip a", "write it without the prompt"),
        ("sudo ip a", "`sudo` is not a known command"),
        ("systemctl restart docker", "`systemctl` is not a known command"),
    ],
)
def test_another_line_is_an_error_that_says_why(line: str, why: str) -> None:
    with pytest.raises(CommandUnknown) as caught:
        parse_command(line)
    assert why in caught.value.what
    assert "what is known: docker network create" in caught.value.hint
