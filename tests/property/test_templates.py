"""Whatever is given as a format, a template prints something or says what is wrong with it."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ipvlab.driver.tables import align
from ipvlab.driver.template_values import Struct
from ipvlab.driver.templates import Template, TemplateFault

PIECES = st.sampled_from(
    """{{ }} {{- -}} {{/* */}} . .Name .Foo .Label $x $ := = | ( ) , if else end range with define template
    block break continue "a" `b` 'c' 1 -2 1.5 0x1 true false nil len index slice printf print eq lt and or not
    json upper join split pad truncate "%d" "%s" "%*d" html js text""".split()
)
ROW = Struct(
    "row", {"Map": {"a": 1}, "List": [1, 2]}, {"Name": (0, lambda: "n_1"), "Label": (1, lambda name: "l")}
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=14), st.sampled_from(["", " "]))
def test_a_format_is_carried_out_or_faulted(pieces: list[str], between: str) -> None:
    with suppress(TemplateFault):
        Template(between.join(pieces)).run(ROW)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_in_an_action_is_carried_out_or_faulted(before: str, inside: str) -> None:
    with suppress(TemplateFault):
        Template(f"{before}{{{{{inside}}}}}").run(ROW)


@given(
    st.lists(
        st.lists(st.text("abé漢", max_size=12), min_size=1, max_size=4).map("\t".join), min_size=1, max_size=6
    )
)
def test_aligned_cells_keep_their_text_and_lose_only_tabs(lines: list[str]) -> None:
    aligned = align("\n".join(lines)).split("\n")
    assert [line.replace(" ", "") for line in aligned] == [line.replace("\t", "") for line in lines]
