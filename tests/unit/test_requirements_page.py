"""The page of requirements; an installed suite comes without it, so it is no test of the suite."""

from __future__ import annotations

from conformance.page import PAGE, write_page


def test_the_page_of_requirements_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == write_page(), "run: python -m conformance.page --write"
