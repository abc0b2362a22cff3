"""Small labs for the tests of the datapath: built by the lab room, without driver or prober."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence

import pytest

from ipvlab.datapath.base import Datapath
from ipvlab.datapath.bpf.datapath import BpfDatapath
from ipvlab.driver.port import CommandResult, EndpointPlan, RoutePlan
from ipvlab.lab.live import LiveLab
from ipvlab.lab.nodes import Node
from ipvlab.spec.model import HostSpec, RouterSpec, Wire
from ipvlab.spec.values import Flag, Mode

#: Marks a test of what ipvlan does, whoever does it: no test of how a datapath does it.
on_each_datapath = pytest.mark.usefixtures("each_datapath")
#: What carries the packets of these labs; the fixture ``each_datapath`` sets it.
chosen = "bpf"


def make_datapath() -> Datapath:
    """A datapath of the chosen kind, for one lab."""
    if chosen == "kernel":
        from ipvlab.datapath.kernel.datapath import KernelDatapath

        return KernelDatapath()
    return BpfDatapath()


def no_commands(_container: str, _argv: Sequence[str]) -> CommandResult:
    raise AssertionError("no command is run in these labs")


@contextlib.contextmanager
def running_lab(
    hosts: Mapping[str, Mapping[str, object]],
    routers: Mapping[str, Mapping[str, object]] | None = None,
    wires: Sequence[str] = ("lan",),
) -> Iterator[LiveLab]:
    """A lab of hosts and routers, as scenario files write them; ended at the end."""
    lab = LiveLab("test", make_datapath())
    try:
        lab.add_topology(
            {name: Wire() for name in wires},
            {name: HostSpec.model_validate(spec) for name, spec in hosts.items()},
            {name: RouterSpec.model_validate(spec) for name, spec in (routers or {}).items()},
        )
        yield lab
    finally:
        lab.close()


def add_container(
    lab: LiveLab,
    host: str,
    name: str,
    *addresses: str,
    parent: str = "eth0",
    mode: Mode = Mode.L2,
    flag: Flag = Flag.BRIDGE,
    gateways: Sequence[str] = (),
) -> Node:
    """A container with one endpoint; default routes as the driver would give them."""
    port = lab.host_port(host, no_commands)
    port.add_container(name, name)
    held = tuple(ipaddress.ip_interface(address) for address in addresses)
    routes = [RoutePlan("default", via, "eth0", via.version) for via in map(ipaddress.ip_address, gateways)]
    if mode is not Mode.L2:
        routes = [RoutePlan("default", None, "eth0", version) for version in {a.version for a in held}]
    port.attach(name, EndpointPlan("net", "eth0", parent, mode, flag, held, tuple(routes)))
    return lab.nodes[name]


def two_hosts(**more: object) -> dict[str, dict[str, object]]:
    """h1 and h2 on one wire, .250 and .251, without further ado."""
    return {
        f"h{n}": {
            "interfaces": {
                "eth0": {"wire": "lan", "addresses": [f"192.168.1.25{n - 1}/24", f"fd01::25{n - 1}/64"]}
            },
            **more,
        }
        for n in (1, 2)
    }
