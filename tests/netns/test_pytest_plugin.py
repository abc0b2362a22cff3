"""The fixture ``lab``, used by a test of a project that has ipvlab installed."""

from __future__ import annotations

import pytest

from ipvlab import pytest_plugin

TEST = """
def build(lab):
    wire = lab.wire("lan")
    h1 = lab.host("h1", eth0=wire.port("192.168.1.250/24"))
    h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 db_net")
    return h1, h1.container("c1", network="db_net"), h1.container("c2", network="db_net")

def test_siblings_meet_and_the_host_stays_away(lab):
    h1, c1, c2 = build(lab)
    assert c1.reaches(c2)
    assert not c1.reaches(h1)
    assert c1.broadcast().heard_by == {c2}

def test_every_test_has_a_lab_of_its_own(lab):
    h1, c1, c2 = build(lab)
    assert c2.reaches(c1)

def test_a_wrong_claim_fails(lab):
    h1, c1, c2 = build(lab)
    assert c1.reaches(h1)
"""


def test_the_fixture_gives_each_test_a_fresh_lab(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TEST)
    result = pytester.runpytest_inprocess(
        "-p", "no:ipvlab", "-p", "no:randomly", "-p", "no:cacheprovider", plugins=[pytest_plugin]
    )
    result.assert_outcomes(passed=2, failed=1)
