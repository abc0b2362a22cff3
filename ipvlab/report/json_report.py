"""Results in the form of the JSON contract: one scenario an object, several a list."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ipvlab.run.results import ScenarioResult


def format_json(results: Sequence[ScenarioResult]) -> str:
    """The results as JSON text: an object for one scenario, else a list."""
    content = [result.to_dict() for result in results]
    return json.dumps(content if len(content) != 1 else content[0], indent=2, ensure_ascii=False) + "\n"


def write_text_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old content or the new, never a part.

    Raises OSError where the folder cannot be written to. What is not a plain
    file (``/dev/stderr``, a pipe) cannot be replaced and is written to.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp makes files that only their owner reads; a report is as open as the umask allows.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
