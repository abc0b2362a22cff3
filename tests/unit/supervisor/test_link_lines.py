"""Which ``ip`` lines are the lab's."""

from __future__ import annotations

import pytest

from ipvlab.driver.hand_links import DummyAdd, IpvlanAdd
from ipvlab.driver.ip_grammar import IpCommand, IpvlanSet, LinkDelete, LinkSet, VlanAdd
from ipvlab.errors import CommandUnknown
from ipvlab.spec.values import Flag, Mode
from ipvlab.supervisor.link_lines import read_link_line

KNOWN = ("eth0", "foo")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("link add link eth0 name foo type vlan id 41", VlanAdd("eth0", "foo", 41)),
        ("link add foo link eth0 type vlan id 41", VlanAdd("eth0", "foo", 41)),
        ("l a dm0 type dummy", DummyAdd("dm0")),
        ("link add name dm0 type dummy", DummyAdd("dm0")),
        ("link add foo link eth0 type ipvlan", IpvlanAdd("eth0", "foo", Mode.L3, Flag.BRIDGE)),
        ("-4 li add link e0 name foo type ipvlan mode l2 vepa", IpvlanAdd("e0", "foo", Mode.L2, Flag.VEPA)),
        ("link add link e0 f type ipvlan private mode l3s", IpvlanAdd("e0", "f", Mode.L3S, Flag.PRIVATE)),
        ("link set eth0 type ipvlan mode l3", IpvlanSet("eth0", Mode.L3, None)),
        ("link set dev eth0 up", LinkSet("eth0", is_up=True)),
        ("link del foo", LinkDelete("foo")),
    ],
)  # fmt: skip
def test_links_of_the_labs_kinds_are_the_labs(line: str, command: IpCommand) -> None:
    assert read_link_line(line.split(), KNOWN) == command


@pytest.mark.parametrize(
    "line",
    [
        "",
        "addr add 10.0.0.1/24 dev eth0",
        "route add default via 10.0.0.1",
        "link",
        "link show type vlan",
        "link add br0 type bridge",
        "link add v0 type veth peer name v1",
        "link add x link eth0 type macvlan",
        "link del br0",
        "link set br0 up",
        "link set eth0 alias words",
        "neigh flush all",
        "-j link show",
    ],
)
def test_everything_else_is_the_machines(line: str) -> None:
    assert read_link_line(line.split(), KNOWN) is None


@pytest.mark.parametrize(
    "line",
    [
        "link add x link eth0 type vlan id 5000",
        "link add x link eth0 type vlan id 5 protocol 802.1ad",
        "link add x type vlan id 5",
        "link add x type ipvlan mode l2",
        "link add x link eth0 type ipvlan mode l4",
        "link add x link eth0 type ipvlan bogus",
        "link add a-name-that-is-too-long link eth0 type ipvlan",
        "link add type dummy",
        "link add dm0 numtxqueues 4 type dummy",
    ],
)
def test_a_link_that_the_lab_cannot_make_is_refused(line: str) -> None:
    with pytest.raises(CommandUnknown):
        read_link_line(line.split(), KNOWN)
