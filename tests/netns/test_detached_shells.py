"""A shell that nobody can type to ends at once, on each datapath, by hand and in scenario files."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ipvlab import Lab, run
from tests.netns.conftest import DATAPATHS

every_datapath = pytest.mark.parametrize("datapath", [*DATAPATHS, "sim"])
CREATE = "network create -d ipvlan --subnet=192.0.2.0/24 -o parent=eth0 n"


@every_datapath
@pytest.mark.parametrize("dialect", ["docs", "docker-26", "docker-29"])
def test_run_d_alone_exits_0_and_gives_its_address_back(datapath: str, dialect: str) -> None:
    with Lab(datapath=datapath, dialect=dialect) as lab:
        lan = lab.wire("lan")
        host = lab.host("h1", eth0=lan.port())
        lab.host("h2", eth0=lan.port())
        assert host.docker(CREATE).exit_code == 0
        started = host.docker("run -d --net n --ip 192.0.2.9 --name c alpine")
        assert started.exit_code == 0
        assert host.docker("wait c").stdout == "0\n"
        assert host.docker("inspect -f '{{.State.Status}} {{.State.ExitCode}}' c").stdout == "exited 0\n"
        assert host.docker("run -itd --net n --ip 192.0.2.9 --name d alpine").exit_code == 0
        assert host.docker("ps --format '{{.Names}}'").stdout == "d\n"
        assert host.docker("exec d ip addr show eth0").exit_code == 0


@every_datapath
def test_a_scenarios_line_without_it_leaves_no_container_that_runs(datapath: str, tmp_path: Path) -> None:
    path = tmp_path / "detached.ipvlab.yaml"
    path.write_text(
        textwrap.dedent(
            f"""\
            name: detached
            wires: {{lan: {{}}}}
            hosts:
              h1:
                interfaces: {{eth0: {{wire: lan}}}}
                commands: |
                  docker {CREATE}
                  docker run --net=n --name=first -d alpine /bin/sh
                  docker run --net=n --name=second -itd alpine /bin/sh
                  docker run --net=n --name=third -d alpine sleep infinity
                containers: {{declared: {{networks: {{m: {{}}}}}}}}
                networks: {{m: {{driver: ipvlan}}}}
              h2: {{interfaces: {{eth0: {{wire: lan}}}}}}
            expect:
              - resolves: {{in: third, name: first, to: []}}
              - resolves: {{in: third, name: second, to: [192.0.2.2]}}
              - reach: {{from: second, to: third}}
              - links: {{in: declared, present: [eth0]}}
              - fails: {{on: h1, command: "docker exec first ip route", error: "is not running"}}
            """
        )
    )
    result = run(path, datapath=datapath)
    assert result.ok, [(verdict.id, verdict.observed, verdict.reason) for verdict in result.verdicts]
