"""The JSON Schema and the reference follow the classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ipvlab.spec.model import Scenario
from ipvlab.spec.schema import JsonValue, scenario_reference, scenario_schema, write_reference
from ipvlab.spec.words import find_class, written_keys

ROOT = Path(__file__).parents[3]


def _mapping(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value


def test_the_schema_is_json_of_draft_2020_12_with_a_title_and_no_address_of_its_own() -> None:
    schema = json.loads(json.dumps(scenario_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "ipvlab scenario"
    assert "$id" not in schema
    assert schema["required"] == ["name"]


def test_every_class_of_the_schema_is_closed_but_the_one_whose_keys_are_interfaces() -> None:
    definitions = _mapping(scenario_schema()["$defs"])
    is_open = {
        name
        for name, definition in definitions.items()
        if _mapping(definition).get("type") == "object"
        and _mapping(definition).get("additionalProperties") is not False
    }
    assert is_open == {"Addresses"}


def test_a_mapping_of_names_takes_no_other_names() -> None:
    hosts = _mapping(_mapping(scenario_schema()["properties"])["hosts"])
    assert list(_mapping(hosts["patternProperties"])) == ["^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"]
    assert hosts["additionalProperties"] is False


def test_the_schema_says_from_and_in_as_the_file_does() -> None:
    text = json.dumps(scenario_schema())
    assert '"from_"' not in text
    assert '"in_"' not in text


def test_an_expectation_has_exactly_one_kind_in_the_schema() -> None:
    expectation = _mapping(_mapping(scenario_schema()["$defs"])["Expectation"])
    assert (expectation["minProperties"], expectation["maxProperties"]) == (1, 1)


def test_short_forms_are_in_the_schema() -> None:
    definitions = _mapping(scenario_schema()["$defs"])
    networks = _mapping(_mapping(_mapping(definitions["ContainerSpec"])["properties"])["networks"])
    assert [_mapping(form)["type"] for form in _list(networks["anyOf"])] == ["object", "array"]
    source = _mapping(_mapping(_mapping(definitions["Reach"])["properties"])["from"])
    assert [_mapping(form)["type"] for form in _list(source["anyOf"])] == ["string", "array"]


def _list(value: JsonValue) -> list[JsonValue]:
    assert isinstance(value, list)
    return value


def test_the_committed_reference_is_what_the_classes_say() -> None:
    assert (ROOT / "docs" / "scenario-file.md").read_text(encoding="utf-8") == scenario_reference()


def test_the_reference_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    assert write_reference(tmp_path).read_text(encoding="utf-8") == scenario_reference()


def test_every_key_of_the_schema_has_its_meaning_in_schema_and_reference() -> None:
    schema = scenario_schema()
    reference = scenario_reference()
    for definition in [schema, *_mapping(schema["$defs"]).values()]:
        for key, value in _mapping(_mapping(definition).get("properties", {})).items():
            meaning = _mapping(value).get("description")
            assert isinstance(meaning, str), key
            assert meaning.replace("|", "\\|") in reference


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        ((), "name"),
        (("hosts", "h1"), "interfaces"),
        (("hosts", "h1", "containers", "a", "networks", "n"), "ipv4_address"),
        (("expect", 3, "reach"), "from"),
        (("steps", 0, "expect", 1, "addresses"), "in"),
    ],
)
def test_the_class_at_a_place_is_found(keys: tuple[str | int, ...], first: str) -> None:
    found = find_class(Scenario, keys)
    assert found is not None
    assert written_keys(found)[0] == first


@pytest.mark.parametrize("keys", [("name",), ("nothing",), ("hosts",), ("name", "x", "y")])
def test_where_no_class_is_none_is_found(keys: tuple[str | int, ...]) -> None:
    assert find_class(Scenario, keys) is None
