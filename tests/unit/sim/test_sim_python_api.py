"""The Python API on the simulated lab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ipvlab.errors import LabError
from ipvlab.run.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab on `sim`."""
    with Lab(datapath="sim") as built:
        yield built


def test_the_example_of_the_documents_holds(lab: Lab) -> None:
    lan = lab.wire("lan")
    h1 = lab.host("h1", eth0=lan.port("192.168.1.250/24"))
    h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 db_net")
    c1 = h1.container("c1", network="db_net", ip="192.168.1.11")
    c2 = h1.container("c2", network="db_net")
    assert c1.reaches(c2)
    assert not c1.reaches(h1)
    assert c1.broadcast().heard_by == {c2}
    assert [str(address) for address in c1.resolves("c2")] == ["192.168.1.2"]
    assert c1.ping("-c 2 c2").exit_code == 0
    assert c1.ip("route").stdout.splitlines() == [
        "default via 192.168.1.1 dev eth0 ",
        "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11 ",
    ]
    c2.remove()
    assert c1.broadcast().heard_by == set()


def test_a_real_program_is_refused_with_a_way_out(lab: Lab) -> None:
    router = lab.router("r")
    with pytest.raises(LabError, match="simulated") as refused:
        router.execute(["ls"])
    assert "bpf" in refused.value.hint
