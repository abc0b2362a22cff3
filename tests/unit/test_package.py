"""What a user installs: the compiled BPF object is in it, so that nobody needs a compiler."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

PROJECT = Path(__file__).parents[2]
OBJECTS = sorted(path.relative_to(PROJECT) for path in (PROJECT / "ipvlab" / "datapath" / "bpf").glob("*.o"))


def test_the_wheel_holds_the_package_and_the_compiled_object(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(PROJECT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert OBJECTS
        for path in OBJECTS:
            assert archive.read(str(path)) == (PROJECT / path).read_bytes()
    assert {"ipvlab/py.typed", "ipvlab/errors.py", "ipvlab/datapath/bpf/ipvlan.c"} <= names
    assert not [name for name in names if name.startswith(("tests/", "scenarios/"))]
    [entry_points] = [name for name in names if name.endswith("entry_points.txt")]
    with zipfile.ZipFile(wheel) as archive:
        written = archive.read(entry_points).decode()
    assert "ipvlab = ipvlab.cli:main" in written
    assert "ipvlab = ipvlab.pytest_plugin" in written


def test_the_source_archive_holds_all_that_the_checks_need(tmp_path: Path) -> None:
    [archive] = SdistBuilder(str(PROJECT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(archive) as source:
        names = {name.split("/", 1)[1] for name in source.getnames() if "/" in name}
    wanted = {
        ".ci/run",
        "LICENSE",
        "README.md",
        "ci/test.sh",
        "pyproject.toml",
        "scenarios/reference.ipvlab.yaml",
        "tests/unit/test_package.py",
    }
    assert wanted | {str(path) for path in OBJECTS} <= names
