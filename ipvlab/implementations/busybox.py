"""The file system of the suite's containers: one static busybox and the names of its applets."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from ipvlab.errors import EnvironmentUnfit
from ipvlab.implementations.engine_programs import Programs

FOLDERS = ("bin", "etc", "tmp", "root", "proc", "sys", "dev")
APPLETS = ("sh", "sleep", "cat", "ls", "ip", "ping", "ping6", "nslookup", "hostname", "true", "env")


def find_busybox(programs: Programs) -> Path:
    """A busybox that needs no library; raises :class:`EnvironmentUnfit` where there is none."""
    own = shutil.which("busybox")
    places = [programs.outside("/usr/bin/busybox"), programs.outside("/bin/busybox")]
    for path in [*places, *([Path(own)] if own else [])]:
        if path.is_file() and b"/ld-linux" not in path.read_bytes()[:4096]:
            return path
    raise EnvironmentUnfit("no static busybox is installed", hint="apt-get install busybox-static")


def as_archive(programs: Programs) -> bytes:
    """The file system as a tar archive, as ``docker import`` takes it."""
    content = find_busybox(programs).read_bytes()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for folder in FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
        for applet in APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return stream.getvalue()


def unpack(programs: Programs, folder: str) -> None:
    """The file system as a folder of the programs, made where it is missing."""
    place = programs.make_folder(folder)
    if (place / "bin" / "busybox").exists():
        return
    for name in FOLDERS:
        (place / name).mkdir(exist_ok=True)
    for applet in APPLETS:
        (place / "bin" / applet).symlink_to("busybox")
    shutil.copy(find_busybox(programs), place / "bin" / "busybox")
