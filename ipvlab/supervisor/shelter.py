"""The supervisor's own /run: a tmpfs in its own mount namespace, which ends with it.

It holds the sockets, the engines' state and the log, and keeps the machine's
daemons out of the nodes' sight. A host or router sees a folder of it, its *room*,
as its own /run: there ``docker.sock`` is its own Engine API.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from ipvlab.linux.namespaces import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, unshare
from ipvlab.supervisor.names import CONTROL

FOLDER = Path("/run/ipvlab")
LOG = FOLDER / "log"
#: Room for the state of some ten thousand networks and containers.
_OPTIONS = "mode=755,size=64m"
#: What systems without /usr/bin keep their programs by (NixOS).
_KEPT_LINKS = ("/run/current-system",)

#: The shims' first line of Python, so that they work from a checkout as well.
_PACKAGE = Path(__file__).parents[2]


def make_shelter() -> None:
    """Give this process a mount namespace of its own with a fresh /run; it has no other thread yet.

    Raises OSError where it may not.
    """
    links = {path: os.readlink(path) for path in _KEPT_LINKS if os.path.islink(path)}
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("ipvlab", "/run", "tmpfs", options=_OPTIONS)
    for path, target in links.items():
        os.symlink(target, path)
    for folder in (FOLDER, FOLDER / "state", FOLDER / "rooms"):
        folder.mkdir()


def has_shelter() -> bool:
    """Whether this process has made its own /run."""
    return FOLDER.is_dir()


def socket_of(host: str) -> Path:
    """Where a host's Engine API listens."""
    return FOLDER / f"{host}.sock"


def state_of(host: str) -> Path:
    """The folder of a host's engine."""
    return FOLDER / "state" / host


def furnish_room(node: str, *, has_engine: bool) -> Path:
    """Make the folder that a host or router sees as its /run; the sockets in it exist already."""
    room = FOLDER / "rooms" / node
    (room / "ipvlab").mkdir(parents=True)
    os.link(CONTROL, room / "ipvlab" / "control.sock")
    if has_engine:
        os.link(socket_of(node), room / "docker.sock")
    furnish_shims(room / "ipvlab", node, is_host=has_engine)
    return room


def furnish_shims(folder: Path, node: str, *, is_host: bool) -> None:
    """Put ``ip``, and for a host ``docker``, into a ``bin`` that comes first on a shell's PATH."""
    shims = folder / "bin"
    shims.mkdir(parents=True, exist_ok=True)
    real = shutil.which("ip", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    passing = f"exec {shlex.quote(real)}" if real else f"exec {_call('ip', node)}"
    _write_program(shims / "ip", _IP.format(changing=f"exec {_call('ip', node)}", passing=passing))
    if is_host:
        for name in ("docker", "restart"):
            _write_program(shims / name, f'#!/bin/sh\nexec {_call(name, node)} "$@"\n')


def _call(verb: str, node: str) -> str:
    code = (
        f"import sys; sys.path.insert(0, {str(_PACKAGE)!r}); "
        f"from ipvlab.supervisor.shims import {verb}; sys.exit({verb}(sys.argv[1], sys.argv[2:]))"
    )
    return shlex.join([sys.executable, "-P", "-c", code, node])


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


#: What only shows is passed on at once; the lab has to hear of the rest.
_IP = """#!/bin/sh
for word; do
  case $word in
    a*|c|ch*|d|de*|f*|r|rep*|res*|s|se|set|-b*) {changing} "$@" ;;
  esac
done
{passing} "$@"
"""
