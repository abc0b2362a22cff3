"""``ipvlab graph``: every scenario as a graph that Mermaid can read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipvlab.report.mermaid import format_graph
from ipvlab.run.prepare import prepare

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.ipvlab.yaml"))

#: The five forms of line that a graph has, labels always quoted.
LABEL = r'"[^"\n]*"'
NODE = rf"\w+(\[{LABEL}\]|\(\[{LABEL}\]\)|\({LABEL}\)|\{{\{{{LABEL}\}}\}})"
EDGE = rf"\w+ ---(\|{LABEL}\|)? \w+"
LINE = re.compile(rf"  (  )?({NODE}|{EDGE}|subgraph \w+\[{LABEL}\]|end)")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name.partition(".")[0])
def test_every_scenario_is_a_graph_whose_edges_join_things_that_are_there(path: Path) -> None:
    lines = format_graph(prepare(path)).splitlines()
    start = lines.index("flowchart TB")
    assert start in {0, 3}
    body = lines[start + 1 :]
    assert [line for line in body if not LINE.fullmatch(line)] == []
    made = [found[1] for line in body if (found := re.match(r"  (?:  )?(\w+)[\[\(\{]", line))]
    assert len(made) == len(set(made))
    ends = [found for line in body for found in re.findall(r"^  (?:  )?(\w+) ---(?:\|[^|]*\|)? (\w+)$", line)]
    assert {end for pair in ends for end in pair} <= set(made)


def test_a_graph_shows_links_networks_containers_and_ports(tmp_path: Path) -> None:
    path = tmp_path / "x.ipvlab.yaml"
    path.write_text(
        "name: x\ntitle: 'a \"title\"'\nwires: {lan: {}}\nhosts:\n  h1:\n"
        "    interfaces: {eth0: {wire: lan, addresses: [10.0.0.1/24], port: {trunk: [20, 30], native: 1}}}\n"
        "    networks: {n: {driver: ipvlan, driver_opts: {parent: eth0.20}, internal: false,\n"
        "      ipam: {config: [{subnet: 10.1.0.0/24}]}}}\n"
        "    containers: {c-1: {networks: [n]}}\n"
    )
    graph = format_graph(prepare(path))
    assert '---\ntitle: "a #34;title#34;"\n---\nflowchart TB\n' in graph
    assert '  link_h1_eth0 ---|"trunk 20 30, native 1"| wire_lan\n' in graph
    assert '    link_h1_eth0x2e20["eth0.20 VLAN 20"]\n' in graph
    assert '    network_h1_n(["n: l2 bridge<br/>10.1.0.0/24"])\n' in graph
    assert '    container_h1_cx2d1("c-1<br/>eth0 10.1.0.2/24")\n' in graph
    assert "    container_h1_cx2d1 --- network_h1_n\n" in graph
