"""``ipvlab schema``: the JSON Schema of scenario files, and of the results of conformance runs."""

from __future__ import annotations

import click


@click.command("schema")
@click.option("--conformance", "is_of_results", is_flag=True, help="That of conformance results instead.")
def command(is_of_results: bool) -> int:
    """Print the JSON Schema (draft 2020-12) of scenario files, for editors and linters."""
    import json

    if is_of_results:
        from ipvlab.implementations.results import ConformanceRun

        click.echo(json.dumps(ConformanceRun.model_json_schema(), indent=2, ensure_ascii=False))
        return 0
    from ipvlab.spec.schema import scenario_schema

    click.echo(json.dumps(scenario_schema(), indent=2, ensure_ascii=False))
    return 0
