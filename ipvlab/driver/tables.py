"""Lists as Docker's client prints them: tables, JSON lines, templates, and names in natural order.

Source: docker/cli ``cli/command/formatter/formatter.go`` and its tabwriter;
fvbommel/sortorder for the order of names; measured with client 28.2.2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from ipvlab.driver.template_values import MISSING, Method, Struct, Value
from ipvlab.driver.templates import Template, TemplateFault

#: The tabwriter's cells: so wide at least, and so many blanks behind the widest.
_NARROWEST, _PADDING = 10, 3
_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """What sorts ``net9`` before ``net10`` (sortorder: NaturalLess)."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part), part) if part.isdigit() else (1, 0, part) for part in parts if part)


def list_rows(
    rows: Iterable[Struct], template: str, headers: Mapping[str, str], default: str, raw: str
) -> str:
    """Rows by ``--format``: empty or ``table`` is the default table, ``raw`` the long form, ``json`` lines.

    Raises :class:`TemplateFault` for a template that is none, or whose fields a row does not have.
    """
    if template in ("", "table"):
        template = f"table {default}"
    elif template == "raw":
        template = raw
    is_table = template.startswith("table")
    body = template.removeprefix("table") if is_table else template
    body = "{{json .}}" if body == "json" else body.strip(" ")
    parsed = Template(body.replace("\\t", "\t").replace("\\n", "\n"))
    lines = [parsed.run(row) + "\n" for row in rows]
    if not is_table:
        return "".join(lines)
    try:
        top = parsed.run(_HeaderRow(headers), is_header=True)
    except TemplateFault:
        # The client prints as much of a header as it got to.
        top = ""
    return align("".join([f"{top}\n", *lines]))


class _HeaderRow(Struct):
    """The names of a table's columns by field; ``.Label "com.example.my-tier"`` is called ``my tier``."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        methods: dict[str, Method] = {"Label": (1, _name_label)}
        super().__init__("formatter.SubHeaderContext", dict(headers), methods)

    def field(self, name: str) -> Value:
        """The name of a column, or what a map answers that does not have it."""
        return self.fields.get(name, MISSING)


def _name_label(label: object) -> str:
    return str(label).rpartition(".")[2].replace("-", " ").replace("_", " ")


def align(text: str) -> str:
    """Tab-separated cells in columns (text/tabwriter: a column is a run of lines that have that cell)."""
    lines = [line.split("\t") for line in text.split("\n")]
    widths = [[0] * (len(line) - 1) for line in lines]
    deepest = max(len(line) for line in lines) - 1
    for column in range(deepest):
        at = 0
        while at < len(lines):
            end = at
            while end < len(lines) and len(lines[end]) - 1 > column:
                end += 1
            block = range(at, end)
            if block:
                width = max(measure(lines[row][column]) for row in block) + _PADDING
                for row in block:
                    widths[row][column] = max(_NARROWEST, width)
            at = max(end, at + 1)
    return "\n".join(
        "".join(cell + " " * (width - measure(cell)) for cell, width in zip(line, wide, strict=False))
        + line[-1]
        for line, wide in zip(lines, widths, strict=True)
    )


def measure(text: str) -> int:
    """How many columns of a terminal a text takes (go-runewidth)."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def shorten(text: str, width: int) -> str:
    """A text of at most ``width`` columns, an ellipsis at its end where it was longer."""
    return text if measure(text) <= width else text[: width - 1] + "…"


def join_labels(labels: Mapping[str, str]) -> str:
    """Labels as a list shows them."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))
