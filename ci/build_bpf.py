#!/usr/bin/env python3
"""Compile the BPF object, or check that the committed one is what its source compiles to.

    ci/build_bpf.py            compile ipvlan.c to ipvlan.o and stamp it
    ci/build_bpf.py --check    exit 1 when the object and the source have come apart

Clang 14 (Debian 12, Ubuntu 22.04 and 24.04) is the compiler of record: with it
the bytes must be equal. Another clang makes other code of the same source, so
with it the check holds the stamp against the source and compiles with warnings
as errors, and says that this is all it could do.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "ipvlab" / "datapath" / "bpf"
SOURCE, OBJECT, STAMP = FOLDER / "ipvlan.c", FOLDER / "ipvlan.o", FOLDER / "ipvlan.stamp"
COMPILER_OF_RECORD = 14
FLAGS = ["-O2", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v2"]


def find_clang() -> tuple[str, int] | None:
    """The clang to use and its major version, the compiler of record first; None without one."""
    for name in (f"clang-{COMPILER_OF_RECORD}", "clang"):
        path = shutil.which(name)
        if path is None:
            continue
        words = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"clang version (\d+)", words)
        if version:
            return path, int(version[1])
    return None


def compile_object(clang: str, target: Path) -> None:
    """Compile the source; no debug information, so no path gets into the object."""
    # asm/types.h lies in a folder of the machine's own (Debian multiarch).
    headers = f"/usr/include/{platform.machine()}-linux-gnu"
    subprocess.run(
        [clang, *FLAGS, f"-I{headers}", "-c", SOURCE.name, "-o", str(target)], cwd=FOLDER, check=True
    )


def source_stamp() -> str:
    """What the stamp says of the source as it stands."""
    return f"sha256 of ipvlan.c: {hashlib.sha256(SOURCE.read_bytes()).hexdigest()}\n"


def check() -> str:
    """Say in one sentence what was compared; raises SystemExit where it does not fit."""
    if STAMP.read_text() != source_stamp():
        raise SystemExit("ipvlan.c has changed since ipvlan.o was compiled: run ci/build_bpf.py")
    found = find_clang()
    if found is None:
        return "stamp fits the source; no clang here, so the object was not compiled again"
    clang, version = found
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "ipvlan.o"
        compile_object(clang, target)
        if version != COMPILER_OF_RECORD:
            return f"stamp fits the source and clang {version} compiles it; bytes are compared with 14 only"
        if target.read_bytes() != OBJECT.read_bytes():
            raise SystemExit("ipvlan.o is not what ipvlan.c compiles to: run ci/build_bpf.py")
    return "ipvlan.o is, byte by byte, what ipvlan.c compiles to"


def build() -> str:
    """Compile and stamp; raises SystemExit without the compiler of record."""
    found = find_clang()
    if found is None or found[1] != COMPILER_OF_RECORD:
        raise SystemExit(f"clang-{COMPILER_OF_RECORD} is needed (apt-get install clang-{COMPILER_OF_RECORD})")
    compile_object(found[0], OBJECT)
    STAMP.write_text(source_stamp())
    return f"compiled {OBJECT.name} ({OBJECT.stat().st_size} bytes)"


if __name__ == "__main__":
    print(check() if sys.argv[1:] == ["--check"] else build())
