"""``docs/requirements.md``: from each requirement to what settles it, and back.

Run it as ``python -m conformance.page --write``; without ``--write`` it prints the page.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from pathlib import Path

from conformance.layouts import all_layouts
from ipvlab.implementations.register import Profile, Register

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "requirements.md"
_MARK = re.compile(r"^@pytest\.mark\.requirement\(([^)]*)\)\n(?:@.*\n)*def (\w+)", re.MULTILINE)


def read_register() -> Register:
    """The suite's register."""
    return Register.read(HERE / "requirements.yaml")


def settled_by() -> dict[str, list[str]]:
    """What settles each requirement: labs by name, and tests of their own by file and function."""
    found: dict[str, list[str]] = defaultdict(list)
    for layout in all_layouts():
        for requirement in layout.requirements():
            found[requirement].append(f"lab `{layout.name}`")
    for path in sorted(HERE.glob("test_*.py")):
        for ids, function in _MARK.findall(path.read_text(encoding="utf-8")):
            for requirement in re.findall(r'"([^"]+)"', ids):
                found[requirement].append(f"`{path.name}::{function}`")
    return found


def write_page() -> str:
    """The page as Markdown."""
    register, tests = read_register(), settled_by()
    lines = [
        "# Requirements and what settles them",
        "",
        "Made by `python -m conformance.page --write` from register and suite; a test holds it to them.",
        "",
        f"{len(register.in_force())} requirements, {len(all_layouts())} labs.",
    ]
    for profile in Profile:
        lines += ["", f"## {profile}", "", "| id | level | requirement | source | settled by |"]
        lines.append("| --- | --- | --- | --- | --- |")
        for each in register.of_profile(profile):
            settled = ", ".join(tests.get(each.id, ["nothing"]))
            lines.append(f"| {each.id} | {each.level} | {each.text} | {each.source} | {settled} |")
    lines += ["", "## Labs", "", "| lab | what it is | requirements |", "| --- | --- | --- |"]
    for layout in all_layouts():
        lines.append(f"| `{layout.name}` | {layout.title} | {', '.join(layout.requirements())} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(write_page(), encoding="utf-8")
    else:
        sys.stdout.write(write_page())
