"""What CI is made of: workflows, scripts and the Vagrantfile fit each other, and their linters can fail."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ci import lint_ci, try_provision, vm
from ci.guest.needs import Kernel, Programs
from ipvlab.implementations.choosing import NAMES

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))

#: A workflow is a tree of YAML; its schema is checked by ci/lint_ci.py.
Job = Mapping[str, Any]


def read_workflow(path: Path) -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = YAML(typ="safe").load(path)
    return loaded


JOBS = {name: job for path in WORKFLOWS for name, job in read_workflow(path)["jobs"].items()}


def texts_of(value: object) -> Iterator[str]:
    """Every text in a tree of YAML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


# Workflows


def test_conformance_is_shown_for_every_python_and_implementation() -> None:
    matrix = JOBS["conformance"]["strategy"]["matrix"]
    classified = re.findall(r'requires-python = ">=(3\.\d+)"', (PROJECT / "pyproject.toml").read_text())
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert matrix["python"][:1] == classified
    assert matrix["implementation"] == ["sim", "bpf", "kernel", "docker"]
    assert set(matrix["implementation"]) <= set(NAMES)


def test_provisioning_is_tried_on_every_release_that_it_is_for() -> None:
    assert set(JOBS["provision"]["strategy"]["matrix"]["suite"]) == set(try_provision.RELEASES)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_named_by_commit_with_their_tag_beside(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    loose = [line for line in lines if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)]
    assert not loose


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path: Path) -> None:
    workflow = read_workflow(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert not [name for name, job in workflow["jobs"].items() if "permissions" in job]


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_what_a_job_takes_from_its_matrix_is_in_it(job: Job) -> None:
    matrix = job.get("strategy", {}).get("matrix", {})
    taken = {name for text in texts_of(job) for name in re.findall(r"\bmatrix\.(\w+)", text)}
    assert taken == set(matrix)


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS)
def test_a_job_has_an_end_and_runs_scripts_that_exist(job: Job) -> None:
    assert 0 < job["timeout-minutes"] <= 120
    for step in job["steps"]:
        for script in re.findall(r"(?<![\w./])ci/[\w./]+\w", step.get("run", "")):
            assert os.access(PROJECT / script, os.X_OK), script


@pytest.mark.parametrize("name", ["checks", "conformance"])
def test_reports_are_kept_when_the_tests_fail(name: str) -> None:
    kept = [step for step in JOBS[name]["steps"] if "upload-artifact" in step.get("uses", "")]
    assert [(step["if"], step["with"]["path"]) for step in kept] == [("always()", "reports")]


def test_the_matrix_of_a_run_is_in_its_summary() -> None:
    [summary] = [
        step for step in JOBS["conformance"]["steps"] if "GITHUB_STEP_SUMMARY" in step.get("run", "")
    ]
    assert summary["if"] == "always()"


# Both virtual machines


def test_vagrant_has_debian_12_and_13_for_virtualbox_and_for_libvirt() -> None:
    text = (PROJECT / "Vagrantfile").read_text()
    boxes = {
        name: (virtualbox, libvirt)
        for name, virtualbox, libvirt in re.findall(
            r'^  "(\w+)" +=> \{ "virtualbox" => "([\w./-]+)", +"libvirt" => "([\w./-]+)" \},$',
            text,
            re.MULTILINE,
        )
    }
    assert set(boxes) == set(try_provision.RELEASES)
    assert all(box.endswith("debian-12") for box in boxes["bookworm"])
    assert all(box.endswith("debian-13") for box in boxes["trixie"])


def test_both_virtual_machines_are_prepared_and_tested_by_the_same_scripts() -> None:
    vagrant = (PROJECT / "Vagrantfile").read_text()
    assert "bash /vagrant/ci/provision.sh" in vagrant
    assert "bash /vagrant/ci/test.sh" in vagrant
    assert "bash ci/provision.sh" in vm.PROVISION[2]


def test_provisioning_a_guest_prepares_the_environment_that_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], str | None]] = []

    def run_in_guest(_parts: object, command: list[str], _settings: object, own: dict[str, str]) -> int:
        seen.append((command, own.get("IPVLAB_VENV")))
        return 0

    parts = vm.Parts(Programs("qemu", "virtiofsd", "busybox"), Kernel("6.1", Path("/k"), Path("/m")), b"")
    monkeypatch.setattr(vm, "find_parts", lambda _series: parts)
    monkeypatch.setattr(vm, "run_in_guest", run_in_guest)
    monkeypatch.delenv("IPVLAB_VENV", raising=False)
    assert vm.run(vm.parse(["--provision", "--", "ci/test.sh"])) == 0
    assert vm.run(vm.parse(["--", "ci/test.sh"])) == 0
    assert seen == [([*vm.PROVISION, "ci/test.sh"], sys.prefix), (["ci/test.sh"], None)]


def test_a_command_does_not_run_in_a_guest_that_could_not_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    script = tmp_path / "ci" / "provision.sh"
    for status, said in ((0, "ran\n"), (3, "")):
        script.write_text(f"echo preparing\nexit {status}\n")
        done = subprocess.run(
            [*vm.PROVISION, "echo", "ran"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (status, said, "preparing\n")


# Linters


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.sh", "", True),
        ("run", "#!/usr/bin/env bash\n", True),
        ("init", "#!/bin/busybox sh\n", True),
        ("early", "#!/bin/sh -e\n", True),
        ("tool", "#!/usr/bin/env python3\n", False),
        ("shelf", "sh and bash\n", False),
        ("a.py", "#!/bin/sh\n", False),
    ],
)
def test_a_shell_script_is_told_by_name_or_first_line(
    tmp_path: Path, name: str, text: str, expected: bool
) -> None:
    (tmp_path / name).write_text(text)
    assert lint_ci.is_shell(tmp_path / name) is expected


def linter_of(name: str, scratch: Path) -> lint_ci.Linter:
    [linter] = [each for each in lint_ci.linters(PROJECT, scratch) if each.command[0] == name]
    return linter


def test_shellcheck_reads_the_commands_of_ci_and_of_the_guest(tmp_path: Path) -> None:
    read = {str(path.relative_to(PROJECT)) for path in linter_of("shellcheck", tmp_path).paths}
    assert {".ci/run", "ci/test.sh", "ci/setup.sh", "ci/provision.sh", "ci/guest/init.sh"} <= read


@pytest.mark.parametrize("name", ["check-jsonschema", "zizmor", "actionlint"])
def test_linters_of_workflows_read_all_of_them(name: str, tmp_path: Path) -> None:
    assert WORKFLOWS
    assert list(linter_of(name, tmp_path).paths) == WORKFLOWS


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("shellcheck", "a.sh", "#!/bin/sh\nrm $1\n"),
        ("check-jsonschema", "a.yml", "on: push\njobs: {a: {runs-on: x, stepz: []}}\n"),
        (
            "zizmor",
            "a.yml",
            "on: push\npermissions: {}\njobs: {a: {runs-on: x, steps: [{uses: actions/checkout@v4}]}}\n",
        ),
    ],
)
def test_a_linter_that_is_required_finds_what_is_wrong(
    name: str, file: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / file
    path.write_text(text)
    assert lint_ci.run_linter(dataclasses.replace(linter_of(name, tmp_path), paths=[path])) == 1
    assert f"failed: {name} ended with status" in capsys.readouterr().out


def test_a_missing_linter_is_a_failure_unless_the_checks_can_do_without_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = {
        linter.command[0]: lint_ci.run_linter(linter, lambda _name: None)
        for linter in lint_ci.linters(PROJECT, tmp_path)
    }
    assert statuses == {"shellcheck": 1, "check-jsonschema": 1, "zizmor": 1, "actionlint": 0, "vagrant": 0}
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "unsupported: vagrant is not here (Debian's package vagrant)"
    assert len(lines) == len(statuses)
