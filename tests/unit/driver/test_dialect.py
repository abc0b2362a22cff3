"""The table of what differs: complete, and no field in it that makes no difference."""

from __future__ import annotations

import dataclasses

import pytest

from ipvlab.driver.dialect import DOCS, ROWS, DialectRow, find_row
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host


def test_docs_is_the_default_dialect() -> None:
    assert Host().engine.row is DOCS


@pytest.mark.parametrize("dialect", list(Dialect))
def test_every_dialect_has_a_row_of_its_own(dialect: Dialect) -> None:
    assert find_row(dialect).dialect is dialect
    assert Host(dialect=dialect).engine.row is find_row(dialect)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(DialectRow)])
def test_a_field_of_the_table_tells_dialects_apart(field: str) -> None:
    assert len({getattr(row, field) for row in ROWS.values()}) > 1
