"""The command line without a lab: help, plan, schema, usage; nothing here needs privileges."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
REFERENCE = PROJECT / "scenarios" / "reference.ipvlab.yaml"


def ipvlab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from ipvlab.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)


def test_version_is_that_of_the_package() -> None:
    result = ipvlab("--version")
    assert (result.returncode, result.stdout) == (0, "ipvlab, version 0.1.0\n")


@pytest.mark.parametrize("verb", ["run", "plan", "doctor", "schema"])
def test_every_verb_is_listed_and_explains_itself(verb: str) -> None:
    assert f"  {verb}" in ipvlab("--help").stdout
    assert ipvlab(verb, "--help").returncode == 0


def test_help_loads_no_heavy_library() -> None:
    check = (
        "import sys\n"
        "from ipvlab.cli import run_command_line\n"
        "run_command_line(['--help']); run_command_line(['run', '--help'])\n"
        "print(sorted({'scapy', 'pyroute2', 'pydantic', 'rich', 'dns'} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    assert result.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["nosuch"],
        ["run", "--datapath", "nosuch", "x.ipvlab.yaml"],
        ["run", "--nosuch", "x.ipvlab.yaml"],
        ["plan"],
        ["run", "nosuch.ipvlab.yaml"],
        ["plan", "nosuch.ipvlab.yaml"],
        ["run", "-k", "and", "scenarios"],
        ["run", "-k", "fits-no-scenario", "scenarios"],
        ["run", "--json", "nosuch/out.json", "scenarios"],
    ],
)
def test_bad_usage_and_unreadable_paths_exit_with_2(arguments: list[str]) -> None:
    result = ipvlab(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_schema_is_a_json_schema_with_all_keys_of_a_scenario() -> None:
    schema = json.loads(ipvlab("schema").stdout)
    assert {"name", "wires", "hosts", "routers", "expect", "steps"} <= set(schema["properties"])


def test_a_reader_that_goes_away_is_no_error() -> None:
    result = subprocess.run(
        f"{sys.executable} -c 'from ipvlab.cli import main; main()' schema | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=True,
    )
    assert (result.stdout, result.stderr) == ("{\n", "")


def test_plan_shows_what_would_be_built() -> None:
    result = ipvlab("plan", REFERENCE)
    assert result.returncode == 0
    for text in (
        "wire lan (switch): h1:eth0, h2:eth0, gw:eth0",
        "link eth0.20, vlan 20 on eth0",
        "network v20: l2 bridge, parent eth0.20 (made by the driver)",
        "subnet 192.168.20.0/24, gateway 192.168.20.1",
        "eth0 on network v20: 192.168.20.2/24",
        "route default via 192.168.30.1 dev eth0",
        "router gw (forwards)",
        "ipv4.conf.all.rp_filter = 0",
    ):
        assert text in result.stdout, text


@pytest.mark.parametrize("path", sorted((PROJECT / "scenarios").glob("*.ipvlab.yaml")), ids=lambda p: p.stem)
def test_every_scenario_of_the_project_can_be_planned(path: Path) -> None:
    result = ipvlab("plan", path)
    assert (result.returncode, result.stderr) == (0, "")


def test_errors_of_several_files_are_all_told_and_nothing_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.ipvlab.yaml").write_text(f"name: {name}\nnosuch: 1\n")
    (tmp_path / "c.ipvlab.yaml").write_text("name: c\n")
    result = ipvlab("run", tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    for name in ("a", "b"):
        assert f"{tmp_path}/{name}.ipvlab.yaml:2:1: IPV102 " in result.stderr
