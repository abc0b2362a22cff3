"""The pytest plugin: a fixture ``lab``, fresh for every test.

::

    def test_a_container_does_not_reach_its_own_host(lab: Lab) -> None:
        wire = lab.wire("lan")
        h1 = lab.host("h1", eth0=wire.port("192.168.1.250/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 db_net")
        c1 = h1.container("c1", network="db_net")
        assert not c1.reaches(h1)

pytest loads this module in every run of every project that has ipvlab
installed, so nothing heavy is imported before a test asks for the fixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipvlab import Lab

DATAPATHS = ("auto", "kernel", "bpf", "sim")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--ipvlab-datapath`` and the ini option ``ipvlab_datapath``."""
    parser.getgroup("ipvlab").addoption(
        "--ipvlab-datapath",
        choices=DATAPATHS,
        default=None,
        help="what carries the packets of the fixture `lab` (overrides the ini option ipvlab_datapath)",
    )
    parser.addini("ipvlab_datapath", help="what carries the packets of the fixture `lab`", default="auto")


def chosen_datapath(config: pytest.Config) -> str:
    """The datapath that this run asks for: the command line's, else the ini file's.

    Raises :class:`pytest.UsageError` for a name that ipvlab does not know.
    """
    chosen = str(config.getoption("--ipvlab-datapath") or config.getini("ipvlab_datapath"))
    if chosen not in DATAPATHS:
        raise pytest.UsageError(f"ipvlab_datapath: {chosen!r} is none of {', '.join(DATAPATHS)}")
    return chosen


@pytest.fixture
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """An empty lab that is torn down after the test, however the test ends.

    Where no datapath works, building it raises
    :class:`ipvlab.errors.EnvironmentUnfit`, and the test fails; it is never skipped.
    """
    from ipvlab import Lab

    with Lab(datapath=chosen_datapath(pytestconfig)) as built:
        yield built
