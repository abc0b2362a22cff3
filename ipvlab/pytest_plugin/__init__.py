"""The pytest plugin: labs in tests, scenario files as tests, and conformance of implementations.

::

    def test_a_container_does_not_reach_its_own_host(lab: Lab) -> None:
        wire = lab.wire("lan")
        h1 = lab.host("h1", eth0=wire.port("192.168.1.250/24"))
        h1.docker("network create -d ipvlan --subnet=192.168.1.0/24 -o parent=eth0 db_net")
        c1 = h1.container("c1", network="db_net")
        assert not c1.reaches(h1)

pytest loads this module in every run of every project that has ipvlab
installed, so nothing heavy is imported before a test asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ipvlab.pytest_plugin.options import (
    DATAPATHS,
    REPORTS,
    chosen_datapath,
    chosen_implementation,
    open_captures,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ipvlab import Lab
    from ipvlab.implementations.port import Implementation
    from ipvlab.pytest_plugin.bench import Bench
    from ipvlab.pytest_plugin.scenario_items import ScenarioFile
    from ipvlab.run.recording import CaptureFolder

__all__ = ["Bench", "chosen_datapath"]


def __getattr__(name: str) -> object:
    if name == "Bench":
        from ipvlab.pytest_plugin.bench import Bench

        return Bench
    raise AttributeError(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options and ini options of ipvlab."""
    group = parser.getgroup("ipvlab")
    group.addoption(
        "--ipvlab-datapath",
        choices=DATAPATHS,
        default=None,
        help="what carries the packets of `lab` and of scenario files (overrides ipvlab_datapath)",
    )
    group.addoption(
        "--ipvlab-implementation",
        metavar="NAME",
        default=None,
        help="what the fixtures `implementation` and `bench` stand for: sim, bpf, kernel, docker, podman, "
        "cni (overrides ipvlab_implementation; absent, the datapath)",
    )
    for name, words in REPORTS.items():
        group.addoption(f"--ipvlab-{name}", metavar="FILE", default=None, help=f"write {words}")
    group.addoption(
        "--ipvlab-pcap",
        metavar="DIR",
        default=None,
        help="write a pcapng of each lab: every wire and interface, and what each packet proves",
    )
    parser.addini("ipvlab_datapath", help="what carries the packets of labs", default="auto")
    parser.addini("ipvlab_implementation", help="the implementation under test", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the collector of results."""
    config.addinivalue_line(
        "markers", "requirement(*ids): the requirements of the conformance suite that the test settles"
    )
    config.addinivalue_line("markers", "feature(*names): what an implementation must offer for the test")
    from ipvlab.pytest_plugin.reporting import Reporting

    config.pluginmanager.register(Reporting(config), "ipvlab-reporting")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Scenario files are tests: one for each expectation."""
    if not file_path.name.endswith(".ipvlab.yaml"):
        return None
    from ipvlab.pytest_plugin.scenario_items import ScenarioFile

    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.fixture
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    """An empty lab that is torn down after the test, however the test ends.

    Where no datapath works, building it raises
    :class:`ipvlab.errors.EnvironmentUnfit`, and the test fails; it is never skipped.
    """
    from ipvlab import Lab

    with Lab(datapath=chosen_datapath(pytestconfig)) as built:
        yield built


@pytest.fixture(scope="session")
def implementation(pytestconfig: pytest.Config) -> Implementation:
    """The implementation under test."""
    from ipvlab.implementations.choosing import find_implementation

    return find_implementation(chosen_implementation(pytestconfig))


@pytest.fixture(scope="session")
def ipvlab_captures(pytestconfig: pytest.Config) -> CaptureFolder | None:
    """The folder for captures of labs; None where ``--ipvlab-pcap`` is absent."""
    return open_captures(pytestconfig)


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, implementation: Implementation, ipvlab_captures: CaptureFolder | None
) -> Bench:
    """Labs for the implementation under test, and the record of what they prove."""
    from ipvlab.pytest_plugin.bench import Bench

    return Bench(request.node, implementation, ipvlab_captures)
