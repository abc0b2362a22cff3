"""The JSON Schema of the scenario file and its readable reference, both from the classes."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ipvlab.spec.model import Scenario
from ipvlab.spec.scalars import TYPE_WORDS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]

_PREFACE = """\
# The scenario file

<!-- Generated from the classes in ipvlab/spec by `python -m ipvlab.spec.schema`; do not edit. -->

A scenario is one YAML 1.2 file whose name ends in `.ipvlab.yaml`. Every mapping of its vocabulary is
listed here with its keys; any other key is an error. *Required* keys have no default. The same
vocabulary as JSON Schema, for editors, is printed by `ipvlab schema`.
"""


def scenario_schema() -> dict[str, JsonValue]:
    """Return the JSON Schema (2020-12) of a scenario file.

    It states all that holds for a value by itself; what needs the rest of the
    file, such as a wire that is not declared, is checked by
    :func:`ipvlab.spec.check.check_scenario`.
    """
    schema: dict[str, JsonValue] = Scenario.model_json_schema(by_alias=True, mode="validation")
    _close(schema)
    return {
        "$schema": _DIALECT,
        **schema,
        "title": "ipvlab scenario",
        "description": "A network lab: wires, hosts with ipvlan networks, routers, and what must hold.",
    }


def _close(schema: JsonValue) -> None:
    """Close mappings whose keys follow a pattern, and drop the titles that repeat their keys."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for key, inner in schema.items():
            if key == "properties" and isinstance(inner, dict):
                for one in inner.values():
                    if isinstance(one, dict):
                        one.pop("title", None)
            _close(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close(inner)


def scenario_reference() -> str:
    """Return the text of ``docs/scenario-file.md``: every mapping, key, type and default."""
    parts = [_PREFACE]
    for model in _models(Scenario):
        parts.append(f"## {_heading(model)}\n\n{_first_sentence(model)}\n")
        rows = [_row(name, field) for name, field in model.model_fields.items()]
        if model.model_config.get("extra") == "allow":
            extra = typing.get_type_hints(model, include_extras=True)["__pydantic_extra__"]
            rows.append(f"| *any other name* | {_type_words(typing.get_args(extra)[1])} | | |")
        if rows:
            head = ["| key | type | default | meaning |", "|---|---|---|---|"]
            parts.append("\n".join([*head, *rows]) + "\n")
        else:
            parts.append("It has no keys yet: write `{}`.\n")
    return "\n".join(parts)


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a class and all classes of its fields, each once, in reading order."""
    queue, seen = [model], {model}
    while queue:
        current = queue.pop(0)
        yield current
        inner = [
            found
            for field in current.model_fields.values()
            for found in _classes(field.annotation)
            if found not in seen
        ]
        seen.update(inner)
        queue = [*dict.fromkeys(inner), *queue]


def _classes(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _classes(argument)


def _heading(model: type[BaseModel]) -> str:
    name = model.__name__.removesuffix("Spec")
    return "".join(
        f" {letter.lower()}" if letter.isupper() and at else letter for at, letter in enumerate(name)
    )


def _anchor(model: type[BaseModel]) -> str:
    return f"[{_heading(model).lower()}](#{_heading(model).lower().replace(' ', '-')})"


def _first_sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ").replace("``", "`")


def _row(name: str, field: FieldInfo) -> str:
    annotation: object = field.annotation
    if field.metadata:
        annotation = typing.Annotated[(field.annotation, *field.metadata)]
    cells = [f"`{field.alias or name}`", _type_words(annotation), _default(field), field.description or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    default = field.default
    if default is PydanticUndefined:
        return "*required*"
    if default is None or default == "":
        return "–"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, BaseModel | dict | tuple):
        return "`[]`" if isinstance(default, tuple) else "`{}`"
    return f"`{default}`"


def _type_words(annotation: object) -> str:
    """Name a type in the words of a scenario file."""
    for known, words in TYPE_WORDS:
        if annotation == known:
            return words
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type_words(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_words(argument) for argument in arguments if argument is not type(None))
    if origin is typing.Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin is dict:
        name = "name" if arguments[0] is str else _type_words(arguments[0])
        return f"mapping of {name} to {_type_words(arguments[1])}"
    if origin is tuple:
        return f"list of {_type_words(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _anchor(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    plain: dict[object, str] = {str: "text", int: "whole number", bool: "`true` or `false`"}
    return plain[annotation]


def write_reference(folder: Path) -> Path:
    """Write ``scenario-file.md`` into a folder and return its path."""
    path = folder / "scenario-file.md"
    path.write_text(scenario_reference(), encoding="utf-8")
    return path


if __name__ == "__main__":
    write_reference(Path(__file__).parents[2] / "docs")
