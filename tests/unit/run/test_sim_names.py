"""A simulated lab's containers resolve what those of a live one do (tests/netns/test_names.py)."""

from __future__ import annotations

import pytest

from ipvlab import Lab
from ipvlab.run.handles import LabContainer, LabHost


def docker(host: LabHost, *lines: str) -> None:
    for line in lines:
        assert host.docker(line).exit_code == 0, line


def resolve(lab: Lab, container: str, name: str) -> list[str]:
    node = lab.node(container)
    assert isinstance(node, LabContainer)
    return [str(address) for address in node.resolves(name)]


@pytest.mark.docker("D-DNS-010")
def test_names_go_and_come_with_their_containers() -> None:
    with Lab("sim") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        docker(
            h1,
            "network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 n",
            "network create -d ipvlan --subnet=10.7.0.0/24 m",
            "run -itd --net=n --name=c alpine /bin/sh",
            "run -itd --net=n --network-alias=store --ip=192.168.1.8 --name=d alpine /bin/sh",
        )
        assert resolve(lab, "c", "d") == resolve(lab, "c", "store") == ["192.168.1.8"]
        docker(h1, "rename d e")
        assert resolve(lab, "c", "e") == resolve(lab, "e", "e") == ["192.168.1.8"]
        assert resolve(lab, "c", "d") == []
        docker(h1, "stop e")
        assert resolve(lab, "c", "e") == []
        docker(h1, "start e", "network connect --ip=10.7.0.8 m e", "network disconnect n e")
        assert resolve(lab, "c", "e") == []
        docker(h1, "network connect m c")
        assert resolve(lab, "c", "e") == ["10.7.0.8"]


def test_nobody_in_a_simulated_lab_knows_other_names() -> None:
    with Lab("sim") as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
        for network, options in (("out", "-o parent=eth0"), ("in", "")):
            docker(h1, f"network create -d ipvlan {options} {network}")
            docker(h1, f"run -itd --net={network} --name=in_{network} alpine /bin/sh")
            assert resolve(lab, f"in_{network}", "example.org") == []
