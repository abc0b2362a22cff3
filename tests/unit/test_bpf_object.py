"""The committed BPF object is what its source compiles to, and the check of that can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ipvlab.datapath.bpf.program import compiled_object

ROOT = Path(__file__).resolve().parent.parent.parent


def check_object(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "ci" / "build_bpf.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The script and the sources in a place where they can be spoiled."""
    for part in ("ci/build_bpf.py", *(f"ipvlab/datapath/bpf/ipvlan.{end}" for end in ("c", "o", "stamp"))):
        target = tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, target)
    return tmp_path


def test_the_committed_object_is_what_the_source_compiles_to() -> None:
    result = check_object(ROOT)
    assert result.returncode == 0, result.stderr
    assert "ipvlan.o is, byte by byte" in result.stdout or "stamp fits the source" in result.stdout


def test_a_source_that_changed_since_is_noticed(copy: Path) -> None:
    source = copy / "ipvlab/datapath/bpf/ipvlan.c"
    source.write_text(source.read_text().replace("#define BATCH 32", "#define BATCH 33"))
    result = check_object(copy)
    assert result.returncode == 1
    assert "has changed since" in result.stderr


def test_an_object_of_other_bytes_is_noticed(copy: Path) -> None:
    found = check_object(copy).stdout
    compiled = copy / "ipvlab/datapath/bpf/ipvlan.o"
    body = bytearray(compiled.read_bytes())
    body[-1] ^= 1
    compiled.write_bytes(bytes(body))
    result = check_object(copy)
    # Bytes are compared with the compiler of record only; elsewhere the check says so.
    if "byte by byte" in found:
        assert result.returncode == 1
        assert "is not what" in result.stderr
    else:
        assert "compiled again" in found or "compared with 14 only" in found


def test_the_object_names_its_programs_and_the_licence_of_the_project() -> None:
    compiled = compiled_object()
    assert set(compiled.programs) == {
        "endpoint_in",
        "fanout",
        "parent_in",
        "switch_in",
        "switch_out",
        "tap_in",
        "vlan_in",
        "vlan_out",
    }
    assert compiled.license == "Apache-2.0"
