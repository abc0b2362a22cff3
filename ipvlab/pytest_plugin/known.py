"""Known failures of an implementation: each with its reason, a link and the day it expires."""

from __future__ import annotations

import datetime
import fnmatch
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ipvlab.errors import ValueInvalid


class KnownFailure(BaseModel):
    """One entry of ``expected/<implementation>.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: A test's id, ``*`` and ``?`` allowed, or a requirement.
    id: str
    reason: str
    link: str
    expires: datetime.date

    def fits(self, case_id: str, requirements: Sequence[str]) -> bool:
        """Whether the entry is about this case."""
        # Square brackets are part of a test's id and no pattern.
        pattern = self.id.replace("[", "[[]")
        return self.id in requirements or fnmatch.fnmatchcase(case_id, f"*{pattern}")


def read_known(path: Path) -> list[KnownFailure]:
    """The entries of a file; raises :class:`ValueInvalid` for one that is none."""
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(list[KnownFailure]).validate_python(written.get("known", []))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ValueInvalid(f"{path} is no list of known failures: {error}") from error


def find_known(
    entries: Sequence[KnownFailure], case_id: str, requirements: Sequence[str], today: datetime.date
) -> KnownFailure | None:
    """The entry about a case that is in force today."""
    return next(
        (each for each in entries if each.fits(case_id, requirements) and today <= each.expires), None
    )
