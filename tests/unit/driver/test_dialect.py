"""Which dialects are built."""

from __future__ import annotations

import pytest

from ipvlab.driver.dialect import DOCS, find_row
from ipvlab.errors import DialectUnbuilt
from ipvlab.spec.values import Dialect
from tests.unit.driver.recording_port import Host


def test_docs_is_the_default_dialect() -> None:
    assert Host().engine.row is DOCS
    assert find_row(Dialect.DOCS) is DOCS


@pytest.mark.parametrize("dialect", [Dialect.DOCKER_26, Dialect.DOCKER_28, Dialect.DOCKER_29])
def test_a_dialect_without_a_row_is_said_to_be_unbuilt(dialect: Dialect) -> None:
    with pytest.raises(DialectUnbuilt, match=f"dialect {dialect} is not built yet") as caught:
        Host(dialect=dialect)
    assert caught.value.exit_code == 5
    assert "docs" in caught.value.hint
