"""``ipvlab schema``: the JSON Schema of scenario files."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> int:
    """Print the JSON Schema (draft 2020-12) of scenario files, for editors and linters."""
    import json

    from ipvlab.spec.schema import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2, ensure_ascii=False))
    return 0
