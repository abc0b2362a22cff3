"""What the kernel datapath asks of the kernel, recorded; the kernel's side is tested in a guest."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from ipvlab.datapath.base import Link, PortFilter
from ipvlab.datapath.kernel import fitness, switch
from ipvlab.datapath.kernel.datapath import KernelDatapath
from ipvlab.datapath.kernel.switch import VlanSwitches, port_vlans
from ipvlab.errors import EnvironmentUnfit, KernelRefusal, KernelUnfit, PrivilegeMissing
from ipvlab.linux import ipvlan_messages, messages, rootless
from ipvlab.linux.namespaces import THREAD, Namespace
from ipvlab.linux.netlink import Netlink, attributes
from ipvlab.spec.values import Flag, Interface, Mode

MAC = b"\x02\0\0\0\0\xfe"
PARENT = Link("eth0", 7, MAC, 1400)
V4, V6 = ipaddress.ip_interface("192.168.1.5/24"), ipaddress.ip_interface("2001:db8::5/64")
LOCAL = ipaddress.ip_interface("fe80::200:0:100:fe/64")
Refuse = Callable[[bytearray], int]


class RecordingNetlink(Netlink):
    """Keeps the requests of one namespace and refuses those that it is told to."""

    def __init__(self, refuse: Refuse = lambda _: 0) -> None:
        self.sent: list[bytearray] = []
        self.refuse = refuse
        self.link = b""
        self.addresses: list[tuple[int, Interface]] = []

    def request(self, message: bytearray, what: str) -> None:
        number = self.refuse(message)
        if number:
            raise KernelRefusal(what, errno=number)
        self.sent.append(message)

    def get(self, message: bytearray, what: str) -> bytes:
        return self.link

    def dump(self, message: bytearray, what: str) -> bytes:
        return b"".join(bytes(messages.change_address(index, held)) for index, held in self.addresses)

    def kinds(self) -> list[int]:
        return [kind_of(message) for message in self.sent]


class RecordingNamespace(Namespace):
    def __init__(self, name: str, fd: int, netlink: RecordingNetlink) -> None:
        super().__init__(name, fd, netlink)
        self.recorded = netlink
        self.sysctls: dict[str, str] = {}

    def write_sysctls(self, settings: Mapping[str, str]) -> None:
        self.sysctls.update(settings)


def kind_of(message: bytearray) -> int:
    return int(struct.unpack_from("=H", message, 4)[0])


def index_of(message: bytearray) -> int:
    return int(struct.unpack_from("=i", message, 20)[0])


def settings_of(message: bytearray) -> tuple[str, dict[int, bytes]]:
    """The kind of a link and its own settings."""
    info = attributes(attributes(bytes(message), 32)[18])
    return info[1].rstrip(b"\0").decode(), attributes(info[2])


def vlans_of(message: bytearray) -> list[tuple[int, int]]:
    """The VLAN entries of a bridge port: bits and number."""
    body = attributes(bytes(message), 32)[26]
    return [struct.unpack_from("=HH", body, at + 4) for at in range(0, len(body), 8)]


@pytest.fixture
def datapath(monkeypatch: pytest.MonkeyPatch) -> KernelDatapath:
    monkeypatch.setattr("ipvlab.datapath.kernel.datapath.check_fitness", lambda: None)
    return KernelDatapath()


@pytest.fixture
def host() -> RecordingNamespace:
    return RecordingNamespace("h1", 50, RecordingNetlink())


@pytest.fixture
def container() -> RecordingNamespace:
    return RecordingNamespace("c1", 51, RecordingNetlink())


@pytest.mark.parametrize(("mode", "mode_number"), [(Mode.L2, 0), (Mode.L3, 1), (Mode.L3S, 2)])
@pytest.mark.parametrize(("flag", "bits"), [(Flag.BRIDGE, 0), (Flag.PRIVATE, 1), (Flag.VEPA, 2)])
def test_an_endpoint_is_born_in_its_container_by_one_message_of_the_host(
    datapath: KernelDatapath,
    host: RecordingNamespace,
    container: RecordingNamespace,
    mode: Mode,
    mode_number: int,
    flag: Flag,
    bits: int,
) -> None:
    link = datapath.add_endpoint(host, PARENT, container, "eth0", mode, flag, [V4])
    [message] = host.recorded.sent
    found = attributes(bytes(message), 32)
    assert index_of(message) == link.index
    assert (found[3], found[5]) == (b"eth0\0", struct.pack("=I", 7))
    assert found[28] == struct.pack("=I", container.fd)
    numbers = {1: struct.pack("=H", mode_number), 2: struct.pack("=H", bits)}
    assert settings_of(message) == ("ipvlan", numbers)
    assert (link.mac, link.mtu, link.has_arp) == (MAC, 1400, mode is Mode.L2)
    assert link.addresses == [V4]


def test_indexes_are_never_given_twice(
    datapath: KernelDatapath, host: RecordingNamespace, container: RecordingNamespace
) -> None:
    links = [
        datapath.add_vlan(host, "eth0.20", PARENT, 20),
        datapath.add_isolated(host, "di-1", MAC),
        datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L2, Flag.BRIDGE, []),
    ]
    indexes = [*(link.index for link in links), datapath.new_index()]
    assert len(set(indexes)) == 4


def test_a_sub_interface_inherits_its_mac_unless_one_is_given(
    datapath: KernelDatapath, host: RecordingNamespace
) -> None:
    own = b"\x02\0\0\0\0\x01"
    inherited = datapath.add_vlan(host, "eth0.20", PARENT, 20)
    given = datapath.add_vlan(host, "eth0.30", PARENT, 30, own)
    macs = [attributes(bytes(message), 32).get(1) for message in host.recorded.sent]
    assert macs == [None, own]
    assert (inherited.mac, given.mac, given.is_up) == (MAC, own, False)
    assert settings_of(host.recorded.sent[0]) == ("vlan", {1: struct.pack("=H", 20)})


def test_an_endpoint_that_cannot_have_its_address_is_not_left_behind(
    datapath: KernelDatapath, host: RecordingNamespace
) -> None:
    in_use = RecordingNetlink(lambda each: errno.EADDRINUSE if kind_of(each) == messages.RTM_NEWADDR else 0)
    container = RecordingNamespace("c1", 51, in_use)
    with pytest.raises(KernelRefusal) as caught:
        datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L2, Flag.BRIDGE, [V4])
    assert caught.value.errno == errno.EADDRINUSE
    assert in_use.kinds()[-1] == messages.RTM_DELLINK
    assert index_of(in_use.sent[-1]) == index_of(host.recorded.sent[0])


def test_the_link_local_address_is_the_kernels_and_skips_dad(
    datapath: KernelDatapath, host: RecordingNamespace, container: RecordingNamespace
) -> None:
    container.recorded.addresses = [(102, V6), (101, LOCAL), (101, V6)]
    link = datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L2, Flag.BRIDGE, [V6])
    assert container.sysctls["ipv6/conf/eth0/disable_ipv6"] == "0"
    assert link.addresses == [V6, LOCAL]
    *_, delete, add, generation = container.recorded.sent
    assert delete == messages.change_address(101, LOCAL, is_new=False)
    assert add == messages.change_address(101, LOCAL)
    assert generation == ipvlan_messages.set_address_generation(101, ipvlan_messages.NONE)


def test_an_endpoint_without_ipv6_addresses_gets_no_ipv6(
    datapath: KernelDatapath, host: RecordingNamespace, container: RecordingNamespace
) -> None:
    datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L3, Flag.BRIDGE, [V4])
    assert container.sysctls == {}
    assert container.recorded.kinds() == [messages.RTM_NEWLINK, messages.RTM_NEWADDR]


def test_an_endpoint_that_goes_with_its_container_gives_its_number_and_addresses_back_at_once(
    datapath: KernelDatapath, host: RecordingNamespace, container: RecordingNamespace
) -> None:
    link = datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L2, Flag.BRIDGE, [V4])
    container.recorded.sent.clear()
    datapath.remove_endpoint(host, PARENT, container, link, goes_with_container=True)
    assert container.recorded.sent == [messages.delete_link(link.index)]


@pytest.mark.parametrize("goes_with_container", [True, False])
def test_an_endpoint_that_a_program_deleted_is_missed_only_where_its_container_stays(
    datapath: KernelDatapath, host: RecordingNamespace, goes_with_container: bool
) -> None:
    gone = RecordingNetlink(lambda each: errno.ENODEV if kind_of(each) == messages.RTM_DELLINK else 0)
    container = RecordingNamespace("c1", 51, gone)
    link = datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L2, Flag.BRIDGE, [V4])
    refused = contextlib.nullcontext() if goes_with_container else pytest.raises(KernelRefusal)
    with refused:
        datapath.remove_endpoint(host, PARENT, container, link, goes_with_container=goes_with_container)
    assert datapath.follow() == []


def test_a_mode_is_set_once_and_holds_for_all_endpoints_of_the_parent(
    datapath: KernelDatapath, host: RecordingNamespace, container: RecordingNamespace
) -> None:
    other = RecordingNamespace("c2", 52, RecordingNetlink())
    links = [
        datapath.add_endpoint(host, PARENT, each, "eth0", Mode.L2, Flag.PRIVATE, [])
        for each in (container, other)
    ]
    for each in (container, other):
        each.recorded.sent.clear()
    datapath.set_mode(host, PARENT, Mode.L3S, None)
    [message] = container.recorded.sent + other.recorded.sent
    assert settings_of(message) == ("ipvlan", {1: struct.pack("=H", 2), 2: struct.pack("=H", 0)})
    assert [link.has_arp for link in links] == [False, False]


def test_records_follow_the_parents_mac_mtu_and_carrier(
    datapath: KernelDatapath, host: RecordingNamespace, container: RecordingNamespace
) -> None:
    link = datapath.add_endpoint(host, PARENT, container, "eth0", Mode.L2, Flag.BRIDGE, [])

    def state(flags: int, mac: bytes, mtu: int) -> bytes:
        body = struct.pack("=BxHiII", 0, 1, 7, flags, 0)
        return body + struct.pack("=HH6s2x", 10, 1, mac) + struct.pack("=HHI", 8, 4, mtu)

    link.mtu = 1300
    host.recorded.link = state(0x10001, MAC, 1400)
    assert datapath.follow() == []
    assert link.mtu == 1300
    host.recorded.link = state(0x1, b"\x02\0\0\0\0\x99", 9000)
    assert datapath.follow() == []
    assert (link.mac, link.mtu) == (b"\x02\0\0\0\0\x99", 9000)
    host.recorded.link = state(0x10001, MAC, 9000)
    assert datapath.follow() == [(container, link.index, None)]
    assert datapath.follow() == []


def without_filters(sent: list[bytearray]) -> list[bytearray]:
    """Messages but RTM_NEWQDISC and RTM_NEWTFILTER: what keeps frames to bridges from a port."""
    return [each for each in sent if kind_of(each) not in (36, 44)]


def port_of(bridge: int) -> bytes:
    return struct.pack("=BxHiII", 0, 1, 5, 0, 0) + struct.pack("=HHI", 8, 10, bridge)


def test_untagged_frames_belong_to_the_access_or_native_vlan() -> None:
    assert port_vlans(PortFilter(access=20)) == {20: 6}
    assert port_vlans(PortFilter(trunk=(30, 20), native=1)) == {20: 0, 30: 0, 1: 6}
    assert port_vlans(PortFilter(trunk=(20,), native=20)) == {20: 6}


def test_a_switch_looks_at_tags_only_once_a_port_asks_for_it(host: RecordingNamespace) -> None:
    switches = VlanSwitches()
    host.recorded.link = port_of(40)
    switches.filter_port(host, 5, None)
    assert without_filters(host.recorded.sent) == []
    switches.filter_port(host, 6, PortFilter(access=20))
    plain, filtering, away, access = without_filters(host.recorded.sent)
    assert (index_of(plain), vlans_of(plain)) == (5, [(6, 1), (8, 2), (16, 4094)])
    assert (index_of(filtering), settings_of(filtering)) == (40, ("bridge", {7: b"\1"}))
    assert (kind_of(away), index_of(away), vlans_of(away)) == (19 - 2, 6, [(0, 1)])
    assert (kind_of(access), index_of(access), vlans_of(access)) == (19, 6, [(6, 20)])
    switches.filter_port(host, 7, None)
    assert [index_of(each) for each in without_filters(host.recorded.sent)[4:]] == [7]


def test_without_bridge_vlan_filtering_programs_take_all_ports_of_the_switch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Programs:
        def __init__(self) -> None:
            self.ports: list[tuple[int, PortFilter | None]] = []

        def filter_port(self, _switch: Namespace, index: int, port: PortFilter | None) -> None:
            self.ports.append((index, port))

    programs = Programs()
    monkeypatch.setattr(switch, "BpfDatapath", lambda: programs)
    netlink = RecordingNetlink(lambda each: errno.EOPNOTSUPP if kind_of(each) in (17, 19) else 0)
    netlink.link = port_of(40)
    namespace = RecordingNamespace("wire lan", 60, netlink)
    switches = VlanSwitches()
    asked = PortFilter(trunk=(20,))
    for index, port in ((5, None), (6, asked), (7, None)):
        switches.filter_port(namespace, index, port)
    assert programs.ports == [(5, None), (6, asked), (7, None)]
    assert without_filters(netlink.sent) == []


def test_tags_without_any_means_are_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise PrivilegeMissing("no programs for this user")

    monkeypatch.setattr(switch, "BpfDatapath", refuse)
    netlink = RecordingNetlink(lambda _: errno.EOPNOTSUPP)
    netlink.link = port_of(40)
    with pytest.raises(KernelUnfit, match="no programs for this user") as caught:
        VlanSwitches().filter_port(RecordingNamespace("s", 60, netlink), 5, PortFilter(access=20))
    assert "leave `access`" in caught.value.hint


def fit(monkeypatch: pytest.MonkeyPatch, refuse: Refuse) -> None:
    """Ask for fitness on a kernel that refuses as told."""

    def create_network(*_: object) -> list[tuple[int, socket.socket]]:
        pair = socket.socketpair()
        return [(os.dup(end.fileno()), end) for end in pair]

    monkeypatch.setattr(THREAD, "create_network", create_network)
    monkeypatch.setattr(fitness, "Netlink", lambda *_: RecordingNetlink(refuse))
    fitness.check_fitness.__wrapped__()


def refuse_kinds(*kinds: str) -> Refuse:
    def refuse(message: bytearray) -> int:
        info = attributes(attributes(bytes(message), 32)[18])
        return errno.EOPNOTSUPP if info[1].rstrip(b"\0").decode() in kinds else 0

    return refuse


def test_a_kernel_that_makes_every_link_is_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    fit(monkeypatch, lambda _: 0)


def test_everything_that_a_kernel_lacks_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KernelUnfit) as caught:
        fit(monkeypatch, refuse_kinds("ipvlan", "vlan", "dummy"))
    assert caught.value.what == "this kernel has no ipvlan, 8021q, dummy"


def test_a_user_who_may_not_make_links_lacks_a_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PrivilegeMissing):
        fit(monkeypatch, lambda _: errno.EPERM)


def test_a_kernel_below_4_2_is_refused_as_docker_does(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.uname()
    old = type(real)((real[0], real[1], "4.1.52", real[3], real[4]))
    monkeypatch.setattr(os, "uname", lambda: old)
    with pytest.raises(EnvironmentUnfit, match=r"minimum ipvlan kernel requirement of 4\.2, found 4\.1\.52"):
        fit(monkeypatch, lambda _: 0)


@pytest.mark.parametrize(
    ("release", "has_modules", "fix"),
    [
        ("6.1.0-56-cloud-amd64", True, "sudo modprobe -a ipvlan 8021q"),
        (
            "6.8.0-31-generic",
            False,
            "sudo apt-get install linux-modules-extra-6.8.0-31-generic && sudo modprobe -a ipvlan 8021q",
        ),
        ("6.18.44-microvm", False, "ci/vm.py -- ipvlab run PATH"),
    ],
)
def test_one_command_fixes_what_is_lacking(
    monkeypatch: pytest.MonkeyPatch, release: str, has_modules: bool, fix: str
) -> None:
    real = os.uname()
    monkeypatch.setattr(os, "uname", lambda: type(real)((real[0], real[1], release, *real[3:])))
    monkeypatch.setattr(fitness, "_has_modules", lambda *_: has_modules)
    assert fitness.fix_for(["ipvlan", "ipvlan mode l3s", "8021q"]) == fix


def test_a_process_with_threads_may_not_enter_a_user_namespace() -> None:
    code = (
        "import threading; from ipvlab.linux.rootless import enter_user_namespace\n"
        "waiting = threading.Event(); thread = threading.Thread(target=waiting.wait); thread.start()\n"
        "try: enter_user_namespace()\n"
        "except RuntimeError as error: print(error)\n"
        "finally: waiting.set()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a process enters its user namespace before it starts a thread\n"


@pytest.mark.parametrize(
    ("map_text", "last"),
    [
        ("         0          0 4294967295\n", 2147483647),
        ("         0       1000          1\n", 0),
        ("         1     100000      65536\n         0       1000          1\n", 0),
    ],
)
def test_ping_groups_end_where_the_map_ends(
    monkeypatch: pytest.MonkeyPatch, map_text: str, last: int
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda _: map_text)
    assert rootless.last_mapped_group() == last
