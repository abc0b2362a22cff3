"""Announcements of starting endpoints: on the wire, and in what neighbours believe (D-JOIN-019, 020)."""

from __future__ import annotations

import errno
import ipaddress
import os
import select
import socket
from collections.abc import Iterator, Sequence
from typing import Self

import pytest

from ipvlab import Lab
from ipvlab.driver.engine import Engine
from ipvlab.driver.requests import ContainerRequest, EndpointRequest, NetworkRequest, PoolRequest
from ipvlab.lab import announcer
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.lab.processes import run_command
from ipvlab.linux import messages
from ipvlab.probe.frames import arp_request
from ipvlab.rules.announcing import announce_address
from ipvlab.rules.packets import Frame
from ipvlab.spec.values import Dialect
from tests.netns.conftest import DATAPATHS
from tests.netns.topology import no_commands, on_each_datapath, running_lab

COUNT = "com.docker.network.advertise_addr_nmsgs"
D28, D29, DOCS = Dialect.DOCKER_28, Dialect.DOCKER_29, Dialect.DOCS
ETH_P_ALL, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0806, 0x86DD
HOSTS: dict[str, dict[str, object]] = {
    "h1": {"interfaces": {"eth0": {"wire": "lan"}}},
    "h2": {"interfaces": {"eth0": {"wire": "lan"}}},
}
MARK = b"\xf3nce-fence-fence"


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LiveLab]:
    """Two hosts on a wire."""
    request.getfixturevalue("each_datapath")
    with running_lab(HOSTS) as lab:
        lab.await_ready()
        yield lab


class Listener:
    """A packet socket on an interface of a node, and a fence that shows where its silence ends."""

    def __init__(self, node: Node) -> None:
        self.sock = node.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.bind(("eth0", ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def announcements_before_fence(self, speaker: Node) -> list[Frame]:
        """What was announced up to now: a frame of the same container, sent after it, has arrived."""
        link = speaker.links["eth0"]
        with speaker.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as fence:
            own, nobody = ipaddress.IPv4Address("192.0.2.251"), ipaddress.IPv4Address("192.0.2.252")
            fence.sendto(arp_request(link.mac, own, nobody, MARK), ("eth0", ETH_P_ARP))
        found = []
        while MARK not in (frame := self.next_frame()):
            announced = read_announcement(frame)
            if announced is not None:
                found.append(announced)
        return found

    def next_frame(self) -> bytes:
        """The next frame; a lab's own are there before anything else can be."""
        readable, _, _ = select.select([self.sock], [], [], 30)
        assert readable, "not even the fence came"
        return self.sock.recv(2048)


def read_announcement(frame: bytes) -> Frame | None:
    """The announcement that a frame is, told by its addresses; None for any other frame."""
    ethertype, sender = int.from_bytes(frame[12:14], "big"), frame[6:12]
    if ethertype == ETH_P_ARP and frame[28:32] == frame[38:42]:
        assert (frame[:6], frame[20:22], frame[22:28]) == (b"\xff" * 6, b"\0\1", sender)
        return announce_address(sender, ipaddress.IPv4Address(frame[28:32]))
    if ethertype == ETH_P_IPV6 and frame[20] == socket.IPPROTO_ICMPV6 and frame[54] == 136:
        target = ipaddress.IPv6Address(frame[62:78])
        assert frame[:6] == bytes.fromhex("333300000001")
        assert frame[21] == 255, "the hop limit"
        assert frame[22:38] == target.packed, "its source"
        assert frame[58] == 0x20, "override, not solicited"
        assert frame[78:86] == b"\2\1" + sender
        return announce_address(sender, target)
    return None


def start(lab: LiveLab, dialect: Dialect, name: str = "c", host: str = "h1", **options: str) -> Node:
    """A container on a network of both families with ``options``, parent eth0 unless they name one."""
    engine = Engine(host, lab.host_port(host, no_commands), dialect)
    pools = (PoolRequest("192.0.2.0/24"), PoolRequest("2001:db8::/64"))
    request = NetworkRequest("n", "ipvlan", {"parent": "eth0", **options}, pools, enable_ipv6=True)
    engine.create_network(request)
    engine.run_container(ContainerRequest((EndpointRequest("n"),), name=name))
    return lab.nodes[name]


def announced_by(node: Node) -> list[Frame]:
    """What one round of a container's announcements is: an address of each family."""
    link = node.links["eth0"]
    held = [address.ip for address in link.addresses if not address.ip.is_link_local]
    return [announce_address(link.mac, address) for address in held]


@on_each_datapath
@pytest.mark.docker("D-JOIN-019")
@pytest.mark.parametrize("parent", ["eth0", "eth0.20"])
def test_a_starting_l2_endpoint_is_announced_on_the_parents_wire_at_once(lab: LiveLab, parent: str) -> None:
    with Listener(lab.nodes["h2"]) as listener:
        node = start(lab, D29, parent=parent)
        assert len(announced_by(node)) == 2
        assert listener.announcements_before_fence(node) == announced_by(node)


@on_each_datapath
@pytest.mark.docker("D-JOIN-019")
def test_the_second_and_third_follow_when_they_are_due_and_no_fourth(lab: LiveLab) -> None:
    with Listener(lab.nodes["h2"]) as listener, lab.lock:
        # With the lab's lock held its thread stays quiet, and the clock is the test's.
        node = start(lab, D29)
        [first] = [lab.announcer.courses[speaker] for speaker in lab.announcer.courses]
        assert (first.left, first.interval) == (2, 1.0)
        assert not lab.announcer.send_due(first.due - 0.01)
        assert lab.announcer.send_due(first.due)
        assert not lab.announcer.send_due(first.due + 0.99)
        assert lab.announcer.send_due(first.due + 1)
        assert not lab.announcer.send_due(first.due + 100)
        assert not lab.announcer.courses
        assert listener.announcements_before_fence(node) == announced_by(node) * 3


@on_each_datapath
@pytest.mark.docker("D-JOIN-020")
def test_the_labs_own_thread_sends_what_follows_the_first(lab: LiveLab) -> None:
    with Listener(lab.nodes["h2"]) as listener:
        node = start(lab, DOCS, **{COUNT: "3", "com.docker.network.advertise_addr_ms": "100"})
        heard: list[Frame] = []
        while len(heard) < 6:
            announced = read_announcement(listener.next_frame())
            heard += [announced] if announced is not None else []
        assert heard == announced_by(node) * 3


@on_each_datapath
@pytest.mark.docker("D-JOIN-019", "D-JOIN-020")
@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        (Dialect.DOCKER_26, {}),
        (D28, {}),
        (DOCS, {}),
        (D29, {COUNT: "0"}),
        (D29, {"ipvlan_mode": "l3"}),
        (D29, {"ipvlan_mode": "l3s"}),
    ],
)
def test_other_endpoints_start_in_silence(lab: LiveLab, dialect: Dialect, options: dict[str, str]) -> None:
    with Listener(lab.nodes["h2"]) as listener:
        node = start(lab, dialect, **options)
        if options.get("ipvlan_mode"):
            # Nothing but IP leaves such an endpoint, so its host raises the fence.
            assert listener.announcements_before_fence(lab.nodes["h1"]) == []
        else:
            assert listener.announcements_before_fence(node) == []
        assert not lab.announcer.courses


@on_each_datapath
@pytest.mark.docker("D-JOIN-019")
@pytest.mark.parametrize("end", ["container", "detached", "parent", "mode"])
def test_nothing_is_sent_for_an_endpoint_that_is_gone(lab: LiveLab, end: str) -> None:
    with Listener(lab.nodes["h2"]) as listener, lab.lock:
        node = start(lab, D29, parent="eth0.20")
        [(speaker, course)] = lab.announcer.courses.items()
        port = lab.host_port("h1", no_commands)
        host = lab.nodes["h1"]
        match end:
            case "container":
                port.remove_container("c")
            case "detached":
                port.detach("c", "eth0")
            case "parent":
                port.remove_link("eth0.20")
            case "mode":
                node.links["eth0"].has_arp = False
        if end in ("container", "detached"):
            assert not lab.announcer.courses, "its sockets would keep the namespace"
        lab.announcer.send_due(course.due)
        assert not lab.announcer.courses
        assert speaker.route.fileno() == -1
        assert len(listener.announcements_before_fence(host)) == 2, "those of its start"


@on_each_datapath
def test_a_parent_that_is_down_announces_to_nobody(lab: LiveLab) -> None:
    host = lab.nodes["h1"]
    host.namespace.netlink.request(messages.set_flags(host.links["eth0"].index, 0, messages.IFF_UP), "down")
    start(lab, D29)
    assert not lab.announcer.courses


@on_each_datapath
def test_a_closed_lab_has_no_thread_and_no_socket_left(lab: LiveLab) -> None:
    start(lab, D29)
    [speaker] = lab.announcer.courses
    lab.announcer.close()
    assert speaker.route.fileno() == -1
    assert not lab.announcer.is_running
    lab.announcer.close()


@on_each_datapath
def test_a_container_that_announced_itself_has_no_neighbour_entry_for_itself(lab: LiveLab) -> None:
    node = start(lab, D29)
    assert run_command(node, ["ip", "neigh", "show", "192.0.2.1"]).stdout == ""


MOVES: Sequence[tuple[str, bool]] = [("docs", True), ("docker-29", True), ("docker-28", False)]


@pytest.mark.docker("D-JOIN-019")
@pytest.mark.parametrize("datapath", [*DATAPATHS, "sim"])
@pytest.mark.parametrize(("dialect", "is_reached"), MOVES)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_an_address_that_moves_to_another_host_is_reached_at_once_where_it_is_announced(
    datapath: str, dialect: str, is_reached: bool, family: str
) -> None:
    with Lab(datapath=datapath, dialect=dialect) as lab:
        lan = lab.wire("lan")
        h1, h2 = lab.host("h1", eth0=lan.port()), lab.host("h2", eth0=lan.port())
        asker = lab.host("asker", eth0=lan.port("192.0.2.250/24", "2001:db8::250/64"))
        for host in (h1, h2):
            made = host.docker(
                "network create -d ipvlan --ipv6 --subnet=192.0.2.0/24 --subnet=2001:db8::/64 "
                "-o parent=eth0 n"
            )
            assert made.exit_code == 0
        before = h1.container("before", network="n", ip="192.0.2.7", ip6="2001:db8::7")
        assert asker.reaches(before, family=family)
        before.remove()
        after = h2.container("after", network="n", ip="192.0.2.7", ip6="2001:db8::7")
        assert bool(asker.reaches(after, family=family)) is is_reached


@pytest.mark.parametrize("datapath", [*DATAPATHS, "sim"])
@pytest.mark.parametrize("dialect", ["docs", "docker-28", "docker-29"])
def test_an_address_that_moves_to_another_container_of_its_parent_is_reached_at_once(
    datapath: str, dialect: str
) -> None:
    with Lab(datapath=datapath, dialect=dialect) as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port())
        asker = lab.host("asker", eth0=lan.port("192.0.2.250/24"))
        assert not h1.docker("network create -d ipvlan --subnet=192.0.2.0/24 -o parent=eth0 n").exit_code
        before = h1.container("before", network="n", ip="192.0.2.7")
        sibling = h1.container("sibling", network="n", ip="192.0.2.8")
        assert asker.reaches(before)
        assert sibling.reaches(before)
        before.remove()
        after = h1.container("after", network="n", ip="192.0.2.7")
        assert asker.reaches(after)
        assert sibling.reaches(after)


@on_each_datapath
def test_a_container_starts_where_no_socket_is_left_to_announce_it(
    lab: LiveLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(announcer, "_open_sockets", refuse)
    node = start(lab, D29)
    assert node.links["eth0"].is_up
    assert not lab.announcer.courses
