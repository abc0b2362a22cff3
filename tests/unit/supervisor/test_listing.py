"""The labs that are up, as text and as JSON."""

from __future__ import annotations

import json

from ipvlab.supervisor.client import LabReport
from ipvlab.supervisor.listing import as_json, as_text

ABOUT: dict[str, object] = {
    "name": "town",
    "pid": 2,
    "datapath": "bpf",
    "state": "up",
    "scenario": "/somewhere/town.ipvlab.yaml",
    "log": "/run/ipvlab/log",
    "nodes": [
        {
            "name": "h1",
            "kind": "host",
            "host": None,
            "addresses": ["10.0.0.1/24"],
            "descriptor": 12,
            "api": "/run/ipvlab/h1.sock",
        },
        {"name": "a1", "kind": "container", "host": "h1", "addresses": [], "descriptor": 13},
    ],
}
TOWN = LabReport("town", 4711, ABOUT)
MUTE = LabReport("mute", 4712, None)


def test_json_names_paths_of_the_machine() -> None:
    town, mute = json.loads(as_json([TOWN, MUTE]))
    assert (town["name"], town["pid"], town["datapath"], town["state"]) == ("town", 4711, "bpf", "up")
    assert town["log"] == "/proc/4711/root/run/ipvlab/log"
    assert town["nodes"] == [
        {
            "name": "h1",
            "kind": "host",
            "host": None,
            "addresses": ["10.0.0.1/24"],
            "namespace": "/proc/4711/fd/12",
            "api": "/proc/4711/root/run/ipvlab/h1.sock",
        },
        {
            "name": "a1",
            "kind": "container",
            "host": "h1",
            "addresses": [],
            "namespace": "/proc/4711/fd/13",
            "api": None,
        },
    ]
    assert (mute["pid"], mute["state"], mute["nodes"]) == (4712, "not answering", [])


def test_text_has_a_line_for_each_node() -> None:
    assert as_text([TOWN, MUTE]).splitlines() == [
        "town: process 4711, datapath bpf",
        "  h1  host  10.0.0.1/24",
        "  a1  container of h1",
        "mute: process 4712 does not answer (ipvlab down mute ends it)",
    ]
    verbose = as_text([TOWN], is_verbose=True)
    assert "DOCKER_HOST=unix:///proc/4711/root/run/ipvlab/h1.sock" in verbose
    assert "scenario /somewhere/town.ipvlab.yaml" in verbose


def test_no_lab_is_said_and_is_an_empty_list() -> None:
    assert as_text([]) == "no lab is up\n"
    assert json.loads(as_json([])) == []


def test_a_log_without_a_folder_is_the_supervisors_own_output() -> None:
    [lab] = json.loads(as_json([LabReport("x", 9, {"log": "", "nodes": None})]))
    assert lab["log"] == "/proc/9/fd/2"
