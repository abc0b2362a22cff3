"""A scenario from start to verdicts: prepare, build, step, probe, compare, tear down.

The package is callable: ``ipvlab.run("x.ipvlab.yaml")`` is
:func:`ipvlab.run.runner.run`. Python binds a submodule to its parent's
attribute of the same name, whoever imports it first, so a function called
``run`` beside a package called ``run`` would be lost at the first import.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipvlab.run.results import ScenarioResult


class _CallableRoom(types.ModuleType):
    def __call__(self, path: str | Path, datapath: str = "auto") -> ScenarioResult:
        """Run one scenario file; see :func:`ipvlab.run.runner.run`."""
        from ipvlab.run.runner import run

        return run(path, datapath)


sys.modules[__name__].__class__ = _CallableRoom
