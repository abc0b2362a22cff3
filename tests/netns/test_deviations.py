"""Where ``bpf`` differs from ipvlan, and the switch of ``kernel`` from ours (docs/deviations.md).

A test here turns red when its difference disappears; then the row goes with it. Each shows beside the
difference what is alike, so that it cannot pass because nothing arrived at all.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from ipvlab.datapath.kernel import datapath as kernel
from ipvlab.lab import tables
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.linux import messages
from ipvlab.linux.netlink import attributes
from ipvlab.rules.packets import BROADCAST_MAC, Frame, OtherPayload
from ipvlab.rules.switching import SwitchPort, forward
from ipvlab.spec.values import Flag, Mode
from tests.netns import test_bpf_tags, topology
from tests.netns.hooked import (
    PROBE,
    arrives,
    datagram,
    on_one_cpu,
)
from tests.netns.test_bpf_ports import frame, udp
from tests.netns.topology import add_container, no_commands, running_lab, two_hosts

ETH_P_ALL, ETH_P_IPV6 = 0x0003, b"\x86\xdd"
SENDER = b"\x02\0\0\0\x0b\x01"
#: linux/if_packet.h, linux/if_link.h
PACKET_HOST, PACKET_OTHERHOST, PACKET_OUTGOING = 0, 3, 4
IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_STATS64, TX_DROPPED = 18, 1, 23, 7
#: An ethertype of nobody: what comes after it was sent after it.
MARK = b"\x88\xb6" + bytes(46)


def tap(node: Node, link: str = "eth0") -> socket.socket:
    """A socket for every frame of a link; frames that leave are shown as well."""
    sock = node.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((link, ETH_P_ALL))
    return sock


def frames_until_mark(sock: socket.socket) -> list[tuple[bytes, int]]:
    """Frames that came in before the mark, and their kinds (``sll_pkttype``)."""
    seen: list[tuple[bytes, int]] = []
    while True:
        body, (_, _, kind, *_) = sock.recvfrom(2000)
        if body[12:14] == MARK[:2]:
            return seen
        # Nodes report their IPv6 groups when a timer says so (MLD); no frame of these tests is IPv6.
        if kind != PACKET_OUTGOING and body[12:14] != ETH_P_IPV6:
            seen.append((body, kind))


def mac(node: Node) -> str:
    return node.links["eth0"].mac.hex(":")


def kind_of(node: Node, index: int) -> str:
    """The kind of a link as rtnetlink names it."""
    body = node.namespace.netlink.get(messages.get_link(index), "read a link")
    return attributes(attributes(body, 16)[IFLA_LINKINFO])[IFLA_INFO_KIND].rstrip(b"\0").decode()


def stray_lab_frames(lab: LiveLab, *sent: bytes) -> list[tuple[bytes, int]]:
    """What a tap in ``a`` sees of frames that h2 puts on the wire."""
    with tap(lab.nodes["a"]) as ear, tap(lab.nodes["h2"]) as wire:
        for one in (*sent, frame("ff:ff:ff:ff:ff:ff", rest=MARK)):
            wire.send(one)
        return frames_until_mark(ear)


def test_a_tap_of_an_endpoint_sees_a_frame_with_a_foreign_mac_as_somebody_elses() -> None:
    """No difference any more: its sockets get nothing of it."""
    packet = udp("10.0.0.9", "10.0.0.1")
    with on_one_cpu(), running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.0.0.1/24")
        lab.await_ready()
        foreign, own = frame("02:00:00:00:0f:0f", rest=packet), frame(mac(lab.nodes["h1"]), rest=packet)
        assert stray_lab_frames(lab, foreign, own) == [(foreign, PACKET_OTHERHOST), (own, PACKET_HOST)]


def test_a_tap_of_an_endpoint_sees_a_frame_with_a_tag_that_nobody_takes() -> None:
    """No difference any more: the tag stands beside the frame, and its sockets get nothing of it."""
    packet = udp("10.0.0.9", "10.0.0.1")
    with on_one_cpu(), running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.0.0.1/24")
        lab.await_ready()
        own = frame(mac(lab.nodes["h1"]), rest=packet)
        tagged = own[:12] + b"\x81\0\0\x05" + own[12:]
        assert [body for body, _ in stray_lab_frames(lab, tagged, own)] == [own, own]


def test_an_endpoint_gets_frames_to_groups_that_it_has_not_joined() -> None:
    """DEV-08"""
    group = frame("01:00:5e:05:06:07", rest=udp("10.0.0.9", "239.5.6.7"))
    with on_one_cpu(), running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.0.0.1/24")
        lab.await_ready()
        assert [body for body, _ in stray_lab_frames(lab, group)] == [group]


@pytest.mark.parametrize("case", ["private", "l3 group"])
def test_a_refused_send_is_no_error_to_the_sender(case: str) -> None:
    """DEV-09, DEV-10"""
    mode, flag = (Mode.L2, Flag.PRIVATE) if case == "private" else (Mode.L3, Flag.BRIDGE)
    with on_one_cpu(), running_lab(two_hosts()) as lab:
        a = add_container(lab, "h1", "a", "10.0.0.1/24", mode=mode, flag=flag)
        b = add_container(lab, "h1", "b", "10.0.0.2/24", mode=mode, flag=flag)
        lab.await_ready()
        to = mac(a) if case == "private" else "ff:ff:ff:ff:ff:ff"
        target = "10.0.0.2" if case == "private" else "10.0.0.255"
        lost = frame(to, mac(a), udp("10.0.0.1", target))
        with tap(a) as sender, datagram(b, 4, 5001) as ear:
            assert sender.send(lost) == len(lost)
            with pytest.raises(BlockingIOError):
                ear.recv(100, socket.MSG_DONTWAIT)
        # Nor does a counter of the sender's link tell.
        body = a.namespace.netlink.get(messages.get_link(a.links["eth0"].index), "read eth0")
        (dropped,) = struct.unpack_from("=Q", attributes(body, 16)[IFLA_STATS64], 8 * TX_DROPPED)
        assert dropped == 0


def test_what_an_l3_endpoint_sends_to_its_host_does_not_come_by_lo() -> None:
    """DEV-07"""
    with on_one_cpu(), running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.1.0.1/24", mode=Mode.L3)
        h1 = lab.nodes["h1"]
        lab.await_ready()
        with tap(h1, "lo") as ear:
            assert arrives(lab, "a", "h1", 4) == 1
            with datagram(h1, 4) as own:
                own.sendto(b"own", ("127.0.0.1", PROBE))
            assert b"\x7f\0\0\1" in ear.recv(2000), "the first that lo carries is the host's own"


def test_links_are_of_other_kinds_and_an_endpoint_has_a_second_one_in_its_host() -> None:
    """DEV-11"""
    with running_lab(two_hosts()) as lab:
        lab.host_port("h1", no_commands).add_vlan("eth0.20", "eth0", 20)
        a = add_container(lab, "h1", "a", "10.0.0.1/24", parent="eth0.20")
        h1 = lab.nodes["h1"]
        views = {view.name: view for view in tables.view_links(h1.namespace)}
        seconds = set(views) - {"lo", "eth0", "eth0.20"}
        assert len(seconds) == 2
        assert all(name.startswith("ipv") for name in seconds)
        kinds = [kind_of(a, a.links["eth0"].index), kind_of(h1, views["eth0.20"].index)]
        kinds += [kind_of(h1, views[name].index) for name in seconds]
        assert kinds == ["veth"] * 4
        [view] = [view for view in tables.view_links(a.namespace) if view.name == "eth0"]
        assert view.below in {views[name].index for name in seconds}, "of an ipvlan it is the parent's"


def test_ipvlab_gives_an_endpoint_its_link_local_address_and_the_kernel_makes_none() -> None:
    """DEV-12"""
    with running_lab(two_hosts()) as lab:
        a = add_container(lab, "h1", "a", "fd00::1/64")
        [held] = [view for view in tables.view_addresses(a.namespace) if view.address.ip.is_link_local]
        assert not held.is_tentative
        assert held.flags & 0x02, "IFA_F_NODAD"


def test_a_frame_to_a_group_that_one_endpoint_owns_keeps_its_kind() -> None:
    """No difference any more: with it TCP of an endpoint would have taken what came to a group."""
    group = frame("01:00:5e:05:06:07", rest=udp("10.0.0.9", "10.0.0.1"))
    with on_one_cpu(), running_lab(two_hosts()) as lab:
        add_container(lab, "h1", "a", "10.0.0.1/24", mode=Mode.L3)
        lab.await_ready()
        own = frame(mac(lab.nodes["h1"]), rest=udp("10.0.0.8", "10.0.0.1"))
        with tap(lab.nodes["a"]) as ear, tap(lab.nodes["h2"]) as wire:
            for one in (group, own):
                wire.send(one)
            found = [ear.recvfrom(2000) for _ in range(2)]
        assert [(body, source[2]) for body, source in found] == [(group, 2), (own, 0)]


@pytest.fixture
def plain_switch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveLab]:
    """Three hosts on a switch; that of the ``kernel`` datapath needs no ipvlan, so any kernel will do."""
    monkeypatch.setattr(kernel, "check_fitness", lambda: None)
    monkeypatch.setattr(topology, "chosen", request.param)
    hosts = two_hosts()
    hosts["h3"] = {"interfaces": {"eth0": {"wire": "lan"}}}
    with on_one_cpu(), running_lab(hosts) as lab:
        lab.await_ready()
        yield lab


def crossing(lab: LiveLab, *sent: Frame) -> list[Frame]:
    """What h2 gets of frames that h1 sends."""
    fence = Frame(BROADCAST_MAC, SENDER, OtherPayload(test_bpf_tags.FENCE))
    with test_bpf_tags.open_tap(lab.nodes["h1"]) as wire, test_bpf_tags.open_tap(lab.nodes["h2"]) as ear:
        for one in (*sent, fence):
            wire.send(test_bpf_tags.write(one))
        return test_bpf_tags.read_until_fence(ear)


@pytest.mark.parametrize("plain_switch", ["kernel", "bpf"], indirect=True)
def test_a_switch_forwards_none_of_the_reserved_addresses(plain_switch: LiveLab) -> None:
    """No difference any more."""
    probe = OtherPayload(test_bpf_tags.PROBE)
    groups = [Frame(bytes.fromhex(f"0180c20000{last:02x}"), SENDER, probe) for last in range(0x11)]
    assert crossing(plain_switch, *groups) == groups[0x10:]


@pytest.mark.parametrize("plain_switch", ["kernel", "bpf"], indirect=True)
@pytest.mark.parametrize("tags", [(0,), (1,), (20,), (1, 1)], ids=str)
def test_a_switch_that_nobody_asks_for_tags_carries_them_as_they_come(
    plain_switch: LiveLab, tags: tuple[int, ...]
) -> None:
    """No difference any more."""
    tagged = Frame(BROADCAST_MAC, SENDER, OtherPayload(test_bpf_tags.PROBE), tags)
    assert forward([SwitchPort(), SwitchPort()], 0, tagged, {}).copies == ((1, tagged),)
    assert crossing(plain_switch, tagged) == [tagged]
