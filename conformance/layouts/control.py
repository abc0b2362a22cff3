"""Docker's control plane: what it refuses, and which addresses it gives."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.layouts.layout import Draft, Layout
from ipvlab.implementations.port import Feature

CREATE = "docker network create -d ipvlan --subnet={subnet} {options} refused"
RUN = "docker run -itd --net=net {options} --name={name} alpine /bin/sh"

#: Requirement, options of the network, subnet, and words of the refusal.
REFUSED = (
    ("IPV-CTRL-PARENT-001", "-o parent=eth0", "10.7.0.0/24", "is already using parent interface eth0"),
    ("IPV-CTRL-PARENT-002", "-o parent=lo", "10.7.0.0/24", "loopback interface is not a valid ipvlan parent"),
    ("IPV-CTRL-PARENT-003", "-o parent=nope", "10.7.0.0/24", "invalid subinterface vlan name nope"),
    ("IPV-CTRL-PARENT-003", "-o parent=nope0.10", "10.7.0.0/24", "interface was not found on the host"),
    ("IPV-CTRL-PARENT-004", "-o parent=eth0.4095", "10.7.0.0/24", "vlan id must be between 1-4094"),
    ("IPV-CTRL-MODE-001", "-o ipvlan_mode=l4", "10.7.0.0/24", "requested ipvlan mode 'l4' is not valid"),
    ("IPV-CTRL-FLAG-001", "-o ipvlan_flag=x", "10.7.0.0/24", "requested ipvlan flag 'x' is not valid"),
    ("IPV-CTRL-POOL-001", "", "10.1.0.0/16", "Pool overlaps with other one on this address space"),
)


def layouts() -> Iterator[Layout]:
    """One host whose Docker is asked for what it must refuse, then for addresses."""
    yield _refusals()
    yield _addresses()


def _host(draft: Draft) -> None:
    draft.wires = {"lan": {}}
    draft.host("h1", {"eth0": {"wire": "lan"}})
    draft.station("st", {"eth0": {"wire": "lan", "addresses": ["10.1.0.9/24"]}})
    # Neither mode nor flag is written.
    draft.hosts["h1"]["networks"]["net"] = {
        "driver": "ipvlan",
        "driver_opts": {"parent": "eth0"},
        "ipam": {"config": [{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}]},
    }


def _refusals() -> Layout:
    draft = Draft(
        "control-refusals", "What Docker's driver refuses", Feature.L2, Feature.VLAN, Feature.DOCKER
    )
    _host(draft)
    draft.container("h1", "a1", "net", "10.1.0.11")
    draft.container("h1", "a2", "net", "10.1.0.12")
    # L2 and bridge: siblings talk, and broadcasts leave the host.
    draft.expect("IPV-CTRL-MODE-002", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-CTRL-MODE-002", broadcast={"sender": "a1", "heard_by": ["a2", "st"]})
    for requirement, options, subnet, words in REFUSED:
        command = " ".join(CREATE.format(options=options, subnet=subnet).split())
        draft.expect(requirement, fails={"on": "h1", "command": command, "error": words})
    for requirement, options, words in (
        ("IPV-CTRL-POOL-003", "--ip=10.1.0.11", "Address already in use"),
        ("IPV-CTRL-POOL-003", "--ip=10.1.0.254", "Address already in use"),
        ("IPV-CTRL-POOL-004", "--ip=10.99.0.1", "contain"),
    ):
        command = RUN.format(options=f"--rm {options}", name="refused")
        draft.expect(requirement, fails={"on": "h1", "command": command, "error": words})
    draft.expect(
        "IPV-CTRL-MAC-001",
        fails={
            "on": "h1",
            "command": RUN.format(options="--rm --mac-address=02:00:00:00:00:77", name="refused"),
            "error": "ipvlan interfaces do not support custom mac address assignment",
        },
    )
    draft.expect(
        "IPV-CTRL-USE-001",
        fails={"on": "h1", "command": "docker network rm net", "error": "has active endpoints"},
    )
    # After all of that everything is as it was.
    draft.step(h1="ip addr show eth0")
    draft.expect("IPV-CTRL-USE-001", reach={"sender": ["a1", "a2"], "to": ["a1", "a2"]})
    draft.expect("IPV-CTRL-PARENT-004", links={"node": "h1", "absent": ["eth0.4095"]})
    return draft.layout()


def _addresses() -> Layout:
    draft = Draft("control-addresses", "Which address comes next", Feature.L2, Feature.DOCKER)
    _host(draft)
    draft.step(h1=[RUN.format(options="", name=f"a{number}") for number in (1, 2, 3)])
    for number in (1, 2, 3):
        draft.expect("IPV-CTRL-POOL-002", addresses={"node": f"a{number}", "eth0": [f"10.1.0.{number}/24"]})
    draft.step(h1=["docker rm -f a2", RUN.format(options="", name="a4")])
    draft.expect("IPV-CTRL-POOL-002", addresses={"node": "a4", "eth0": ["10.1.0.2/24"]})
    return draft.layout()
