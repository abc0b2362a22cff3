"""The tree is the architecture: sizes, floors, words, scenarios, and what an import costs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipvlab.spec.load import load_scenario
from ipvlab.spec.model import Expectation, Scenario

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "ipvlab"
SCENARIOS = sorted((PROJECT / "scenarios").glob("*.ipvlab.yaml"))

#: Traces of the places where the project is written. The parts are joined here, so that this
#: file does not hold what it looks for.
WORKPLACE = re.compile("|".join(("/" + "work/", "/" + "tmp/venv", "/" + "tmp/brief", r"\." + "pyenv")))
#: Directories that tools make; they are no part of the tree.
MADE_BY_TOOLS = {"__pycache__", "build", "dist", "node_modules", "venv"}


def files_of(folder: Path) -> Iterator[Path]:
    """Every file below a folder, what tools left there excepted."""
    for path in folder.iterdir():
        is_made = path.name in MADE_BY_TOOLS or path.name.endswith(".egg-info")
        if is_made or (path.name.startswith(".") and path.name != ".ci"):
            continue
        if path.is_dir():
            yield from files_of(path)
        else:
            yield path


def floors_of_the_contract() -> list[str]:
    """The layers that import-linter enforces, from top to bottom."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    [layers] = [
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    return [layer.removeprefix("ipvlab.") for layer in layers]


def floors_of_the_graph() -> list[str]:
    """The floors as the one graph of the architecture page draws them, from top to bottom."""
    page = (PROJECT / "docs" / "architecture.md").read_text()
    [graph] = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    arrows: dict[str, str] = dict(re.findall(r"^\s*(\w+) --> (\w+)$", graph, re.MULTILINE))
    [top] = set(arrows) - set(arrows.values())
    floors = [top]
    while floors[-1] in arrows:
        floors.append(arrows[floors[-1]])
    assert len(floors) == len(arrows) + 1, "the graph is not one chain"
    return floors


def expectations_of(scenario: Scenario) -> list[Expectation]:
    """All expectations of a scenario, those of its steps included."""
    return [*scenario.expect, *(each for step in scenario.steps for each in step.expect)]


def is_negative(expectation: Expectation, nodes: int) -> bool:
    """Whether an expectation says that something must not happen."""
    if expectation.broadcast:
        return len(expectation.broadcast.heard_by) < nodes - 1
    if expectation.links:
        return bool(expectation.links.absent)
    if expectation.resolves:
        return not expectation.resolves.to
    return bool(expectation.blocked or expectation.undelivered or expectation.fails)


def nodes_of(scenario: Scenario) -> int:
    """How many hosts, routers and containers a scenario has, those of its commands included."""
    blocks = ["\n".join(host.commands) for host in scenario.hosts.values()]
    started = sum(len(re.findall(r"^\s*docker run\b", block, re.MULTILINE)) for block in blocks)
    written = sum(len(host.containers) for host in scenario.hosts.values())
    return len(scenario.hosts) + len(scenario.routers) + written + started


@pytest.mark.parametrize("folder", ["ipvlab", "tests", "conformance", "ci"])
def test_no_module_is_longer_than_400_lines(folder: str) -> None:
    sizes = {
        str(path.relative_to(PROJECT)): len(path.read_text().splitlines())
        for path in files_of(PROJECT / folder)
        if path.suffix == ".py"
    }
    assert sizes or folder == "ci"
    assert {path: size for path, size in sizes.items() if size > 400} == {}


def test_the_graph_of_the_architecture_is_the_import_contract() -> None:
    assert floors_of_the_graph() == floors_of_the_contract()


def test_every_room_has_a_floor_and_every_floor_a_room() -> None:
    rooms = {
        path.stem
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.name != "__init__.py") or (path / "__init__.py").exists()
    }
    assert rooms == set(floors_of_the_contract())


def test_every_folder_of_modules_is_a_package() -> None:
    # import-linter and the wheel see packages only; a module outside one would escape both.
    folders = {path.parent for path in files_of(PACKAGE) if path.suffix == ".py"}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_entry_of_the_layout_exists() -> None:
    entries = (
        "README.md LICENSE CHANGELOG.md CONTRIBUTING.md Vagrantfile pyproject.toml .ci/run ci/provision.sh"
    )
    folders = (
        "ipvlab scenarios conformance ci/bench tests/unit tests/netns tests/property tests/selftest docs"
    )
    assert [name for name in entries.split() if not (PROJECT / name).is_file()] == []
    assert [name for name in folders.split() if not (PROJECT / name).is_dir()] == []


def test_scripts_can_be_executed() -> None:
    scripts = [PROJECT / ".ci" / "run", *(PROJECT / "ci").glob("*.sh")]
    assert [path.name for path in scripts if not path.stat().st_mode & 0o100] == []


def test_nothing_names_the_place_where_it_was_written() -> None:
    found = [
        f"{path.relative_to(PROJECT)}: {match.group()}"
        for path in files_of(PROJECT)
        for match in WORKPLACE.finditer(path.read_bytes().decode("utf-8", errors="replace"))
    ]
    assert found == []


def test_the_search_for_workplace_names_finds_one() -> None:
    assert WORKPLACE.search("see /" + "work/here")


def test_every_scenario_has_a_title_a_lesson_and_a_negative() -> None:
    for path in SCENARIOS:
        scenario = load_scenario(path).scenario
        assert scenario.title, path.name
        assert scenario.about.strip(), path.name
        negatives = [each for each in expectations_of(scenario) if is_negative(each, nodes_of(scenario))]
        assert negatives, path.name


def test_there_are_at_least_12_scenarios_and_80_expectations() -> None:
    assert len(SCENARIOS) >= 12
    assert sum(len(expectations_of(load_scenario(path).scenario)) for path in SCENARIOS) >= 80


def test_every_file_of_the_scenario_folder_is_a_scenario() -> None:
    assert sorted((PROJECT / "scenarios").iterdir()) == SCENARIOS


def test_no_two_scenarios_share_a_name() -> None:
    names = [load_scenario(path).scenario.name for path in SCENARIOS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("statement", ["import ipvlab", "import ipvlab.pytest_plugin"])
def test_importing_ipvlab_loads_no_heavy_library(statement: str) -> None:
    code = f"import sys; {statement}; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    heavy = {"scapy", "pyroute2", "pydantic", "pydantic_core", "ruamel", "rich", "dns"}
    assert "ipvlab" in loaded.stdout.split()
    assert {name for name in loaded.stdout.split() if name.split(".")[0] in heavy} == set()
