"""``ip link add … type dummy`` in a scenario's commands: alike on every datapath."""

from __future__ import annotations

import pytest

from ipvlab import Lab


@pytest.mark.parametrize("datapath", ["bpf", "sim"])
def test_a_dummy_made_by_hand_is_a_parent_that_leads_nowhere(datapath: str) -> None:
    with Lab(datapath=datapath) as lab:
        lan = lab.wire("lan")
        h1 = lab.host("h1", eth0=lan.port("10.0.0.1/24"))
        h2 = lab.host("h2", eth0=lan.port("10.0.0.2/24"))
        assert h1.ip("link add dm0 type dummy").exit_code == 0
        again = h1.ip("link add dm0 type dummy")
        assert (again.exit_code, again.stderr) == (2, "RTNETLINK answers: File exists\n")
        assert h1.ip("link set dm0 up").exit_code == 0
        made = h1.docker("network create -d ipvlan --subnet=10.9.0.0/24 -o parent=dm0 n")
        assert made.exit_code == 0, made.stderr
        c1, c2 = h1.container("c1", network="n"), h1.container("c2", network="n")
        assert c1.reaches(c2)
        assert c1.broadcast().heard_by == {c2}
        assert not c1.delivers(h2, address="10.0.0.2")
        for name in ("c1", "c2"):
            h1.docker(f"rm -f {name}")
        assert h1.docker("network rm n").exit_code == 0
        # The driver did not make it, so it stays.
        assert "dm0" in h1.ip("addr show dm0").stdout
        assert h1.ip("link del dm0").exit_code == 0
