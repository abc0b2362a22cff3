"""Containers of other engines as nodes of a lab, on real ipvlan; no engine is needed for it.

The engines themselves are held against the suite by ``ci/conformance_vm.py``.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from ipvlab.driver.ip_grammar import IpvlanSet
from ipvlab.driver.session import parse_lines
from ipvlab.errors import DriverRefusal
from ipvlab.implementations.foreign import ForeignGround, namespace_of
from ipvlab.lab.adopting import make_namespace, open_namespace
from ipvlab.linux import ipvlan_messages, messages
from ipvlab.run.directory import bare_name
from ipvlab.spec.model import HostSpec, Wire
from ipvlab.spec.values import Flag, Mode


@pytest.fixture
def ground() -> Iterator[ForeignGround]:
    """A lab with one host, whose ``eth0`` is on a wire."""
    ground = ForeignGround("foreign", lambda _, container: container)
    interfaces = {"eth0": {"wire": "lan", "addresses": ["10.1.0.1/24"]}}
    try:
        ground.add_topology({"lan": Wire()}, {"h1": HostSpec.model_validate({"interfaces": interfaces})}, {})
        yield ground
    finally:
        ground.close()


def attach_by_hand(ground: ForeignGround, name: str, mode: Mode) -> None:
    """What an engine does: a namespace, and in it an ipvlan link on the host's ``eth0``."""
    fd = make_namespace()
    container = open_namespace(name, os.dup(fd))
    parent = ground.nodes["h1"].links["eth0"]
    made = ipvlan_messages.add_ipvlan("eth0", 300, parent.index, container.fd, mode, Flag.BRIDGE)
    ground.namespace("h1").netlink.request(made, "add an endpoint")
    container.netlink.request(messages.set_flags(300, messages.IFF_UP, messages.IFF_UP), "set it up")
    container.close()
    ground.adopt("h1", name, name, fd)


@pytest.mark.parametrize(("mode", "has_arp"), [(Mode.L2, True), (Mode.L3, False), (Mode.L3S, False)])
def test_an_adopted_endpoint_is_known_by_its_parent_and_mode(
    ground: ForeignGround, mode: Mode, has_arp: bool
) -> None:
    attach_by_hand(ground, "a1", mode)
    [link] = ground.nodes["a1"].links.values()
    assert (link.name, link.kind, link.below, link.has_arp) == ("eth0", "endpoint", "eth0", has_arp)
    assert link.mac == ground.nodes["h1"].links["eth0"].mac
    assert bare_name(ground.nodes["a1"]) == "a1"


def test_the_mode_of_adopted_endpoints_is_changed_by_a_command_line(ground: ForeignGround) -> None:
    attach_by_hand(ground, "a1", Mode.L2)
    [line] = parse_lines(["ip link set eth0 type ipvlan mode l3"])
    command = line.command
    assert isinstance(command, IpvlanSet)
    result = ground.carry_out("a1", command)
    assert result.exit_code == 0, result.stderr
    assert not ground.nodes["a1"].links["eth0"].has_arp


def test_a_dropped_container_takes_its_endpoint_along(ground: ForeignGround) -> None:
    attach_by_hand(ground, "a1", Mode.L2)
    ground.drop("h1", "a1")
    assert "a1" not in ground.nodes
    # The number is free again, so the link is gone now and not some time later.
    attach_by_hand(ground, "a1", Mode.L3)


def test_the_network_namespace_of_a_process_is_entered_by_its_pid() -> None:
    pytest.importorskip("nsenter", reason="the extra adapters is not installed")
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            fd = namespace_of(process.pid)
            try:
                theirs = os.stat(f"/proc/{process.pid}/ns/net").st_ino
                assert os.fstat(fd).st_ino == theirs != os.stat("/proc/self/ns/net").st_ino
            finally:
                os.close(fd)
        finally:
            process.kill()


def test_a_container_whose_process_has_ended_is_a_refusal() -> None:
    pytest.importorskip("nsenter", reason="the extra adapters is not installed")
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with pytest.raises(DriverRefusal, match=f"process {process.pid} has ended"):
        namespace_of(process.pid)
