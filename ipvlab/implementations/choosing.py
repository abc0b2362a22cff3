"""The implementations by the names that command line and pytest take."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ipvlab.errors import ValueInvalid
from ipvlab.implementations.port import Implementation

#: Name -> module and class; loaded when it is named.
_FOREIGN = {
    "docker": ("docker_engine", "DockerEngine"),
    "podman": ("podman", "Podman"),
    "cni": ("cni", "CniPlugin"),
}
NAMES = ("sim", "bpf", "kernel", *_FOREIGN)


def find_implementation(name: str) -> Implementation:
    """The implementation of that name, not started; raises :class:`ValueInvalid` for another name."""
    if name in _FOREIGN:
        module, kind = _FOREIGN[name]
        loaded = importlib.import_module(f"ipvlab.implementations.{module}")
        make: Callable[[], Implementation] = getattr(loaded, kind)
        return make()
    if name not in NAMES:
        raise ValueInvalid(f"there is no implementation {name!r}", hint=f"known: {', '.join(NAMES)}")
    from ipvlab.implementations.ours import OwnImplementation

    return OwnImplementation(name)
